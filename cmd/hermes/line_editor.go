package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// errInterrupted is returned when a person presses Ctrl-C at an empty line.
var errInterrupted = errors.New("interrupted")

// lineEditor reads the messages of a chat: with keys to edit them, a history and
// pastes that stay whole on a terminal that can do that, else as lines.
type lineEditor struct {
	*app
	file     *os.File // nil: lines are read
	keys     *keyReader
	terminal *term.Terminal
	history  *history
}

func newLineEditor(a *app, h *history) *lineEditor {
	e := &lineEditor{app: a, history: h}
	file, ok := a.in.(*os.File)
	if !ok || !a.inTTY || !a.errTTY || a.getenv("TERM") == "dumb" {
		return e
	}
	e.file, e.keys = file, &keyReader{in: file}
	e.terminal = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{e.keys, a.err}, "")
	e.terminal.History = h
	return e
}

// read reads a message. It is io.EOF when there is no more, and errInterrupted.
// A line that ends in a backslash goes on in the next one.
func (e *lineEditor) read(ctx context.Context) (string, error) {
	var lines []string
	for prompt := ">"; ; prompt = "…" {
		line, err := e.line(ctx, bold.paint(e.colours(e.errTTY), prompt)+" ")
		if err != nil {
			return "", err
		}
		before, goesOn := strings.CutSuffix(line, `\`)
		lines = append(lines, before)
		if !goesOn {
			return strings.TrimSpace(strings.Join(lines, "\n")), nil
		}
	}
}

func (e *lineEditor) line(ctx context.Context, prompt string) (string, error) {
	if e.file == nil {
		e.eprintf("%s", prompt)
		line, err := e.readLine(ctx) // Ctrl-C is a signal here
		if errors.Is(err, errNoAnswer) {
			err = io.EOF
		}
		return line, err
	}
	fd := int(e.file.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return "", fmt.Errorf("read message: %w", err)
	}
	if width, height, err := term.GetSize(fd); err == nil && width > 0 {
		_ = e.terminal.SetSize(width, height) // it writes nothing before a line is begun
	}
	e.terminal.SetPrompt(prompt)
	e.terminal.SetBracketedPasteMode(true)
	line, err := abandon(ctx, e.terminal.ReadLine)
	e.terminal.SetBracketedPasteMode(false)
	err = errors.Join(err, term.Restore(fd, before))
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err == nil || errors.Is(err, term.ErrPasteIndicator):
		if e.history.err != nil {
			e.errorf("%s", oneLine(e.history.err))
		}
		return unshown(line), nil
	}
	e.eprintf("\n")
	if e.keys.interrupted {
		return "", errInterrupted
	}
	return "", err
}
