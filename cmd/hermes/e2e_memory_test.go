package main_test

import (
	"strings"
	"syscall"
	"testing"
)

// What is remembered in one session is known to the next, also when the worker
// was killed in between, and the session that is under way keeps the prompt that
// its upstream has cached.
func TestMemoryOutlivesItsWorker(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	g := m.gateway(1, "-p", "alice")
	// says has alice say something, and returns the system prompt that the model saw
	// last.
	says := func(message string, flags ...string) string {
		t.Helper()
		m.run(append([]string{"-p", "alice", "chat", message}, flags...)...)
		calls := m.upstream.Calls()
		return calls[len(calls)-1].System()
	}
	const fact = "The boat is called Mirabelle."
	before := says("say hello", "--session", "old")
	if strings.Contains(before, fact) {
		t.Fatalf("it is known from the start:\n%s", before)
	}
	says(`call memory {"target":"memory","action":"add","content":"`+fact+`"}`, "--session", "old")

	killed := g.worker(alice)
	if killed == 0 {
		t.Fatal("there is no worker")
	}
	if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "another worker is there", func() bool {
		pid := g.worker(alice)
		return pid != 0 && pid != killed
	})
	eventually(t, patience, "it is ready", func() bool {
		return strings.Contains(m.run("gateway", "status", "--json"), `"state": "ready"`)
	})
	if after := says("say who are you"); !strings.Contains(after, fact) {
		t.Errorf("a new session does not know it:\n%s", after)
	}
	if after := says("say still there", "--session", "old"); after != before {
		t.Errorf("the prompt of the old session was\n%s\nand is\n%s", before, after)
	}
	calls := m.upstream.Calls()
	if last := string(calls[len(calls)-1].Body); !strings.Contains(last, "say hello") || !strings.Contains(last, "Mirabelle") {
		t.Errorf("the old session has lost what was said: %s", last)
	}
}
