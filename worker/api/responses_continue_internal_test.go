package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/openai"
)

// recorded is what the record has of a turn when its process died behind some of its
// events: messages of the model that ask for tools, and a result for every call.
func recorded(events []agent.Event) (said []llm.Message) {
	open := map[string]bool{}
	text, thought := "", ""
	decode := func(literal []byte) (text string) {
		if err := json.Unmarshal(literal, &text); err != nil {
			panic(err) // it was made as JSON
		}
		return text
	}
	for i, event := range events {
		switch event := event.(type) {
		case agent.Text:
			text += decode(event.JSON)
		case agent.Reasoning:
			thought += decode(event.JSON)
		case agent.ToolStarted:
			if len(open) == 0 || text != "" || thought != "" {
				said = append(said, llm.TextMessage(llm.Assistant, text))
				said[len(said)-1].Reasoning = thought
				text, thought = "", ""
				for _, later := range events[i:] { // the model asked for all of them at once
					if started, ok := later.(agent.ToolStarted); ok {
						said[len(said)-1].ToolCalls = append(said[len(said)-1].ToolCalls, started.Call)
						open[started.Call.ID] = true
					} else if _, ok := later.(agent.ToolFinished); !ok {
						break
					}
				}
			}
		case agent.ToolFinished:
			result := llm.TextMessage(llm.Tool, event.Output)
			result.ToolCallID = event.Call.ID
			said = append(said, result)
			delete(open, event.Call.ID)
		}
	}
	for id := range open {
		result := llm.TextMessage(llm.Tool, "interrupted")
		result.ToolCallID = id
		said = append(said, result)
	}
	return said
}

// Whatever a turn has done when its process dies, the next one sends the same events
// as far as they were stored, and ends each call once.
func TestContinuedStreamsBeginAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tools := toolItems(rapid.IntRange(0, 2).Draw(t, "tools"))
		turn := aTurn(t, tools == toolMCPCalls)
		cut := rapid.IntRange(0, len(turn.events)).Draw(t, "cut")
		response := openai.NewResponse(&openai.ResponsesRequest{Background: true}, "resp_x", time.Unix(1, 0))
		opts := responseOptions{response: response, tools: tools, newID: counter("x_"), now: func() time.Time { return time.Unix(2, 0) }}
		e := newResponseEncoder(opts)
		sent := bytes.Clone(e.begin())
		body, stored, known := e.object(), bytes.Clone(e.outline), len(sent)
		for _, event := range turn.events[:cut] {
			events, _ := e.event(event)
			sent = append(sent, events...)
			if isTool(event) && rapid.IntRange(0, 4).Draw(t, "stored") > 0 {
				body, stored, known = e.object(), bytes.Clone(e.outline), len(sent)
			}
		}
		r := interruptedResponse{said: recorded(turn.events[:cut])}
		if err := json.Unmarshal(body, &r.body); err != nil {
			t.Fatal(err)
		}
		again, events, err := r.encoder(opts, stored, func(text string) string { return text })
		if err != nil {
			t.Fatal(err)
		}
		pieces, before := bytes.SplitAfter(events, []byte("\n\n")), bytes.Count(sent[:known], []byte("\n\n"))
		if len(pieces) <= before {
			t.Fatalf("there are %d events, and were %d", len(pieces)-1, before)
		}
		sameEvents(t, "as far as it was stored", string(bytes.Join(pieces[:before], nil)), string(sent[:known]))
		calls := map[string]int{}
		for _, message := range r.said {
			calls["asked"] += len(message.ToolCalls)
		}
		for _, item := range again.items {
			switch item.kind {
			case openai.ItemFunctionCall:
				calls["begun"]++
			case openai.ItemFunctionOutput:
				calls["ended"]++
			case openai.ItemMCPCall:
				calls["begun"]++
				if item.status != openai.StatusInProgress {
					calls["ended"]++
				}
			}
		}
		if calls["asked"] != calls["begun"] || calls["asked"] != calls["ended"] || len(again.running) > 0 {
			t.Fatalf("calls: %v, and %d run", calls, len(again.running))
		}
		// It goes on with ids and numbers of its own.
		more, _ := again.event(agent.Text{JSON: []byte(`"The end."`)})
		if len(more) == 0 || !bytes.Contains(more, fmt.Appendf(nil, `"id":"msg_x_%d"`, len(again.items))) {
			t.Fatalf("it goes on with %s", more)
		}
	})
}
