package wall_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox/wall"
)

// walledWorker starts a worker in a room, as this user, and returns its shim.
func walledWorker(t *testing.T, j job) *exec.Cmd {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "control"), os.NewFile(uintptr(ends[1]), "control")
	cmd := exec.Command(j.Scene.Own)
	cmd.Dir, cmd.Env, cmd.ExtraFiles = "/", []string{"PATH=/usr/bin:/bin"}, []*os.File{theirs}
	wall.Enclose(cmd, wall.Identity{UID: os.Getuid(), GID: os.Getgid()}, false)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	t.Cleanup(func() {
		_ = ours.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if err := lend(ours, j.Scene, wall.Identity{}); err != nil {
		t.Fatal(err)
	}
	if err := json.NewEncoder(ours).Encode(j); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// secondsOf is for how long only one command of this run of the tests sleeps.
func secondsOf(n int) string { return "9" + strconv.Itoa(os.Getpid()) + "." + strconv.Itoa(n) }

// marked are the processes of the machine that have an argument.
func marked(t *testing.T, argument string) (pids []int) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		data, _ := os.ReadFile(path)
		for word := range strings.SplitSeq(string(data), "\x00") {
			if word == argument {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// until waits for what other processes bring about.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain until " + what)
		}
	}
}

// childOf is the worker of a shim.
func childOf(pid int) int {
	children, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/task/" + strconv.Itoa(pid) + "/children")
	first, _, _ := strings.Cut(string(children), " ")
	child, _ := strconv.Atoi(first)
	return child
}

// When a worker is killed, or its shim, nothing of what its commands have left is there
// any more when that has been noticed.
func TestNothingOutlivesAWalledWorker(t *testing.T) {
	t.Parallel()
	needsRoom(t)
	for i, victim := range []string{"worker", "shim"} {
		t.Run(victim, func(t *testing.T) {
			t.Parallel()
			s, seconds := newScene(t, os.Getuid()), secondsOf(i)
			shim := walledWorker(t, job{
				Scene: s, Room: wall.Full,
				Argv: sh(`setsid sh -c "(env -i setsid sleep ` + seconds + ` &) ; (sleep ` + seconds + ` &)"; sleep ` + seconds),
			})
			until(t, "the command has left three processes", func() bool { return len(marked(t, seconds)) == 3 })
			worker := childOf(shim.Process.Pid)
			pid := worker
			if victim == "shim" {
				pid = shim.Process.Pid
			}
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			err := shim.Wait()
			if left := marked(t, seconds); len(left) > 0 {
				t.Errorf("%d are left", len(left))
			}
			failed, ok := errors.AsType[*exec.ExitError](err)
			if status, _ := failed.Sys().(syscall.WaitStatus); !ok || victim == "worker" && status.ExitStatus() != 128+9 {
				t.Errorf("the shim ended with %v", err)
			}
		})
	}
}

// A signal that asks a worker for its goroutines reaches it through its shim.
func TestShimPassesSignalsOn(t *testing.T) {
	t.Parallel()
	needsRoom(t)
	s, seconds := newScene(t, os.Getuid()), secondsOf(2)
	shim := walledWorker(t, job{Scene: s, Room: wall.Full, Argv: sh("sleep " + seconds)})
	until(t, "the command runs", func() bool { return len(marked(t, seconds)) == 1 })
	if err := shim.Process.Signal(unix.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	err := shim.Wait() // its goroutines go to stderr, which is nobody's here
	if failed, ok := errors.AsType[*exec.ExitError](err); !ok || failed.ExitCode() != 2 {
		t.Errorf("the shim ended with %v", err)
	}
}
