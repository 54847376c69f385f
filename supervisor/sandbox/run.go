package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// How long the end of a command may take.
const (
	// grace is the time between SIGTERM and SIGKILL.
	grace = 500 * time.Millisecond
	// lastWords is how long the output stays open for processes that the command
	// has left in the background; "exec > >(tee log)" needs a moment.
	lastWords = 100 * time.Millisecond
	// waitDelay is when the output and the input are given up whose other ends
	// somebody holds who could not be killed.
	waitDelay = 500 * time.Millisecond
	// sweepTimeout is when strays are given up that do not die.
	sweepTimeout = 2 * time.Second
)

// Run runs a command to its end, and with it whatever it has started: when Run
// returns, no process of the command is left. The end of ctx and of the timeout
// are SIGTERM to the group and, half a second later, SIGKILL; what came of the
// command until then is in the Output. A command that fails is no error; one that
// cannot be started is.
func (s *Sandbox) Run(ctx context.Context, c Command) (Output, error) {
	if len(c.Argv) == 0 {
		return Output{}, errors.New("start command: it is empty")
	}
	if ctx.Err() != nil {
		return Output{Cancelled: true}, nil
	}
	if info, err := os.Stat(c.Dir); err != nil {
		return Output{}, fmt.Errorf("start command: %w", err)
	} else if !info.IsDir() {
		return Output{}, fmt.Errorf("start command: %s is not a directory", c.Dir)
	}
	call := &call{sandbox: s, command: c, drain: newDrain(), capture: newCapture(c.MaxOutput)}
	defer call.drain.close()
	if err := call.start(ctx); err != nil {
		return Output{}, fmt.Errorf("start command: %w", err)
	}
	began := time.Now()
	out := call.finish(ctx)
	out.Duration = time.Since(began)
	return out, nil
}

// begin registers a call and returns its mark.
func (s *Sandbox) begin(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	// Upstreams give ids such as call_0 again and again, so a number makes the
	// mark unique.
	mark := strconv.FormatUint(s.calls, 10)
	if id = plainID(id); id != "" {
		mark = id + "." + mark
	}
	s.running[mark] = struct{}{}
	return mark
}

// end takes a call off the register.
func (s *Sandbox) end(mark string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, mark)
}

// plainID makes an id fit for an environment variable.
func plainID(id string) string {
	id = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		default:
			return -1
		}
	}, id)
	return id[:min(len(id), 64)]
}

// call is a command on its way.
type call struct {
	sandbox *Sandbox
	command Command
	cmd     *exec.Cmd
	mark    string
	pgid    int
	drain   *drain
	capture *capture
}

// start starts the command.
func (c *call) start(ctx context.Context) error {
	defer c.drain.started()
	text, err := c.drain.pipe(c.capture)
	if err != nil {
		return err
	}
	stdout := text
	if c.command.Stdout != nil {
		if stdout, err = c.drain.pipe(c.command.Stdout); err != nil {
			return err
		}
	}
	c.mark = c.sandbox.begin(c.command.CallID)
	// The context ends the command through finish, which ends the group.
	c.cmd = exec.CommandContext(context.WithoutCancel(ctx), c.command.Argv[0], c.command.Argv[1:]...)
	c.cmd.Dir = c.command.Dir
	c.cmd.Env = append(slices.Clone(c.command.Env), EnvCall+"="+c.mark)
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = c.command.Stdin, stdout, text
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.cmd.WaitDelay = waitDelay
	if err := c.sandbox.children.Start(c.cmd); err != nil {
		c.sandbox.end(c.mark)
		return err
	}
	c.pgid = c.cmd.Process.Pid
	return nil
}

// finish waits for the end of the command, or brings it about, and cleans up.
func (c *call) finish(ctx context.Context) Output {
	c.drain.read()
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		c.sandbox.children.awaitExit(c.cmd)
	}()
	if c.command.OnStart != nil {
		c.command.OnStart(c.pgid)
	}

	var out Output
	var expired <-chan time.Time
	if c.command.Timeout > 0 {
		timer := time.NewTimer(c.command.Timeout)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-exited:
		await(c.drain.ended, lastWords)
	case <-ctx.Done():
		out.Cancelled = true
		c.stop(exited)
	case <-expired:
		out.TimedOut = true
		c.stop(exited)
	case <-c.drain.broken:
		c.stop(exited)
	}
	_ = c.sandbox.children.reap(c.cmd) // how it ended stands in cmd.ProcessState
	c.sweep(ctx)
	if !await(c.drain.ended, waitDelay) {
		c.drain.close()
		<-c.drain.ended
	}
	out.ending(c.cmd.ProcessState)
	out.Text, out.Omitted = c.capture.text()
	out.Truncated = out.Omitted > 0
	return out
}

// stop ends the group: SIGTERM, and SIGKILL to those who are left after the
// grace. Whoever holds the output open is left.
func (c *call) stop(exited <-chan struct{}) {
	children := c.sandbox.children
	_ = children.Signal(c.cmd, syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for _, done := range []<-chan struct{}{exited, c.drain.ended} {
		select {
		case <-done:
		case <-timer.C:
			_ = children.Signal(c.cmd, syscall.SIGKILL)
			<-exited
			return
		}
	}
}

// await waits for done and reports whether it came in time.
func await(done <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// sweep ends the processes that have left the group. Those of other calls that
// still run stay; those that carry no mark go when no other call runs.
func (c *call) sweep(ctx context.Context) {
	s := c.sandbox
	s.end(c.mark)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepTimeout)
	defer cancel()
	// What does not die by then is beyond signals (stuck in the kernel); the
	// next sweep tries again.
	_ = s.children.Sweep(ctx, func(stray Stray) bool {
		if stray.PGID == c.pgid || stray.Env(EnvCall) == c.mark {
			return false
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.running) > 0
	})
}
