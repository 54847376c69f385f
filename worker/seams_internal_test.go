package worker

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"hermes/worker/llm/llmtest"
	"hermes/worker/openai"
)

// refusals counts the requests that were longer than the window.
func refusals(calls []llmtest.Call, window int) (refused int) {
	for _, call := range calls {
		if llmtest.Tokens(call) > window {
			refused++
		}
	}
	return refused
}

// pages are calls that read a file of the workspace, page by page.
func pages(n int) (calls []llmtest.ToolCall) {
	for i := range n {
		calls = append(calls, tool("read_file", map[string]any{"path": "long.txt", "offset": 100*i + 1, "limit": 100}))
	}
	return calls
}

// long puts a file into the workspace that no window of these tests holds.
func (p *profile) long() {
	p.t.Helper()
	var text strings.Builder
	for i := range 3_000 {
		fmt.Fprintf(&text, "line %d of a file that is too long for all of it\n", i)
	}
	if err := os.MkdirAll(p.path("workspace"), 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.path("workspace"), "long.txt"), []byte(text.String()), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// What one child learns of a window that nobody knows, all later ones know, and so does
// the turn: none of them runs into it again.
func TestChildrenLearnTheWindowTogether(t *testing.T) {
	t.Parallel()
	const window = 12_000
	f := newFamily(map[string][]llmtest.ToolCall{"first": pages(14), "second": pages(14)})
	p := newProfile(t, llmtest.Windowed(window, f.answer))
	p.long()
	p.worker("")
	refused := 0
	for _, task := range []string{"first", "second"} {
		got, err := p.send("POST", "/v1/responses", fmt.Sprintf(`{"input":"hand on: %s"}`, task))
		if err != nil || !strings.Contains(got, "done; ") {
			t.Fatalf("%s: %v %s", task, err, got)
		}
		now := refusals(p.upstream.Calls(), window)
		if task == "first" && now == 0 || task == "second" && now > refused {
			t.Errorf("%s: %d requests were refused, %d before", task, now, refused)
		}
		refused = now
	}
}

// A response in the background that goes on after a crash knows its task although its
// history, and that of its conversation, is long since too long.
func TestATaskStaysKnownAfterACrash(t *testing.T) {
	t.Parallel()
	const (
		window = 12_000
		task   = "count the lines of long.txt and say whether it is too long"
	)
	steps := pages(24)
	gate := make(chan struct{})
	var reached, killed atomic.Bool
	p := newProfile(t, llmtest.Windowed(window, func(call llmtest.Call) llmtest.Reply {
		if len(call.Tools) == 0 {
			return llmtest.Text("Things were read.")
		}
		if call.LastUser() == "hello" {
			return llmtest.Text(strings.Repeat("Hello to you. ", 100))
		}
		highest := -1 // the page that was read last
		for _, message := range call.Messages {
			for _, c := range message.ToolCalls {
				for i, step := range steps {
					if c.Arguments == step.Arguments {
						highest = max(highest, i)
					}
				}
			}
		}
		switch {
		case highest >= 11 && !killed.Load():
			reached.Store(true)
			<-gate // the worker dies here
			return llmtest.Text("too late")
		case highest+1 < len(steps):
			return llmtest.Reply{Calls: []llmtest.ToolCall{steps[highest+1]}}
		default:
			return llmtest.Text("It is too long.")
		}
	}))
	t.Cleanup(func() { close(gate) })
	p.long()
	p.start.Model.ContextLength = window
	w := p.worker("")
	if got, err := p.send("POST", "/v1/responses", `{"input":"hello","conversation":"c"}`); err != nil {
		t.Fatal(err, got)
	}
	got, err := p.send("POST", "/v1/responses", fmt.Sprintf(`{"input":%q,"conversation":"c","background":true}`, task))
	if err != nil {
		t.Fatal(err)
	}
	until(t, "twelve pages were read", reached.Load)
	w.kill()
	killed.Store(true)
	from := len(p.upstream.Calls())
	p.worker("")
	response, _ := p.untilEnded(responseOf(t, got).ID, nil)
	if response.Status != openai.StatusCompleted || !strings.Contains(fmt.Sprint(response.Output), "It is too long.") {
		t.Fatalf("it ended as %s with %d items", response.Status, len(response.Output))
	}
	short := 0
	for _, call := range p.upstream.Calls()[from:] {
		if len(call.Tools) == 0 {
			continue
		}
		if !slices.ContainsFunc(call.Messages, func(m llmtest.Message) bool { return m.Role == "user" && m.Text == task }) {
			t.Errorf("the model is not told of the task, but of %.2000s", call.Body)
		}
		if strings.Contains(string(call.Body), "For reference only") {
			short++
		}
	}
	if short == 0 || refusals(p.upstream.Calls(), window) > 0 {
		t.Errorf("%d requests had a record of what was left out, %d were refused", short, refusals(p.upstream.Calls(), window))
	}
}

// When the model fails, the next one answers although its window is smaller than the
// conversation is long.
func TestTheNextModelHasASmallerWindow(t *testing.T) {
	t.Parallel()
	const window = 12_000
	var broken atomic.Bool
	answer := func(call llmtest.Call) llmtest.Reply {
		if n := call.Steps(); call.LastUser() == "read it" && n < 12 {
			return llmtest.Reply{Calls: []llmtest.ToolCall{pages(12)[n]}}
		}
		return llmtest.Text("It was " + call.Model + ".")
	}
	small := llmtest.Windowed(window, answer)
	p := newProfile(t, func(call llmtest.Call) llmtest.Reply {
		switch {
		case call.Model == "small":
			return small(call)
		case broken.Load():
			return llmtest.Reply{Status: http.StatusUnauthorized, Message: "no such key"}
		default:
			return answer(call)
		}
	})
	next := p.start.Model
	next.Model = "small"
	p.start.Fallback = append(p.start.Fallback, next)
	p.long()
	p.worker("")
	for _, turn := range []struct{ input, want string }{{"read it", "It was tiny."}, {"and now?", "It was small."}, {"again?", "It was small."}} {
		broken.Store(turn.input != "read it")
		got, err := p.send("POST", "/v1/responses", fmt.Sprintf(`{"input":%q,"conversation":"c"}`, turn.input))
		if err != nil || !strings.Contains(got, turn.want) {
			t.Fatalf("%s: %v %.2000s", turn.input, err, got)
		}
	}
}
