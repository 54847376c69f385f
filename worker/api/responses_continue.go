package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/openai"
	"hermes/worker/store"
)

// interruptedResponse is what there is of a response whose process died.
type interruptedResponse struct {
	body openai.Response // as it was stored last
	// history is the input, and what turns before the last crash have added.
	history []llm.Message
	said    []llm.Message // what the last turn added
}

// readInterrupted reads what is stored of a response and of its run.
func readInterrupted(response store.Response, recorded []store.Message) (interruptedResponse, error) {
	var r interruptedResponse
	if err := json.Unmarshal(response.Body, &r.body); err != nil {
		return r, fmt.Errorf("read response: %w", err)
	}
	if len(response.Transcript) > 0 {
		if err := json.Unmarshal(response.Transcript, &r.history); err != nil {
			return r, fmt.Errorf("read transcript: %w", err)
		}
	}
	var err error
	r.said, err = recordedMessages(recorded)
	return r, err
}

// all is what is known of the turn and what it answers.
func (r interruptedResponse) all() []llm.Message { return slices.Concat(r.history, r.said) }

// encoder returns an encoder that has shown all of it: first what was stored of the
// stream, as it was sent, then what is recorded beyond that. Events are those of the
// stream until here.
func (r interruptedResponse) encoder(opts responseOptions, stored outline, redact func(string) string) (e *responseEncoder, events []byte, err error) {
	whole := opts.whole
	opts.response, opts.whole = r.body, false
	opts.newID = countFrom(strings.TrimPrefix(r.body.ID, openai.PrefixResponse)+"_", len(r.body.Output))
	again := replay{responseEncoder: newResponseEncoder(opts), output: r.body.Output}
	add := func(more []byte) error {
		events = append(events, more...)
		return nil
	}
	if err := again.far(r.body.Status, stored, add); err != nil {
		return nil, nil, err
	}
	e = again.responseEncoder
	e.outline.resumed()
	e.opts.whole = whole
	for _, event := range e.missing(r.said, redact) {
		more, _ := e.event(event)
		events = append(events, more...)
	}
	return e, events, nil
}

// missing returns the events of messages that the encoder has not shown, and joins
// those calls that it has shown without an end with what they are.
func (e *responseEncoder) missing(said []llm.Message, redact func(string) string) []agent.Event {
	shown, ended := e.shownCalls(said, redact)
	var unseen []llm.Message
	for _, message := range said {
		switch {
		case message.Role == llm.Tool && ended[message.ToolCallID]:
		case message.Role == llm.Assistant && slices.ContainsFunc(message.ToolCalls, func(call llm.ToolCall) bool { return shown[call.ID] }):
			// Its text came before its calls.
			message.Parts, message.Reasoning = nil, ""
			unseen = append(unseen, message)
		default:
			unseen = append(unseen, message)
		}
	}
	events := eventsOf(unseen, redact)
	return slices.DeleteFunc(events, func(event agent.Event) bool {
		started, ok := event.(agent.ToolStarted) // else the end of a call shows it as started too
		return ok && (shown[started.Call.ID] || slices.ContainsFunc(said, func(m llm.Message) bool { return m.ToolCallID == started.Call.ID }))
	})
}

// shownCalls finds the items that show calls: which calls those are, and which of
// them have ended. Others go on running.
func (e *responseEncoder) shownCalls(said []llm.Message, redact func(string) string) (shown, ended map[string]bool) {
	shown, ended = map[string]bool{}, map[string]bool{}
	for _, item := range e.items {
		if item.kind == openai.ItemFunctionOutput {
			ended[item.callID] = true
		}
	}
	taken := map[*responseItem]bool{}
	for _, message := range said {
		for _, call := range message.ToolCalls {
			i := slices.IndexFunc(e.items, func(item *responseItem) bool {
				same := item.callID == call.ID
				if item.kind == openai.ItemMCPCall { // it does not say whose it is
					same = item.name == call.Name && item.arguments == redact(call.Arguments)
				}
				return same && !taken[item] && (item.kind == openai.ItemMCPCall || item.kind == openai.ItemFunctionCall)
			})
			if i < 0 {
				continue
			}
			item := e.items[i]
			taken[item], shown[call.ID] = true, true
			if item.kind == openai.ItemMCPCall {
				ended[call.ID] = item.status != openai.StatusInProgress
			}
			if ended[call.ID] {
				continue
			}
			running := &runningCall{call: call, tool: toolOf(call, "", call.Name)}
			if item.kind == openai.ItemMCPCall {
				running.item = item
			}
			e.running = append(e.running, running)
		}
	}
	return shown, ended
}

// countFrom is counter, from a number on.
func countFrom(prefix string, n int) func() string {
	next := counter(prefix)
	for range n {
		next()
	}
	return next
}
