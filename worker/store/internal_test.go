package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// SQLite's own limit on pages fails exactly as a full disk does.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := Open(path, Options{})
	t.Cleanup(func() { s.Close() })
	db, err := s.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "PRAGMA max_page_count = 100"); err != nil {
		t.Fatal(err)
	}
	written := 0
	for err == nil {
		err = s.BeginRun(t.Context(), Session{ID: "s"}, Run{ID: fmt.Sprint(written)}, Message{Body: make([]byte, 10_000)})
		if err == nil {
			written++
		}
	}
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want ErrFull with %s", err, path)
	}
	messages, err := s.Messages(t.Context(), "s")
	if err != nil || len(messages) != written || written == 0 {
		t.Errorf("%d messages after %d acknowledged ones (%v)", len(messages), written, err)
	}
}

func TestPromisesReachSQLite(t *testing.T) {
	t.Parallel()
	s := Open(filepath.Join(t.TempDir(), "state.db"), Options{})
	t.Cleanup(func() { s.Close() })
	db, err := s.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []struct {
		promise promise
		want    int
	}{{outliveProcess, 1}, {outliveMachine, 2}, {outliveProcess, 1}} {
		var level int
		err := transact(t.Context(), db, p.promise, func(tx *transaction) error {
			return tx.GetContext(t.Context(), &level, "PRAGMA synchronous")
		})
		if err != nil || level != p.want {
			t.Errorf("synchronous is %d for %s, want %d (%v)", level, p.promise, p.want, err)
		}
	}
	var mode string
	var checkpoint int
	if err := errors.Join(db.Get(&mode, "PRAGMA journal_mode"), db.Get(&checkpoint, "PRAGMA wal_autocheckpoint")); err != nil {
		t.Fatal(err)
	}
	if mode != "wal" || checkpoint != 0 {
		t.Errorf("journal mode %s, automatic checkpoint after %d pages", mode, checkpoint)
	}
}
