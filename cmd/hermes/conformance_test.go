package main_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"hermes/worker/llm/llmtest"
)

// library is a client library as people use it.
type library struct {
	name string
	// args are the script that speaks for it, and its arguments; of the Go library
	// they are those of its program.
	args   []string
	golang bool
	// forms are the ways in which it takes an answer: json, stream, helper.
	forms []string
	// settings are of the profile that it asks.
	settings map[string]string
	// finish is its word for an answer that is complete.
	finish string
	// responses is set if it speaks the responses API; histories are the ways in
	// which its turns may then follow each other, beside its own.
	responses bool
	histories []string
	// shows are the calls that it shows of the agent's.
	shows []string
	// drains is set if it reads a stream to its end whether anybody listens or not,
	// so that leaving the loop is no way to stop it.
	drains bool
	raises raises
}

// raises are the names of the errors that a library makes of failures.
type raises struct {
	key, value string // refused requests
	upstream   string // status 502
	early      string // an error in a stream before any text
	broken     string // and after some
	abort      string // the client's own wish
}

// libraries are those that are driven. CONTRIBUTING.md says how to add one.
func libraries() []library {
	both := []string{"json", "stream"}
	openAI := raises{
		key: "AuthenticationError", value: "BadRequestError", upstream: "InternalServerError", early: "APIError", broken: "APIError",
		abort: "APIUserAbortError",
	}
	langChain := openAI
	langChain.abort = "AbortError"
	aiSDK := raises{
		key: "AI_APICallError", value: "AI_APICallError", upstream: "AI_APICallError", early: "AI_StreamProviderError", broken: "AI_StreamProviderError",
		abort: "AbortError",
	}
	aiOpenAI := aiSDK
	aiOpenAI.early = aiSDK.upstream // it waits for the first text
	golang := raises{
		key: "openai.Error", value: "openai.Error", upstream: "openai.Error", early: "ssestream.StreamError", broken: "ssestream.StreamError",
		abort: "context.Canceled",
	}
	return []library{
		// First what takes long to build.
		{name: "go-chat", golang: true, args: []string{"chat"}, forms: both, finish: "stop", raises: golang},
		{
			name: "go-responses", golang: true, args: []string{"responses"}, forms: both, finish: "completed", raises: golang,
			responses: true, histories: []string{"conversation"}, settings: map[string]string{"api_server.tool_items": "mcp_call"},
		},
		{name: "openai-chat", args: []string{"openai-chat.mjs"}, forms: []string{"json", "stream", "helper"}, finish: "stop", raises: openAI},
		{
			name: "ai-openai-chat", args: []string{"ai.mjs", "openai-chat"}, forms: both, finish: "stop", drains: true, raises: aiOpenAI,
			settings: map[string]string{"display.tool_progress": "off"},
		},
		{
			name: "ai-compatible", args: []string{"ai.mjs", "compatible"}, forms: both, finish: "stop", drains: true, raises: aiSDK,
			settings: map[string]string{"display.tool_progress": "event"},
		},
		{
			name: "langchain-chat", args: []string{"langchain.mjs", "chat"}, forms: both, finish: "stop", raises: langChain,
			settings: map[string]string{"display.tool_progress": "both"},
		},
		{
			name: "openai-responses", args: []string{"openai-responses.mjs"}, forms: []string{"json", "stream", "helper"}, finish: "completed", raises: openAI,
			responses: true, histories: []string{"conversation", "items"},
		},
		{
			name: "ai-openai-responses", args: []string{"ai.mjs", "openai-responses"}, forms: both, finish: "stop", drains: true, raises: aiOpenAI,
			responses: true, histories: []string{"conversation", "chain"}, shows: []string{"mcp.terminal"},
		},
		{name: "ai-open-responses", args: []string{"ai.mjs", "open-responses"}, forms: both, finish: "stop", drains: true, raises: aiSDK, responses: true},
		{
			name: "langchain-responses", args: []string{"langchain.mjs", "responses"}, forms: both, finish: "completed", raises: langChain,
			responses: true, histories: []string{"chain"},
		},
	}
}

// run is a library at work with one form of answer, and the profile that it asks.
type run struct {
	*driven
	library
	form    string
	model   *llmtest.Handler
	gateway *gateway
}

// Every library does what people do with it against the real gateway. What is
// checked is what its user would notice.
func TestConformance(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs node and the npm registry")
	}
	node, err := clients()
	if err != nil {
		t.Fatal("fetch the clients: ", err)
	}
	builds := t.TempDir()
	build := sync.OnceValues(func() (string, error) { return goClient(builds) })
	for _, library := range libraries() {
		t.Run(library.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, true)
			alice := m.create("alice")
			for key, value := range library.settings {
				m.run("-p", "alice", "config", "set", key, value)
			}
			g := m.gateway(1, "-p", "alice")
			program, err := node, error(nil)
			if library.golang {
				program, err = build()
			}
			if err != nil {
				t.Fatal(err)
			}
			client := drive(t, alice, program, library.args...)
			for _, form := range library.forms {
				r := run{client, library, form, m.upstream, g}
				t.Run(form, r.everything)
			}
			r := run{client, library, "json", m.upstream, g}
			t.Run("shape", r.shape)
			if r.name == "openai-responses" {
				t.Run("official", r.officialResponses)
			}
			t.Run("crash", r.crash)
			// A limit that is new has all its turns left.
			m.run("-p", "alice", "config", "set", "limits.turns_per_minute", "30")
			m.run("gateway", "reload")
			t.Run("rate limit", r.rateLimit)
		})
	}
}

func (r run) everything(t *testing.T) {
	t.Run("text", r.text)
	t.Run("tools of the agent", r.agentTools)
	t.Run("tools of the client", r.clientTools)
	t.Run("image", r.image)
	t.Run("refused", r.refused)
	t.Run("failed", r.failed)
	t.Run("abort", r.aborts)
	t.Run("retry", r.retry)
	t.Run("no tool twice", r.noToolTwice)
}

// ask does a wish in the form of the run, and a chat if it names nothing else.
func (r run) ask(t *testing.T, w wish) saw {
	t.Helper()
	r.start(t, w)
	return r.end(t)
}

func (r run) start(t *testing.T, w wish) {
	t.Helper()
	w.Form = r.form
	if w.Do == "" {
		w.Do = "chat"
	}
	r.begin(t, w)
}

// chat asks one message after the other and fails the test if that fails.
func (r run) chat(t *testing.T, messages ...string) saw {
	t.Helper()
	got := r.ask(t, wish{Messages: messages})
	r.whole(t, got)
	return got
}

// whole checks that an answer is one: without an error, at its proper end, and
// with nothing left for the client to do.
func (r run) whole(t *testing.T, got saw) {
	t.Helper()
	if got.Error != nil {
		t.Fatalf("the client failed: %+v", *got.Error)
	}
	if got.Finish != r.finish || len(got.Calls) > 0 || len(got.Invalid) > 0 {
		t.Errorf("finish %q, calls %q, invalid calls %q; want %s and none", got.Finish, got.Calls, got.Invalid, r.finish)
	}
}

// lines returns the lines of a file of the workspace, none if there is no file.
func (r run) lines(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.person.dir, "workspace", name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return slices.Collect(strings.Lines(string(text)))
}

// lastCall is what the model was asked last.
func (r run) lastCall() llmtest.Call {
	calls := r.model.Calls()
	return calls[len(calls)-1]
}
