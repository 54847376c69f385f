package openai

import "encoding/json"

// The values of the object field of chat completions.
const (
	ObjectCompletion = "chat.completion"
	ObjectChunk      = "chat.completion.chunk"
)

// The roles of chat messages.
const (
	RoleSystem    = "system"
	RoleDeveloper = "developer"
	RoleUser      = "user"
	RoleAssistant = "assistant"
	RoleTool      = "tool"
)

// ChatRequest is the body of POST /chat/completions. Fields that are not set
// are left out when it is sent. DecodeChatRequest reads one that a client sent.
type ChatRequest struct {
	Model    string    `json:"model"`
	Messages []Message `json:"messages"`

	Stream        bool           `json:"stream,omitempty"`
	StreamOptions *StreamOptions `json:"stream_options,omitempty"`

	Temperature *float64 `json:"temperature,omitempty"`
	TopP        *float64 `json:"top_p,omitempty"`

	PresencePenalty  *float64 `json:"presence_penalty,omitempty"`
	FrequencyPenalty *float64 `json:"frequency_penalty,omitempty"`

	// MaxTokens is the old name of MaxCompletionTokens. Clients send either.
	MaxTokens           *int   `json:"max_tokens,omitempty"`
	MaxCompletionTokens *int   `json:"max_completion_tokens,omitempty"`
	Stop                Stop   `json:"stop,omitempty"`
	ReasoningEffort     string `json:"reasoning_effort,omitempty"`
	User                string `json:"user,omitempty"`
	N                   *int   `json:"n,omitempty"`
	Logprobs            *bool  `json:"logprobs,omitempty"`

	Tools             []Tool          `json:"tools,omitempty"`
	ToolChoice        ToolChoice      `json:"tool_choice,omitzero"`
	ParallelToolCalls *bool           `json:"parallel_tool_calls,omitempty"`
	ResponseFormat    *ResponseFormat `json:"response_format,omitempty"`

	// Functions, FunctionCall, Modalities and Audio are kept only so that a
	// server can say that it does not do them.
	Functions    []json.RawMessage `json:"functions,omitempty"`
	FunctionCall json.RawMessage   `json:"function_call,omitempty"`
	Modalities   []string          `json:"modalities,omitempty"`
	Audio        json.RawMessage   `json:"audio,omitempty"`
}

// StreamOptions says what a stream should hold beside the answer.
type StreamOptions struct {
	// IncludeUsage asks for one last chunk with the usage and empty choices.
	IncludeUsage bool `json:"include_usage"`
}

// Message is one message of a request's transcript.
type Message struct {
	Role string `json:"role"`
	// Content is null on assistant messages that hold only tool calls.
	Content    Content    `json:"content"`
	Name       string     `json:"name,omitempty"`
	ToolCalls  []ToolCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

// ToolCall is a call that a model has asked for.
type ToolCall struct {
	ID       string       `json:"id,omitempty"`
	Type     string       `json:"type,omitempty"` // "function"
	Function FunctionCall `json:"function"`
}

// FunctionCall is the name of a tool and the arguments for it.
type FunctionCall struct {
	Name      string    `json:"name,omitempty"`
	Arguments Arguments `json:"arguments"`
}

// Tool offers a function to a model.
type Tool struct {
	Type     string   `json:"type"` // "function"
	Function Function `json:"function"`
}

// Function describes a tool. Parameters is a JSON schema.
type Function struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
	Strict      *bool           `json:"strict,omitempty"`
}

// ResponseFormat is the shape that an answer should have. Type is text,
// json_object or json_schema.
type ResponseFormat struct {
	Type       string          `json:"type"`
	JSONSchema json.RawMessage `json:"json_schema,omitempty"`
}

// Completion is a whole answer.
type Completion struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created Number   `json:"created"` // Unix seconds
	Model   string   `json:"model"`
	Choices []Choice `json:"choices"`
	// Usage is left out when nothing was counted.
	Usage *Usage `json:"usage,omitempty"`
}

// Choice is one answer of a Completion.
type Choice struct {
	Index        int             `json:"index"`
	Message      Answer          `json:"message"`
	Logprobs     json.RawMessage `json:"logprobs"` // null
	FinishReason string          `json:"finish_reason"`
}

// Answer is the message of a Choice.
type Answer struct {
	Role    string  `json:"role"`
	Content Content `json:"content"`
	Refusal *string `json:"refusal"`
	// ReasoningContent is the model's visible thinking, left out if there is
	// none.
	ReasoningContent string `json:"reasoning_content,omitempty"`
	// ToolCalls are calls of the client's own tools.
	ToolCalls []ToolCall `json:"tool_calls,omitempty"`
}

// Chunk is one event of a streamed answer, to be read. Servers that stream much
// do not write it from this type.
type Chunk struct {
	ID      string        `json:"id"`
	Object  string        `json:"object"`
	Created Number        `json:"created"` // Unix seconds
	Model   string        `json:"model"`
	Choices []ChunkChoice `json:"choices"`
	// Usage is set on the last chunk only; null breaks clients, so it is left
	// out elsewhere.
	Usage *Usage `json:"usage,omitempty"`
	// Error is set, and everything else is not, when the answer failed after it
	// had begun.
	Error *Error `json:"error,omitempty"`
}

// ChunkChoice is the piece of one answer in a Chunk.
type ChunkChoice struct {
	Index int   `json:"index"`
	Delta Delta `json:"delta"`
	// FinishReason is null, read as "", until the last piece.
	FinishReason string `json:"finish_reason"`
}

// Delta is what a Chunk adds to an answer. Its fields are those of Answer.
type Delta struct {
	Role             string  `json:"role,omitempty"`
	Content          Content `json:"content,omitzero"`
	ReasoningContent string  `json:"reasoning_content,omitempty"`
	// ToolCalls are pieces of calls of the client's own tools.
	ToolCalls []ToolCallDelta `json:"tool_calls,omitempty"`
}

// ToolCallDelta is a piece of the call at Index. Its Arguments follow on those of
// the pieces before; the other fields come with the first piece.
type ToolCallDelta struct {
	Index int `json:"index"`
	ToolCall
}

// Usage counts the tokens of an answer. The details are left out when they are
// not known.
type Usage struct {
	PromptTokens            Number                   `json:"prompt_tokens"`
	CompletionTokens        Number                   `json:"completion_tokens"`
	TotalTokens             Number                   `json:"total_tokens"`
	PromptTokensDetails     *PromptTokensDetails     `json:"prompt_tokens_details,omitempty"`
	CompletionTokensDetails *CompletionTokensDetails `json:"completion_tokens_details,omitempty"`
}

// PromptTokensDetails says how much of the prompt came from a cache.
type PromptTokensDetails struct {
	CachedTokens Number `json:"cached_tokens"`
}

// CompletionTokensDetails says how much of the answer was thinking.
type CompletionTokensDetails struct {
	ReasoningTokens Number `json:"reasoning_tokens"`
}
