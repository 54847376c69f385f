package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"hermes/worker/api"
	"hermes/worker/store"
)

const (
	// shownIDs is how many sessions an AmbiguousError names.
	shownIDs = 5
	// lookedAt is how many sessions are gone through for the last one of a kind.
	lookedAt = 1000
)

// AmbiguousError says that several sessions have an id that begins alike.
type AmbiguousError struct {
	Prefix string
	IDs    []string // the last used first, at most shownIDs of them
	More   bool     // there are others
}

func (e *AmbiguousError) Error() string {
	more := ""
	if e.More {
		more = " and others"
	}
	return fmt.Sprintf("%q is the beginning of several sessions: %s%s", e.Prefix, strings.Join(e.IDs, ", "), more)
}

// Find returns the session that a person means: by its id, by the name of its
// conversation, or by the beginning of its id, of at least that many letters. It
// is ErrNoSession, or an AmbiguousError. The messages are not counted.
func (a *Archive) Find(ctx context.Context, ref string, letters int) (Session, error) {
	names, err := a.store.ConversationNames(ctx)
	if err != nil {
		return Session{}, noSession(err)
	}
	// Where several belong to a conversation the last one is meant.
	var found Session
	for id, name := range names {
		if name != ref {
			continue
		}
		session, err := a.one(ctx, id, names)
		if err != nil {
			return Session{}, err
		}
		if found.ID == "" || session.Updated.After(found.Updated) || session.Updated.Equal(found.Updated) && id > found.ID {
			found = session
		}
	}
	if found.ID != "" {
		return found, nil
	}
	ids, err := a.store.SessionIDs(ctx, ref, shownIDs+1)
	if err != nil {
		return Session{}, err
	}
	return a.chosen(ctx, ref, ids, letters, names)
}

// chosen is the one of the sessions whose ids begin with ref that is meant.
func (a *Archive) chosen(ctx context.Context, ref string, ids []string, letters int, names map[string]string) (Session, error) {
	session, err := a.one(ctx, ref, names)
	switch {
	case !errors.Is(err, ErrNoSession):
		return session, err
	case ref == "" || len(ids) == 0 || len(ref) < letters:
		return session, ErrNoSession
	case len(ids) > 1:
		return session, &AmbiguousError{Prefix: ref, IDs: ids[:min(len(ids), shownIDs)], More: len(ids) > shownIDs}
	}
	return a.one(ctx, ids[0], names)
}

func (a *Archive) one(ctx context.Context, id string, names map[string]string) (Session, error) {
	s, err := a.store.Session(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return Session{}, ErrNoSession
	}
	return Session{ID: s.ID, Name: names[id], Source: s.Source, Created: s.Created, Updated: s.Updated}, err
}

// LastTerminal returns the session of hermes chat that was used last and can be
// gone on with, or ErrNoSession.
func (a *Archive) LastTerminal(ctx context.Context) (Session, error) {
	names, err := a.store.ConversationNames(ctx)
	if err != nil {
		return Session{}, noSession(err)
	}
	sessions, err := a.store.Sessions(ctx, lookedAt)
	for _, s := range sessions {
		if s.Source == api.SourceTerminal && names[s.ID] != "" {
			return a.one(ctx, s.ID, names)
		}
	}
	return Session{}, noSession(err)
}

// noSession is ErrNoSession for a database that is not there, or has none.
func noSession(err error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return ErrNoSession
	}
	return err
}
