package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/llm"
)

// repeatable returns options with a database of their own whose ids count up and
// whose clock stands still.
func repeatable(t *testing.T, runner api.Runner) api.Options {
	t.Helper()
	opts := stored(t, fixed(runner))
	opts.Now = func() time.Time { return time.Unix(1_700_000_000, 0) }
	var n atomic.Int64
	opts.NewID = func() string { return fmt.Sprintf("%04d", n.Add(1)) }
	return opts
}

func starts(id, name, arguments string) agent.Event {
	return agent.ToolStarted{Call: llm.ToolCall{ID: id, Name: name, Arguments: arguments}, Emoji: "💻", Label: name}
}

func ends(id, name, output string, failed bool) agent.Event {
	return agent.ToolFinished{Call: llm.ToolCall{ID: id, Name: name}, Emoji: "💻", Label: name, Output: output, Failed: failed}
}

// oneTool and twoTools are turns that run tools; the two run beside each other,
// and the second ends first and fails.
func oneTool() []agent.Event {
	return []agent.Event{
		starts("call_1", "terminal", `{"command":"pwd"}`), ends("call_1", "terminal", "/home/alice\n", false), text("You are in /home/alice."),
	}
}

func twoTools() []agent.Event {
	return []agent.Event{
		starts("call_1", "read_file", `{"path":"a"}`), starts("call_2", "read_file", `{"path":"b"}`),
		ends("call_2", "read_file", "no such file", true), ends("call_1", "read_file", "A", false), text("Only a is there."),
	}
}

// statusLines matches what Open WebUI alone is sent, and only while it happens.
var statusLines = regexp.MustCompile(`,"event":\{"type":"status","data":\{[^}]*\}\}`)

func (a answer) lastEvent(t *testing.T) map[string]any {
	t.Helper()
	lines := dataLines(a.body)
	var event struct{ Response map[string]any }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &event); err != nil {
		t.Fatal(err)
	}
	return event.Response
}

