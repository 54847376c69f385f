package anthropic

import (
	"crypto/rand"
	"encoding/json"
	"fmt"

	"hermes/worker/llm"
	"hermes/worker/llm/upstream"
)

// answer is a message while it comes in.
type answer struct {
	upstream.Answer
	origin string
	blocks []*part
	usage  llm.Usage
	reason string // why the model stopped, "" until it has
	// uncached, read and created are what the input is made of.
	uncached, read, created int
}

// part is one block of an answer. What kind it is decides which of the fields
// mean something.
type part struct {
	index   int // as the server numbers it
	kind    string
	start   map[string]json.RawMessage // as the block began
	content upstream.Pieces            // its text, its thinking or its arguments
	// signature of thinking; without it, thinking cannot be sent back.
	signature upstream.Pieces
}

// The kinds of blocks that mean something here. Others, such as those of tools
// that run at Anthropic's, are only sent to who asked for them.
const (
	kindText     = "text"
	kindThinking = "thinking"
	kindRedacted = "redacted_thinking"
	kindTool     = "tool_use"
)

// take takes in an event that tells of no error. What is unknown means nothing:
// https://platform.claude.com/docs/en/api/versioning says that there may be more.
func (a *answer) take(e event) error {
	switch e.Type {
	case "message_start":
		if e.Message != nil {
			a.count(e.Message.Usage)
		}
	case "content_block_start":
		if len(a.blocks) >= 2*upstream.MaxToolCalls {
			return &llm.Error{Class: llm.Malformed, Message: "the model's answer has too many parts"}
		}
		return a.fill(a.begin(upstream.Number(e.Index), e.ContentBlock), e.ContentBlock)
	case "content_block_delta":
		return a.delta(upstream.Number(e.Index), e.Delta)
	case "message_delta":
		a.count(e.Usage)
		a.stopped(upstream.Str(e.Delta.StopReason))
	}
	return nil
}

// begin begins a block.
func (a *answer) begin(index int, start map[string]json.RawMessage) *part {
	p := &part{index: index, kind: upstream.Str(start["type"]), start: start}
	a.blocks = append(a.blocks, p)
	return p
}

// fill takes in what a block has when it begins: all of it in a whole answer,
// and nearly always nothing in a stream.
func (a *answer) fill(p *part, start map[string]json.RawMessage) error {
	switch p.kind {
	case kindText:
		return a.text(p, start["text"])
	case kindThinking:
		if isString(start["signature"]) {
			p.signature.Take(start["signature"])
		}
		return a.think(p, start["thinking"])
	case kindRedacted:
		return a.Grow(len(start["data"]))
	case kindTool:
		return a.Grow(len(start["input"]))
	default:
		return nil
	}
}

// delta adds to a block that has begun.
func (a *answer) delta(index int, d delta) error {
	var p *part
	for _, b := range a.blocks {
		if b.index == index {
			p = b
		}
	}
	if p == nil { // some servers that imitate the API forget to begin a text
		p = a.begin(index, map[string]json.RawMessage{"type": json.RawMessage(`"text"`)})
	}
	switch d.Type {
	case "text_delta":
		return a.text(p, d.Text)
	case "thinking_delta":
		return a.think(p, d.Thinking)
	case "signature_delta":
		if isString(d.Signature) {
			p.signature.Take(d.Signature)
		}
		return a.Grow(len(d.Signature))
	case "input_json_delta":
		if isString(d.PartialJSON) {
			p.content.Take(d.PartialJSON)
		}
		return a.Grow(len(d.PartialJSON))
	default:
		return nil // citations and what may come
	}
}

func (a *answer) text(p *part, literal json.RawMessage) error {
	if !isString(literal) || p.kind != kindText {
		return nil
	}
	p.content.Take(literal)
	return a.Say(literal)
}

func (a *answer) think(p *part, literal json.RawMessage) error {
	if !isString(literal) || p.kind != kindThinking {
		return nil
	}
	p.content.Take(literal)
	return a.Think(literal)
}

func isString(raw json.RawMessage) bool { return len(raw) >= 2 && raw[0] == '"' }

