package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"syscall"

	"modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

var (
	// ErrNotFound says that nothing of that id or key is there.
	ErrNotFound = errors.New("not found")
	// ErrExists says that a run of that id, or a call of that id in the run, is
	// recorded already.
	ErrExists = errors.New("recorded already")
	// ErrEnded says that the run or call has ended, so that nothing can be added
	// to it.
	ErrEnded = errors.New("ended already")
	// ErrInFlight says that a response has not ended yet, so that nothing can
	// follow it.
	ErrInFlight = errors.New("still in flight")
	// ErrConflict says that a conversation has gone on meanwhile.
	ErrConflict = errors.New("conversation has another head")
	// ErrClosed says that the Store was closed.
	ErrClosed = errors.New("database is closed")
	// ErrBusy says that another process kept the file locked for longer than
	// busyTimeout. Nothing was written; the call may be tried again.
	ErrBusy = errors.New("database is locked by another process")
	// ErrFull says that the disk is full. Nothing was written.
	ErrFull = errors.New("disk is full")
	// ErrIO says that the disk did not do as it was told. Whether a transaction
	// that ended so was written is unknown: a failed fsync may leave it in the
	// log, and then it is there after the next opening. When a commit went wrong
	// so, every method fails with ErrIO until Reopen, or until the process is
	// started anew; then its records can be looked for by id.
	ErrIO = errors.New("disk read or write went wrong")
	// ErrDamaged says that the file is not, or not any more, a database.
	ErrDamaged = errors.New("file is damaged or no database")
	// ErrNewer says that a later version of hermes has changed the file in ways
	// that this one does not know.
	ErrNewer = errors.New("database was made by a newer version of hermes")
	// ErrOlder says that the file has the tables of an earlier version of hermes,
	// and was opened by somebody who does not change them.
	ErrOlder = errors.New("database was made by an older version of hermes")
)

// commitError is an error of a commit, not of the statements before it.
type commitError struct{ error }

func (e *commitError) Unwrap() error { return e.error }

// judge is explain for the error of a transaction. It also decides what the
// error means for those that follow.
func (s *Store) judge(ctx context.Context, err error) error {
	err = s.explain(ctx, err)
	if errors.Is(err, ErrFull) {
		s.full.Store(true)
	}
	var commit *commitError
	if errors.Is(err, ErrIO) && errors.As(err, &commit) && !s.broken.Swap(true) {
		s.opts.Log.Error("a commit went wrong; nothing is read or written until the database is opened again", "path", s.path, "error", err)
		if s.opts.OnBroken != nil {
			s.opts.OnBroken()
		}
	}
	return err
}

// explain gives errors of the driver the meaning that callers branch on. Errors
// of an ended context stay what they are.
func (s *Store) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil {
		// An interrupted statement reports whatever it was doing.
		if errors.Is(err, ended) {
			return err
		}
		return fmt.Errorf("%w (%w)", ended, err)
	}
	return s.meaning(err)
}

// meaning is explain where no context can have ended.
func (s *Store) meaning(err error) error {
	var failure *sqlite.Error
	if !errors.As(err, &failure) {
		return s.otherMeaning(err)
	}
	// The low byte is the kind, the rest of the code its variety.
	switch failure.Code() & 0xff {
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED:
		return fmt.Errorf("%w (%w)", ErrBusy, err)
	case codes.SQLITE_FULL:
		return fmt.Errorf("%w: free some space for %s (%w)", ErrFull, s.path, err)
	case codes.SQLITE_IOERR:
		return fmt.Errorf("%w: %s (%w)", ErrIO, s.path, err)
	case codes.SQLITE_CORRUPT, codes.SQLITE_NOTADB:
		s.suspect.Store(true)
		return fmt.Errorf("%w: %s; move it away to begin with an empty one (%w)", ErrDamaged, s.path, err)
	case codes.SQLITE_CANTOPEN, codes.SQLITE_READONLY, codes.SQLITE_PERM:
		return fmt.Errorf("%s cannot be written; look at its owner, its mode and its directory (%w)", s.path, err)
	default:
		return err
	}
}

// otherMeaning is meaning for errors that are none of the driver's.
func (s *Store) otherMeaning(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: free some space for %s (%w)", ErrFull, s.path, err)
	case errors.Is(err, syscall.EIO):
		return fmt.Errorf("%w: %s (%w)", ErrIO, s.path, err)
	case s.closed.Load():
		return fmt.Errorf("%w (%w)", ErrClosed, err)
	case s.broken.Load():
		return fmt.Errorf("%w (%w)", s.unusable(), err)
	default:
		return err
	}
}

// unusable is what methods say after a commit went wrong.
func (s *Store) unusable() error {
	return fmt.Errorf("%w: a commit to %s failed, and whether it was written is not known before the file is opened again", ErrIO, s.path)
}

// absent is err, but ErrNotFound when it says that a query had no rows.
func absent(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// isTaken says whether err is a row whose key another row has.
func isTaken(err error) bool {
	var failure *sqlite.Error
	return errors.As(err, &failure) &&
		(failure.Code() == codes.SQLITE_CONSTRAINT_PRIMARYKEY || failure.Code() == codes.SQLITE_CONSTRAINT_UNIQUE)
}
