package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/openai"
)

func TestLongValuesStayOffTheLine(t *testing.T) {
	t.Parallel()
	const line = `aü💻"<\` + "\n"
	long, medium := strings.Repeat(line, 10_000), strings.Repeat(line, 2500)
	arguments := func(content string) string {
		return string(appendJSON(nil, map[string]string{"path": "a.txt", "content": content}))
	}
	many := func(calls int, arguments, output string) []agent.Event {
		var events []agent.Event
		for i := range calls {
			id := fmt.Sprint("call_", i)
			events = append(events, starts(id, "f", arguments), ends(id, "f", output, i%5 == 0))
		}
		return append(events, says("Done."))
	}
	tests := []struct {
		name   string
		events []agent.Event
		cut    bool
	}{
		{"text", []agent.Event{says(long)}, false},
		{"reasoning", []agent.Event{thinks(long), says("Done.")}, true},
		{"output", many(1, `{}`, long), false},
		{"arguments", many(1, arguments(long), "ok"), false},
		{"arguments that are no JSON", many(1, `{"a": `+long, "ok"), false},
		{"arguments that are one long list", many(1, "["+strings.Repeat("1,", 40_000)+"1]", "ok"), false},
		{"both", many(1, arguments(long), long), false},
		{"many outputs", many(20, `{}`, medium), true},
		{"many arguments", many(20, arguments(medium), "ok"), true},
	}
	for _, test := range tests {
		for form, tools := range map[string]toolItems{"string": toolPairs, "list": toolPairLists, "mcp": toolMCPCalls} {
			t.Run(test.name+" "+form, func(t *testing.T) {
				t.Parallel()
				opts := responseTo(t, sayHello)
				opts.tools = tools
				got, e := play(opts, test.events, finishes(llm.FinishStop))
				if _, err := checkResponseStream(got, test.cut); err != nil {
					t.Fatalf("%.300v", err)
				}
				events, _, err := readEvents(got)
				if err != nil {
					t.Fatal(err)
				}
				for i, event := range events {
					wholeText := test.name == "text" || test.name == "reasoning"
					switch {
					case strings.HasSuffix(event.kind, ".delta") && event.line >= 64<<10, !wholeText && i < len(events)-1 && event.line >= 64<<10:
						t.Errorf("event %d, %s, has %d bytes", i, event.kind, event.line)
					case test.name != "text" && i == len(events)-1 && event.line >= 128<<10:
						t.Errorf("the last event has %d bytes", event.line)
					}
					if arguments, ok := event.data["arguments"].(string); ok && test.name != "arguments that are no JSON" && !json.Valid([]byte(arguments)) {
						t.Errorf("arguments are no longer JSON: %.100s", arguments)
					}
				}
				// What is kept is whole.
				kept, err := storedResponse(e.object())
				if err != nil {
					t.Fatal(err)
				}
				for _, item := range kept.Output {
					if call, ok := item.(openai.FunctionCallItem); ok && call.Arguments != test.events[0].(agent.ToolStarted).Call.Arguments {
						t.Errorf("%d bytes of arguments are kept", len(call.Arguments))
					}
					if output, ok := item.(openai.FunctionOutputItem); ok && output.Output.String() != test.events[1].(agent.ToolFinished).Output {
						t.Errorf("%d bytes of output are kept", len(output.Output.String()))
					}
				}
			})
		}
	}
}

// Open WebUI gives up an answer in which a line is longer than 128 KiB. It takes
// the texts from their pieces, and at the end keeps them if there is no output.
func TestOpenWebUICanReadEveryLine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("aü💻\"<\\\n", 20_000)
	for name, test := range map[string]struct {
		events []agent.Event
		whole  bool // the last event has the output
	}{
		"short":    {[]agent.Event{thinks("hm"), says("Hello")}, true},
		"text":     {[]agent.Event{says("Hello, "), says(long)}, false},
		"thoughts": {[]agent.Event{thinks(long), says("Hello")}, true},
		"tool":     {[]agent.Event{starts("call_1", "f", `{}`), ends("call_1", "f", long, false), says("Hello")}, true},
		"all":      {[]agent.Event{thinks(long), says(long), starts("call_1", "f", `{}`), ends("call_1", "f", long, false), says(long)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := responseTo(t, sayHello)
			opts.tools, opts.status, opts.openWebUI = toolPairLists, true, true
			got, e := play(opts, test.events, finishes(llm.FinishStop))
			events, done, err := readEvents(got)
			if err != nil || !done {
				t.Fatal(done, err)
			}
			texts := map[any]string{}
			for i, event := range events {
				if event.line >= 128<<10 || event.data["sequence_number"] != float64(i) {
					t.Errorf("event %d, %s, has %d bytes and the number %v", i, event.kind, event.line, event.data["sequence_number"])
				}
				if piece, ok := event.data["delta"].(string); ok {
					texts[event.data["item_id"]] += piece
				}
				if item, ok := event.data["item"].(map[string]any); ok && event.kind == openai.EventItemAdded && item["type"] == openai.ItemFunctionCall &&
					(item["arguments"] != `{}` || item["status"] != openai.StatusCompleted) {
					t.Errorf("a call begins as %v", item)
				}
			}
			kept, err := storedResponse(e.object())
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range kept.Output {
				if said, ok := item.(openai.MessageItem); ok && openai.PartsText(said.Content) != texts[said.ID] {
					t.Errorf("a message has %d bytes, its pieces have %d", len(openai.PartsText(said.Content)), len(texts[said.ID]))
				}
			}
			last, ok := events[len(events)-1].data["response"].(map[string]any)
			if output := last["output"]; !ok || last["usage"] == nil || (output != nil) != test.whole {
				t.Errorf("the last event has the output %.100v, %v is wanted", output, test.whole)
			}
			if again := replayOf(t, kept, e.outline, -1); strings.Count(again, "\nevent: ") != strings.Count(got, "\nevent: ") {
				t.Errorf("a replay has %d events, the stream had %d", strings.Count(again, "\nevent: "), strings.Count(got, "\nevent: "))
			}
		})
	}
}

func TestLongInstructionsAreNotRepeated(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("Be brief; ü. ", 10_000)
	opts := responseTo(t, string(appendJSON(nil, map[string]string{"input": "x", "instructions": long})))
	got, e := play(opts, []agent.Event{says("Yes.")}, finishes(llm.FinishStop))
	if _, err := checkResponseStream(got, false); err != nil {
		t.Fatal(err)
	}
	if len(got) > 40<<10 {
		t.Errorf("the stream has %d bytes", len(got))
	}
	kept, err := storedResponse(e.object())
	if err != nil || *kept.Instructions != long {
		t.Errorf("instructions are kept as %.50q (%v)", *kept.Instructions, err)
	}
}