// count takes in a usage. Counts are totals, and the last one that has them is
// the most complete.
func (a *answer) count(u usage) {
	for _, c := range []struct {
		into *int
		from json.RawMessage
	}{
		{&a.uncached, u.Input},
		{&a.read, u.CacheRead},
		{&a.created, u.CacheCreation},
		{&a.usage.Output, u.Output},
		{&a.usage.Reasoning, u.Details.Thinking},
	} {
		if n := upstream.Number(c.from); n > 0 {
			*c.into = n
		}
	}
	a.usage.Input, a.usage.Cached = a.uncached+a.read+a.created, a.read
}

func (a *answer) stopped(reason string) {
	if reason != "" {
		a.reason = reason
	}
}

// finish is why the model stopped, in the words of chat completions:
// https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons.
// pause_turn comes only with tools that run at Anthropic's, which nobody asks
// for here; should it come all the same, the answer is not complete.
func (a *answer) finish() llm.Finish {
	switch a.reason {
	case "max_tokens", "model_context_window_exceeded", "pause_turn":
		return llm.FinishLength
	case "refusal":
		return llm.FinishContentFilter
	default: // end_turn, stop_sequence, tool_use
		return llm.FinishStop
	}
}

// partial returns what has come so far, for an answer that failed. Tool calls
// are left out, because half a call must never run.
func (a *answer) partial() llm.Message {
	m := llm.Message{Role: llm.Assistant, Reasoning: a.Thinking(), Origin: a.origin, Usage: a.usage}
	if text := a.Text(); text != "" {
		m.Parts = []llm.Part{{Text: text}}
	}
	return m
}

// message returns the finished message.
func (a *answer) message() (llm.Message, error) {
	m := a.partial()
	m.Finish = a.finish()
	var layout []json.RawMessage
	var texts []llm.Part
	thoughts := false
	for _, p := range a.blocks {
		switch p.kind {
		case kindText:
			texts = append(texts, llm.Part{Text: p.content.Text()})
			layout = append(layout, json.RawMessage(layoutText))
		case kindTool:
			m.ToolCalls = append(m.ToolCalls, p.call())
			layout = append(layout, json.RawMessage(layoutTool))
		case kindThinking, kindRedacted:
			if raw := p.thought(); raw != nil {
				layout, thoughts = append(layout, raw), true
			}
		}
	}
	if len(m.ToolCalls) > upstream.MaxToolCalls {
		return a.partial(), &llm.Error{Class: llm.Malformed, Message: fmt.Sprintf("the model made more than %d tool calls at once", upstream.MaxToolCalls)}
	}
	if thoughts {
		raw, err := json.Marshal(layout)
		if err != nil {
			return a.partial(), &llm.Error{Class: llm.Malformed, Err: err}
		}
		m.Parts, m.Extras = texts, map[string]json.RawMessage{extraLayout: raw}
	}
	if len(m.ToolCalls) > 0 && m.Finish == llm.FinishStop {
		m.Finish = llm.FinishToolCalls
	}
	if m.Text() == "" && len(m.ToolCalls) == 0 && m.Reasoning == "" && m.Finish == llm.FinishStop {
		return m, &llm.Error{Class: llm.Empty, Message: "the model gave an empty answer"}
	}
	return m, nil
}

// call is the tool call of a block. Without arguments it has an empty object.
func (p *part) call() llm.ToolCall {
	call := llm.ToolCall{ID: upstream.Str(p.start["id"]), Name: upstream.Str(p.start["name"]), Arguments: p.content.Text()}
	if call.ID == "" {
		call.ID = "toolu_" + rand.Text()
	}
	if call.Arguments == "" {
		if call.Arguments = string(p.start["input"]); upstream.Absent(p.start["input"]) {
			call.Arguments = "{}"
		}
	}
	return call
}

// thought is a block of thinking as it has to come back: with all fields that
// it began with and what was added since. One without a signature is refused by
// the API, so it is nil.
func (p *part) thought() json.RawMessage {
	if p.kind == kindThinking {
		signature := p.signature.Text()
		if signature == "" {
			return nil
		}
		p.start["thinking"] = upstream.AppendQuoted(nil, p.content.Text())
		p.start["signature"] = upstream.AppendQuoted(nil, signature)
	}
	raw, err := json.Marshal(p.start)
	if err != nil {
		return nil
	}
	return raw
}
