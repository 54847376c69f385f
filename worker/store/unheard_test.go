package store_test

import (
	"path/filepath"
	"testing"

	"hermes/worker/store"
)

// A run whose process died is found by the history that it answered, until its
// client has an answer; one of a process that lives is not.
func TestUnheardRunsAreFoundByTheirHistories(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	histories := [][]byte{[]byte("none"), []byte("h1"), []byte("h2")}
	found := func(s *store.Store) (runs []string) {
		t.Helper()
		all, err := s.Unheard(t.Context(), histories)
		must(t, err)
		for _, run := range all {
			runs = append(runs, string(histories[run.Place])+" "+run.RunID+" "+run.SessionID)
			if len(run.Messages) != 1 || string(run.Messages[0].Body) != "answer" {
				t.Errorf("run %s has %+v", run.RunID, run.Messages)
			}
		}
		return runs
	}
	dead := store.Open(path, store.Options{})
	for _, run := range []store.Run{{ID: "r1", History: "h1"}, {ID: "r2", History: "h2"}, {ID: "r3"}, {ID: "r4", History: "h2"}} {
		must(t, dead.BeginRun(t.Context(), store.Session{ID: "s"}, run, store.Message{Body: []byte("question")}))
		status := store.StatusDone
		if run.ID == "r4" {
			status = store.StatusFailed // its client was told, or had gone
		}
		must(t, dead.EndRun(t.Context(), run.ID, store.End{Status: status}, &store.Message{Body: []byte("answer")}))
	}
	if got := found(dead); got != nil {
		t.Errorf("the process that made them finds %v", got)
	}
	must(t, dead.Close())
	s := reopen(t, path, store.Options{Recover: true})
	if got := found(s); len(got) != 2 || got[0] != "h1 r1 s" || got[1] != "h2 r2 s" {
		t.Errorf("found %v", got)
	}
	must(t, s.Heard(t.Context(), "r1"))
	if got := found(s); len(got) != 1 || got[0] != "h2 r2 s" {
		t.Errorf("when one was heard, found %v", got)
	}
}
