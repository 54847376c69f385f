package profiles

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDefaultDir(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		environ []string
		want    string
		err     string
	}{
		{"HERMES_HOME", []string{"HOME=/root", "HERMES_HOME=/data/h"}, "/data/h", ""},
		{"HOME", []string{"HOME=/root"}, "/root/.hermes", ""},
		{"empty HERMES_HOME", []string{"HERMES_HOME=", "HOME=/root"}, "/root/.hermes", ""},
		{"neither", []string{"PATH=/bin"}, "", "set HERMES_HOME"},
		{"tilde", []string{"HERMES_HOME=~/h"}, "", "did not expand"},
		{"slashes", []string{"HERMES_HOME=/data//h/"}, "/data/h", ""},
	}
	for _, test := range tests {
		got, err := DefaultDir(test.environ)
		if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", "a\x00b", file, filepath.Join(file, "below")} {
		if _, err := Open(dir); err == nil {
			t.Errorf("%q is opened", dir)
		}
	}
	home, err := Open(filepath.Join(t.TempDir(), "new"))
	if err != nil {
		t.Fatal(err)
	}
	if list := mustList(t, home); len(list) != 0 {
		t.Errorf("a fresh home has %v", list)
	}
	if _, err := os.Stat(home.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Error("looking at a home makes it")
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	if p, err := home.Get(Default); err != nil || p.Dir != home.dir || p.SetUp() {
		t.Errorf("default of a fresh home: %+v, %v", p, err)
	}
	_, err := home.Get("alice")
	var missing *NotFound
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), "hermes profile create alice") {
		t.Errorf("got %v", err)
	}
	mustCreate(t, home, CreateOptions{Name: "alice"})
	p, err := home.Get("alice")
	if err != nil || p.Dir != filepath.Join(home.dir, "profiles", "alice") || !p.SetUp() {
		t.Errorf("got %+v, %v", p, err)
	}
	for _, name := range []Name{"", "..", "../profiles/alice", "Alice", "test", ".staging-x"} {
		if _, err := home.Get(name); err == nil {
			t.Errorf("%q is a profile", name)
		}
	}
	if err := os.Symlink(p.Dir, filepath.Join(home.ProfilesDir(), "eve")); err != nil {
		t.Fatal(err)
	}
	if _, err := home.Get("eve"); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("a link: %v", err)
	}
}

func TestListHidesNothing(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	for _, name := range []Name{"bob", "alice"} {
		mustCreate(t, home, CreateOptions{Name: name})
	}
	if _, err := home.Setup(t.Context(), SetupOptions{}); err != nil {
		t.Fatal(err)
	}
	dir := home.ProfilesDir()
	for _, name := range []string{"Carol", "lost+found", ".staging-x-1", ".deleted-y-2", "evil\x1b[2J", "default"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "dave"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("alice", filepath.Join(dir, "eve")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bob", ".env"), []byte("???"), 0o600); err != nil {
		t.Fatal(err)
	}
	var good []string
	bad := map[string]string{}
	for _, p := range mustList(t, home) {
		if p.Err == nil {
			good = append(good, string(p.Name))
			continue
		}
		bad[filepath.Base(p.Dir)] = p.Err.Error()
		if strings.Contains(p.Err.Error(), "\x1b") {
			t.Errorf("the error carries control characters: %q", p.Err)
		}
		if _, err := p.Load(nil, nil); err == nil {
			t.Errorf("%s is loaded", p.Dir)
		}
		if _, err := p.Lock(); err == nil {
			t.Errorf("%s is locked", p.Dir)
		}
	}
	if got := strings.Join(good, " "); got != "default alice bob" {
		t.Errorf("good ones are %s", got)
	}
	for name, want := range map[string]string{
		"Carol": "rename the directory to carol", "lost+found": "letters", "evil\x1b[2J": "letters", "default": "reserved", "dave": "no directory", "eve": "symbolic link",
	} {
		if !strings.Contains(bad[name], want) {
			t.Errorf("%q: %q, want %s", name, bad[name], want)
		}
	}
	if len(bad) != 6 {
		t.Errorf("bad ones are %v", bad)
	}
}

func TestSticky(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	check := func(want Name) {
		t.Helper()
		if got, err := home.Sticky(); err != nil || got != want {
			t.Errorf("sticky is %q, %v, want %q", got, err, want)
		}
	}
	check(Default)
	var missing *NotFound
	if err := home.Use("alice"); !errors.As(err, &missing) {
		t.Errorf("use of a missing profile: %v", err)
	}
	mustCreate(t, home, CreateOptions{Name: "alice"})
	if err := home.Use("alice"); err != nil {
		t.Fatal(err)
	}
	check("alice")
	if err := home.Rename(t.Context(), "alice", "bob"); err != nil {
		t.Fatal(err)
	}
	check("bob")
	if err := os.Rename(filepath.Join(home.ProfilesDir(), "bob"), filepath.Join(home.ProfilesDir(), "carol")); err != nil {
		t.Fatal(err)
	}
	if _, err := home.Sticky(); err == nil || !strings.Contains(err.Error(), "hermes profile use") || !strings.Contains(err.Error(), "active_profile") {
		t.Errorf("a vanished choice: %v", err)
	}
	if err := home.Use("carol"); err != nil {
		t.Fatal(err)
	}
	if err := home.Remove(t.Context(), "carol"); err != nil {
		t.Fatal(err)
	}
	check(Default)
	if err := home.Use(Default); err != nil {
		t.Fatal(err)
	}
	check(Default)
	for _, text := range []string{"../../etc", "a\x00b", strings.Repeat("x", 5000)} {
		if err := os.WriteFile(home.stickyFile(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if name, err := home.Sticky(); err == nil || !strings.Contains(err.Error(), "hermes profile use") {
			t.Errorf("%.20q gives %q, %v", text, name, err)
		}
	}
	if err := os.WriteFile(home.stickyFile(), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check(Default)
}

// TestEnvironmentAloneServesAFreshHome is `docker run -e …` with an empty volume.
func TestEnvironmentAloneServesAFreshHome(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	p, err := home.Get(Default)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := p.Load([]string{"API_SERVER_ENABLED=true", "API_SERVER_PORT=9000"}, nil)
	if s := loaded.Config.APIServer; err != nil || !s.Enabled || s.Port != 9000 {
		t.Errorf("got %+v, %v", s, err)
	}
	for range 2 {
		if err := p.Prepare(); err != nil {
			t.Fatal(err)
		}
	}
	lock, err := p.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p.Workspace()); err != nil || p.SetUp() {
		t.Errorf("prepared: %v, set up: %v", err, p.SetUp())
	}
}
