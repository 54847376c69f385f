package openaichat

import (
	"encoding/json"
	"fmt"

	"hermes/worker/llm"
	"hermes/worker/llm/upstream"
)

// answer is a message while it comes in.
type answer struct {
	upstream.Answer
	origin string

	scanner scanner
	// named is the thinking that came as reasoning_content, which some providers
	// want back under that name.
	named   upstream.Pieces
	details details
	extra   json.RawMessage
	tools   toolCalls
	usage   llm.Usage
	finish  llm.Finish
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
		if err := a.takeFinish(upstream.Str(choice.FinishReason)); err != nil {
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
		case upstream.Absent(content):
		case content[0] == '"':
			err = a.Say(content)
		default:
			err = parts(content, a.Say, a.Think)
		}
		if err != nil {
			return err
		}
	}
	if !upstream.Absent(d.ExtraContent) {
		a.extra = d.ExtraContent
	}
	calls := d.ToolCalls
	if d.FunctionCall != nil {
		calls = append(calls, toolDelta{Index: json.RawMessage("0"), Function: *d.FunctionCall})
	}
	size := a.tools.add(calls)
	if len(a.tools.calls) > upstream.MaxToolCalls {
		return &llm.Error{Class: llm.Malformed, Message: fmt.Sprintf("the model made more than %d tool calls at once", upstream.MaxToolCalls)}
	}
	return a.Grow(size)
}

// takeThinking takes in the model's thinking. Some servers send it under two
// names at once, so only the first counts for what is shown.
func (a *answer) takeThinking(d *delta) error {
	readable := a.details.add(d.ReasoningDetails)
	switch {
	case upstream.IsText(d.ReasoningContent):
		a.named.Add(d.ReasoningContent[1 : len(d.ReasoningContent)-1])
		return a.Think(d.ReasoningContent)
	case upstream.IsText(d.Reasoning):
		return a.Think(d.Reasoning)
	}
	for _, literal := range readable {
		if err := a.Think(literal); err != nil {
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
	m := llm.Message{Role: llm.Assistant, Reasoning: a.Thinking(), Origin: a.origin, Usage: a.usage}
	if text := a.Text(); text != "" {
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
	if named := a.named.Text(); named != "" {
		extras["reasoning_content"] = upstream.AppendQuoted(nil, named)
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
