package profiles

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// worker is whom data are given in these tests.
const worker = 61_500

// given is a profile whose data are to be given away, which only root can do.
func given(t *testing.T) Profile {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	return mustCreate(t, openHome(t), CreateOptions{Name: "alice"}).Profile
}

// give gives them.
func give(t *testing.T, p Profile) Left {
	t.Helper()
	left, err := p.Give(t.Context(), User{worker, worker})
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// put makes a file of root, and the directories above it.
func put(t *testing.T, path string) string {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err := errors.Join(err, os.WriteFile(path, []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

// belongs fails if something is not the user's.
func belongs(t *testing.T, user int, paths ...string) {
	t.Helper()
	for _, path := range paths {
		got, err := userOf(path)
		if err != nil || got.UID != user {
			t.Errorf("%s belongs to %d, not %d: %v", path, got.UID, user, err)
		}
	}
}

// What the agent writes is given away; what it must not write stays, and it reads of it
// who it is.
func TestDataAreGivenAway(t *testing.T) {
	t.Parallel()
	p := given(t)
	deep := put(t, filepath.Join(p.Workspace(), "a", "b", "named \xff\n"))
	if err := os.RemoveAll(p.Skills()); err != nil {
		t.Fatal(err)
	}
	if left := give(t, p); left != (Left{}) {
		t.Errorf("left: %+v", left)
	}
	belongs(t, worker, deep, filepath.Dir(deep), p.Workspace(), p.ToolHome(), p.Memories(), p.Skills(), filepath.Dir(p.Database()))
	belongs(t, 0, p.Soul(), p.EnvFile(), p.Dir, p.Logs())
	for path, want := range map[string]os.FileMode{p.Soul(): 0o640, p.EnvFile(): 0o600, p.Dir: 0o750, p.Workspace(): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	for _, path := range []string{p.Soul(), p.Dir} {
		if user, err := userOf(path); err != nil || user.GID != worker {
			t.Errorf("%s is group %d's: %v", path, user.GID, err)
		}
	}
}

// A file that has a name elsewhere may be somebody else's, and a link leads nowhere.
func TestWhatMayBeSomebodyElsesIsNotGiven(t *testing.T) {
	t.Parallel()
	p := given(t)
	at := func(name string) string { return filepath.Join(p.Workspace(), name) }
	outside, aim := put(t, filepath.Join(t.TempDir(), "outside")), put(t, filepath.Join(t.TempDir(), "aim"))
	inside := put(t, at("inside"))
	pipe := at("pipe")
	err := errors.Join(os.Link(outside, at("twin of outside")), os.Link(inside, filepath.Join(put(t, at("deep/x"))+"2")),
		os.Symlink(aim, at("link")), os.Symlink(filepath.Dir(aim), at("way")), os.Symlink("..", at("up")), syscall.Mkfifo(pipe, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	left := give(t, p)
	if left.Files != 1 || left.First != at("twin of outside") {
		t.Errorf("left: %+v", left)
	}
	belongs(t, 0, outside, aim, filepath.Dir(aim), p.EnvFile())
	belongs(t, worker, inside, at("deep/x2"), at("link"), at("up"), pipe)
}

// Who the agent is may be a link, or have a name elsewhere: it is left as it is, and said.
func TestSoulThatIsSharedIsNotLent(t *testing.T) {
	t.Parallel()
	for name, share := range map[string]func(from, to string) error{"link": os.Symlink, "second name": os.Link} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := given(t)
			shared := put(t, filepath.Join(t.TempDir(), "shared"))
			if err := errors.Join(os.Remove(p.Soul()), share(shared, p.Soul())); err != nil {
				t.Fatal(err)
			}
			if left := give(t, p); left.Files != 1 || left.First != p.Soul() {
				t.Errorf("left: %+v", left)
			}
			if info, err := os.Stat(shared); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("it is open: %v, %v", info.Mode(), err)
			}
			belongs(t, 0, shared)
		})
	}
}

// What takes the place of a file after it was looked at is not given.
func TestAnotherFileIsNotGiven(t *testing.T) {
	t.Parallel()
	p := given(t)
	root, err := os.OpenRoot(p.Workspace())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	seen, other := put(t, filepath.Join(p.Workspace(), "seen")), put(t, filepath.Join(t.TempDir(), "other"))
	info, err := root.Lstat("seen")
	if err != nil {
		t.Fatal(err)
	}
	id := inodeOf(info)
	second := seen + "2"
	if err := errors.Join(os.Link(seen, second), os.Remove(seen), os.Link(other, seen)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"seen", "seen2"} {
		if err := chown(root, name, id, User{worker, worker}); name == "seen" && err == nil {
			t.Error("another file is given")
		}
	}
	belongs(t, 0, other)
	belongs(t, worker, second)
}

// A mount is the machine's, and a link in place of a directory is the admin's.
func TestWhatIsMountedIsNotGiven(t *testing.T) {
	t.Parallel()
	p := given(t)
	mount := filepath.Join(p.Workspace(), "mount")
	if err := os.Mkdir(mount, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, ""); err != nil {
		t.Skip("nothing can be mounted here: ", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(mount, syscall.MNT_DETACH) })
	kept, elsewhere := put(t, filepath.Join(mount, "kept")), t.TempDir()
	if err := errors.Join(os.RemoveAll(p.Skills()), os.Symlink(elsewhere, p.Skills())); err != nil {
		t.Fatal(err)
	}
	if left := give(t, p); left.Files != 2 || left.First != p.Skills() {
		t.Errorf("left: %+v", left)
	}
	belongs(t, 0, mount, kept, elsewhere, p.Skills())
}

// What was interrupted is done by the next one, for whomever; and what people put there
// later is found.
func TestGivingIsTakenUp(t *testing.T) {
	t.Parallel()
	p := given(t)
	var files []string
	for i := range atOnce + 1 {
		files = append(files, put(t, filepath.Join(p.Workspace(), fmt.Sprint(i))))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Give(ctx, User{worker + 1, worker + 1}); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "give the data of profile alice to user 61501") {
		t.Errorf("interrupted: %v", err)
	}
	give(t, p)
	belongs(t, worker, append(files, p.Workspace())...)
	later := put(t, filepath.Join(p.Skills(), "mail/SKILL.md"))
	give(t, p)
	belongs(t, worker, later, filepath.Dir(later))
}

// An agent cannot keep the gateway busy by what it makes.
func TestGivingHasBounds(t *testing.T) {
	t.Parallel()
	p := given(t)
	give(t, p)
	for i := range mostOfOwns {
		put(t, filepath.Join(p.Memories(), fmt.Sprint(i)))
	}
	deep := p.Workspace()
	for range deepest {
		deep = filepath.Join(deep, "d")
	}
	put(t, filepath.Join(deep, "deeper"))
	left := give(t, p)
	if left.Files != 1 || left.First != deep {
		t.Errorf("left: %+v", left)
	}
	belongs(t, worker, filepath.Dir(deep))
	belongs(t, 0, filepath.Join(deep, "deeper"))
}

// What others may do is told apart from what the profile's user may.
func TestOthersAreToldFromTheUser(t *testing.T) {
	t.Parallel()
	p := given(t)
	open := func(mode os.FileMode) os.FileMode {
		t.Helper()
		if mode != 0 {
			if err := os.Chmod(p.Dir, mode); err != nil {
				t.Fatal(err)
			}
		}
		info, err := os.Stat(p.Dir)
		if err != nil {
			t.Fatal(err)
		}
		return p.OpenToOthers(info)
	}
	if got := open(0o750); got != 0o050 {
		t.Errorf("before, the group of root may %o", got)
	}
	give(t, p)
	if got := open(0); got != 0 {
		t.Errorf("afterwards others may %o", got)
	}
	for mode, want := range map[os.FileMode]os.FileMode{0o700: 0, 0o751: 0, 0o755: 0o004, 0o770: 0o020} {
		if got := open(mode); got != want {
			t.Errorf("mode %o: others may %o", mode, got)
		}
	}
}

// Others pass through the home, and see nothing on the way.
func TestOthersPassAndSeeNothing(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	mustCreate(t, home, CreateOptions{Name: "alice"})
	for range 2 {
		if err := home.LetPass(); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{home.Dir(), home.ProfilesDir()} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o701 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
}

// BenchmarkGive is what a start costs whose profile was given before.
func BenchmarkGive(b *testing.B) {
	if os.Getuid() != 0 {
		b.Skip("only root can give files away")
	}
	home, err := Open(filepath.Join(b.TempDir(), "home"))
	if err != nil {
		b.Fatal(err)
	}
	created, err := home.Create(b.Context(), CreateOptions{Name: "alice"})
	if err != nil {
		b.Fatal(err)
	}
	for i := range mostOfOwns {
		if err := os.WriteFile(filepath.Join(created.Profile.Workspace(), fmt.Sprint(i)), nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := created.Profile.Give(b.Context(), User{worker, worker}); err != nil {
			b.Fatal(err)
		}
	}
}
