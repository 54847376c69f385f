package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// errNoAnswer is returned when the input ends before a question was answered.
var errNoAnswer = errors.New("no answer was given; nothing was changed")

// readLine reads a line that a person types. A person who presses Ctrl-C instead
// is not waited for.
func (a *app) readLine(ctx context.Context) (string, error) {
	return abandon(ctx, func() (string, error) {
		line, err := a.lines().ReadString('\n')
		if err != nil && line == "" {
			a.eprintf("\n")
			if errors.Is(err, io.EOF) {
				return "", errNoAnswer
			}
			return "", fmt.Errorf("read answer: %w", err)
		}
		return strings.TrimSpace(line), nil
	})
}

// readSecret reads a line that is not shown while it is typed.
func (a *app) readSecret(ctx context.Context) (string, error) {
	file, ok := a.in.(*os.File)
	if !ok || !a.inTTY {
		return a.readLine(ctx)
	}
	fd := int(file.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read answer: %w", err)
	}
	secret, err := abandon(ctx, func() (string, error) {
		secret, err := term.ReadPassword(fd)
		if err != nil {
			return "", errNoAnswer
		}
		return strings.TrimSpace(string(secret)), nil
	})
	a.eprintf("\n")
	if ctx.Err() != nil { // the terminal must not stay silent
		err = errors.Join(err, term.Restore(fd, before))
	}
	return secret, err
}

// abandon waits for read or for the end of ctx. A read from a terminal cannot be
// ended; the process does that.
func abandon(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := read()
		answers <- answer{text, err}
	}()
	select {
	case got := <-answers:
		return got.text, got.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// lines is the one reader of stdin, so that nothing it has read ahead is lost.
func (a *app) lines() *bufio.Reader {
	if a.reader == nil {
		a.reader = bufio.NewReader(a.in)
	}
	return a.reader
}
