package api

import (
	"encoding/json"
	"fmt"
	"time"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/openai"
	"hermes/worker/store"
)

// What a response says whose process died, and one that was gone on with until that
// was no use.
const (
	diedMessage      = "The server stopped while this response was made. The output holds what was recorded until then; the effects of a tool that ran are unknown."
	diedAgainMessage = "The server stopped %d times while this response was made, so it is not tried again. The output holds what was recorded until then; the effects of a tool that ran are unknown."
)

// SettleResponse returns what ends responses whose process died, for
// store.Options: they have failed, and hold all that was recorded of their turns,
// without what redact takes out.
func SettleResponse(redact func(string) string, now func() time.Time) func(store.Response, []store.Message) store.Settled {
	return func(response store.Response, recorded []store.Message) store.Settled {
		settled, err := settle(response, recorded, redact, now)
		if err != nil { // what was stored cannot be read; then it stays as it is
			return store.Settled{Status: store.ResponseFailed, Head: true}
		}
		return settled
	}
}

func settle(response store.Response, recorded []store.Message, redact func(string) string, now func() time.Time) (store.Settled, error) {
	r, err := readInterrupted(response, recorded)
	if err != nil {
		return store.Settled{}, err
	}
	encoder, _, err := r.encoder(responseOptions{now: now}, response.Outline, redact)
	if err != nil {
		return store.Settled{}, err
	}
	message := diedMessage
	if response.Resumes > 0 {
		message = fmt.Sprintf(diedAgainMessage, response.Resumes+1)
	}
	all := r.all()
	encoder.fail(openai.ResponseError{Code: openai.CodeServerError, Message: message}, usageSum(all))
	transcript, err := json.Marshal(all)
	if err != nil {
		return store.Settled{}, fmt.Errorf("encode transcript: %w", err)
	}
	// What was done stays part of the conversation. Where nothing was, the person
	// asks again.
	return store.Settled{
		Status: store.ResponseFailed, Body: encoder.object(), Outline: encoder.outline, Transcript: transcript,
		Head: len(r.said) > 0 || response.Resumes > 0,
	}, nil
}

// recordedMessages reads what a run recorded after the message that it answers.
func recordedMessages(recorded []store.Message) ([]llm.Message, error) {
	if len(recorded) == 0 {
		return nil, nil
	}
	return messagesOf(recorded[1:])
}

// eventsOf makes the events of a turn of the messages that it left.
func eventsOf(messages []llm.Message, redact func(string) string) []agent.Event {
	var events []agent.Event
	calls := map[string]llm.ToolCall{}
	for _, message := range messages {
		if message.Role == llm.Tool {
			call := calls[message.ToolCallID]
			events = append(events, agent.ToolFinished{Call: call, Label: call.Name, Output: redact(message.Text())})
			continue
		}
		if message.Reasoning != "" {
			events = append(events, agent.Reasoning{JSON: appendQuoted(nil, redact(message.Reasoning))})
		}
		if text := message.Text(); text != "" {
			events = append(events, agent.Text{JSON: appendQuoted(nil, redact(text))})
		}
		for _, call := range message.ToolCalls {
			call.Arguments = redact(call.Arguments)
			calls[call.ID] = call
			events = append(events, agent.ToolStarted{Call: call, Label: call.Name})
		}
	}
	return events
}

// usageSum is what the calls of the model used together.
func usageSum(messages []llm.Message) llm.Usage {
	var sum llm.Usage
	for _, message := range messages {
		sum = sum.Add(message.Usage)
	}
	return sum
}
