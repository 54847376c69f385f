package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hermes/worker/store"
)

// A database of the version before crashes were gone on from keeps what is in it: a
// response in the background that was left in flight lacks what it takes to go on,
// and ends; sessions have no parents.
func TestMigrationToResumes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	db := raw(t, path)
	files, err := filepath.Glob("migrations/*.sql")
	must(t, err)
	before := 0
	for ; !strings.HasSuffix(files[before], "_unheard.sql"); before++ {
		text, err := os.ReadFile(files[before])
		must(t, err)
		_, err = db.ExecContext(t.Context(), string(text))
		must(t, err)
	}
	_, err = db.ExecContext(t.Context(), fmt.Sprintf(`PRAGMA user_version = %d;
		INSERT INTO sessions VALUES ('s', 'chat', 1, 1);
		INSERT INTO runs (id, session_id, source, request_id, model, status, owner, began_at) VALUES ('r', 's', 'chat', '', '', 'running', 'dead', 1);
		INSERT INTO turns VALUES (1, NULL, x'');
		INSERT INTO responses VALUES (1, 'resp', '', '', 0, 'r', 'in_progress', 1, 'dead', 1, 1);
		INSERT INTO response_bodies (turn_id, instructions, body, input) VALUES (1, '', x'', x'')`, before))
	must(t, err)
	must(t, db.Close())

	s := reopen(t, path, store.Options{Recover: true, OnAdopt: func() { t.Error("it was adopted") }})
	if response, err := s.Response(t.Context(), "resp"); err != nil || response.Status != store.ResponseFailed {
		t.Errorf("the response is %+v (%v)", response, err)
	}
	if run, err := s.Run(t.Context(), "r"); err != nil || run.Status != store.StatusInterrupted || run.ParentID != "" {
		t.Errorf("the run is %+v (%v)", run, err)
	}
	if list, err := s.Summaries(t.Context(), store.Latest{Limit: 5}); err != nil || len(list) != 1 || list[0].ParentID != "" {
		t.Errorf("the sessions are %+v (%v)", list, err)
	}
}

// What a dead process made in the background is taken over, at most twice; each time
// it is handed out once, with what was recorded.
func TestResponsesInTheBackgroundAreAdopted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := store.Open(path, store.Options{})
	must(t, s.BeginRun(t.Context(), store.Session{ID: "s"}, store.Run{ID: "run"}, store.Message{Body: []byte("question")}))
	for _, r := range []store.Response{
		{ID: "begun", RunID: "run", Background: true, Request: []byte("request")},
		{ID: "queued", RunID: "later", Background: true, Request: []byte("request")},
		{ID: "foreground", Request: []byte("request")},
		{ID: "old", Background: true},
	} {
		r.Status, r.Body = store.ResponseQueued, []byte("{}")
		put(t, s, r, store.Put{})
	}
	must(t, s.Close())
	for times := range 4 {
		called := 0
		s := store.Open(path, store.Options{Recover: true, OnAdopt: func() { called++ }})
		adopted, err := s.Adopted(t.Context())
		must(t, err)
		var got []string
		for _, a := range adopted {
			got = append(got, fmt.Sprint(a.ID, a.Resumes, a.Begun(), len(a.Messages), string(a.Request)))
		}
		want := fmt.Sprintf("[begun%d true 1request queued0 false 0request]", times)
		if times >= store.MaxResumes { // one that has not begun is no reason for a crash
			want = "[queued0 false 0request]"
		}
		if fmt.Sprint(got) != want || called != 1 {
			t.Errorf("time %d: adopted %v, want %s; called %d times", times, got, want, called)
		}
		if again, err := s.Adopted(t.Context()); err != nil || len(again) > 0 {
			t.Errorf("handed out again: %v (%v)", again, err)
		}
		for id, ended := range map[string]bool{"begun": times >= store.MaxResumes, "queued": false, "foreground": true, "old": true} {
			if r, err := s.Response(t.Context(), id); err != nil || r.InFlight() == ended {
				t.Errorf("time %d: %s is %s (%v)", times, id, r.Status, err)
			}
		}
		must(t, s.Close())
	}
}
