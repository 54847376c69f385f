package openaichat

import (
	"crypto/rand"
	"encoding/json"
	"slices"

	"hermes/worker/llm"
	"hermes/worker/llm/upstream"
)

// toolCalls gathers the tool calls of a message out of their pieces.
type toolCalls struct {
	calls []*toolCall
}

// toolCall is one call while it comes in.
type toolCall struct {
	index     int // as the server numbers it, -1 when it does not
	id, name  string
	arguments upstream.Pieces
	extras    map[string]json.RawMessage
}

// add takes in the pieces of one chunk and returns how many bytes they hold.
func (t *toolCalls) add(deltas []toolDelta) int {
	size := 0
	for i, d := range deltas {
		position := -1
		if len(deltas) > 1 {
			position = i
		}
		id, name := upstream.Str(d.ID), upstream.Str(d.Function.Name)
		call := t.find(d.Index, id, name, position)
		if call == nil {
			call = t.begin(d.Index)
		}
		if call.id == "" {
			call.id = id
		}
		if name != call.name { // some servers repeat the name in every piece
			call.name += name
		}
		call.append(d.Function.Arguments)
		call.keep("extra_content", d.ExtraContent)
		call.keep("thought_signature", d.ThoughtSignature)
		size += len(d.Function.Arguments) + len(name) + len(d.ExtraContent)
	}
	return size
}

// find returns the call that a piece belongs to, nil when it begins a new one.
// OpenAI numbers calls, and names each in its first piece only. Others leave
// the number out, or give every call the number 0; then the id tells.
func (t *toolCalls) find(index json.RawMessage, id, name string, position int) *toolCall {
	if !upstream.Absent(index) {
		for _, call := range slices.Backward(t.calls) {
			if call.index != upstream.Number(index) {
				continue
			}
			if id != "" && call.id != "" && id != call.id && name != "" {
				return nil
			}
			return call
		}
		return nil
	}
	if id != "" {
		for _, call := range t.calls {
			if call.id == id {
				return call
			}
		}
	}
	switch {
	case name != "" || len(t.calls) == 0:
		return nil // a call begins with its name
	case position >= 0 && position < len(t.calls):
		return t.calls[position]
	default:
		return t.calls[len(t.calls)-1]
	}
}

func (t *toolCalls) begin(index json.RawMessage) *toolCall {
	call := &toolCall{index: -1}
	if !upstream.Absent(index) {
		call.index = upstream.Number(index)
	}
	t.calls = append(t.calls, call)
	return call
}

// append adds a piece of the arguments: the inside of a string, or the value
// itself.
func (c *toolCall) append(arguments json.RawMessage) {
	switch {
	case upstream.Absent(arguments):
	case arguments[0] == '"':
		c.arguments.Add(arguments[1 : len(arguments)-1])
	default:
		literal := upstream.AppendQuoted(nil, string(arguments))
		c.arguments.Add(literal[1 : len(literal)-1])
	}
}

// keep remembers a field that the provider wants back.
func (c *toolCall) keep(key string, value json.RawMessage) {
	if upstream.Absent(value) {
		return
	}
	if c.extras == nil {
		c.extras = make(map[string]json.RawMessage)
	}
	c.extras[key] = value
}

// toolExtras are the fields of a tool call that its provider wants back.
func toolExtras() []string { return []string{"extra_content", "thought_signature"} }

// done returns the finished calls. A call without an id, or with the id of
// another, gets one of its own, because results are matched by it. Arguments
// that never came are an empty object: that is how servers spell a call of a
// tool without parameters.
func (t *toolCalls) done() []llm.ToolCall {
	var calls []llm.ToolCall
	seen := make(map[string]bool)
	for _, c := range t.calls {
		arguments := c.arguments.Text()
		if c.name == "" && c.id == "" && arguments == "" {
			continue
		}
		if c.id == "" || seen[c.id] {
			c.id = "call_" + rand.Text()
		}
		seen[c.id] = true
		if arguments == "" {
			arguments = "{}"
		}
		calls = append(calls, llm.ToolCall{ID: c.id, Name: c.name, Arguments: arguments, Extras: c.extras})
	}
	return calls
}
