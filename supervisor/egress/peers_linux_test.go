package egress

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hermes/supervisor/egress/wire"
)

// A worker that says, of what it has sent, that reading is to block holds no thread of
// the process with it.
func TestPeersThatBlockHoldNoThread(t *testing.T) {
	t.Parallel()
	up := provider(t, ok)
	p := startReal(t, model(up.URL))
	var near, sent []int
	defer func() {
		for _, fd := range append(near, sent...) {
			_ = unix.Close(fd)
		}
	}()
	for range 200 {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		near, sent = append(near, pair[0]), append(sent, pair[1])
		for {
			err = unix.Sendmsg(int(p.worker.Fd()), []byte{byte(wire.API)}, unix.UnixRights(pair[1]), nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			if !errors.Is(err, unix.EAGAIN) {
				break
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// begins has each of them begin with a byte, which the process has read in the end.
	begins := func(what string) {
		for _, fd := range near {
			if _, err := unix.Write(fd, []byte("G")); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, what, func() bool {
			for _, fd := range sent { // of the same queue
				if n, err := unix.IoctlGetInt(fd, unix.TIOCINQ); err != nil || n > 0 {
					return false
				}
			}
			return true
		})
	}
	begins("it has all of them")
	for _, fd := range sent {
		if err := unix.SetNonblock(fd, false); err != nil {
			t.Fatal(err)
		}
	}
	begins("it has read on")
	client := &http.Client{Transport: p.door.Upstream("model/0"), Timeout: patience}
	for range 20 {
		resp, err := client.Get("http://x/v1/models")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.cmd.Process.Pid))
	if err != nil || len(threads) > 50 {
		t.Errorf("%d threads, %v", len(threads), err)
	}
}

// Others of the same user can look into the process by nothing, whose memory has the
// keys: it is as a process of somebody else.
func TestProcessHidesItself(t *testing.T) {
	t.Parallel()
	const nobody = 65534
	as := &syscall.SysProcAttr{}
	dir := t.TempDir()
	if os.Getuid() == 0 { // root sees everything
		as.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		for _, open := range []string{dir, filepath.Dir(dir)} {
			if err := os.Chmod(open, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	binary, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, "egress")
	if err := os.WriteFile(exe, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	control, theirs, err := ControlPair()
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(theirs)
	cmd.Path, cmd.SysProcAttr, cmd.Dir = exe, as, "/"
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = control.Close()
		_ = cmd.Wait()
	}()
	theirs.Close()
	// It answers when it is through with its beginnings.
	worker, far, err := wire.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer worker.Close()
	defer far.Close()
	up := provider(t, ok)
	table := model(up.URL)
	if err := control.Send(Order{Do: DoServe, ID: 1, Profile: "alice", Table: &table}, far, patience); err != nil {
		t.Fatal(err)
	}
	door := wire.NewDoor(int(worker.Fd()))
	defer door.Close()
	resp, err := (&http.Client{Transport: door.Upstream("model/0"), Timeout: patience}).Get("http://x/v1/models")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	reads := func(pid any, name string) bool {
		look := exec.CommandContext(t.Context(), "/bin/sh", "-c", fmt.Sprintf(": < /proc/%v/%s", pid, name))
		look.SysProcAttr = as
		return look.Run() == nil
	}
	for _, name := range []string{"mem", "environ", "maps", "auxv", "fd/0"} {
		if !reads("self", name) {
			t.Errorf("nobody reads their own %s, so nothing is shown", name)
		}
		if reads(cmd.Process.Pid, name) {
			t.Errorf("another process of its user opens its %s", name)
		}
	}
}
