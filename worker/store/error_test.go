package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hermes/worker/store"
)

func TestDamagedFileIsNamed(t *testing.T) {
	t.Parallel()
	garbage := filepath.Join(t.TempDir(), "state.db")
	write(t, garbage, []byte(strings.Repeat("this is no database\n", 1000)), 0o600)

	torn := abandon(t)
	content, err := os.ReadFile(torn)
	must(t, err)
	for i := 4096; i < len(content); i++ { // keep the first page, lose the others
		content[i] = 0xa5
	}
	write(t, torn, content, 0o600)

	for name, path := range map[string]string{"garbage": garbage, "torn": torn} {
		before, err := os.ReadFile(path)
		must(t, err)
		s := reopen(t, path, store.Options{})
		_, err = s.Sessions(t.Context(), 1)
		if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want ErrDamaged with %s", name, err, path)
		}
		after, err := os.ReadFile(path)
		must(t, err)
		if name == "garbage" && string(before) != string(after) {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func TestFileThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	must(t, os.Mkdir(path, 0o700))
	s := reopen(t, path, store.Options{})
	_, err := s.Sessions(t.Context(), 1)
	if err == nil || !strings.Contains(err.Error(), "cannot be written") || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
}
