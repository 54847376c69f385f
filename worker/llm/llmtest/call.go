package llmtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Call is one request to a Handler, as it came over the wire.
type Call struct {
	// N numbers the calls of a Handler in order of arrival, from 1.
	N      int
	Path   string
	Header http.Header
	Body   []byte // the whole request, undecoded

	Model    string
	Stream   bool
	Messages []Message
	Tools    []string // names of the tools that were offered
	// ToolChoice is the choice as it was sent, "" if it was not.
	ToolChoice string
	// IncludeUsage says that a stream shall end with a usage chunk.
	IncludeUsage bool
}

// Message is one message of a Call. Text holds its text parts in one string.
type Message struct {
	Role       string
	Text       string
	ToolCallID string
	ToolCalls  []ToolCall
}

// ToolCall is a wish of the model to run a tool. A Handler makes up an ID where
// it is empty.
type ToolCall struct {
	ID        string
	Name      string
	Arguments string
}

// System returns the text of the first system message.
func (c Call) System() string {
	for _, m := range c.Messages {
		if m.Role == "system" || m.Role == "developer" {
			return m.Text
		}
	}
	return ""
}

// LastUser returns the text of the last user message.
func (c Call) LastUser() string {
	if i := c.lastUser(); i >= 0 {
		return c.Messages[i].Text
	}
	return ""
}

// ToolResults returns what tools answered since the last user message, oldest
// first.
func (c Call) ToolResults() []string {
	var results []string
	for _, m := range c.Messages[c.lastUser()+1:] {
		if m.Role == "tool" {
			results = append(results, m.Text)
		}
	}
	return results
}

// Steps returns how many times the model has asked for tools since the last
// user message.
func (c Call) Steps() int {
	steps := 0
	for _, m := range c.Messages[c.lastUser()+1:] {
		if len(m.ToolCalls) > 0 {
			steps++
		}
	}
	return steps
}

// HasTool reports whether the request offers a tool of that name.
func (c Call) HasTool(name string) bool { return slices.Contains(c.Tools, name) }

// lastUser is the index of the last user message, -1 when there is none.
func (c Call) lastUser() int {
	for i, m := range slices.Backward(c.Messages) {
		if m.Role == "user" {
			return i
		}
	}
	return -1
}

// wireRequest is what is read of a chat completions request.
type wireRequest struct {
	Model         string `json:"model"`
	Stream        bool   `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Messages []struct {
		Role       string          `json:"role"`
		Content    json.RawMessage `json:"content"`
		ToolCallID string          `json:"tool_call_id"`
		ToolCalls  []struct {
			ID       string `json:"id"`
			Function struct {
				Name      string `json:"name"`
				Arguments string `json:"arguments"`
			} `json:"function"`
		} `json:"tool_calls"`
	} `json:"messages"`
	Tools []struct {
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	} `json:"tools"`
	ToolChoice json.RawMessage `json:"tool_choice"`
}

// decode returns the call with its body read into its other fields.
func (c Call) decode() (Call, error) {
	var req wireRequest
	if err := json.Unmarshal(c.Body, &req); err != nil {
		return c, fmt.Errorf("read request: %w", err)
	}
	if len(req.Messages) == 0 {
		return c, errors.New("the request has no messages")
	}
	c.ToolChoice = string(req.ToolChoice)
	c.Model, c.Stream, c.IncludeUsage = req.Model, req.Stream, req.StreamOptions.IncludeUsage
	for _, tool := range req.Tools {
		c.Tools = append(c.Tools, tool.Function.Name)
	}
	for i, m := range req.Messages {
		text, err := contentText(m.Content)
		if err != nil {
			return c, fmt.Errorf("read content of message %d: %w", i, err)
		}
		message := Message{Role: m.Role, Text: text, ToolCallID: m.ToolCallID}
		for _, call := range m.ToolCalls {
			message.ToolCalls = append(message.ToolCalls,
				ToolCall{ID: call.ID, Name: call.Function.Name, Arguments: call.Function.Arguments})
		}
		c.Messages = append(c.Messages, message)
	}
	return c, nil
}

// contentText reads a string, a list of parts, or null.
func contentText(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	if raw[0] == '"' {
		var text string
		err := json.Unmarshal(raw, &text)
		return text, err
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return "", err
	}
	var text strings.Builder
	for _, part := range parts {
		text.WriteString(part.Text)
	}
	return text.String(), nil
}
