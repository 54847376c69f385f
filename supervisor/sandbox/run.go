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

	"hermes/supervisor/sandbox/wall"
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

// ownProgram is the program of this process, whatever its name is and whether that can
// be reached.
const ownProgram = "/proc/self/exe"

// Run runs a command to its end, and with it whatever it has started: when Run
// returns, no process of the command is left. The end of ctx and of the timeout
// are SIGTERM to the group and, half a second later, SIGKILL; what came of the
// command until then is in the Output. A command that fails is no error; one that
// cannot be started is.
func (s *Sandbox) Run(ctx context.Context, c Command) (Output, error) {
	if ctx.Err() != nil && len(c.Argv) > 0 {
		return Output{Cancelled: true}, nil
	}
	call, err := s.launch(ctx, c)
	if err != nil {
		return Output{}, err
	}
	return call.finish(ctx), nil
}

// launch starts a command. Somebody must finish it.
func (s *Sandbox) launch(ctx context.Context, c Command) (*call, error) {
	if len(c.Argv) == 0 {
		return nil, errors.New("start command: it is empty")
	}
	if info, err := os.Stat(c.Dir); err != nil {
		return nil, fmt.Errorf("start command: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("start command: %s is not a directory", c.Dir)
	}
	call := &call{sandbox: s, command: c, drain: newDrain(), capture: newCapture(c.MaxOutput)}
	if err := call.start(ctx); err != nil {
		call.drain.close()
		return nil, fmt.Errorf("start command: %w", err)
	}
	return call, nil
}

// begin registers a call and returns its mark.
func (s *Sandbox) begin(c *call) string {
	id := c.command.CallID
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	// Upstreams give ids such as call_0 again and again, so a number makes the
	// mark unique.
	mark := strconv.FormatUint(s.calls, 10) + s.mark
	if id = plainID(id); id != "" {
		mark = id + "." + mark
	}
	s.running[mark] = c
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
	guard   *wall.Guard // of a command behind a wall, else nil
	process process     // what was started
	mark    string
	drain   *drain
	capture *capture
	began   time.Time
	reached uint64   // how often a limit had been reached when it began
	born    uint64   // when its first process was, see Stray.Born
	input   *os.File // where its terminal is typed into, nil without one

	pgid int  // guarded by sandbox.mu
	kept bool // it is a job; guarded by sandbox.mu
}

// start starts the command.
func (c *call) start(ctx context.Context) error {
	defer c.drain.started()
	// The context ends the command through finish, which ends the group.
	c.cmd = exec.CommandContext(context.WithoutCancel(ctx), c.command.Argv[0], c.command.Argv[1:]...)
	if c.command.Argv[0] == ownProgram {
		c.cmd.Args[0] = "hermes" // by the other name it would not know itself
	}
	if err := c.connect(); err != nil {
		return err
	}
	c.mark = c.sandbox.begin(c)
	c.cmd.Dir = c.command.Dir
	c.cmd.Env = append(slices.Clone(c.command.Env), EnvCall+"="+c.mark)
	c.cmd.ExtraFiles = c.command.ExtraFiles
	c.cmd.WaitDelay = waitDelay
	c.began = time.Now()
	c.reached, _ = c.sandbox.reached()
	if err := c.wallIn(); err != nil {
		c.sandbox.end(c.mark)
		return err
	}
	if err := c.fork(); err != nil {
		c.sandbox.end(c.mark)
		c.letOut()
		return err
	}
	if err := c.walled(ctx); err != nil {
		return err
	}
	pid := c.process.pid()
	c.born = born(pid)
	c.sandbox.mu.Lock()
	c.pgid = pid
	c.sandbox.mu.Unlock()
	return nil
}

// connect gives the command its input and its outputs.
func (c *call) connect() error {
	var output io.Writer = c.capture
	if c.command.Output != nil {
		output = c.command.Output
	}
	if c.command.PTY {
		ours, theirs, err := openTerminal()
		if err != nil {
			return err
		}
		c.drain.add(ours, theirs, output)
		c.input = ours
		c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = theirs, theirs, theirs
		// A session of its own is a group of its own too.
		c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		return nil
	}
	text, err := c.drain.pipe(output)
	if err != nil {
		return err
	}
	stdout := text
	if c.command.Stdout != nil {
		if stdout, err = c.drain.pipe(c.command.Stdout); err != nil {
			return err
		}
	}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = c.command.Stdin, stdout, text
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return nil
}

// finish waits for the end of the command, or brings it about, and cleans up.
func (c *call) finish(ctx context.Context) Output {
	defer c.drain.close()
	c.drain.read()
	exited := make(chan struct{})
	var end ending
	go func() {
		defer close(exited)
		end = c.awaitEnd()
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
	last := c.process.reap()
	c.letOut()
	<-exited
	c.sweep(ctx)
	if !await(c.drain.ended, waitDelay) {
		c.drain.close()
		<-c.drain.ended
	}
	end.of(last)
	out.ending(end)
	if times, which := c.sandbox.reached(); times > c.reached && out.ExitCode != 0 {
		out.Limit = which
	}
	out.Text, out.Omitted = c.capture.text()
	out.Truncated = out.Omitted > 0
	out.Duration = time.Since(c.began)
	return out
}

// stop ends the group: SIGTERM, and SIGKILL to those who are left after the
// grace. Whoever holds the output open is left.
func (c *call) stop(exited <-chan struct{}) {
	_ = c.terminate()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for _, done := range []<-chan struct{}{exited, c.drain.ended} {
		select {
		case <-done:
		case <-timer.C:
			_ = c.process.signal(syscall.SIGKILL)
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
