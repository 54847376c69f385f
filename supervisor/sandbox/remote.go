package sandbox

import (
	"io"
	"os"
	"syscall"

	"hermes/supervisor/sandbox/wall"
)

// remote is a stage that the worker's shim has started.
type remote struct {
	stage *wall.Stage
	// fed is closed when nothing is written any more to what the command reads, which
	// ends closes; both nil if it reads from a file.
	fed  chan struct{}
	ends io.Closer
}

func (r *remote) pid() int { return r.stage.PID }

func (r *remote) signal(sig syscall.Signal) error { return r.stage.Signal(sig) }

func (r *remote) awaitExit() { r.stage.Await() }

// reap ends the stage, with which the kernel ends all behind the wall. A stage ends
// without a word only if somebody kills it.
func (r *remote) reap() ending {
	_ = r.stage.Signal(syscall.SIGKILL)
	r.stage.Await()
	r.stage.Close()
	if r.fed != nil {
		_ = r.ends.Close()
		await(r.fed, waitDelay) // the reader may wait for somebody who is not of the command
	}
	return ending{status: syscall.WaitStatus(syscall.SIGKILL), known: true}
}

// forkRemote has the shim start the stage, with what exec.Cmd would give it.
func (c *call) forkRemote() error {
	r := &remote{}
	stdin, err := r.input(c.cmd.Stdin)
	if err != nil {
		return err
	}
	stdout, _ := c.cmd.Stdout.(*os.File)
	stderr, _ := c.cmd.Stderr.(*os.File) // connect has made both
	r.stage, err = c.guard.Fork(c.cmd.Dir, [3]*os.File{stdin, stdout, stderr}, c.cmd.ExtraFiles)
	if own := c.cmd.Stdin != io.Reader(stdin); own {
		_ = stdin.Close()
	}
	if err != nil {
		if r.ends != nil {
			_ = r.ends.Close()
		}
		return err
	}
	c.process = r
	return nil
}

// input is what the command reads from: a file as it is, whatever else through a
// pipe.
func (r *remote) input(from io.Reader) (*os.File, error) {
	if from == nil {
		return os.Open(os.DevNull)
	}
	if file, ok := from.(*os.File); ok {
		return file, nil
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	r.ends, r.fed = ours, make(chan struct{})
	go func() {
		defer close(r.fed)
		_, _ = io.Copy(ours, from) // a command need not read all of it
		_ = ours.Close()
	}()
	return theirs, nil
}
