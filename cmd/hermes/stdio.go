package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// stdio is a command's input and output, and what is at their other ends. What
// is asked for goes to out, everything about it to err.
type stdio struct {
	in       io.Reader
	out, err io.Writer
	// inTTY, outTTY and errTTY say that a person is at the other end.
	inTTY, outTTY, errTTY bool
	// width is the terminal's, in columns; 0 when out is none.
	width int
}

// systemStdio is the process's own.
func systemStdio() stdio {
	s := stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	s.inTTY = isTerminal(os.Stdin)
	s.outTTY = isTerminal(os.Stdout)
	s.errTTY = isTerminal(os.Stderr)
	if s.outTTY {
		s.width = usualWidth
		if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && width > 0 {
			s.width = width
		}
	}
	return s
}

// usualWidth is taken for the width of a terminal that does not tell.
const usualWidth = 100

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// interactive reports whether a person can be asked something.
func (s stdio) interactive() bool { return s.inTTY }

// printf writes to stdout. That a reader has gone away shows in the next system
// call (SIGPIPE), not here.
func (s stdio) printf(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format, args...) }

// eprintf writes to stderr.
func (s stdio) eprintf(format string, args ...any) { _, _ = fmt.Fprintf(s.err, format, args...) }

// printJSON writes v to stdout for a program.
func (s stdio) printJSON(v any) error {
	encoder := json.NewEncoder(s.out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// zeroWidthJoiner makes one emoji of several.
const zeroWidthJoiner = '\u200d'

// keptWriter remembers the first error of a writer, which printf does not return.
type keptWriter struct {
	to io.Writer

	mu  sync.Mutex // guards err
	err error
}

func (w *keptWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.err = cmp.Or(w.err, err)
	}
	return n, err
}

// failed is the first error.
func (w *keptWriter) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// rawOut is stdout as another program can be given it.
func (s stdio) rawOut() io.Writer {
	if kept, ok := s.out.(*keptWriter); ok {
		return kept.to
	}
	return s.out
}

// printable drops what could move a terminal's cursor or hide text: names,
// reasons and log lines may come from what a model wrote.
func printable(s string) string {
	return strings.Map(printableRune, s)
}

// style is how a piece of text is set off on a terminal: an SGR parameter.
type style string

const (
	plain     style = ""
	bold      style = "1"
	dim       style = "2"
	italic    style = "3"
	underline style = "4"
	red       style = "31"
	green     style = "32"
	yellow    style = "33"
	blue      style = "34"
	magenta   style = "35"
	cyan      style = "36"
)

// paint sets text off, if there are colours.
func (st style) paint(colours bool, text string) string {
	if !colours || st == plain {
		return text
	}
	return "\x1b[" + string(st) + "m" + text + "\x1b[0m"
}
