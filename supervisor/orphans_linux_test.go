package supervisor

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hermes/supervisor/confine"
	"hermes/supervisor/handoff"
)

// A socket that is bound and has no listener yet is somebody's; one whose process is
// gone is nobody's, whatever lies there.
func TestSocketThatWaitsIsNobodysLeftover(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "abcdefghijkl.orphan")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("unix", path); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Fatalf("who dials it: %v", err)
	}
	if !bound(path) {
		t.Error("a socket that a process has is taken for a leftover")
	}
	if err := unix.Close(fd); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil || bound(path) {
		t.Errorf("a leftover is taken for a socket that a process has (%v)", err)
	}
}

// A worker that somebody has taken over names a directory of its own as its cgroup, with
// a process in it that is none of its business. That one lives.
func TestOrphanNamesNoProcessesToEnd(t *testing.T) {
	t.Parallel()
	bystander := exec.Command("sleep", "600")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- bystander.Wait() }()
	t.Cleanup(func() { _ = bystander.Process.Kill() })
	dir := filepath.Join(t.TempDir(), "worker-abcdefgh")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Appendln(nil, bystander.Process.Pid), 0o600); err != nil {
		t.Fatal(err)
	}
	said := handoff.Resources{
		Mechanism: string(confine.CgroupV1), MemoryEvents: filepath.Join(dir, "memory.oom_control"), ProcessesEvents: filepath.Join(dir, "pids.events"),
	}
	group, err := groupOf(os.Getpid(), said)
	if err == nil {
		t.Errorf("%+v is taken for a cgroup", group)
		_ = group.Kill()
	}
	select {
	case <-ended:
		t.Error("the process was ended")
	default:
	}
}

// A worker that somebody has taken over does not get the port of another profile by
// saying that it listens there.
func TestOrphanClaimsNoPortButItsOwn(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	own := ln.Addr().(*net.TCPAddr).Port
	for port, right := range map[int]bool{own: true, own ^ 1: false} {
		file, err := ln.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		o := &orphan{Foundling: &handoff.Foundling{Listener: file}}
		found, err := o.listens(claim{"127.0.0.1", port})
		if (err == nil) != right {
			t.Errorf("one that listens at %d and says %d: %v", own, port, err)
		}
		if found != nil {
			_ = found.Close()
		}
	}
}
