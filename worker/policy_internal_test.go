package worker

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"hermes/supervisor/handoff"
	"hermes/worker/policy"
	"hermes/worker/store"
	"hermes/worker/tools"
)

// What the log keeps of a command has no secret in it, and is bounded.
func TestAuditIsCleanAndBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := store.Open(path, store.Options{})
	defer s.Close()
	keep := audit(s, newRedactor([]string{"sesame-open-now"}).text)
	verdict := policy.Verdict{Denied: true, Class: policy.Power, Rule: "x", Setting: "agent.deny"}
	for _, command := range []string{"curl -H 'Authorization: sesame-open-now' x", strings.Repeat("größe ", 2000)} {
		d := tools.Decision{Turn: tools.Turn{RunID: "r"}, CallID: "c", Tool: "terminal", Command: command, Verdict: verdict}
		if err := keep(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	got, err := store.ReadDecisions(t.Context(), path, 10)
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if d := got[0]; d.Command != "curl -H 'Authorization: [redacted]' x" || d.RunID != "r" || d.CallID != "c" || d.Tool != "terminal" ||
		!d.Denied || d.Class != "power" || d.Rule != "x" || d.Setting != "agent.deny" || d.At.IsZero() {
		t.Errorf("%+v", d)
	}
	if command := got[1].Command; len(command) > maxLoggedCommand+10 || !utf8.ValidString(command) {
		t.Errorf("%d bytes", len(command))
	}
}

// Rules that cannot be read end the worker for good: its supervisor waits for a
// change of the settings.
func TestBadRulesAreBadSettings(t *testing.T) {
	t.Parallel()
	for _, agent := range []handoff.Agent{{Deny: []string{"a | b"}}, {Allow: []string{"class:power"}}, {Approvals: "ask"}} {
		_, err := policy.New(PolicyOptions(agent, "/x"))
		if err == nil || !strings.HasPrefix(err.Error(), "agent.") {
			t.Errorf("%+v: %v", agent, err)
		}
	}
}
