// Package llm is what an agent knows of language models: the request it makes,
// the events that come back while the model answers, and the finished message.
// The packages below it speak to one kind of upstream each; this one knows none
// of them, so an agent can be tested with a scripted Client.
package llm

import (
	"context"
	"encoding/json"
	"strings"
)

// Role says who speaks in a Message.
type Role string

// The roles of a transcript. Developer messages are folded into System before a
// Request is made.
const (
	System    Role = "system"
	User      Role = "user"
	Assistant Role = "assistant"
	Tool      Role = "tool"
)

// Finish is why a model stopped.
type Finish string

// The reasons a Message can end with, spelled as in the chat completions API.
const (
	FinishStop          Finish = "stop"
	FinishLength        Finish = "length"
	FinishToolCalls     Finish = "tool_calls"
	FinishContentFilter Finish = "content_filter"
)

// Part is one piece of a message's content: text, or an image. Exactly one of
// the two fields is set.
type Part struct {
	Text string `json:"text,omitempty"`
	// ImageURL is an http(s) URL or a data URI of an image.
	ImageURL string `json:"image_url,omitempty"`
	// Detail is the image's resolution hint: "", low, high or auto.
	Detail string `json:"detail,omitempty"`
}

// ToolCall is a model's wish to run a tool. Arguments is the text as the model
// wrote it: it may be no valid JSON, and whoever runs the call must say so to
// the model instead of guessing.
type ToolCall struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
	// Extras holds fields that the provider wants back verbatim, such as a
	// thought signature.
	Extras map[string]json.RawMessage `json:"extras,omitempty"`
}

// Message is one entry of a transcript. Its JSON form is what the store keeps.
type Message struct {
	Role  Role   `json:"role"`
	Parts []Part `json:"parts,omitempty"`
	// Note says that it stands in for a person, who has not said it.
	Note bool `json:"note,omitempty"`
	// ToolCalls is set on assistant messages that ask for tools.
	ToolCalls []ToolCall `json:"tool_calls,omitempty"`
	// ToolCallID names the call that a tool message answers.
	ToolCallID string `json:"tool_call_id,omitempty"`
	// Reasoning is the model's visible thinking, if it sends any.
	Reasoning string `json:"reasoning,omitempty"`
	// Extras holds provider fields (reasoning_details and the like) that are
	// replayed verbatim, and only to the provider and model named by Origin.
	Extras map[string]json.RawMessage `json:"extras,omitempty"`
	Origin string                     `json:"origin,omitempty"`

	Finish Finish `json:"finish,omitempty"`
	Usage  Usage  `json:"usage,omitzero"`
}

// FromPerson says whether a person has said it.
func (m Message) FromPerson() bool { return m.Role == User && !m.Note }

// Text returns the message's text parts as one string.
func (m Message) Text() string {
	if len(m.Parts) == 1 {
		return m.Parts[0].Text
	}
	var text strings.Builder
	for _, part := range m.Parts {
		text.WriteString(part.Text)
	}
	return text.String()
}

// TextMessage makes a message of one text part.
func TextMessage(role Role, text string) Message {
	return Message{Role: role, Parts: []Part{{Text: text}}}
}

// Usage counts tokens, as the upstream reports them. The zero value means that
// it reported none.
type Usage struct {
	Input     int `json:"input"`
	Output    int `json:"output"`
	Cached    int `json:"cached,omitempty"`    // part of Input read from the provider's cache
	Reasoning int `json:"reasoning,omitempty"` // part of Output spent on thinking
}

// Add returns the sum of two counts.
func (u Usage) Add(v Usage) Usage {
	return Usage{u.Input + v.Input, u.Output + v.Output, u.Cached + v.Cached, u.Reasoning + v.Reasoning}
}

// ToolSpec describes a tool to a model. Parameters is a JSON schema, encoded
// once so that every request carries the same bytes.
type ToolSpec struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
}

// Request is one call of a model. Nil pointers and empty fields leave the
// choice to the upstream.
type Request struct {
	Messages []Message
	Tools    []ToolSpec
	// ToolChoice is "", "auto", "none", "required" or a tool's name.
	ToolChoice string

	Temperature *float64
	TopP        *float64
	// PresencePenalty and FrequencyPenalty are left out for providers that have none.
	PresencePenalty  *float64
	FrequencyPenalty *float64
	MaxTokens        int
	Stop             []string
	ReasoningEffort  string
	// ResponseFormat is the chat completions response_format object, or nil.
	ResponseFormat json.RawMessage
	// User is an opaque id of the end user for the provider's abuse checks.
	User string
}

// Event is something that happens while a model answers.
//
//sumtype:decl
type Event interface{ llmEvent() }

// Text is a piece of the answer. JSON is the piece as a JSON string literal,
// quotes included, exactly as the upstream escaped it, so that a relay need not
// decode and encode it again; it is only valid during the call of emit. More
// says that further events are already waiting, so a relay may put off its
// flush.
type Text struct {
	JSON []byte
	More bool
}

// Reasoning is a piece of the model's visible thinking, shaped like Text.
type Reasoning struct {
	JSON []byte
	More bool
}

// Retry says that an attempt failed before anything was shown and that another
// follows. Everything gathered from the failed attempt is void.
type Retry struct {
	Attempt int // of the attempt that failed, from 1
	Err     error
}

func (Text) llmEvent()      {}
func (Reasoning) llmEvent() {}
func (Retry) llmEvent()     {}

// Client asks a model and hands out its answer while it comes in. It returns
// the whole message once the upstream has ended it properly; an answer that was
// cut short is an error, together with what had arrived. When emit fails (the
// reader has gone) Stream stops the upstream and returns that error. The error
// of a failed upstream is an *Error.
type Client interface {
	Stream(ctx context.Context, req Request, emit func(Event) error) (Message, error)
}
