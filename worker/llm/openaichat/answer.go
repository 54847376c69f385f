package openaichat

import (
	"encoding/json"
	"fmt"

	"hermes/worker/llm"
)

// maxAnswer is how many bytes one answer may have, its thinking and tool calls
// included. It guards the memory against a model that never stops.
const maxAnswer = 32 << 20

// answer is a message while it comes in.
type answer struct {
	origin string
	emit   func(llm.Event) error
	// buffered reports whether another event of the upstream waits already.
	buffered func() bool
	// owed says that the last event promised more. When the upstream then falls
	// silent without anything to show, an empty text keeps the promise.
	owed bool

	scanner        scanner
	text, thinking pieces
	// named is the thinking that came as reasoning_content, which some providers
	// want back under that name.
	named   pieces
	details details
	extra   json.RawMessage
	tools   toolCalls
	usage   llm.Usage
	finish  llm.Finish
	size    int
}

// plain takes in the text of a chunk that has nothing else.
func (a *answer) plain(literal []byte) error {
	if len(a.text.high) > 0 {
		return a.say(literal)
	}
	if len(literal) <= 2 {
		return nil
	}
	a.text.add(literal[1 : len(literal)-1])
	return a.show(llm.Text{JSON: literal, More: a.buffered()}, len(literal))
}

// say takes in a piece of text.
func (a *answer) say(literal []byte) error {
	literal = a.text.take(literal)
	if len(literal) <= 2 {
		return nil
	}
	return a.show(llm.Text{JSON: literal, More: a.buffered()}, len(literal))
}

// think takes in a piece of thinking.
func (a *answer) think(literal []byte) error {
	literal = a.thinking.take(literal)
	if len(literal) <= 2 {
		return nil
	}
	return a.show(llm.Reasoning{JSON: literal, More: a.buffered()}, len(literal))
}

// show hands an event out.
func (a *answer) show(event llm.Event, size int) error {
	switch e := event.(type) {
	case llm.Text:
		a.owed = e.More
	case llm.Reasoning:
		a.owed = e.More
	case llm.Retry:
	}
	if err := a.grow(size); err != nil {
		return err
	}
	return a.hand(event)
}

// hand calls emit, and marks its error.
func (a *answer) hand(event llm.Event) error {
	if err := a.emit(event); err != nil {
		return &emitError{err}
	}
	return nil
}

// settle is called when a chunk has been dealt with. See owed.
func (a *answer) settle() error {
	if !a.owed || a.buffered() {
		return nil
	}
	a.owed = false
	return a.hand(llm.Text{JSON: []byte(`""`)})
}

func (a *answer) grow(size int) error {
	a.size += size
	if a.size > maxAnswer {
		return &llm.Error{Class: llm.Malformed, Message: fmt.Sprintf("the model's answer is longer than %d MiB", maxAnswer>>20)}
	}
	return nil
}

// take takes in a decoded chunk, or a whole answer, that tells of no error.
func (a *answer) take(c chunk) error {
	if u := tokens(c.Usage); u != (llm.Usage{}) {
		a.usage = u // counts are totals; the last one is the most complete
	}
	for _, choice := range c.Choices {
		if !choice.first() {
			continue
		}
		for _, d := range []*delta{choice.Delta, choice.Message} {
			if d == nil {
				continue
			}
			if err := a.takeDelta(d); err != nil {
				return err
			}
		}
		if err := a.takeFinish(str(choice.FinishReason)); err != nil {
			return err
		}
	}
	return nil
}

// takeDelta takes in what a chunk adds to the message.
func (a *answer) takeDelta(d *delta) error {
	if err := a.takeThinking(d); err != nil {
		return err
	}
	for _, content := range []json.RawMessage{d.Content, d.Refusal} {
		var err error
		switch {
		case absent(content):
		case content[0] == '"':
			err = a.say(content)
		default:
			err = parts(content, a.say, a.think)
		}
		if err != nil {
			return err
		}
	}
	if !absent(d.ExtraContent) {
		a.extra = d.ExtraContent
	}
	calls := d.ToolCalls
	if d.FunctionCall != nil {
		calls = append(calls, toolDelta{Index: json.RawMessage("0"), Function: *d.FunctionCall})
	}
	size := a.tools.add(calls)
	if len(a.tools.calls) > maxToolCalls {
		return &llm.Error{Class: llm.Malformed, Message: fmt.Sprintf("the model made more than %d tool calls at once", maxToolCalls)}
	}
	return a.grow(size)
}

// takeThinking takes in the model's thinking. Some servers send it under two
// names at once, so only the first counts for what is shown.
func (a *answer) takeThinking(d *delta) error {
	readable := a.details.add(d.ReasoningDetails)
	switch {
	case isText(d.ReasoningContent):
		a.named.add(d.ReasoningContent[1 : len(d.ReasoningContent)-1])
		return a.think(d.ReasoningContent)
	case isText(d.Reasoning):
		return a.think(d.Reasoning)
	}
	for _, literal := range readable {
		if err := a.think(literal); err != nil {
			return err
		}
	}
	return nil
}

// takeFinish takes in why the model stopped. Local servers have words of their
// own for it.
func (a *answer) takeFinish(reason string) error {
	switch reason {
	case "":
	case "length", "max_tokens", "MAX_TOKENS":
		a.finish = llm.FinishLength
	case "content_filter", "safety", "SAFETY":
		a.finish = llm.FinishContentFilter
	case "tool_calls", "function_call", "tool_use":
		a.finish = llm.FinishToolCalls
	case "error", "abort":
		return &llm.Error{Class: llm.Overloaded, Code: reason, Message: "the model server stopped in the middle of its answer (" + reason + ")"}
	default:
		a.finish = llm.FinishStop
	}
	return nil
}

// partial returns what has come so far, for an answer that failed. Tool calls
// are left out, because half a call must never run.
func (a *answer) partial() llm.Message {
	m := llm.Message{Role: llm.Assistant, Reasoning: a.thinking.text(), Origin: a.origin, Usage: a.usage}
	if text := a.text.text(); text != "" {
		m.Parts = []llm.Part{{Text: text}}
	}
	return m
}

// message returns the finished message.
func (a *answer) message() (llm.Message, error) {
	m := a.partial()
	m.ToolCalls = a.tools.done()
	m.Extras = a.extras()
	m.Finish = a.finish
	switch {
	case len(m.ToolCalls) > 0 && a.finish != llm.FinishLength && a.finish != llm.FinishContentFilter:
		m.Finish = llm.FinishToolCalls // Ollama says stop here
	case a.finish == llm.FinishToolCalls || a.finish == "":
		m.Finish = llm.FinishStop
	}
	// A model that has thought aloud and then said nothing is not asked the same
	// again: what was shown cannot be taken back, and the agent knows better.
	if len(m.Parts) == 0 && len(m.ToolCalls) == 0 && m.Reasoning == "" && m.Finish == llm.FinishStop {
		return m, &llm.Error{Class: llm.Empty, Message: "the model gave an empty answer"}
	}
	return m, nil
}

// extras are the fields that the provider wants back.
func (a *answer) extras() map[string]json.RawMessage {
	extras := make(map[string]json.RawMessage)
	if named := a.named.text(); named != "" {
		extras["reasoning_content"] = appendQuoted(nil, named)
	}
	if raw := a.details.json(); raw != nil {
		extras["reasoning_details"] = raw
	}
	if a.extra != nil {
		extras["extra_content"] = a.extra
	}
	if len(extras) == 0 {
		return nil
	}
	return extras
}
