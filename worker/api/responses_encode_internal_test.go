package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/openai"
)

// responseTo makes options for a response to the body, with ids and a clock
// that stand still.
func responseTo(tb testing.TB, body string) responseOptions {
	tb.Helper()
	request, err := openai.DecodeResponsesRequest([]byte(body))
	if err != nil {
		tb.Fatal(err)
	}
	n := 0
	return responseOptions{
		response: openai.NewResponse(request, "resp_1", time.Unix(1_700_000_000, 0)),
		newID:    func() string { n++; return fmt.Sprintf("%04d", n) },
		now:      responseClock,
	}
}

func responseClock() time.Time { return time.Unix(1_700_000_009, 0) }

const sayHello = `{"model":"alice","input":"hello"}`

// ending ends a stream in one of the ways that there are.
type ending func(*responseEncoder) []byte

func finishes(finish llm.Finish) ending {
	return func(e *responseEncoder) []byte {
		return e.finish(agent.Result{Finish: finish, Usage: llm.Usage{Input: 5, Output: 7, Cached: 4, Reasoning: 3}})
	}
}

// loses is an end that could not be stored.
func loses(end ending) ending {
	return func(e *responseEncoder) []byte {
		end(e)
		return e.retract(openai.ResponseError{Code: openai.CodeServerError, Message: "The disk is full.", Type: openai.TypeServer})
	}
}

func fails(e *responseEncoder) []byte {
	return e.fail(openai.ResponseError{Message: "The model broke off."}, llm.Usage{Input: 5})
}

func cancels(e *responseEncoder) []byte { return e.cancel(llm.Usage{Input: 5}) }

// play runs events through an encoder.
func play(opts responseOptions, events []agent.Event, end ending) (string, *responseEncoder) {
	e := newResponseEncoder(opts)
	var out bytes.Buffer
	out.Write(e.begin())
	if opts.response.Background {
		out.Write(e.start())
	}
	for _, event := range events {
		events, _ := e.event(event)
		out.Write(events)
	}
	out.Write(end(e))
	return out.String(), e
}

func says(text string) agent.Event   { return agent.Text{JSON: literal(text)} }
func thinks(text string) agent.Event { return agent.Reasoning{JSON: literal(text)} }

// literal is a text as an upstream may write it.
func literal(text string) []byte {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return b
}

func starts(id, name, arguments string) agent.Event {
	return agent.ToolStarted{Call: llm.ToolCall{ID: id, Name: name, Arguments: arguments}, Emoji: "💻", Label: name}
}

func ends(id, name, output string, failed bool) agent.Event {
	return agent.ToolFinished{Call: llm.ToolCall{ID: id, Name: name}, Emoji: "💻", Label: name, Output: output, Failed: failed}
}

