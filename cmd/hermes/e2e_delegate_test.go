package main_test

import (
	"strings"
	"testing"
)

// What an agent hands on is shown as one line of its turn, and can be looked into as
// a session of its own, which a list leaves out unless it is asked.
func TestHandedOnTasksAreSessionsOfTheirOwn(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	m.gateway(1, "--all")
	const tasks = `call delegate_task {"tasks":[{"goal":"first\nrun ` + "`echo from one`" + `"},{"goal":"second\nrun ` + "`echo from two`" + `"}]}`
	resp, err := alice.ask(t.Context(), tasks, true)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := content(resp.Body)
	if err != nil || !strings.Contains(text, "`👥 2 tasks: first run ") || strings.Contains(text, "💻") || !strings.Contains(text, "from one") {
		t.Errorf("the stream is %q (%v)", text, err)
	}

	lines := strings.Split(strings.TrimSpace(m.run("-p", "alice", "session", "list")), "\n")
	if len(lines) != 2 {
		t.Fatalf("the list is %q", lines)
	}
	parent := strings.Fields(lines[1])[0]
	all := m.run("-p", "alice", "session", "list", "--all")
	if strings.Count(all, "(task of "+parent+")") != 2 || strings.Count(strings.TrimSpace(all), "\n") != 3 {
		t.Errorf("the whole list is %s", all)
	}
	shown := m.run("-p", "alice", "session", "show", parent)
	_, rest, _ := strings.Cut(shown, "Handed on to session ")
	child, _, _ := strings.Cut(rest, ":")
	if strings.Count(shown, "Handed on to session ") != 2 || !strings.HasPrefix(child, "task_") {
		t.Fatalf("the session is shown as %s", shown)
	}
	if shown := m.run("-p", "alice", "session", "show", child); !strings.Contains(shown, "A task of session "+parent+".") || !strings.Contains(shown, "from ") {
		t.Errorf("the task is shown as %s", shown)
	}
	if status, got := alice.answer(t, `call session_search {"session_id":"`+child+`"}`); status != 200 || !strings.Contains(got, "a task of session "+parent) {
		t.Errorf("the agent finds %d %s", status, got)
	}
}
