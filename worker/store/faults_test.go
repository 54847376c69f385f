package store_test

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"hermes/worker/store"
)

// loseSyncs lets every fsync fail after its first response, and says what comes
// of that.
func loseSyncs(ctx context.Context, path string) int {
	s := store.Open(path, store.Options{OnBroken: func() { fmt.Println("broken") }})
	fmt.Println("before", kind(s.PutResponse(ctx, answered("before", ""), store.Put{})))
	if err := failSyncs(); err != nil {
		fmt.Println("error", err)
		return 1
	}
	fmt.Println("during", kind(s.PutResponse(ctx, answered("during", ""), store.Put{})))
	fmt.Println("read", kind(second(s.Response(ctx, "before"))))
	fmt.Println("write", kind(s.DeleteResponse(ctx, "before")))
	fmt.Println("health", kind(s.Health(ctx).Err))
	return 1 // as a worker leaves that cannot go on
}

// reopenAfterFailure goes on in the same process after a write went wrong.
func reopenAfterFailure(ctx context.Context, path string) int {
	s := store.Open(path, store.Options{})
	fmt.Println("before", kind(s.PutResponse(ctx, answered("before", ""), store.Put{})))
	fmt.Println("in flight", kind(s.PutResponse(ctx, begun("r", "before"), store.Put{})))
	signal.Ignore(syscall.SIGXFSZ)
	var old syscall.Rlimit
	err := errors.Join(syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old),
		syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1000, Max: old.Max}))
	fmt.Println("during", kind(s.PutResponse(ctx, answered("r", ""), store.Put{Update: true})))
	fmt.Println("read", kind(second(s.Response(ctx, "before"))))
	if err := errors.Join(err, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old)); err != nil {
		fmt.Println("error", err)
	}
	fmt.Println("still", kind(s.PutResponse(ctx, answered("r", ""), store.Put{Update: true})))
	fmt.Println("reopen", kind(s.Reopen(ctx)))
	r, err := s.Response(ctx, "r")
	fmt.Println("reconcile", kind(err), r.Status)
	fmt.Println("again", kind(s.PutResponse(ctx, answered("r", ""), store.Put{Update: true})))
	fmt.Println("close", kind(s.Close()))
	return 0
}

// kind is what a caller can tell of an error.
func kind(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, store.ErrIO):
		return "io"
	default:
		return err.Error()
	}
}

func said(t *testing.T, path, work string, want ...string) {
	t.Helper()
	acks, complaint := runChild(t, path, -1, workEnv+"="+work)
	for _, line := range want {
		if !acks[line] {
			t.Errorf("the child did not say %q", line)
		}
	}
	if complaint != "" || len(acks) != len(want) {
		t.Errorf("the child said %v\n%s", acks, complaint)
	}
}

// An fsync that fails may have written everything, a part, or nothing.
func TestACommitThatWentWrongStopsTheStore(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only on Linux a process can make its own system calls fail")
	}
	path := filepath.Join(t.TempDir(), "state.db")
	said(t, path, "syncs", "before ok", "broken", "during io", "read io", "write io", "health io")
	// The next process finds the whole truth.
	s := reopen(t, path, store.Options{Recover: true})
	if r, err := s.Response(t.Context(), "before"); err != nil || r.Status != store.ResponseCompleted {
		t.Errorf("response before the failure: %+v (%v)", r, err)
	}
	r, err := s.Response(t.Context(), "during")
	if err != nil && !errors.Is(err, store.ErrNotFound) || err == nil && string(r.Body) != string(answered("during", "").Body) {
		t.Errorf("response during the failure: %+v (%v)", r, err)
	}
	t.Logf("what was reported as unknown is there: %t", err == nil)
	if health := s.Health(t.Context()); health.Err != nil || health.Damaged != nil {
		t.Errorf("health is %+v", health)
	}
}

func TestAStoreGoesOnAfterReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	said(t, path, "reopen", "before ok", "in flight ok", "during io", "read io", "still io",
		"reopen ok", "reconcile ok in_progress", "again ok", "close ok")
	s := reopen(t, path, store.Options{Recover: true})
	if got := history(t, s, "r"); got != "before r" {
		t.Errorf("history is %q", got)
	}
}

func TestFullDiskKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	dir, grow := smallDisk(t)
	path := filepath.Join(dir, "state.db")
	s := reopen(t, path, store.Options{Recover: true})
	ctx := t.Context()
	var err error
	var stored []string
	for err == nil {
		id := fmt.Sprint(len(stored))
		r := answered(id, "")
		r.Body = make([]byte, 20_000)
		if err = s.PutResponse(ctx, r, store.Put{Keep: 1e6}); err == nil {
			stored = append(stored, id)
		}
	}
	if !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), "free some space for "+path) || len(stored) == 0 {
		t.Fatalf("after %d responses: %v", len(stored), err)
	}
	if gone := missing(t, s, stored...); gone != nil {
		t.Errorf("lost are %v", gone)
	}
	if _, err := s.Response(ctx, fmt.Sprint(len(stored))); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what was not stored: %v", err)
	}
	if health := s.Health(ctx); !errors.Is(health.Err, store.ErrFull) {
		t.Errorf("health is %+v", health)
	}
	fresh := reopen(t, filepath.Join(dir, "fresh", "state.db"), store.Options{})
	if _, err := fresh.Sessions(ctx, 1); !errors.Is(err, store.ErrFull) {
		t.Errorf("a new database: %v", err)
	}

	grow()
	if health := s.Health(ctx); health.Err != nil {
		t.Errorf("health with space again is %+v", health)
	}
	put(t, s, answered("after", stored[0]), store.Put{Keep: 1e6})
	if _, err := fresh.Sessions(ctx, 1); err != nil {
		t.Errorf("a new database: %v", err)
	}
	must(t, s.Close())
	s = reopen(t, path, store.Options{Recover: true})
	if gone := missing(t, s, append(stored, "after")...); gone != nil {
		t.Errorf("lost are %v", gone)
	}
}
