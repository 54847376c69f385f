package sandbox

import (
	"os/exec"
	"syscall"
)

// process is what a call has started: the command, or the stage of its wall.
type process interface {
	pid() int
	// signal reaches the process and its group, or nobody once it has been reaped.
	signal(sig syscall.Signal) error
	// awaitExit returns when it has ended, and leaves it to be reaped.
	awaitExit()
	// reap ends what is left of its group, and returns how it ended itself.
	reap() ending
}

// ownProcess is a child of this process.
type ownProcess struct {
	children *Children
	cmd      *exec.Cmd
}

func (p ownProcess) pid() int { return p.cmd.Process.Pid }

func (p ownProcess) signal(sig syscall.Signal) error { return p.children.Signal(p.cmd, sig) }

func (p ownProcess) awaitExit() { p.children.awaitExit(p.cmd) }

func (p ownProcess) reap() (last ending) {
	_ = p.children.reap(p.cmd) // how it ended stands in ProcessState
	if p.cmd.ProcessState != nil {
		last.status, last.known = p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	}
	return last
}

// fork starts what was prepared: as a child of this process, or of its shim.
func (c *call) fork() error {
	if c.guard != nil && c.guard.Remote() {
		return c.forkRemote()
	}
	if err := c.sandbox.children.Start(c.cmd); err != nil {
		return err
	}
	offer(c.cmd.Process.Pid)
	c.process = ownProcess{c.sandbox.children, c.cmd}
	return nil
}
