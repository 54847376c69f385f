// Package pdf reads the text of PDF documents.
//
// Documents come from anybody, and the library that knows their structure can be
// made to loop for ever, to fill the memory and to overflow the stack (golang/vulndb
// 6115 has a list), none of which a process can end or survive inside itself. So
// each document is read by a process of its own with little memory and little
// time: Reader.Text starts it and Main is what it does.
//
// The library finds objects and unpacks streams. What stands on a page is read
// here, since the library's own words run together wherever a document moves the
// pen instead of writing a space, as TeX does.
package pdf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"hermes/supervisor/sandbox"
)

// Subcommand is the first argument of the process that reads a document; the
// second is the limit. The document comes on its standard input.
const Subcommand = "pdf"

// Why a document is not read. Each is the rest of a sentence that begins with
// its name.
var (
	ErrEncrypted = errors.New("it is encrypted. Send a copy without a password")
	ErrDamaged   = errors.New("it is damaged, or of a kind that is not known here")
	ErrCostly    = errors.New("that takes too much time or memory")
)

// maxAtOnce is how many documents are read at the same time; others wait.
const maxAtOnce = 2

// defaultTimeout ends a process that its limit of computing time does not end
// first, because the machine is busy.
const defaultTimeout = 30 * time.Second

// Options say how processes are started.
type Options struct {
	Sandbox *sandbox.Sandbox
	// Exe is this binary, whose first argument may be Subcommand.
	Exe string
	// Timeout is how long a document may take; 0 is half a minute.
	Timeout time.Duration
}

// Reader reads documents.
type Reader struct {
	opts  Options
	slots chan struct{}
}

// New makes a Reader.
func New(opts Options) *Reader {
	if opts.Timeout == 0 {
		opts.Timeout = defaultTimeout
	}
	return &Reader{opts: opts, slots: make(chan struct{}, maxAtOnce)}
}

// Text returns the text of a document, the pages in their order with a blank line
// between them: at most limit bytes, and exactly so many (be it in the middle of
// a character) where there is more. A document of images has none. The error is
// or wraps one of those above, or says why the document was not looked at.
func (r *Reader) Text(ctx context.Context, data []byte, limit int) (string, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	text := &bounded{left: limit}
	out, err := r.opts.Sandbox.Run(ctx, sandbox.Command{
		Argv:    []string{r.opts.Exe, Subcommand, strconv.Itoa(limit)},
		Dir:     "/",
		Plain:   true,
		Env:     []string{"GOTRACEBACK=none"}, // goroutines of a process that was meant to die help nobody
		Stdin:   bytes.NewReader(data),
		Stdout:  text,
		Timeout: r.opts.Timeout,
	})
	switch {
	case err != nil:
		return "", fmt.Errorf("read PDF: %w", err)
	case out.Cancelled:
		return "", context.Cause(ctx)
	case out.ExitCode == 0 && !out.TimedOut:
		return text.String(), nil
	}
	for _, reason := range []error{ErrEncrypted, ErrDamaged} {
		if strings.HasPrefix(out.Text, reason.Error()) {
			return "", reason
		}
	}
	return "", ErrCostly // as it says itself, or it did not live to say it
}

// bounded keeps what a process writes, up to what it was allowed to.
type bounded struct {
	bytes.Buffer
	left int
}

// Write refuses what is too much, which ends the process.
func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, ErrCostly
	}
	return b.Buffer.Write(p)
}
