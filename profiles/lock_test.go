package profiles

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestLockNamesItsHolder(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	p := mustCreate(t, home, CreateOptions{Name: "alice"}).Profile
	if pid, held := p.Holder(); held {
		t.Errorf("a new profile is held by %d", pid)
	}
	lock, err := p.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(p.LockFile()); err != nil || string(data) != fmt.Sprintf("%d\n\n%s\n", os.Getpid(), lock.Nonce()) || p.Nonce() != lock.Nonce() {
		t.Errorf("the file says %q, %v", data, err)
	}
	_, err = p.Lock()
	var held *Held
	if !errors.As(err, &held) || held.PID != os.Getpid() || held.Name != "alice" || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("got %v", err)
	}
	if pid, held := p.Holder(); !held || pid != os.Getpid() {
		t.Errorf("the holder is %d, %v", pid, held)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := p.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestLockDiesWithItsHolder(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	p := mustCreate(t, home, CreateOptions{Name: "alice"}).Profile
	cmd, out := startChild(t, "lock", home, "alice")
	if line := readLine(t, out); line != "locked" {
		t.Fatal(line)
	}
	_, err := p.Lock()
	var held *Held
	if !errors.As(err, &held) || held.PID != cmd.Process.Pid {
		t.Errorf("got %v, want the pid %d", err, cmd.Process.Pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	lock, err := p.Lock()
	if err != nil {
		t.Fatalf("the lock outlives its holder: %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestLockOfTheDefaultProfile(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	created, err := home.Setup(t.Context(), SetupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	lock, err := created.Profile.Lock()
	if err != nil {
		t.Fatal(err)
	}
	// The home's own lock is another one: profiles can be made meanwhile.
	mustCreate(t, home, CreateOptions{Name: "alice"})
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestLockDoesNotFollowSymlinks(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	p := mustCreate(t, home, CreateOptions{Name: "alice"}).Profile
	victim := filepath.Join(home.dir, "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, p.LockFile()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Lock(); err == nil {
		t.Error("the link is followed")
	}
	if data, _ := os.ReadFile(victim); string(data) != "precious" {
		t.Errorf("the target is %q", data)
	}
}

func TestRenameAndRemoveRefuseServedProfiles(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	p := mustCreate(t, home, CreateOptions{Name: "alice"}).Profile
	lock, err := p.Lock()
	if err != nil {
		t.Fatal(err)
	}
	var held *Held
	if err := home.Rename(t.Context(), "alice", "bob"); !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Errorf("rename: %v", err)
	}
	if err := home.Remove(t.Context(), "alice"); !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Errorf("remove: %v", err)
	}
	if _, err := home.Get("alice"); err != nil {
		t.Errorf("alice is gone: %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if err := home.Rename(t.Context(), "alice", "bob"); err != nil {
		t.Error(err)
	}
	// The old profile value leads nowhere now.
	var gone *NotFound
	if _, err := p.Lock(); !errors.As(err, &gone) {
		t.Errorf("lock of the old name: %v", err)
	}
}

func TestLockIsHeldByWhoInheritsIt(t *testing.T) {
	t.Parallel()
	p := mustCreate(t, openHome(t), CreateOptions{Name: "alice"}).Profile
	lock, err := p.Lock()
	if err != nil {
		t.Fatal(err)
	}
	worker := exec.Command("sleep", "600")
	worker.ExtraFiles = []*os.File{lock.File()}
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	defer worker.Process.Kill()
	if err := errors.Join(lock.SetWorker(worker.Process.Pid), lock.Release()); err != nil {
		t.Fatal(err)
	}
	var held *Held
	if _, err := p.Lock(); !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Errorf("lock of a worker whose gateway lives: %v", err)
	}
	// The gateway is another process than the worker's parent: it is dead, even if
	// its pid has been given away.
	if err := os.WriteFile(p.LockFile(), fmt.Appendf(nil, "%d\n%d\n", os.Getppid(), worker.Process.Pid), 0o600); err != nil {
		t.Fatal(err)
	}
	var draining *Draining
	want := fmt.Sprintf("a worker of the former gateway (pid %d) still finishes its turns", worker.Process.Pid)
	if _, err := p.Lock(); !errors.As(err, &draining) || draining.Reason() != want {
		t.Errorf("lock of a worker whose gateway is dead: %v", err)
	}
	if pid, held := p.Holder(); !held || pid != worker.Process.Pid {
		t.Errorf("holder is %d, %v", pid, held)
	}
	if err := worker.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = worker.Wait()
	next, err := p.Lock()
	if err != nil {
		t.Fatalf("the lock outlives the worker: %v", err)
	}
	if data, err := os.ReadFile(p.LockFile()); err != nil || !strings.HasPrefix(string(data), fmt.Sprintln(os.Getpid())) || next.Nonce() == lock.Nonce() {
		t.Errorf("lock file holds %q, %v", data, err)
	}
	if err := next.Release(); err != nil {
		t.Error(err)
	}
}

func TestLockIsInheritedOnlyFromItsHolder(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	p := mustCreate(t, home, CreateOptions{Name: "alice"}).Profile
	lock, err := p.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	another, err := os.OpenFile(p.LockFile(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer another.Close()
	elsewhere, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	for what, file := range map[string]*os.File{"the same file, opened anew": another, "another file": elsewhere} {
		if _, err := p.Inherit(file); err == nil {
			t.Errorf("%s is taken for the lock", what)
		}
	}
	fd, err := syscall.Dup(int(lock.File().Fd()))
	if err != nil {
		t.Fatal(err)
	}
	inherited, err := p.Inherit(os.NewFile(uintptr(fd), "lock"))
	if err != nil || inherited.Nonce() != lock.Nonce() {
		t.Fatalf("the lock itself: %v", err)
	}
	if err := inherited.Release(); err != nil {
		t.Error(err)
	}
}
