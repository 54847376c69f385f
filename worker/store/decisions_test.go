package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"hermes/worker/store"
)

func TestDecisions(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "state.db")
	if got, err := store.ReadDecisions(t.Context(), path, 10); err != nil || got != nil {
		t.Errorf("of no database: %+v, %v", got, err)
	}
	s := reopen(t, path, store.Options{})
	want := []store.Decision{
		{ID: 1, RunID: "r", CallID: "c1", Tool: "terminal", Command: "rm -rf /", Denied: true, Class: "delete_recursive_root", At: start()},
		{ID: 2, RunID: "r", CallID: "c2", Tool: "terminal", Command: "ls", At: start()},
		{ID: 3, RunID: "q", CallID: "c1", Tool: "terminal", Command: "apt update", Class: "packages", Rule: "apt *", Setting: "agent.allow", At: start()},
	}
	for _, d := range want {
		must(t, s.AddDecision(t.Context(), store.Decision{
			RunID: d.RunID, CallID: d.CallID, Tool: d.Tool, Command: d.Command, Denied: d.Denied, Class: d.Class, Rule: d.Rule, Setting: d.Setting,
		}))
	}
	// Beside a Store that has the file open, and after it.
	for range 2 {
		got, err := store.ReadDecisions(t.Context(), path, 10)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v", got, err)
		}
		got, err = store.ReadDecisions(t.Context(), path, 2)
		if err != nil || !reflect.DeepEqual(got, want[1:]) {
			t.Errorf("the last two: %+v, %v", got, err)
		}
		must(t, s.Close())
	}
	s = reopen(t, path, store.Options{Recover: true})
	must(t, s.AddDecision(t.Context(), store.Decision{Command: "pwd"}))
	if health := s.Health(t.Context()); health.Err != nil || len(health.Damaged) > 0 {
		t.Errorf("health after reading: %+v", health)
	}
}

// However many commands an agent runs, the database stays bounded, and what was
// denied stays in it.
func TestDecisionsAreBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := reopen(t, path, store.Options{})
	must(t, s.AddDecision(t.Context(), store.Decision{Command: "rm -rf /", Denied: true}))
	_, err := raw(t, path).ExecContext(t.Context(), `
		WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
		INSERT INTO decisions SELECT i, 'r', 'c', 'terminal', 'ls ' || i, 0, '', '', '', i FROM n`)
	must(t, err)
	for i := range 99 {
		must(t, s.AddDecision(t.Context(), store.Decision{Command: fmt.Sprint("pwd ", i)}))
	}
	read, err := store.ReadDecisions(t.Context(), path, 1_000_000)
	must(t, err)
	if len(read) != 12_099 {
		t.Errorf("%d decisions before they are made fewer", len(read))
	}
	must(t, s.AddDecision(t.Context(), store.Decision{Command: "the last"}))
	read, err = store.ReadDecisions(t.Context(), path, 1_000_000)
	must(t, err)
	if len(read) != 10_001 || !read[0].Denied || read[1].Command != "ls 2101" || read[len(read)-1].Command != "the last" {
		t.Errorf("%d decisions, from %+v and %+v", len(read), read[0], read[1])
	}
}

// addDecisions decides for as long as it can, and prints a line for each decision
// that was acknowledged.
func addDecisions(ctx context.Context, path string) int {
	s := store.Open(path, store.Options{Recover: true})
	for n := 0; ; n++ {
		command := fmt.Sprintf("echo %d-%d", os.Getpid(), n)
		if err := s.AddDecision(ctx, store.Decision{Command: command, Denied: n%2 == 0}); err != nil {
			fmt.Println("error", err)
			return 1
		}
		fmt.Println(command)
	}
}

// What was decided is there when the process is killed at that moment, also for
// who only reads.
func TestKilledProcessLosesNoDecision(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	for range 3 {
		acks, said := runChild(t, path, 20, workEnv+"=decisions")
		if said != "" {
			t.Fatalf("the child ended by itself: %s", said)
		}
		read, err := store.ReadDecisions(t.Context(), path, 1_000_000)
		must(t, err)
		have := map[string]bool{}
		for _, d := range read {
			have[d.Command] = true
		}
		for ack := range acks {
			if !have[ack] {
				t.Errorf("%q is lost", ack)
			}
		}
	}
}
