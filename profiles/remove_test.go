package profiles

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hidden lists what is in profiles/ beside profiles.
func hidden(t *testing.T, home Home) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(home.ProfilesDir(), ".*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestRename(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	created := mustCreate(t, home, CreateOptions{Name: "alice"})
	mustCreate(t, home, CreateOptions{Name: "bob"})
	var exists *Exists
	var missing *NotFound
	var badName *NameError
	if err := home.Rename(t.Context(), "alice", "bob"); !errors.As(err, &exists) {
		t.Errorf("to a name that is taken: %v", err)
	}
	if err := home.Rename(t.Context(), "carol", "dave"); !errors.As(err, &missing) {
		t.Errorf("of a missing profile: %v", err)
	}
	if err := home.Rename(t.Context(), "alice", "../x"); !errors.As(err, &badName) {
		t.Errorf("to a bad name: %v", err)
	}
	for _, pair := range [][2]Name{{Default, "x"}, {"alice", Default}} {
		if err := home.Rename(t.Context(), pair[0], pair[1]); err == nil || !strings.Contains(err.Error(), "keeps its name") {
			t.Errorf("%v: %v", pair, err)
		}
	}
	if err := home.Rename(t.Context(), "alice", "carol"); err != nil {
		t.Fatal(err)
	}
	p, err := home.Get("carol")
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := p.Load(nil, nil)
	if server := loaded.Config.APIServer; err != nil || server.Port != created.Port || server.Key.Reveal() != created.Key.Reveal() || server.ModelName != "carol" {
		t.Errorf("after the rename: %+v, %v", server, err)
	}
	if _, err := home.Get("alice"); !errors.As(err, &missing) {
		t.Errorf("the old name: %v", err)
	}
}

func TestRemoveTakesEverythingAndNothingElse(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	p := mustCreate(t, home, CreateOptions{Name: "alice"}).Profile
	outside := filepath.Join(home.dir, "outside")
	if err := os.MkdirAll(filepath.Join(outside, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(p.Workspace(), "link")); err != nil {
		t.Fatal(err)
	}
	// A read-only tree like Go's module cache.
	deep := filepath.Join(p.ToolHome(), "go", "pkg")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(deep, "mod.go"), nil, 0o400); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{deep, filepath.Dir(deep)} {
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
	}
	if err := home.Remove(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(p.Dir); !errors.Is(err, os.ErrNotExist) || len(hidden(t, home)) > 0 {
		t.Errorf("left: %v, %v", err, hidden(t, home))
	}
	if _, err := os.Stat(filepath.Join(outside, "dir")); err != nil {
		t.Errorf("the target of a link is gone: %v", err)
	}
	var missing *NotFound
	if err := home.Remove(t.Context(), "alice"); !errors.As(err, &missing) {
		t.Errorf("a second time: %v", err)
	}
	if err := home.Remove(t.Context(), Default); err == nil || !strings.Contains(err.Error(), "by hand") {
		t.Errorf("default: %v", err)
	}
}

// TestLeftoversAreCleanedUp kills a create in the middle, and pretends that a
// removal died.
func TestLeftoversAreCleanedUp(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	mustCreate(t, home, CreateOptions{Name: "alice"})
	cmd, _ := startChild(t, "die while creating", home, "bob")
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child lives")
	}
	if err := os.MkdirAll(filepath.Join(home.ProfilesDir(), ".deleted-carol-1", "workspace"), 0o700); err != nil {
		t.Fatal(err)
	}
	if left := hidden(t, home); len(left) != 2 {
		t.Fatalf("left: %v", left)
	}
	if list := mustList(t, home); len(list) != 1 {
		t.Errorf("half a profile is seen: %v", list)
	}
	mustCreate(t, home, CreateOptions{Name: "bob"})
	if left := hidden(t, home); len(left) > 0 {
		t.Errorf("still left: %v", left)
	}
}

func TestCancelledCommandsLeaveNothing(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	mustCreate(t, home, CreateOptions{Name: "alice"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := home.Create(ctx, CreateOptions{Name: "bob"}); !errors.Is(err, context.Canceled) {
		t.Errorf("create: %v", err)
	}
	if err := home.Remove(ctx, "alice"); !errors.Is(err, context.Canceled) {
		t.Errorf("remove: %v", err)
	}
	if err := home.Rename(ctx, "alice", "bob"); !errors.Is(err, context.Canceled) {
		t.Errorf("rename: %v", err)
	}
	// Cancelled in the middle: after the port was chosen.
	ctx, cancel = context.WithCancel(t.Context())
	home.free = func(int) error { cancel(); return nil }
	if _, err := home.Create(ctx, CreateOptions{Name: "bob"}); !errors.Is(err, context.Canceled) {
		t.Errorf("create: %v", err)
	}
	if list := mustList(t, home); len(list) != 1 || len(hidden(t, home)) > 0 {
		t.Errorf("left: %v, %v", list, hidden(t, home))
	}
}
