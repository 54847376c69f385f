//go:build unix

package wall

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Who comes to its files by their path has to be let through above them.
func TestClosedDirectoriesAboveAreFound(t *testing.T) {
	t.Parallel()
	closed := filepath.Join(t.TempDir(), "closed")
	inside := filepath.Join(closed, "a", "b")
	if err := errors.Join(os.MkdirAll(inside, 0o755), os.Chmod(filepath.Dir(closed), 0o755), os.Chmod(closed, 0o700)); err != nil {
		t.Fatal(err)
	}
	if dir := ClosedAbove(inside); dir != closed {
		t.Errorf("closed is %q", dir)
	}
	above := filepath.Dir(closed)
	link := filepath.Join(above, "link")
	if err := errors.Join(os.Chmod(filepath.Dir(above), 0o755), os.Symlink(inside, link)); err != nil {
		t.Fatal(err)
	}
	if dir := ClosedAbove(link); dir != closed {
		t.Errorf("closed on the way of a link is %q", dir)
	}
	if dir := ClosedAbove("/"); dir != "" {
		t.Errorf("above the root is %q", dir)
	}
}

// That workers are one user is said, and what they are then.
func TestWorkersOfOneUserAreTold(t *testing.T) {
	t.Parallel()
	for uid, want := range map[int]string{0: "root without its rights", 1000: "the owner of their profile"} {
		w := Workers{Report: Report{Why: "x"}, Owner: Identity{UID: uid}}
		w.Why = w.shared(errors.New("a reason"))
		if !strings.HasPrefix(w.Why, "x, they run as "+want) || !strings.HasSuffix(w.Why, "not as a user each (a reason)") {
			t.Errorf("of user %d it says %s", uid, w.Why)
		}
		if w.Identity() != w.Owner {
			t.Errorf("the next one is %v", w.Identity())
		}
	}
	w := Workers{Strange: true}
	if one, next := w.Identity(), w.Identity(); one == next || !IsStranger(one.Outside) {
		t.Error("strangers are known")
	}
}
