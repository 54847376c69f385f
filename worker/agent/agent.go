// Package agent runs a turn: it asks the model, runs the tools that the model
// calls, hands their results back, and goes on until the model has answered.
// It knows neither HTTP nor SQL: events go out through a function, records
// through the Recorder.
package agent

import (
	"context"
	"strings"
	"time"

	"hermes/worker/llm"
	"hermes/worker/tools"
)

// Turn is one request's run of the agent.
type Turn struct {
	// RunID names the run in the record; empty makes a new name.
	RunID string
	// History is the transcript so far, without system messages, oldest first.
	// Its last message is what the agent answers.
	History []llm.Message
	// System holds the client's own instructions, layered last in the prompt.
	System string
	// Params are the client's wishes for sampling; the loop fills in the rest.
	Params Params
	// ClientTools are offered to the model beside the agent's own. They are run by
	// the client: a turn whose model calls one ends with Result.ClientCalls, and
	// goes on as another turn whose History holds their results. None may have the
	// name of an agent's tool, see HasTool.
	ClientTools []llm.ToolSpec
	// ToolChoice makes the model call tools: required, or the name of one of
	// ClientTools, until it has called one of ClientTools. Empty leaves it free.
	ToolChoice string
	// OneCall leaves one call at a time to the client.
	OneCall bool
	// MaxToolCalls bounds how many of the agent's own tools are run in the turn.
	// Further calls are answered with a note. 0 is no limit.
	MaxToolCalls int
	// SessionID groups turns of one chat; empty makes a new session.
	SessionID string
	// ParentSessionID and ParentRunID are set for a turn that another one has handed a
	// task on to.
	ParentSessionID, ParentRunID string
	// Follows names the history that the turn answers, in whatever way its client can
	// name it again, for the record.
	Follows []byte
	// Source names the endpoint or command that asked, for the record.
	Source string
	// RequestID is the id under which logs and client know this request.
	RequestID string
}

// Params are the sampling wishes that a client may send, passed on to the
// model. Zero values leave the choice to the upstream.
type Params struct {
	Temperature      *float64
	TopP             *float64
	PresencePenalty  *float64
	FrequencyPenalty *float64
	MaxTokens        int
	Stop             []string
	ReasoningEffort  string
	ResponseFormat   []byte
}

// Result is a finished turn. Beside an error it holds what there was until
// then, so that a broken turn can still be shown and kept.
type Result struct {
	RunID string
	// Message is the final answer.
	Message llm.Message
	// Messages is everything that the turn added after Turn.History: assistant
	// messages, tool results, and Message as the last. With ClientCalls the results
	// of the agent's own calls follow Message, and those of the client's are missing.
	Messages []llm.Message
	// ClientCalls are calls of Message that the client is to run. Their results go
	// into the history of the next turn. There are none beside an error.
	ClientCalls []llm.ToolCall
	// Usage is summed over all calls of the model, those of children included.
	Usage llm.Usage
	// Iterations is how often the model was asked, without those.
	Iterations int
	// Finish is why the answer ended. It is length when Cut is set, and tool_calls
	// only with ClientCalls.
	Finish llm.Finish
	// Cut says that the iteration limit or the loop guard ended the work before
	// the model did.
	Cut bool
}

// Text returns everything that the model said in the turn: the text of each
// assistant message, with a blank line between them. It is what a stream of the
// turn shows when tool progress is left out.
func (r Result) Text() string {
	var texts []string
	for _, message := range r.Messages {
		if text := message.Text(); message.Role == llm.Assistant && text != "" {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "\n\n")
}

// Recorder writes a turn down while it happens, in the order that lets a crash
// lose nothing: the run and the user's message before the first call of the
// model, the assistant's message before any of its tools starts, each result as
// it ends, and the end of the run last. Its methods return once the record is
// committed. An agent calls them one after the other for one run, and for many
// runs at once.
type Recorder interface {
	Begin(ctx context.Context, run Run) error
	// Assistant records a message of the model that asks for tools. Call ids are
	// unique within a run.
	Assistant(ctx context.Context, runID string, message llm.Message) error
	ToolStarted(ctx context.Context, runID, callID string, at time.Time) error
	// ToolFinished records what the model is told of a call. A call that was
	// not begun, because the turn ended before or because it is left to the client,
	// is finished without having been started; its result says so.
	ToolFinished(ctx context.Context, runID, callID string, result tools.Result, at time.Time) error
	// End records how the run ended, exactly once for each Begin that
	// succeeded.
	End(ctx context.Context, runID string, end End) error
}

// Run is the record that a turn begins with.
type Run struct {
	ID        string
	SessionID string
	Follows   []byte // see Turn.Follows
	// ParentSessionID and ParentRunID are those of Turn.
	ParentSessionID, ParentRunID string

	Source    string
	RequestID string
	Model     string
	// Input is the message that the turn answers.
	Input llm.Message
	Began time.Time
}

// What a turn can end as.
const (
	StatusDone      = "done"
	StatusFailed    = "failed"
	StatusCancelled = "cancelled" // its client left, or somebody stopped it
)

// End is the record that a turn ends with.
type End struct {
	// Status is StatusDone, StatusFailed or StatusCancelled.
	Status string
	Error  string
	// Final is the message that ended the run, nil when there was none. Of a run
	// that failed or was cancelled it may be the first half of an answer.
	Final      *llm.Message
	Usage      llm.Usage // without that of children, whose runs have their own
	Iterations int
	// AwaitingUser says that Final is a question to the person.
	AwaitingUser bool
	Ended        time.Time
}
