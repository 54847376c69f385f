package api_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/llm"
)

var update = flag.Bool("update", false, "write the transcripts in testdata anew")

func text(s string) agent.Event    { return agent.Text{JSON: quote(s)} }
func thought(s string) agent.Event { return agent.Reasoning{JSON: quote(s)} }

func TestStreams(t *testing.T) {
	t.Parallel()
	twoTools := []agent.Event{
		text("Let me"), text(" look."),
		started("c1", "💻", "pwd"), finished("c1", "💻", "pwd", false),
		started("c2", "📖", "read `notes`\nand more"), finished("c2", "📖", "read `notes`\nand more", true),
		text("You are in"), text(" /x."),
	}
	beside := []agent.Event{
		started("c1", "📖", "a.txt"), started("c2", "📖", "b.txt"), finished("c2", "📖", "b.txt", false), finished("c1", "📖", "a.txt", false),
		text("Both are empty."),
	}
	done := answered("Let me look.", "You are in /x.")
	long := done
	long.Finish = llm.FinishLength
	counted := done
	counted.Usage = llm.Usage{Input: 1000, Output: 50, Cached: 900, Reasoning: 20}
	asked, leftOver := leaves("Let me ask.", llm.ToolCall{ID: "c2", Name: "ask", Arguments: `{"what":"colour"}`}, llm.ToolCall{ID: "c3", Name: "order", Arguments: "{}"})
	asked = append(asked, started("c1", "💻", "pwd"), finished("c1", "💻", "pwd", false))
	const usage = `{"model":"any","messages":[{"role":"user","content":"hello"}],"stream":true,"stream_options":{"include_usage":true}}`
	tests := []struct {
		name     string
		progress string
		whole    bool
		body     string
		header   []string
		events   []agent.Event
		result   agent.Result
		err      error
	}{
		{name: "plain", events: []agent.Event{text("Hel"), text("lo \"you\" <b>\n"), text(""), text("ü💻")}, result: done},
		{name: "reasoning", events: []agent.Event{thought("hm"), thought("…"), text("Hello")}, result: done},
		{name: "inline", events: twoTools, result: done},
		{name: "event", progress: "event", events: twoTools, result: done},
		{name: "both", progress: "both", events: twoTools, result: done},
		{name: "off", progress: "off", events: twoTools, result: done},
		{name: "openwebui", header: []string{"X-OpenWebUI-Chat-Id: 1"}, events: beside, result: done},
		{name: "inline-beside", progress: "inline", events: beside, result: done},
		{name: "usage", body: usage, events: []agent.Event{text("Hello")}, result: counted},
		{name: "client-tools", body: usage, events: asked, result: leftOver},
		{name: "whole-client-tools", whole: true, events: asked, result: leftOver},
		{name: "length", events: []agent.Event{text("Hello")}, result: long},
		{name: "silent", result: agent.Result{}},
		{name: "failed", events: []agent.Event{text("Hel")}, err: &llm.Error{Class: llm.Network, Message: "The connection broke."}},
		{name: "failed-in-tool", progress: "event", events: []agent.Event{started("c1", "💻", "sleep"), started("c2", "💻", "sleep 2")}, err: &llm.Error{Class: llm.Network, Message: "The connection broke."}},
		{name: "whole", whole: true, events: append([]agent.Event{thought("h"), thought("m")}, twoTools...), result: done},
		{name: "whole-off", whole: true, progress: "off", events: twoTools, result: done},
		{name: "whole-failed", whole: true, events: twoTools[:4], err: &llm.Error{Class: llm.Network, Message: "The connection broke."}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := fixed(script(test.events, test.result, test.err))
			opts.Streaming = !test.whole
			if test.progress != "" {
				opts.ToolProgress = test.progress
			}
			body := test.body
			if body == "" {
				body = helloSSE
			}
			got := call(t, api.New(opts), "POST", "/v1/chat/completions", body, test.header...)
			for name, want := range map[string]string{
				"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache", "X-Accel-Buffering": "no", "Content-Encoding": "",
			} {
				if got.header.Get(name) != want {
					t.Errorf("%s is %q, want %q", name, got.header.Get(name), want)
				}
			}
			checkStream(t, got.body)
			golden(t, test.name+".sse", got.body)
		})
	}
}

// golden compares a transcript with the one that is kept.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
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

func TestLongTextIsSplit(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("aü💻\"\n", 50_000)
	got := call(t, api.New(fixed(script([]agent.Event{text(long)}, answered(long), nil))), "POST", "/v1/chat/completions", helloSSE)
	if content := checkStream(t, got.body); content != long {
		t.Errorf("%d bytes became %d", len(long), len(content))
	}
}