// The streams of the Responses API, from the request to the last byte. That they
// keep the rules of the public specification is for
// TestKeptStreamsOfResponsesKeepTheRules.
func TestStreamsOfResponses(t *testing.T) {
	t.Parallel()
	const (
		plain      = `{"model":"any","input":"hello","stream":true}`
		everything = `{"model":"any","input":"hello","stream":true,"instructions":"Be brief.","conversation":"garden","metadata":{"a":"b"},"temperature":0.2,"top_p":0.5,"max_output_tokens":100,"truncation":"auto","text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}}},"reasoning":{"effort":"low"},"tools":[{"type":"function","name":"f","parameters":{}}],"tool_choice":"none","user":"u","safety_identifier":"s","prompt_cache_key":"k"}`
		ownTools   = `{"model":"any","input":"hello","stream":true,"tools":[{"type":"function","name":"ask"},{"type":"function","name":"order"}]}`
		background = `{"model":"any","input":"hello","stream":true,"background":true}`
		openWebUI  = "X-OpenWebUI-Chat-Id: 1"
	)
	done := answered("…")
	done.Usage = llm.Usage{Input: 5, Output: 7, Cached: 4, Reasoning: 3}
	long, filtered := done, done
	long.Finish, filtered.Finish = llm.FinishLength, llm.FinishContentFilter
	broke := &llm.Error{Class: llm.Network, Message: "The connection broke."}
	asked, leftOver := leaves("Let me ask.", llm.ToolCall{ID: "call_2", Name: "ask", Arguments: `{"what":"colour"}`}, llm.ToolCall{ID: "call_3", Name: "order", Arguments: "{}"})
	asked = append(oneTool()[:2], asked...)
	between := append([]agent.Event{text("Let me"), text(" look.")}, oneTool()...)
	off := func(opts *api.Options) { opts.ToolProgress = "off" }
	mcp := func(opts *api.Options) { opts.ToolItems = "mcp_call" }
	for _, test := range []struct {
		name, body string
		header     []string
		set        func(*api.Options)
		events     []agent.Event
		result     agent.Result
		err        error
	}{
		{name: "text", events: []agent.Event{text("Hel"), text("lo \"you\" <b>\n"), text(""), text("ü💻")}, result: done},
		{name: "reasoning", events: []agent.Event{thought("hm"), thought("…"), text("Hello")}, result: done},
		{name: "tool", events: oneTool(), result: done},
		{name: "tool-list", header: []string{openWebUI}, set: off, events: oneTool(), result: done},
		{name: "tool-list-status", header: []string{openWebUI}, events: twoTools(), result: done},
		{name: "tool-mcp", header: []string{"User-Agent: ai/6.0 ai-sdk/openai/3.0"}, events: oneTool(), result: done},
		{name: "two-tools", events: twoTools(), result: done},
		{name: "two-tools-mcp", set: mcp, events: twoTools(), result: done},
		{name: "text-tool-text", events: between, result: done},
		{name: "client-tools", body: ownTools, events: asked, result: leftOver},
		{name: "failed", err: broke},
		{name: "failed-in-text", events: []agent.Event{text("Hel")}, err: broke},
		{name: "failed-in-tool", header: []string{openWebUI}, events: twoTools()[:3], err: broke},
		{name: "failed-in-tool-mcp", set: mcp, events: twoTools()[:3], err: broke},
		{name: "length", events: []agent.Event{text("Hello and")}, result: long},
		{name: "content-filter", events: []agent.Event{text("Hello and")}, result: filtered},
		{name: "background", body: background, events: []agent.Event{
			thought("They say hello, so I say hello too."), text("Hello, Alice! What a very fine "), text("morning it is, is it not?"),
		}, result: done},
		{name: "whole", set: func(opts *api.Options) { opts.Streaming = false }, events: between, result: done},
		{name: "everything-asked", body: everything, events: []agent.Event{text("{}")}, result: done},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := repeatable(t, script(test.events, test.result, test.err))
			if test.set != nil {
				test.set(&opts)
			}
			body := test.body
			if body == "" {
				body = plain
			}
			server := api.New(opts)
			got := call(t, server, "POST", "/v1/responses", body, test.header...)
			for name, want := range map[string]string{
				"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache", "X-Accel-Buffering": "no", "Content-Encoding": "",
			} {
				if got.header.Get(name) != want {
					t.Errorf("%s is %q, want %q", name, got.header.Get(name), want)
				}
			}
			golden(t, "responses-"+test.name+".sse", got.body)

			last := got.lastEvent(t)
			kept := call(t, server, "GET", fmt.Sprint("/v1/responses/", last["id"]), "")
			var object map[string]any
			if err := json.Unmarshal([]byte(kept.body), &object); err != nil || !reflect.DeepEqual(object, last) {
				t.Errorf("stored is %s (%v), the stream ends with %v", kept.body, err, last)
			}
			again := call(t, server, "GET", fmt.Sprintf("/v1/responses/%s?stream=true", last["id"]), "")
			// Open WebUI gets forms of its own, which it never asks for again. The
			// events and their numbers are the same.
			want, same := statusLines.ReplaceAllString(got.body, ""), again.body
			if len(test.header) > 0 && test.header[0] == openWebUI {
				want, same = numbered(want), numbered(same)
			}
			if same != want {
				t.Errorf("the first time came\n%s\nthen\n%s", want, same)
			}
			if test.name == "background" {
				rest := call(t, server, "GET", fmt.Sprintf("/v1/responses/%s?stream=true&starting_after=12", last["id"]), "")
				golden(t, "responses-background-replay.sse", rest.body)
			}
		})
	}
}

// numbered lists the events of a stream and their numbers.
func numbered(stream string) string {
	return strings.Join(regexp.MustCompile(`event: [a-z_.]+|"sequence_number":\d+`).FindAllString(stream, -1), " ")
}

// A response that somebody cancels, as one sees it who follows it.
func TestStreamOfACancelledResponse(t *testing.T) {
	t.Parallel()
	began := make(chan bool)
	server := api.New(repeatable(t, runs(func(ctx context.Context, _ agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
		for _, event := range []agent.Event{text("I look."), starts("call_1", "terminal", `{"command":"sleep 100"}`)} {
			emit(event)
		}
		began <- true
		<-ctx.Done()
		return agent.Result{Usage: llm.Usage{Input: 5}}, context.Cause(ctx)
	})))
	path := "/v1/responses/" + respond(t, server, `{"model":"any","input":"hello","background":true}`).ID
	receive(t, began, "the turn")
	stopped := call(t, server, "POST", path+"/cancel", "")
	got := call(t, server, "GET", path+"?stream=true", "")
	golden(t, "responses-cancelled.sse", got.body)
	var object map[string]any
	if err := json.Unmarshal([]byte(stopped.body), &object); err != nil || !reflect.DeepEqual(object, got.lastEvent(t)) {
		t.Errorf("the answer is %s (%v), the stream ends with %v", stopped.body, err, got.lastEvent(t))
	}
}
