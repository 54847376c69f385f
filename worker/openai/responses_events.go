package openai

// The types of the events in a stream of the Responses API. Every event has a
// type and a sequence_number; an event about an item has its output_index and,
// but for those that carry the item, its item_id.
const (
	// These carry the whole response. The last three end a stream.
	EventCreated    = "response.created"
	EventQueued     = "response.queued"
	EventInProgress = "response.in_progress"
	EventCompleted  = "response.completed"
	EventFailed     = "response.failed"
	EventIncomplete = "response.incomplete"
	// EventError goes before EventFailed: libraries raise it as an error.
	EventError = "error"

	// These carry an item, when it begins and when it is done.
	EventItemAdded = "response.output_item.added"
	EventItemDone  = "response.output_item.done"

	// These carry a part of a message or of reasoning, and its text.
	EventPartAdded      = "response.content_part.added"
	EventPartDone       = "response.content_part.done"
	EventTextDelta      = "response.output_text.delta"
	EventTextDone       = "response.output_text.done"
	EventReasoningDelta = "response.reasoning_text.delta"
	EventReasoningDone  = "response.reasoning_text.done"

	// These carry the arguments of a call.
	EventArgumentsDelta    = "response.function_call_arguments.delta"
	EventArgumentsDone     = "response.function_call_arguments.done"
	EventMCPArgumentsDelta = "response.mcp_call_arguments.delta"
	EventMCPArgumentsDone  = "response.mcp_call_arguments.done"

	// These say how an MCPCallItem goes on.
	EventMCPInProgress = "response.mcp_call.in_progress"
	EventMCPCompleted  = "response.mcp_call.completed"
	EventMCPFailed     = "response.mcp_call.failed"
)