func TestResponseStreams(t *testing.T) {
	t.Parallel()
	oneTool := []agent.Event{
		starts("call_1", "terminal", `{"command":"pwd"}`), ends("call_1", "terminal", "/home/alice\n", false), says("You are in /home/alice."),
	}
	twoTools := []agent.Event{
		starts("call_1", "read_file", `{"path":"a"}`), starts("call_2", "read_file", `{"path":"b"}`),
		ends("call_2", "read_file", "no such file", true), ends("call_1", "read_file", "A", false), says("Only a is there."),
	}
	between := append([]agent.Event{says("Let me"), says(" look.")}, oneTool...)
	tests := []struct {
		name   string
		body   string
		set    func(*responseOptions)
		events []agent.Event
		end    ending
	}{
		{name: "text", events: []agent.Event{says("Hel"), says("lo \"you\" <b>\n"), says(""), says("ü💻")}, end: finishes(llm.FinishStop)},
		{name: "reasoning", events: []agent.Event{thinks("hm"), thinks("…"), says("Hello")}, end: finishes(llm.FinishStop)},
		{name: "tool", events: oneTool, end: finishes(llm.FinishStop)},
		{name: "tool-list", set: func(o *responseOptions) { o.tools = toolPairLists }, events: oneTool, end: finishes(llm.FinishStop)},
		{name: "tool-list-status", set: func(o *responseOptions) { o.tools, o.status = toolPairLists, true }, events: twoTools, end: finishes(llm.FinishStop)},
		{name: "tool-mcp", set: func(o *responseOptions) { o.tools = toolMCPCalls }, events: oneTool, end: finishes(llm.FinishStop)},
		{name: "two-tools", events: twoTools, end: finishes(llm.FinishStop)},
		{name: "two-tools-mcp", set: func(o *responseOptions) { o.tools = toolMCPCalls }, events: twoTools, end: finishes(llm.FinishStop)},
		{name: "text-tool-text", events: between, end: finishes(llm.FinishStop)},
		{name: "failed", end: fails},
		{name: "failed-in-text", events: []agent.Event{says("Hel")}, end: fails},
		{name: "not-stored", events: []agent.Event{says("Hello.")}, end: loses(finishes(llm.FinishStop))},
		{name: "failed-and-not-stored", events: []agent.Event{says("Hel")}, end: loses(fails)},
		{name: "failed-in-tool", set: func(o *responseOptions) { o.tools, o.status = toolPairLists, true }, events: twoTools[:3], end: fails},
		{name: "failed-in-tool-mcp", set: func(o *responseOptions) { o.tools = toolMCPCalls }, events: twoTools[:3], end: fails},
		{name: "max-output-tokens", events: []agent.Event{says("Hello and")}, end: finishes(llm.FinishLength)},
		{name: "content-filter", events: []agent.Event{says("Hello and")}, end: finishes(llm.FinishContentFilter)},
		{name: "cancelled", events: []agent.Event{says("Hel")}, end: cancels},
		{name: "background", body: `{"model":"alice","input":"hello","background":true}`, events: []agent.Event{
			thinks("They say hello, so I say hello too."), says("Hello, Alice! What a very fine "), says("morning it is, is it not?"),
		}, end: finishes(llm.FinishStop)},
		{name: "whole", set: func(o *responseOptions) { o.whole = true }, events: between, end: finishes(llm.FinishStop)},
		{name: "everything-asked", body: `{"model":"alice","input":"hello","instructions":"Be brief.","conversation":"garden","metadata":{"a":"b"},"temperature":0.2,"top_p":0.5,"max_output_tokens":100,"truncation":"auto","text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}}},"reasoning":{"effort":"low"},"tools":[{"type":"function","name":"f","parameters":{}}],"tool_choice":"none","user":"u","safety_identifier":"s","prompt_cache_key":"k"}`, events: []agent.Event{says("{}")}, end: finishes(llm.FinishStop)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.body == "" {
				test.body = sayHello
			}
			opts := responseTo(t, test.body)
			if test.set != nil {
				test.set(&opts)
			}
			got, e := play(opts, test.events, test.end)
			final, err := checkResponseStream(got, false)
			if err != nil {
				t.Errorf("%v\n%s", err, got)
			}
			var object map[string]any
			if err := json.Unmarshal(e.object(), &object); err != nil || !reflect.DeepEqual(object, final) {
				t.Errorf("the response is %s (%v), the stream ends with %v", e.object(), err, final)
			}
			sameTranscript(t, test.name, got)
		})
	}
}

// sameTranscript compares a stream with the one that is kept. The flag -update
// writes it anew.
func sameTranscript(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "responses", name+".sse")
	if update := flag.Lookup("update"); update != nil && update.Value.String() == "true" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update to write it", err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func TestCutTurnIsIncompleteThoughItsLastWordsAreWhole(t *testing.T) {
	t.Parallel()
	got, _ := play(responseTo(t, sayHello), []agent.Event{says("I stopped here.")}, func(e *responseEncoder) []byte {
		return e.finish(agent.Result{Finish: llm.FinishLength, Cut: true})
	})
	final, err := checkResponseStream(got, false)
	if err != nil {
		t.Fatal(err)
	}
	item := final["output"].([]any)[0].(map[string]any)
	if final["status"] != "incomplete" || item["status"] != "completed" {
		t.Errorf("the response is %v, its last item %v", final["status"], item["status"])
	}
}

func TestFinishWithoutAStartIsShownWhole(t *testing.T) {
	t.Parallel()
	for _, tools := range []toolItems{toolPairs, toolMCPCalls} {
		opts := responseTo(t, sayHello)
		opts.tools = tools
		got, _ := play(opts, []agent.Event{ends("call_1", "terminal", "ok", false), says("Done.")}, finishes(llm.FinishStop))
		if _, err := checkResponseStream(got, false); err != nil {
			t.Errorf("%v\n%s", err, got)
		}
	}
}

