package worker

import (
	"context"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aymanbagabas/go-udiff"

	"hermes/supervisor/handoff"
	"hermes/worker/llm/llmtest"
	"hermes/worker/openai"
)

var update = flag.Bool("update", false, "write the stories in testdata anew")

// story is one or more whole turns of a worker that is put together as in its
// process. What its client, its model and its database saw of them is held in
// testdata/turns, to be read from top to bottom.
type story struct {
	name  string // of its file
	about string // its first line
	// files lie in the profile's directory before the worker starts.
	files map[string]string
	// settings changes what the supervisor would say.
	settings func(s *scene, start *handoff.Start)
	// answers are the model's, one for each time that it is asked; spare are those
	// of the model behind it.
	answers, spare []llmtest.Reply
	// play is what the client does.
	play func(s *scene)
}

// Each situation that a turn can get into is a story. Run with -update after a change
// that is meant, and read the difference. They are told one after the other: each
// worker has a sandbox, and two in one process would sweep up each other's commands.
func TestTurns(t *testing.T) {
	stories := slices.Concat(toolStories(), commandStories(), callStories(), modelStories(), personStories())
	known := map[string]bool{}
	for _, story := range stories {
		known[story.name+".txt"] = true
		t.Run(story.name, func(t *testing.T) {
			golden(t, filepath.Join("testdata", "turns", story.name+".txt"), story.run(t))
		})
	}
	entries, err := os.ReadDir(filepath.Join("testdata", "turns"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !known[entry.Name()] {
			t.Errorf("nobody tells the story %s any more", entry.Name())
		}
	}
}

// golden compares a story with the one that is kept.
func golden(t *testing.T, path, got string) {
	t.Helper()
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
		t.Error(udiff.Unified(path, "what happened", string(want), got))
	}
}

// scene is where a story happens: a profile's directory, its worker, the models
// upstream of it and the client.
type scene struct {
	t       *testing.T
	dir     string
	address string
	worker  *worker
	http    *http.Client
	site    string           // address of the web that there is, SITE in calls
	chat    []openai.Message // what the client has of its chat
	last    llmtest.Call     // of a model
	journal journal
}

// run plays the story and returns what is told of it.
func (story story) run(t *testing.T) string {
	t.Helper()
	s := &scene{t: t, dir: t.TempDir(), http: &http.Client{Transport: &http.Transport{}}}
	defer s.http.CloseIdleConnections()
	s.put("workspace/notes.txt", "milk\neggs\n")
	for name, content := range story.files {
		s.put(name, content)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	start := s.start(s.upstream("the model", story.answers))
	if story.spare != nil {
		start.Fallback = []handoff.Model{start.Model}
		start.Fallback[0].BaseURL = s.upstream("the second model", story.spare)
	}
	if story.settings != nil {
		story.settings(s, &start)
	}
	// The zero Child has nobody to report to.
	s.worker, err = build(Options{Child: &handoff.Child{}, Start: start, Listener: listener, Log: slog.New(slog.DiscardHandler), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.worker.server.Serve(context.WithoutCancel(t.Context()), listener) }()
	s.journal.title(story.about)
	story.play(s)
	s.http.CloseIdleConnections()
	if err := s.worker.server.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	s.worker.close()
	s.epilogue(start.Paths)
	return s.journal.told(s.dir)
}

// start is what a supervisor would say to the worker of a new profile.
func (s *scene) start(model string) handoff.Start {
	at := func(name string) string { return filepath.Join(s.dir, name) }
	return handoff.Start{
		Version: handoff.Version, Profile: "alice", ToolProgress: "inline",
		Paths: handoff.Paths{
			Profile: s.dir, Database: at("state.db"), Workspace: at("workspace"), Home: at("home"),
			Memories: at("memories"), Skills: at("skills"), Soul: at("SOUL.md"),
		},
		API: handoff.API{
			Address: s.address, ModelName: "alice", MaxBodyBytes: 1 << 20, MaxConcurrentRuns: 4, StoredResponses: 100,
			ToolItems: "function_call", OnDisconnect: "cancel", DrainTimeout: time.Minute,
		},
		Model:    handoff.Model{Provider: "openai-compatible", Model: "tiny", BaseURL: model, Streaming: true, ContextLength: 128_000},
		Agent:    handoff.Agent{MaxIterations: 90, Tools: []string{"all"}, Approvals: "deny"},
		Memory:   handoff.Memory{Limit: 4000, UserLimit: 2000},
		Terminal: handoff.Terminal{Timeout: time.Minute},
		Web:      handoff.Web{Search: "auto", Ports: []uint16{80, 443}},
	}
}

// upstream starts a model that gives these answers, and returns its base URL.
func (s *scene) upstream(name string, answers []llmtest.Reply) string {
	var mu sync.Mutex
	next := 0
	up := llmtest.NewUpstream(func(call llmtest.Call) llmtest.Reply {
		mu.Lock()
		defer mu.Unlock()
		s.last = call
		s.journal.asked(name, call)
		if next == len(answers) {
			s.t.Errorf("%s is asked more than %d times", name, next)
			return llmtest.Text("I have nothing left to say.")
		}
		reply := answers[next]
		next++
		if reply.Prompt == 0 { // the true numbers change with the prompt
			reply.Prompt, reply.Completion = 100, 10
		}
		reply.Calls = slices.Clone(reply.Calls)
		for i := range reply.Calls {
			if reply.Calls[i].ID == "" {
				reply.Calls[i].ID = "c" + string(rune('0'+call.N)) + string(rune('a'+i))
			}
			reply.Calls[i].Arguments = strings.ReplaceAll(reply.Calls[i].Arguments, "SITE", s.site)
		}
		s.journal.answered(name, reply)
		return reply
	})
	s.t.Cleanup(up.Close)
	s.t.Cleanup(func() {
		if next != len(answers) {
			s.t.Errorf("%s was asked %d times, and has %d answers", name, next, len(answers))
		}
	})
	return up.URL + "/v1"
}

// put writes a file of the profile.
func (s *scene) put(name, content string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// eventually waits for what happens in its own time.
func (s *scene) eventually(what string, holds func() bool) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("not in time: %s", what)
		}
	}
}

// use makes an answer that calls one tool.
func use(tool, arguments string) llmtest.Reply {
	return llmtest.Reply{Calls: []llmtest.ToolCall{{Name: tool, Arguments: arguments}}}
}

// both makes an answer that calls several.
func both(replies ...llmtest.Reply) llmtest.Reply {
	var all llmtest.Reply
	for _, reply := range replies {
		all.Calls = append(all.Calls, reply.Calls...)
	}
	return all
}
