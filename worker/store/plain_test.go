package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"hermes/worker/store"
)

// Whoever reads a profile's database from outside of its walls may be root. What its
// worker has put in the place of it is not read, and not waited for.
func TestDatabaseThatLeadsElsewhereIsNotRead(t *testing.T) {
	t.Parallel()
	another := filepath.Join(t.TempDir(), "state.db")
	s := store.Open(another, store.Options{Recover: true})
	if err := errors.Join(s.Health(t.Context()).Err, s.Close()); err != nil {
		t.Fatal(err)
	}
	for name, put := range map[string]func(path string) error{
		"a link":      func(path string) error { return os.Symlink(another, path) },
		"a pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		for what, read := range map[string]func(path string) error{
			"sessions": func(path string) (err error) {
				s := store.Open(path, store.Options{ReadOnly: true})
				defer func() { err = errors.Join(err, s.Close()) }()
				return s.Health(t.Context()).Err
			},
			"decisions": func(path string) error {
				_, err := store.ReadDecisions(t.Context(), path, 1)
				return err
			},
			"a copy": func(path string) error { return store.Backup(t.Context(), path, path+".copy") },
		} {
			t.Run(what+" of "+name, func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "state.db")
				if err := put(path); err != nil {
					t.Fatal(err)
				}
				done := make(chan error, 1)
				go func() { done <- read(path) }()
				select {
				case err := <-done:
					if err == nil {
						t.Error("it is read")
					}
				case <-time.After(10 * time.Second):
					t.Fatal("it is waited for")
				}
				if _, err := os.Lstat(path + ".copy"); err == nil {
					t.Error("a copy is left")
				}
			})
		}
	}
}

// Nor is anything written elsewhere that stands in the place of what SQLite keeps beside
// the database.
func TestWhatIsBesideADatabaseLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	for _, beside := range []string{"-wal", "-shm", "-journal"} {
		t.Run(beside, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path, elsewhere := filepath.Join(dir, "state.db"), filepath.Join(dir, "elsewhere")
			s := store.Open(path, store.Options{Recover: true})
			if err := errors.Join(s.Health(t.Context()).Err, s.Close()); err != nil {
				t.Fatal(err)
			}
			_ = os.Remove(path + beside)
			if err := errors.Join(os.WriteFile(elsewhere, []byte("mine"), 0o600), os.Symlink(elsewhere, path+beside)); err != nil {
				t.Fatal(err)
			}
			reader := store.Open(path, store.Options{ReadOnly: true})
			_ = errors.Join(reader.Health(t.Context()).Err, reader.Close()) // it may be refused
			_, _ = store.ReadDecisions(t.Context(), path, 1)
			_ = store.Backup(t.Context(), path, filepath.Join(dir, "copy"))
			if text, err := os.ReadFile(elsewhere); err != nil || string(text) != "mine" {
				t.Errorf("the file elsewhere is %q (%v)", text, err)
			}
		})
	}
}
