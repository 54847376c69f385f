package main_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"hermes/worker/openai"
)

// tool makes a profile's agent call a tool in a conversation, and returns all that
// came of it.
func (p person) tool(t *testing.T, conversation, name string, arguments map[string]any) string {
	t.Helper()
	response, got := p.use(t, conversation, name, arguments)
	if response.Status != "completed" {
		t.Fatalf("the turn is %s", got)
	}
	return got
}

// use is tool, whatever becomes of the turn after the call.
func (p person) use(t *testing.T, conversation, name string, arguments map[string]any) (openai.Response, string) {
	t.Helper()
	encoded, err := json.Marshal(arguments)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{"input": fmt.Sprintf("call %s %s", name, encoded), "conversation": conversation})
	if err != nil {
		t.Fatal(err)
	}
	return p.respond(t, string(body))
}

// startJob starts a job that says "half way" and has two processes that sleep for so
// many seconds, and returns its id.
func (p person) startJob(t *testing.T, seconds string) string {
	t.Helper()
	got := p.tool(t, "jobs", "terminal", map[string]any{
		"command": strings.ReplaceAll("echo half way; (setsid sleep N &); sleep N; true", "N", seconds), "background": true,
	})
	id := regexp.MustCompile(`job_[0-9a-f]{8}`).FindString(got)
	if id == "" {
		t.Fatalf("no job in %s", got)
	}
	eventually(t, patience, "the job has its processes", func() bool { return len(processes(t, "sleep\x00"+seconds)) == 2 })
	// What it has written is recorded once somebody had a second to wait for it.
	if got := p.tool(t, "jobs", "process", map[string]any{"action": "wait", "session_id": id, "timeout": 1}); !strings.Contains(got, "half way") || !strings.Contains(got, id+": running for ") {
		t.Fatalf("got %s", got)
	}
	return id
}

// A job outlives the turn that started it, and turns whose clients leave; it does
// not outlive its worker, and the next one says so.
func TestKilledWorkerLosesItsJobsHonestly(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	g := m.gateway(1, "--all")
	ofJob, ofCommand := mark(), mark()
	id := alice.startJob(t, ofJob)

	leave := begin(t, alice, "run `setsid sleep "+ofCommand+" & sleep "+ofCommand+"`", true)
	defer leave()
	eventually(t, patience, "the command runs", func() bool { return len(processes(t, "sleep\x00"+ofCommand)) == 2 })
	leave()
	eventually(t, patience, "the command is gone with its client", func() bool { return len(processes(t, "sleep\x00"+ofCommand)) == 0 })
	if left := processes(t, "sleep\x00"+ofJob); len(left) != 2 {
		t.Errorf("of the job's two processes there are %v", left)
	}
	if got := alice.tool(t, "other", "process", map[string]any{"action": "list"}); !strings.Contains(got, id+"  running for ") {
		t.Errorf("the list is %s", got)
	}

	if err := syscall.Kill(g.worker(alice), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	got := alice.tool(t, "other", "process", map[string]any{"action": "list"})
	if left := processes(t, ofJob); len(left) != 0 {
		t.Errorf("the next worker answers, and there is %v", left)
	}
	if !strings.Contains(got, id+"  lost: the agent's process died, and the job with it") {
		t.Errorf("the list is %s", got)
	}
	if got := alice.tool(t, "other", "process", map[string]any{"action": "log", "session_id": id}); !strings.Contains(got, "half way") {
		t.Errorf("the log is %s", got)
	}
}

func TestStoppedGatewayEndsItsJobs(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	g := m.gateway(1, "--all")
	mark := mark()
	id := alice.startJob(t, mark)
	g.stop()
	if left := processes(t, mark); len(left) != 0 {
		t.Errorf("there is %v", left)
	}
	m.gateway(1, "--all")
	if got := alice.tool(t, "other", "process", map[string]any{"action": "poll", "session_id": id}); !strings.Contains(got, id+": killed when the agent stopped after ") || !strings.Contains(got, "half way") {
		t.Errorf("got %s", got)
	}
}

func TestWorkingDirectoryOfAConversation(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	m.gateway(1, "--all")
	alice.tool(t, "one", "terminal", map[string]any{"command": "mkdir -p deep/down && cd deep/down"})
	for conversation, want := range map[string]bool{"one": true, "two": false} {
		if got := alice.tool(t, conversation, "terminal", map[string]any{"command": "pwd"}); strings.Contains(got, "/workspace/deep/down") != want {
			t.Errorf("conversation %s: %s", conversation, got)
		}
	}
}
