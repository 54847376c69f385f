package sandbox

import (
	"context"
	"syscall"

	"hermes/supervisor/sandbox/wall"
)

// wallIn prepares the command to start behind the wall, if there is one for it.
func (c *call) wallIn() error {
	if c.cmd.Err != nil {
		return c.cmd.Err
	}
	if c.sandbox.wall == nil || c.command.Plain {
		return nil
	}
	var err error
	c.guard, err = c.sandbox.wall.Prepare(c.cmd, wall.Subject{
		Online: c.command.Online, Terminal: c.command.PTY, Reads: c.command.Reads, Writes: c.command.Writes,
	})
	return err
}

// walled waits until the command has started behind its wall. If it has not, nothing
// of it is left.
func (c *call) walled(ctx context.Context) error {
	if c.guard == nil {
		return nil
	}
	err := c.guard.Started(context.WithoutCancel(ctx))
	if err != nil {
		_ = c.process.signal(syscall.SIGKILL)
		_ = c.process.reap() // what went wrong is known
		c.sandbox.end(c.mark)
		c.letOut()
	}
	return err
}

// awaitEnd returns when the command has ended. Behind a wall the process that was
// started stays, until it is reaped.
func (c *call) awaitEnd() (e ending) {
	if c.guard != nil && c.guard.Stays() {
		if e.status, e.known = c.guard.Ended(); e.known {
			return e
		}
	}
	c.process.awaitExit()
	return e
}

// terminate asks the command to end. Behind a wall what was started is not the command.
func (c *call) terminate() error {
	if c.guard != nil && c.guard.Stays() {
		return c.guard.Signal(syscall.SIGTERM)
	}
	return c.process.signal(syscall.SIGTERM)
}

// letOut gives back what holds the wall.
func (c *call) letOut() {
	if c.guard != nil {
		c.guard.Close()
	}
}