func TestFirstCharacterOfAString(t *testing.T) {
	t.Parallel()
	for inner, want := range map[string]struct {
		r    rune
		size int
	}{
		`ab`: {'a', 1}, `\nb`: {'\n', 2}, `\r`: {'\r', 2}, `\t`: {'\t', 2}, `\"b`: {'"', 2}, `\u00e9b`: {'é', 6}, `\u000A`: {'\n', 6},
		`💻b`: {'💻', 4}, `\ud83d\udcbbb`: {'💻', 12}, `\uD83D\uDCBB`: {'💻', 12},
		// What is no text is one character, as it is when it was stored.
		`\ud83db`: {utf8.RuneError, 6}, `\ud83d\nb`: {utf8.RuneError, 6}, `\udcbb\ud83d`: {utf8.RuneError, 6},
		`\uzzzz`: {utf8.RuneError, 6}, `\`: {utf8.RuneError, 1},
	} {
		if r, size := firstRune([]byte(inner)); r != want.r || size != want.size {
			t.Errorf("%s begins with %q of %d bytes, want %q of %d", inner, r, size, want.r, want.size)
		}
	}
}

// replayOf returns a replay of what comes after an event.
func replayOf(t interface{ Fatal(...any) }, response *openai.Response, stored outline, after int64) string {
	var out strings.Builder
	if err := replayResponse(response, stored, after, func(b []byte) error { out.Write(b); return nil }); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestNothingComesAfterTheEnd(t *testing.T) {
	t.Parallel()
	_, e := play(responseTo(t, sayHello), nil, fails)
	late, _ := e.event(says("late"))
	late = append(late, e.cancel(llm.Usage{})...)
	late = append(late, e.finish(agent.Result{})...)
	if len(late) > 0 {
		t.Errorf("after the end came %s", late)
	}
}

func TestReasonOfAnEarlyEnd(t *testing.T) {
	t.Parallel()
	got, _ := play(responseTo(t, sayHello), []agent.Event{says("Hel")}, func(e *responseEncoder) []byte {
		return e.incomplete(openai.ReasonMaxOutputTokens, llm.Usage{})
	})
	final, err := checkResponseStream(got, false)
	if err != nil {
		t.Fatal(err)
	}
	if details := final["incomplete_details"].(map[string]any); details["reason"] != "max_output_tokens" {
		t.Errorf("reason is %v", details)
	}
}

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

func TestReplayStopsWithItsReader(t *testing.T) {
	t.Parallel()
	_, e := play(responseTo(t, sayHello), []agent.Event{says("Hello")}, finishes(llm.FinishStop))
	response, err := storedResponse(e.object())
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone")
	sent := 0
	err = replayResponse(response, e.outline, -1, func([]byte) error { sent++; return gone })
	if !errors.Is(err, gone) || sent != 1 {
		t.Errorf("after %d pieces: %v", sent, err)
	}
	response.Output = openai.Items{openai.ReferenceItem{ID: "msg_1"}}
	if err := replayResponse(response, e.outline, -1, func([]byte) error { return nil }); err == nil {
		t.Error("an output that cannot be was replayed")
	}
}

func BenchmarkResponseDelta(b *testing.B) {
	var event agent.Event = agent.Text{JSON: []byte(`" a few words"`)}
	e := newResponseEncoder(responseTo(b, sayHello))
	e.event(event)
	b.ReportAllocs()
	for b.Loop() {
		e.event(event)
		if len(e.open.text) > 1<<20 { // no answer is that long
			e.open.text, e.outline = e.open.text[:0], newOutline()
			e.sent = 0
		}
	}
}

func TestTextLength(t *testing.T) {
	t.Parallel()
	for inner, want := range map[string]int{
		``: 0, `abc`: 3, `é💻`: 6, `a\nb`: 3, `\u00e9`: 2, `\ud83d\udcbb`: 4, `\"\\\/`: 3, `\ud83d`: 3, `\`: 3,
	} {
		if got := textLength([]byte(inner)); got != want {
			t.Errorf("%s is %d bytes of text, want %d", inner, got, want)
		}
	}
}
