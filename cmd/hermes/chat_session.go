package main

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"
	"unicode"

	"hermes/worker"
)

const (
	// sessionLetters is how much of a session's id names it. A shorter word is the
	// name of a conversation.
	sessionLetters = 8
	// sessionName bounds a name, in bytes.
	sessionName = 100
)

// newSessionName names a conversation that nobody has named.
func newSessionName(now time.Time) string {
	return "chat-" + now.Format("20060102-1504") + "-" + strings.ToLower(rand.Text()[:5])
}

// chosenSession is the name of the conversation that the flags ask for.
func (opts *chatOptions) chosenSession(ctx context.Context) (name string, err error) {
	switch {
	case opts.named && opts.continued || opts.fresh && (opts.named || opts.continued):
		return "", usagef("--session, --continue and --new cannot be given together")
	case !opts.named && !opts.continued:
		return newSessionName(time.Now()), nil
	}
	if opts.named {
		if err := checkSessionName(opts.session); err != nil {
			return "", err
		}
	}
	var found worker.Session
	err = opts.inArchive(func(archive *worker.Archive) error {
		if opts.continued {
			found, err = archive.LastTerminal(ctx)
		} else {
			found, err = archive.Find(ctx, opts.session, sessionLetters)
		}
		return err
	})
	ambiguous, isAmbiguous := errors.AsType[*worker.AmbiguousError](err)
	switch {
	case errors.Is(err, worker.ErrNoSession) && opts.continued:
		return "", usagef("there is no session of hermes chat to continue; begin one without --continue")
	case errors.Is(err, worker.ErrNoSession):
		if !opts.quiet {
			opts.eprintf("New session %s.\n", opts.session)
		}
		return opts.session, nil
	case isAmbiguous:
		return "", usagef("%w; give more of it", ambiguous)
	case err != nil:
		return "", err
	case found.Name == "":
		return "", usagef("session %s cannot be continued here: the client that began it keeps it (%s), or too much was stored since", found.ID, found.Source)
	}
	return found.Name, nil
}

// checkSessionName refuses what is no name to type again.
func checkSessionName(name string) error {
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	switch {
	case strings.TrimSpace(name) != name || name == "":
		return usagef("--session must be a name, without spaces around it")
	case len(name) > sessionName:
		return usagef("--session is longer than %d bytes", sessionName)
	case strings.ContainsFunc(name, odd):
		return usagef("--session cannot be %q: it holds characters that do not show", name)
	}
	return nil
}

// printSessions lists the last conversations that can be continued.
func (opts *chatOptions) printSessions(ctx context.Context, current string) error {
	return opts.inArchive(func(archive *worker.Archive) error {
		list, err := archive.List(ctx, 100, false)
		if err != nil {
			return err
		}
		t := &table{header: []string{"NAME", "LAST USED", "TURNS", "TITLE"}}
		shown := 0
		for _, s := range list {
			if s.Name == "" || shown == 10 {
				continue
			}
			shown++
			row := cells(s.Name, s.Updated.Format(time.DateTime), number(s.Turns), s.Title)
			if s.Name == current {
				row[0].style = bold
			}
			t.add(row...)
		}
		if shown == 0 {
			opts.eprintf("There is no session yet.\n")
			return nil
		}
		opts.printTable(t)
		return nil
	})
}
