package api

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/openai"
)

// escapeAnyhow writes a text as a JSON string literal in one of the many ways
// in which upstreams do.
func escapeAnyhow(t *rapid.T, text string) []byte {
	b := []byte{'"'}
	for _, r := range text {
		switch style := rapid.IntRange(0, 5).Draw(t, "style"); {
		case style == 0 && r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04X`, high, low)
		case style == 0:
			b = fmt.Appendf(b, `\u%04x`, r)
		case style == 1 && r == '/':
			b = append(b, `\/`...)
		default:
			b = append(b, inside(appendQuoted(nil, string(r)))...)
		}
	}
	return append(b, '"')
}

// seen is what a client must have been shown, in order.
type seen struct{ kind, text string }

// drawnTurn is a legal turn of the agent, with what must be seen of it.
type drawnTurn struct {
	events  []agent.Event
	running []string // calls that have started and not finished
	want    []seen
	calls   int
	mcp     bool // calls are shown in one item
	args    map[string]string
	at      map[string]int // where a call's item is in want
}

func (m *drawnTurn) say(t *rapid.T, kind string) {
	text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
		"a", "word ", "longer words here, ", "\n", "\"", "\\", "é", "💻", "<b>", "\u2028", "/", "日本語の文章は空白を持たない", strings.Repeat("x", 60),
	}), 0, 6).Draw(t, "text"), "")
	piece := escapeAnyhow(t, text)
	if kind == "message" {
		m.events = append(m.events, agent.Text{JSON: piece, More: rapid.Bool().Draw(t, "more")})
	} else {
		m.events = append(m.events, agent.Reasoning{JSON: piece})
	}
	if text == "" {
		return
	}
	if n := len(m.want); n > 0 && m.want[n-1].kind == kind {
		m.want[n-1].text += text
		return
	}
	m.want = append(m.want, seen{kind, text})
}

func (m *drawnTurn) start(t *rapid.T) {
	m.calls++
	id := fmt.Sprint("call_", m.calls)
	arguments := rapid.SampledFrom([]string{"", "{}", `{"command":"ls <x> \"é\""}`, "no JSON"}).Draw(t, "arguments")
	m.args[id] = arguments
	m.events = append(m.events, starts(id, "terminal", arguments))
	m.running = append(m.running, id)
	switch {
	case !m.mcp:
		m.want = append(m.want, seen{"function_call", arguments})
	default:
		m.at[id] = len(m.want)
		m.want = append(m.want, seen{"mcp_call", arguments + "|"})
	}
}

func (m *drawnTurn) finish(t *rapid.T) {
	i := rapid.IntRange(0, len(m.running)-1).Draw(t, "which")
	id := m.running[i]
	m.running = append(m.running[:i:i], m.running[i+1:]...)
	output := rapid.SampledFrom([]string{"", "ok\n", "<é> \"x\"", strings.Repeat("line\n", 100)}).Draw(t, "output")
	m.events = append(m.events, agent.ToolFinished{
		Call:  llm.ToolCall{ID: id, Name: "terminal", Arguments: m.args[id]},
		Emoji: "💻", Label: "terminal", Output: output, Failed: rapid.Bool().Draw(t, "failed"),
	})
	m.ended(id, output)
}

func (m *drawnTurn) ended(id, output string) {
	switch {
	case !m.mcp:
		m.want = append(m.want, seen{"function_call_output", output})
	default:
		m.want[m.at[id]].text += output
	}
}

// aTurn draws a turn: the model speaks and thinks, then calls tools that may
// run beside each other, and so on. It may break off anywhere.
func aTurn(t *rapid.T, mcp bool) *drawnTurn {
	m := &drawnTurn{args: map[string]string{}, at: map[string]int{}, mcp: mcp}
	for range rapid.IntRange(0, 4).Draw(t, "steps") {
		for range rapid.IntRange(0, 6).Draw(t, "pieces") {
			m.say(t, rapid.SampledFrom([]string{"message", "message", "reasoning"}).Draw(t, "kind"))
		}
		left := rapid.IntRange(0, 3).Draw(t, "calls")
		for left > 0 || len(m.running) > 0 {
			if left > 0 && (len(m.running) == 0 || rapid.Bool().Draw(t, "beside")) {
				m.start(t)
				left--
				continue
			}
			if rapid.IntRange(0, 20).Draw(t, "broken") == 0 {
				return m
			}
			m.finish(t)
		}
	}
	return m
}

// itemsSeen returns what the items of an output show.
func itemsSeen(items openai.Items) (shown []seen) {
	for _, item := range items {
		switch item := item.(type) {
		case openai.MessageItem:
			shown = append(shown, seen{"message", openai.PartsText(item.Content)})
		case openai.ReasoningItem:
			shown = append(shown, seen{"reasoning", openai.PartsText(item.Content)})
		case openai.FunctionCallItem:
			shown = append(shown, seen{"function_call", item.Arguments})
		case openai.FunctionOutputItem:
			shown = append(shown, seen{"function_call_output", item.Output.String()})
		case openai.MCPCallItem:
			text := item.Arguments + "|"
			if item.Output != nil {
				text += *item.Output
			}
			if item.Error != nil {
				text += item.Error.Text
			}
			shown = append(shown, seen{"mcp_call", text})
		case openai.ReferenceItem:
		}
	}
	return shown
}

// replayed returns a replay of what was stored.
func replayed(t *rapid.T, object []byte, stored outline, after int64) string {
	response, err := storedResponse(object)
	if err != nil {
		t.Fatalf("the response is not read: %v\n%s", err, object)
	}
	return replayOf(t, response, stored, after)
}

// sameEvents fails unless two streams say the same in the same events.
func sameEvents(t *rapid.T, what, got, want string) {
	a, aDone, err := readEvents(got)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	b, bDone, err := readEvents(want)
	if err != nil {
		t.Fatal(err)
	}
	if len(a) != len(b) || aDone != bDone {
		t.Fatalf("%s: %d events for %d\n%s\n\nfor\n\n%s", what, len(a), len(b), got, want)
	}
	for i := range a {
		delete(a[i].data, "event") // status lines are for those who were there
		delete(b[i].data, "event")
		if !reflect.DeepEqual(a[i].data, b[i].data) {
			t.Fatalf("%s: event %d is %v, was %v", what, i, a[i].data, b[i].data)
		}
	}
}

// eventsAfter returns the events of a stream above a number.
func eventsAfter(stream string, after int64) string {
	blocks := strings.SplitAfter(stream, "\n\n")
	return strings.Join(blocks[min(int(after)+1, len(blocks)-2):], "")
}

func TestAnyTurnMakesALegalStream(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ids := 0
		opts := responseOptions{
			newID:  func() string { ids++; return fmt.Sprint(ids) },
			now:    responseClock,
			tools:  rapid.SampledFrom([]toolItems{toolPairs, toolPairLists, toolMCPCalls}).Draw(t, "tools"),
			whole:  rapid.Bool().Draw(t, "whole"),
			status: rapid.Bool().Draw(t, "status"),
		}
		background := rapid.Bool().Draw(t, "background")
		opts.response = openai.NewResponse(&openai.ResponsesRequest{Model: "alice", Background: background}, "resp_1", responseClock())
		m := aTurn(t, opts.tools == toolMCPCalls)
		breakAt := rapid.IntRange(0, len(m.events)).Draw(t, "look at it after")

		e := newResponseEncoder(opts)
		var out strings.Builder
		out.Write(e.begin())
		if background && rapid.Bool().Draw(t, "leaves the queue") {
			out.Write(e.start())
		}
		for i, event := range m.events {
			if i == breakAt {
				sameEvents(t, "half-way", replayed(t, e.object(), e.outline, -1), out.String())
			}
			events, _ := e.event(event)
			out.Write(events)
		}
		last := []ending{fails, cancels}
		if len(m.running) == 0 {
			last = append(last, finishes(llm.FinishStop), finishes(llm.FinishLength), finishes(llm.FinishContentFilter))
		}
		out.Write(last[rapid.IntRange(0, len(last)-1).Draw(t, "end")](e))
		for _, id := range m.running {
			if opts.tools == toolMCPCalls {
				m.ended(id, "")
			} else {
				m.ended(id, interrupted)
			}
		}

		final, err := checkResponseStream(out.String(), false)
		if err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		object := e.object()
		kept, err := storedResponse(object)
		if err != nil {
			t.Fatal(err)
		}
		if shown := itemsSeen(kept.Output); !reflect.DeepEqual(shown, m.want) {
			t.Fatalf("shown %q\nwant  %q", shown, m.want)
		}
		sameEvents(t, "replay", replayed(t, object, e.outline, -1), out.String())
		after := rapid.Int64Range(-1, int64(strings.Count(out.String(), "event: "))).Draw(t, "after")
		sameEvents(t, "replay of the rest", replayed(t, object, e.outline, after), eventsAfter(out.String(), after))

		// Without its outline the stream is another one, and ends the same; with one
		// that is damaged too.
		damaged := append(newOutline(), rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "damaged outline")...)
		for _, stored := range []outline{nil, damaged} {
			replay, err := checkResponseStream(replayed(t, object, stored, -1), false)
			if err != nil || !reflect.DeepEqual(replay, final) {
				t.Fatalf("with the outline %v the replay ends with %v (%v), want %v", stored, replay, err, final)
			}
		}
	})
}
