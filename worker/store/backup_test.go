package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hermes/worker/store"
)

func TestBackupIsWholeWhileTurnsRun(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "state.db")
	s := reopen(t, path, store.Options{})
	for i := range 50 {
		begin(t, s, fmt.Sprint("s", i), fmt.Sprint("r", i))
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 50; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			err := s.BeginRun(t.Context(), store.Session{ID: fmt.Sprint("s", i), Source: "chat"}, store.Run{ID: fmt.Sprint("r", i)}, store.Message{Body: []byte("hi")})
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	copied := filepath.Join(t.TempDir(), "copy.db")
	err := store.Backup(t.Context(), path, copied)
	close(stop)
	<-stopped
	must(t, err)
	must(t, store.Check(t.Context(), copied))
	if info, err := os.Stat(copied); err != nil || info.Mode() != 0o600 {
		t.Errorf("the copy is %v, %v", info, err)
	}
	must(t, store.Settle(t.Context(), copied))
	if left, _ := filepath.Glob(copied + "-*"); len(left) > 0 {
		t.Errorf("beside the copy there is %v", left)
	}
	other := reopen(t, copied, store.Options{ReadOnly: true})
	for _, run := range []string{"r0", "r49"} {
		got, err := other.Run(t.Context(), run)
		if err != nil || got.Status != store.StatusInterrupted {
			t.Errorf("%s in the copy is %+v, %v", run, got, err)
		}
	}
	if got, err := s.Run(t.Context(), "r0"); err != nil || got.Status == store.StatusInterrupted {
		t.Errorf("the original has %+v, %v", got, err)
	}
}

func TestBackupsOfOneStateAreEqual(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "state.db")
	s := reopen(t, path, store.Options{})
	begin(t, s, "s", "r")
	var copies [2][]byte
	for i := range copies {
		to := filepath.Join(t.TempDir(), "copy.db")
		must(t, store.Backup(t.Context(), path, to))
		copies[i], _ = os.ReadFile(to)
	}
	if !bytes.Equal(copies[0], copies[1]) || len(copies[0]) == 0 {
		t.Errorf("the copies have %d and %d bytes and differ", len(copies[0]), len(copies[1]))
	}
	if err := store.Backup(t.Context(), path+"-not", filepath.Join(t.TempDir(), "x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no database: %v", err)
	}
}

func TestCheckRefusesForeignDatabases(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil string
		want  error
	}{
		"good":            {"", nil},
		"statistics":      {"ANALYZE", nil},
		"newer":           {"PRAGMA user_version = 9999", store.ErrNewer},
		"of no version":   {"PRAGMA user_version = 0", store.ErrDamaged},
		"negative":        {"PRAGMA user_version = -1", store.ErrDamaged},
		"further table":   {"CREATE TABLE more (x)", store.ErrDamaged},
		"trigger":         {"CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM messages; END", store.ErrDamaged},
		"table is a view": {"DROP TABLE chat_totals; CREATE VIEW chat_totals AS SELECT 1 AS turns", store.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "data", "state.db")
			s := store.Open(path, store.Options{})
			begin(t, s, "s", "r")
			must(t, s.Close())
			if test.spoil != "" {
				_, err := raw(t, path).ExecContext(t.Context(), test.spoil)
				must(t, err)
			}
			if err := store.Check(t.Context(), path); !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
	path := filepath.Join(t.TempDir(), "state.db")
	must(t, os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600))
	if err := store.Check(t.Context(), path); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("of a text: %v", err)
	}
}
