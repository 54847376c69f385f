package main_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// seen is what testdata/clients/turn.mjs prints.
type seen struct {
	Models []string
	Text   string
	Chunks int
	IDs    []string
	Finish string
	Usage  *struct {
		Total int `json:"total_tokens"`
	}
	HelperText   string
	HelperFinish string
	Whole        string
	Error        *struct {
		Name    string
		Status  int
		Code    string
		Message string
	}
}

// sdk runs a turn of the official openai client.
func sdk(t *testing.T, baseURL, key, message string) seen {
	t.Helper()
	node, err := clients()
	if err != nil {
		t.Fatal("fetch the openai client: ", err)
	}
	request, err := json.Marshal(map[string]string{"baseURL": baseURL, "apiKey": key, "message": message})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "turn.mjs")
	cmd.Dir = filepath.Join("testdata", "clients")
	cmd.Env = append(os.Environ(), "REQUEST="+string(request))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node turn.mjs: %v\n%s", err, out)
	}
	var got seen
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("read %q: %v", out, err)
	}
	return got
}

// TestTwoClientsTwoAgents is the reason why hermes exists: two profiles, one
// gateway, two clients, and neither sees anything of the other.
func TestTwoClientsTwoAgents(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs node and the npm registry")
	}
	for _, model := range []struct {
		name     string
		upstream bool
		messages []string
	}{
		{"with a model", true, []string{"run `pwd`\nwrite note.txt: hello from NAME"}},
		{"with the demo model", false, []string{"run `pwd`", "write note.txt: hello from NAME"}},
	} {
		t.Run(model.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, model.upstream)
			people := []person{m.create("alice"), m.create("bob")}
			m.gateway(2, "--all")
			for _, p := range people {
				for i, message := range model.messages {
					got := sdk(t, p.url+"/v1", p.key, strings.ReplaceAll(message, "NAME", p.name))
					checkTurn(t, p, got, i == 0)
				}
			}
			alice, bob := people[0], people[1]
			if alice.url == bob.url || alice.key == bob.key {
				t.Fatalf("alice and bob share a port or a key: %s %s", alice.url, bob.url)
			}
			for _, p := range people {
				text, err := os.ReadFile(filepath.Join(p.dir, "workspace", "note.txt"))
				if err != nil || string(text) != "hello from "+p.name {
					t.Errorf("%s's note is %q, %v", p.name, text, err)
				}
				if info, err := os.Stat(filepath.Join(p.dir, "data", "state.db")); err != nil || info.Size() == 0 {
					t.Errorf("%s has no database: %v", p.name, err)
				}
			}
			if got := sdk(t, alice.url+"/v1", bob.key, "hi"); got.Error == nil || got.Error.Status != 401 || got.Error.Code != "invalid_api_key" {
				t.Errorf("bob's key on alice's port: %+v, want 401 invalid_api_key", got.Error)
			}
		})
	}
}

// checkTurn checks what the client saw of a turn; of one that ran pwd it checks
// the marker and the answer too.
func checkTurn(t *testing.T, p person, got seen, pwd bool) {
	t.Helper()
	if got.Error != nil {
		t.Fatalf("%s: the client failed: %+v", p.name, got.Error)
	}
	if len(got.Models) != 1 || got.Models[0] != p.name {
		t.Errorf("%s lists the models %q", p.name, got.Models)
	}
	if len(got.IDs) != 1 || got.Finish != "stop" || got.HelperFinish != "stop" {
		t.Errorf("%s: ids %q, finish %q and %q", p.name, got.IDs, got.Finish, got.HelperFinish)
	}
	if got.Usage == nil || got.Usage.Total == 0 {
		t.Errorf("%s: no usage", p.name)
	}
	if !pwd {
		return
	}
	workspace := filepath.Join(p.dir, "workspace")
	for form, text := range map[string]string{"stream": got.Text, "helper": got.HelperText, "whole": got.Whole} {
		if !strings.Contains(text, workspace) {
			t.Errorf("%s: the %s answer does not name %s: %q", p.name, form, workspace, text)
		}
	}
	if !strings.Contains(got.Text, "\n`💻 pwd`\n") {
		t.Errorf("%s: the stream does not show the tool: %q", p.name, got.Text)
	}
}

//nolint:tparallel // the subtests look at how many requests the one upstream has open
func TestClientThatLeavesStopsEverything(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	m.gateway(1, "-p", "alice")
	for _, stream := range []bool{true, false} {
		name := map[bool]string{true: "streaming", false: "not streaming"}[stream]
		t.Run("tool, "+name, func(t *testing.T) {
			mark := mark()
			leave := begin(t, alice, "run `sleep "+mark+" & sleep "+mark+"`", stream)
			eventually(t, patience, "the tool runs", func() bool { return len(processes(t, mark)) >= 2 })
			leave()
			eventually(t, promise(time.Second), "the tool is gone", func() bool { return len(processes(t, mark)) == 0 })
		})
		t.Run("upstream, "+name, func(t *testing.T) {
			leave := begin(t, alice, "hang on", stream)
			eventually(t, patience, "the upstream is asked", func() bool { return m.upstream.Open() == 1 })
			leave()
			eventually(t, promise(time.Second), "the upstream is left", func() bool { return m.upstream.Open() == 0 })
		})
	}
}

// begin asks in the background and returns how to leave.
func begin(t *testing.T, p person, message string, stream bool) (leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		resp, err := p.ask(ctx, message, stream)
		if err == nil {
			<-ctx.Done()
			resp.Body.Close()
		}
	}()
	return func() {
		cancel()
		<-left
	}
}
