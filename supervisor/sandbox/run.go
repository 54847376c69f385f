package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	ours, theirs, err := os.Pipe()
	if err != nil {
		return Output{}, fmt.Errorf("start command: %w", err)
	}
	defer ours.Close()

	mark := s.begin(c.CallID)
	// The context ends the command through Run, which ends the group.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.Argv[0], c.Argv[1:]...)
	cmd.Dir = c.Dir
	cmd.Env = append(slices.Clone(c.Env), EnvCall+"="+mark)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = waitDelay
	began := time.Now()
	err = s.children.Start(cmd)
	theirs.Close()
	if err != nil {
		s.end(mark)
		return Output{}, fmt.Errorf("start command: %w", err)
	}
	call := &call{sandbox: s, command: c, cmd: cmd, mark: mark, pgid: cmd.Process.Pid, pipe: ours, capture: newCapture(c.MaxOutput)}
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
	pipe    *os.File
	capture *capture
}

// finish waits for the end of the command, or brings it about, and cleans up.
func (c *call) finish(ctx context.Context) Output {
	read := make(chan struct{}) // closed when nobody can write any more
	go func() {
		defer close(read)
		// A pipe fails only when it is given up; what has come is kept.
		_, _ = io.CopyBuffer(struct{ io.Writer }{c.capture}, struct{ io.Reader }{c.pipe}, make([]byte, 32<<10))
	}()
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
		await(read, lastWords)
	case <-ctx.Done():
		out.Cancelled = true
		c.stop(exited, read)
	case <-expired:
		out.TimedOut = true
		c.stop(exited, read)
	}
	_ = c.sandbox.children.reap(c.cmd) // how it ended stands in cmd.ProcessState
	c.sweep(ctx)
	if !await(read, waitDelay) {
		_ = c.pipe.Close() // ends the read
		<-read
	}
	out.ending(c.cmd.ProcessState)
	out.Text, out.Omitted = c.capture.text()
	out.Truncated = out.Omitted > 0
	return out
}

// stop ends the group: SIGTERM, and SIGKILL to those who are left after the
// grace. Whoever holds the output open is left.
func (c *call) stop(exited, read <-chan struct{}) {
	children := c.sandbox.children
	_ = children.Signal(c.cmd, syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for _, done := range []<-chan struct{}{exited, read} {
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
