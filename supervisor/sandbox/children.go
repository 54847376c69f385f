package sandbox

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Children are the processes that this one has started, as far as they were
// started through it. With BecomeSubreaper, descendants whose parent dies become
// children too; those are strays, and Sweep ends them. Since it tells its own
// from strays by what it has started, a process should have one Children and
// start everything through it. The zero value is ready for use.
type Children struct {
	// mu guards own. It is held from before a fork until the pid is noted, and
	// while a sweep looks, so that no fresh child is taken for a stray.
	mu  sync.Mutex
	own map[int]*child
	// thread starts the children and sends the signals; it may be nil.
	thread *Thread
}

// child is a process of ours that has not been reaped.
type child struct {
	cmd     *exec.Cmd
	reaping bool // its pid may be somebody else's from now on
}

// Stray is a child of this process that it did not start.
type Stray struct {
	PID  int
	PGID int // its process group
	// Born is when it was forked, in ticks since the machine started: good to
	// compare with that of another process. 0 outside Linux.
	Born uint64
}

// Start starts cmd, as cmd.Start does. Wait must follow.
func (c *Children) Start(cmd *exec.Cmd) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	c.thread.Do(func() { err = cmd.Start() })
	if err != nil {
		return err
	}
	if c.own == nil {
		c.own = make(map[int]*child)
	}
	c.own[cmd.Process.Pid] = &child{cmd: cmd}
	return nil
}

// Adopt makes a child of this process, which another program in it had started
// before, one that Start has started. The child leads a session of its own. Adopt
// must come before the first Sweep.
func (c *Children) Adopt(pid int) (*exec.Cmd, error) {
	process, err := os.FindProcess(pid)
	if err != nil {
		return nil, fmt.Errorf("find child: %w", err)
	}
	cmd := &exec.Cmd{Process: process, SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own == nil {
		c.own = make(map[int]*child)
	}
	c.own[pid] = &child{cmd: cmd}
	return cmd, nil
}

// Await returns when cmd has ended. Nothing of it is given back before Wait.
func (c *Children) Await(cmd *exec.Cmd) { c.awaitExit(cmd) }

// Wait waits until cmd, which Start has started, has ended. If cmd leads a
// process group of its own, what is left of the group is killed. It returns what
// cmd.Wait returns.
func (c *Children) Wait(cmd *exec.Cmd) error {
	c.awaitExit(cmd)
	return c.reap(cmd)
}

// Signal sends sig to cmd, and to the whole group if cmd leads one of its own.
// After the end of cmd it does nothing and returns os.ErrProcessDone; the pid,
// which may be another process by then, is not touched.
func (c *Children) Signal(cmd *exec.Cmd, sig syscall.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	child := c.own[cmd.Process.Pid]
	if child == nil || child.cmd != cmd || child.reaping {
		return os.ErrProcessDone
	}
	pid := cmd.Process.Pid
	if leadsGroup(cmd) {
		pid = -pid
	}
	var err error
	c.thread.Do(func() { err = syscall.Kill(pid, sig) })
	if err != nil {
		return fmt.Errorf("signal process: %w", err)
	}
	return nil
}

// awaitExit returns when cmd has ended. Its pid is not free yet, so that the
// group can be killed without hitting others.
func (c *Children) awaitExit(cmd *exec.Cmd) { awaitExit(cmd.Process.Pid) }

// reap ends the group of cmd, which has ended itself, and then frees its pid.
func (c *Children) reap(cmd *exec.Cmd) error {
	pid := cmd.Process.Pid
	c.mu.Lock()
	if child := c.own[pid]; child != nil && child.cmd == cmd {
		if leadsGroup(cmd) {
			c.thread.Do(func() { _ = syscall.Kill(-pid, syscall.SIGKILL) }) // nobody may be left
		}
		child.reaping = true
	}
	c.mu.Unlock()
	err := cmd.Wait()
	c.mu.Lock()
	if child := c.own[pid]; child != nil && child.cmd == cmd {
		delete(c.own, pid)
	}
	c.mu.Unlock()
	return err
}

// leadsGroup reports whether cmd was started in a process group of its own.
func leadsGroup(cmd *exec.Cmd) bool {
	attr := cmd.SysProcAttr
	return attr != nil && (attr.Setpgid && attr.Pgid == 0 || attr.Setsid)
}

// The pause between two looks of a sweep.
const (
	firstPause = 200 * time.Microsecond
	lastPause  = 10 * time.Millisecond
)

// Sweep kills the strays and returns when none is left; the children of a killed
// stray become strays themselves and are killed too. Those for which spare
// returns true stay as they are; spare may be nil, is asked again at each look,
// and must not call methods of c. The error says that strays outlived ctx.
//
// Sweep does nothing in a process that is no subreaper: orphans do not come to
// it. It needs /proc, so it does nothing outside Linux either.
func (c *Children) Sweep(ctx context.Context, spare func(Stray) bool) error {
	if !reapsOrphans() {
		return nil
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		var busy bool
		var err error
		c.mu.Lock()
		c.thread.Do(func() { busy, err = c.look(spare) })
		c.mu.Unlock()
		if err != nil {
			return fmt.Errorf("sweep stray processes: %w", err)
		}
		if !busy {
			return nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("sweep stray processes: %w", context.Cause(ctx))
		}
	}
}

// look kills and reaps the strays that there are now. It reports whether it
// found any, in which case others may follow. The caller holds mu.
func (c *Children) look(spare func(Stray) bool) (busy bool, err error) {
	if len(c.own) == 0 && childless() {
		return false, nil
	}
	pids, err := childPIDs()
	if err != nil {
		return false, err
	}
	left := 0
	for _, pid := range pids {
		if c.own[pid] != nil {
			continue
		}
		stray, dead, ok := inspect(pid)
		switch {
		case !ok:
			continue
		case dead:
			busy = bury(pid) || busy
		case spare != nil && spare(stray):
			left++
		case syscall.Kill(pid, syscall.SIGKILL) != nil:
			left++ // it runs as another user
		default:
			// The pid has not become another process: only this method reaps
			// strays.
			bury(pid)
			busy = true
		}
	}
	// The kernel's list of children may miss some while others come and go.
	return busy || left+len(c.own) == 0 && !childless(), nil
}
