package worker

import (
	"log/slog"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"hermes/worker/store"
	"hermes/worker/tools"
)

func TestJobsSurviveARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	log := slog.New(slog.DiscardHandler)
	at := time.UnixMicro(1_700_000_000_000_001)
	ended := tools.Job{
		ID: "job_1", SessionID: "s", RunID: "r", Command: "make", Dir: "/work", Terminal: true,
		Status: tools.JobEnded, Ending: "exit code 2", Received: 6, Lines: 1, File: "f.txt", Output: "words\n",
		Began: at, Ended: at.Add(time.Minute),
	}
	// Every field is kept: one that is new and forgotten here is zero.
	for i := range reflect.TypeFor[tools.Job]().NumField() {
		if reflect.ValueOf(ended).Field(i).IsZero() {
			t.Errorf("the test has no %s", reflect.TypeFor[tools.Job]().Field(i).Name)
		}
	}
	running := tools.Job{ID: "job_2", Command: "serve", Status: tools.JobRunning, Began: at.Add(time.Second)}
	first := store.Open(path, store.Options{Log: log})
	for _, job := range []tools.Job{ended, running} {
		if err := (jobs{first}).PutJob(t.Context(), job); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := store.Open(path, store.Options{Log: log, Recover: true})
	defer second.Close()
	kept := jobs{second}
	if got, err := kept.Job(t.Context(), "job_1"); err != nil || got != ended {
		t.Errorf("got %+v, %v", got, err)
	}
	all, err := kept.Jobs(t.Context())
	if err != nil || len(all) != 2 || all[0].ID != "job_2" || all[0].Status != tools.JobLost || all[0].Ended.IsZero() {
		t.Errorf("got %+v, %v", all, err)
	}
	if _, err := kept.Job(t.Context(), "job_3"); err == nil {
		t.Error("a job is there that nobody put")
	}
}
