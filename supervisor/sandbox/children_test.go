package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// A sweep runs all the time while children are started and end: none of them may
// be taken for a stray, nor its exit be taken from the one who waits for it.
func TestSweepSparesFreshChildren(t *testing.T) {
	children := box.children
	var starters sync.WaitGroup
	for range 4 {
		starters.Go(func() {
			for range 50 {
				cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", "exit 7")
				if err := children.Start(cmd); err != nil {
					t.Error(err)
					return
				}
				err := children.Wait(cmd)
				if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 7 {
					t.Errorf("ended with %v", err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		starters.Wait()
	}()
	for {
		if err := children.Sweep(t.Context(), nil); err != nil {
			t.Error(err)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestWaitEndsTheGroup(t *testing.T) {
	seconds, ready := marker(), fifo(t)
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", "sleep "+seconds+" & (sleep "+seconds+"; true) & echo ready >"+ready)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := box.children.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(ready); err != nil {
		t.Fatal(err)
	}
	if err := box.children.Wait(cmd); err != nil {
		t.Fatal(err)
	}
	if err := box.children.Sweep(t.Context(), nil); err != nil { // reaps
		t.Fatal(err)
	}
	if left := living(t, seconds); left != nil {
		t.Errorf("still there: %q", left)
	}
	if err := box.children.Signal(cmd, syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal after the end: %v", err)
	}
}

func TestSignalReachesTheGroup(t *testing.T) {
	t.Parallel()
	seconds, ready := marker(), fifo(t)
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", "sleep "+seconds+" & echo ready >"+ready+"; wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := box.children.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(ready); err != nil {
		t.Fatal(err)
	}
	if err := box.children.Signal(cmd, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := box.children.Wait(cmd); err == nil || err.Error() != "signal: terminated" {
		t.Errorf("ended with %v", err)
	}
}

// Not beside others: a sweep of theirs would take what is forked here for a stray, and
// could end it before it has failed.
func TestStartOfNothing(t *testing.T) {
	var children Children
	if err := children.Start(exec.CommandContext(t.Context(), "/no/such")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if len(children.own) != 0 {
		t.Error("it is taken for a child")
	}
}
