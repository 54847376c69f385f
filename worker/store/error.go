package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

var (
	// ErrNotFound says that there is no session, run or call of that id.
	ErrNotFound = errors.New("not found")
	// ErrExists says that a run of that id, or a call of that id in the run, is
	// recorded already.
	ErrExists = errors.New("recorded already")
	// ErrEnded says that the run or call has ended, so that nothing can be added
	// to it.
	ErrEnded = errors.New("ended already")
	// ErrClosed says that the Store was closed.
	ErrClosed = errors.New("database is closed")
	// ErrBusy says that another process kept the file locked for longer than
	// busyTimeout. Nothing was written; the call may be tried again.
	ErrBusy = errors.New("database is locked by another process")
	// ErrFull says that the disk is full. Nothing was written.
	ErrFull = errors.New("disk is full")
	// ErrIO says that the disk did not do as it was told. Whether a transaction
	// that ended so was written is unknown: a failed fsync may leave it in the
	// log, and then it is there after the next opening. Whoever gets this error
	// should let the process be started anew, and look for its records by id.
	ErrIO = errors.New("disk read or write went wrong")
	// ErrDamaged says that the file is not, or not any more, a database.
	ErrDamaged = errors.New("file is damaged or no database")
	// ErrNewer says that a later version of hermes has changed the file in ways
	// that this one does not know.
	ErrNewer = errors.New("database was made by a newer version of hermes")
)

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
	var failure *sqlite.Error
	if !errors.As(err, &failure) {
		if s.closed.Load() {
			return fmt.Errorf("%w (%w)", ErrClosed, err)
		}
		return err
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
		return fmt.Errorf("%w: %s; move it away to begin with an empty one (%w)", ErrDamaged, s.path, err)
	case codes.SQLITE_CANTOPEN, codes.SQLITE_READONLY, codes.SQLITE_PERM:
		return fmt.Errorf("%s cannot be written; look at its owner, its mode and its directory (%w)", s.path, err)
	default:
		return err
	}
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
