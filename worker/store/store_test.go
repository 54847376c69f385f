package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hermes/worker/store"
)

func TestNothingIsTouchedBeforeFirstUse(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := store.Open(filepath.Join(dir, "state.db"), store.Options{})
	must(t, s.Checkpoint(t.Context()))
	must(t, s.Close())
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory exists (%v)", err)
	}
}

func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := reopen(t, filepath.Join(dir, "state.db"), store.Options{})
	begin(t, s, "s", "r")
	for name, want := range map[string]os.FileMode{".": 0o700, "state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s is %o, want %o", name, got, want)
		}
	}
}

func TestPathMayHoldAnything(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"plain.db", "two words.db", "what?mode=ro.db", "a#b.db", "100%.db", "%41.db", "é.db", ":memory:", "file:x.db", "a&b=c;d.db"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "a ?#% dir")
			path := filepath.Join(dir, name)
			s := store.Open(path, store.Options{})
			begin(t, s, "s", "r")
			must(t, s.Close())
			entries, err := os.ReadDir(dir)
			must(t, err)
			if len(entries) != 1 || entries[0].Name() != name {
				t.Errorf("the directory holds %v, want only %q", entries, name)
			}
			if got := transcript(t, reopen(t, path, store.Options{}), "s"); len(got) != 1 {
				t.Errorf("after reopening: %v", got)
			}
		})
	}
}

func TestFirstUseByManyAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			session := store.Session{ID: fmt.Sprintf("s%d", i%3)}
			for j := range 10 {
				run := fmt.Sprintf("r%d-%d", i, j)
				err := errors.Join(
					s.BeginRun(t.Context(), session, store.Run{ID: run}, store.Message{Body: []byte("hi")}),
					s.AppendAssistant(t.Context(), run, store.Message{}, []store.ToolCall{{ID: "1"}}),
					s.StartTool(t.Context(), run, "1", time.Time{}),
					s.FinishTool(t.Context(), run, "1", store.ToolResult{Text: run}),
					s.EndRun(t.Context(), run, store.End{Status: store.StatusDone}, &store.Message{Body: []byte("bye")}),
					s.Checkpoint(t.Context()),
				)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	runs, messages := 0, 0
	for i := range 3 {
		rs, err := s.Runs(t.Context(), fmt.Sprintf("s%d", i))
		must(t, err)
		for _, run := range rs {
			if run.Status != store.StatusDone {
				t.Errorf("run %s is %s", run.ID, run.Status)
			}
		}
		runs += len(rs)
		messages += len(transcript(t, s, fmt.Sprintf("s%d", i)))
	}
	if runs != 200 || messages != 800 {
		t.Errorf("%d runs and %d messages, want 200 and 800", runs, messages)
	}
}

// Two generations of a worker overlap while one replaces the other.
func TestTwoProcessesTakeTurns(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	stores := []*store.Store{reopen(t, path, store.Options{}), reopen(t, path, store.Options{})}
	var wg sync.WaitGroup
	for i, s := range stores {
		wg.Go(func() {
			for j := range 50 {
				run := fmt.Sprintf("r%d-%d", i, j)
				err := errors.Join(
					s.BeginRun(t.Context(), store.Session{ID: "s"}, store.Run{ID: run}, store.Message{}),
					s.EndRun(t.Context(), run, store.End{Status: store.StatusDone}, nil),
				)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	runs, err := stores[0].Runs(t.Context(), "s")
	must(t, err)
	if len(runs) != 100 {
		t.Errorf("%d runs, want 100", len(runs))
	}
}

func TestOpeningIsTriedAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	write(t, dir, []byte("in the way"), 0o600)
	s := reopen(t, filepath.Join(dir, "state.db"), store.Options{})
	_, err := s.Sessions(t.Context(), 10)
	if err == nil || !strings.Contains(err.Error(), dir) {
		t.Fatalf("error %v, want one that names %s", err, dir)
	}
	must(t, os.Remove(dir))
	begin(t, s, "s", "r")
}

func TestCancelledContext(t *testing.T) {
	t.Parallel()
	s := open(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	writing := func() error {
		return s.BeginRun(cancelled, store.Session{ID: "s"}, store.Run{ID: "r"}, store.Message{})
	}
	if err := writing(); !errors.Is(err, context.Canceled) {
		t.Errorf("first use: %v", err)
	}
	begin(t, s, "s", "other")
	if err := writing(); !errors.Is(err, context.Canceled) {
		t.Errorf("write: %v", err)
	}
	if _, err := s.Messages(cancelled, "s"); !errors.Is(err, context.Canceled) {
		t.Errorf("read: %v", err)
	}
	if _, err := s.Run(t.Context(), "r"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the cancelled run was recorded (%v)", err)
	}
	begin(t, s, "s", "r")
}

func TestWaitForALockEndsWithTheContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := reopen(t, path, store.Options{})
	begin(t, s, "s", "r")

	other := raw(t, path)
	conn, err := other.Conn(t.Context())
	must(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	must(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	err = s.StartTool(ctx, "r", "1", time.Time{})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 3*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	_, err = conn.ExecContext(t.Context(), "ROLLBACK")
	must(t, err)
	ask(t, s, "r", "1")
}

func TestClose(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := store.Open(path, store.Options{})
	begin(t, s, "s", "r")
	must(t, s.Close())
	must(t, s.Close())
	if _, err := s.Messages(t.Context(), "s"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
	if err := s.EndRun(t.Context(), "r", store.End{Status: store.StatusDone}, nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the log was left behind (%v)", err)
	}
}

func TestLogBeginsAnew(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	big := make([]byte, 256<<10)
	for name, after := range map[string]func(s *store.Store) error{
		"when told to":      func(s *store.Store) error { return s.Checkpoint(t.Context()) },
		"when nobody cares": func(*store.Store) error { return nil },
	} {
		s := reopen(t, path+name, store.Options{})
		for i := range 200 { // 50 MiB in all
			must(t, s.BeginRun(t.Context(), store.Session{ID: "s"}, store.Run{ID: fmt.Sprint(i)}, store.Message{Body: big}))
			must(t, after(s))
		}
		info, err := os.Stat(path + name + "-wal")
		must(t, err)
		if info.Size() > 24<<20 {
			t.Errorf("%s: the log has %d MiB", name, info.Size()>>20)
		}
	}
}
