package profiles_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"hermes/profiles"
)

// What others could read of a profile's records they cannot any more; settings, the
// workspace and what links lead to stay as they are.
func TestRecordsAreClosedToOthers(t *testing.T) {
	t.Parallel()
	home, err := profiles.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := home.Create(t.Context(), profiles.CreateOptions{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	p, err := home.Get("alice")
	if err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	for path, mode := range map[string]os.FileMode{
		p.Database(): 0o644, p.Database() + "-wal": 0o640, filepath.Join(p.Logs(), "worker.log"): 0o604, filepath.Join(p.Logs(), "worker.log.1"): 0o600,
		filepath.Join(p.Memories(), "MEMORY.md"): 0o666, filepath.Join(p.Workspace(), "page.html"): 0o644, p.ConfigFile(): 0o644, outside: 0o644,
	} {
		if err := os.WriteFile(path, []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(p.Memories(), "USER.md")); err != nil {
		t.Fatal(err)
	}
	want := []string{p.Database(), p.Database() + "-wal", filepath.Join(p.Logs(), "worker.log"), filepath.Join(p.Memories(), "MEMORY.md")}
	if got := p.CloseRecords(); !slices.Equal(got, want) {
		t.Errorf("closed %q, want %q", got, want)
	}
	if again := p.CloseRecords(); len(again) > 0 {
		t.Errorf("closed again: %q", again)
	}
	for path, mode := range map[string]os.FileMode{
		p.Database(): 0o600, p.Database() + "-wal": 0o600, filepath.Join(p.Logs(), "worker.log"): 0o600, filepath.Join(p.Memories(), "MEMORY.md"): 0o600,
		filepath.Join(p.Workspace(), "page.html"): 0o644, p.ConfigFile(): 0o644, outside: 0o644,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, %v, want %v", path, info.Mode().Perm(), err, mode)
		}
	}
}

// An agent, or who has got hold of its worker, can make files without end; before each
// start the supervisor looks at some of them.
func TestRecordsWithoutEndAreNotReadWithoutEnd(t *testing.T) {
	t.Parallel()
	home, err := profiles.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := home.Create(t.Context(), profiles.CreateOptions{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	p, err := home.Get("alice")
	if err != nil {
		t.Fatal(err)
	}
	const many = 10_500
	for i := range many {
		at := filepath.Join(p.Memories(), strconv.Itoa(i))
		if err := errors.Join(os.WriteFile(at, nil, 0o600), os.Chmod(at, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if told := p.CloseRecords(); len(told) == 0 || len(told) > 50 {
		t.Errorf("%d files are told of", len(told))
	}
	entries, err := os.ReadDir(p.Memories())
	if err != nil {
		t.Fatal(err)
	}
	open := 0
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
			open++
		}
	}
	if open == 0 || open == many {
		t.Errorf("of %d files %d were not looked at", many, open)
	}
}
