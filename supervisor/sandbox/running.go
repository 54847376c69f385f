package sandbox

import (
	"context"
	"errors"
	"os"
	"time"
)

// typeTimeout is how long Write waits for a program that does not read what is
// typed; the kernel holds a few kB of it.
const typeTimeout = 2 * time.Second

// errNoTerminal is what typing into a command without a terminal gives.
var errNoTerminal = errors.New("the command has no terminal")

// Running is a command that runs beside its caller. Somebody waits for Done.
type Running struct {
	call *call
	stop context.CancelFunc
	done chan struct{}
	out  Output // once done is closed
}

// Start starts a command as Run does, and returns while it runs. The end of ctx
// does not end it: Stop does, its Timeout, and its own end.
func (s *Sandbox) Start(ctx context.Context, c Command) (*Running, error) {
	call, err := s.launch(ctx, c)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	r := &Running{call: call, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		defer stop()
		r.out = call.finish(ctx)
	}()
	return r, nil
}

// Done is closed when the command has ended and none of its processes is left.
func (r *Running) Done() <-chan struct{} { return r.done }

// Output is what came of the command. It waits for Done.
func (r *Running) Output() Output {
	<-r.done
	return r.out
}

// Stop ends the command as the end of Run's context does. It does not wait.
func (r *Running) Stop() { r.stop() }

// Keep makes the command a job: the end of other commands leaves its processes
// alone, those included that carry no mark, and does not wait for its end to
// sweep up after themselves.
func (r *Running) Keep() {
	r.call.sandbox.mu.Lock()
	defer r.call.sandbox.mu.Unlock()
	r.call.kept = true
}

// Write types into the terminal of the command. After its end it returns
// os.ErrProcessDone.
func (r *Running) Write(p []byte) (int, error) {
	if r.call.input == nil {
		return 0, errNoTerminal
	}
	if err := r.call.input.SetWriteDeadline(time.Now().Add(typeTimeout)); err != nil {
		return 0, os.ErrProcessDone // it is closed then, and never else
	}
	return r.call.input.Write(p)
}
