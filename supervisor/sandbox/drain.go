package sandbox

import (
	"fmt"
	"io"
	"os"
	"sync"
)

// drain reads what a command writes. Its writing ends go to the command as files,
// so that waiting for the command does not wait for those who inherited them.
type drain struct {
	pipes   []drainPipe
	readers sync.WaitGroup
	// ended is closed when nobody can write any more, broken when somebody does
	// not want to read on.
	ended, broken chan struct{}
	breaks        sync.Once
}

// drainPipe is one pipe, and who gets what comes out of it.
type drainPipe struct {
	ours, theirs *os.File
	to           io.Writer
}

func newDrain() *drain {
	return &drain{ended: make(chan struct{}), broken: make(chan struct{})}
}

// pipe adds a pipe and returns the end to write to.
func (d *drain) pipe(to io.Writer) (*os.File, error) {
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	d.add(ours, theirs, to)
	return theirs, nil
}

// add adds a pipe, or a terminal, that somebody else has made.
func (d *drain) add(ours, theirs *os.File, to io.Writer) {
	d.pipes = append(d.pipes, drainPipe{ours, theirs, to})
}

// started closes the ends that the command has by now.
func (d *drain) started() {
	for _, pipe := range d.pipes {
		_ = pipe.theirs.Close()
	}
}

// read begins to read. Somebody must wait for ended.
func (d *drain) read() {
	for _, pipe := range d.pipes {
		d.readers.Go(func() {
			buffer := make([]byte, 32<<10)
			for {
				n, err := pipe.ours.Read(buffer)
				if n > 0 {
					if _, refused := pipe.to.Write(buffer[:n]); refused != nil {
						d.breaks.Do(func() { close(d.broken) })
						return
					}
				}
				if err != nil {
					// All ends are closed (a terminal has EIO for that), or the pipe
					// was given up.
					return
				}
			}
		})
	}
	go func() {
		d.readers.Wait()
		close(d.ended)
	}()
}

// close gives up the pipes, which ends the reading.
func (d *drain) close() {
	for _, pipe := range d.pipes {
		_ = pipe.ours.Close()
	}
}
