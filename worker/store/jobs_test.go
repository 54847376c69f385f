package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hermes/worker/store"
)

// job is a job that runs.
func job(id string) store.Job {
	return store.Job{
		ID: id, SessionID: "s", RunID: "r", Command: "make all", Dir: "/work", Terminal: true,
		Status: store.JobRunning, Began: start(),
	}
}

func TestAJobIsKept(t *testing.T) {
	t.Parallel()
	s := open(t)
	want := job("a")
	must(t, s.PutJob(t.Context(), want))
	if got, err := s.Job(t.Context(), "a"); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	want.Status, want.Ending, want.Ended = store.JobEnded, "exit code 1", start().Add(time.Minute)
	want.Received, want.Lines, want.File, want.Output = 9, 2, "f.txt", "größe\nx\n"
	changed := want
	changed.Command = "something else" // it is what it began as
	must(t, s.PutJob(t.Context(), changed))
	if got, err := s.Job(t.Context(), "a"); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	later := job("b")
	later.Began = start().Add(time.Second)
	must(t, s.PutJob(t.Context(), later))
	want.Output = ""
	if got, err := s.Jobs(t.Context()); err != nil || len(got) != 2 || got[0] != later || got[1] != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := s.Job(t.Context(), "c"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("error %v", err)
	}
}

func TestTheNewestJobsAreKept(t *testing.T) {
	t.Parallel()
	s := open(t)
	must(t, s.PutJob(t.Context(), job("runs")))
	for i := range 70 {
		j := job(fmt.Sprint(i))
		must(t, s.PutJob(t.Context(), j))
		j.Status, j.Ended = store.JobEnded, start().Add(time.Duration(i)*time.Second)
		must(t, s.PutJob(t.Context(), j))
	}
	jobs, err := s.Jobs(t.Context())
	must(t, err)
	ids := map[string]bool{}
	for _, j := range jobs {
		ids[j.ID] = true
	}
	if len(jobs) != 65 || !ids["runs"] || !ids["69"] || !ids["6"] || ids["5"] {
		t.Errorf("%d jobs: %v", len(jobs), ids)
	}
}

func TestJobsOfADeadProcessAreLost(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := store.Open(path, store.Options{Now: start})
	running, ended := job("running"), job("ended")
	running.Output, running.Received, running.Lines = "last words\n", 11, 1
	ended.Status, ended.Ended = store.JobEnded, start()
	must(t, s.PutJob(t.Context(), running))
	must(t, s.PutJob(t.Context(), ended))
	must(t, s.Close())
	later := start().Add(time.Hour)
	for range 2 { // the second time changes nothing
		s := store.Open(path, store.Options{Recover: true, Now: func() time.Time { return later }})
		got, err := s.Job(t.Context(), "running")
		if err != nil || got.Status != store.JobLost || !strings.HasPrefix(got.Ending, "lost: ") || got.Output != "last words\n" || !got.Ended.Equal(start().Add(time.Hour)) {
			t.Errorf("got %+v, %v", got, err)
		}
		if got, err := s.Job(t.Context(), "ended"); err != nil || got.Status != store.JobEnded {
			t.Errorf("got %+v, %v", got, err)
		}
		must(t, s.Close())
		later = later.Add(time.Hour)
	}
}

func TestMigrationToJobs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	db := raw(t, path)
	for i, name := range []string{"0001_records.sql", "0002_responses.sql", "0003_outline.sql"} {
		text, err := os.ReadFile(filepath.Join("migrations", name))
		must(t, err)
		_, err = db.ExecContext(t.Context(), fmt.Sprintf("%s; PRAGMA user_version = %d", text, i+1))
		must(t, err)
	}
	_, err := db.ExecContext(t.Context(), "INSERT INTO sessions VALUES ('s', 'chat', 1, 1)")
	must(t, err)
	must(t, db.Close())
	s := reopen(t, path, store.Options{Recover: true})
	must(t, s.PutJob(t.Context(), job("a")))
	if sessions, err := s.Sessions(t.Context(), 9); err != nil || len(sessions) != 1 {
		t.Errorf("%d sessions, %v", len(sessions), err)
	}
}
