package api

import (
	"bytes"
	"encoding/json"
	"errors"
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

// The transcripts that are kept of the endpoint keep the rules, but for those that
// begin in the middle.
func TestKeptStreamsOfResponsesKeepTheRules(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/responses-*.sse")
	if err != nil || len(names) < 10 {
		t.Fatalf("found %d transcripts: %v", len(names), err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "-replay.sse") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := checkResponseStream(string(stream), false); err != nil {
				t.Errorf("%v\n%s", err, stream)
			}
		})
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

// An end that could not be stored becomes that of a failure, with a stream that is
// as legal as any.
func TestAnEndThatIsTakenBack(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]ending{"finished": finishes(llm.FinishStop), "failed": fails} {
		got, e := play(responseTo(t, sayHello), []agent.Event{says("Hello.")}, loses(end))
		final, err := checkResponseStream(got, false)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, got)
		}
		if failure, _ := final["error"].(map[string]any); final["status"] != "failed" || failure["message"] != "The disk is full." || final["completed_at"] != nil {
			t.Errorf("%s: it ended as %v", name, final)
		}
		var object map[string]any
		if err := json.Unmarshal(e.object(), &object); err != nil || !reflect.DeepEqual(object, final) {
			t.Errorf("%s: the response is %s (%v), the stream ends with %v", name, e.object(), err, final)
		}
	}
}
