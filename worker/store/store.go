package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite"
)

// busyTimeout is how long a transaction waits for another process's one, in
// milliseconds. No transaction of ours takes a hundredth of it.
const busyTimeout = "5000"

// Options is what a Store is made from. The zero value works.
type Options struct {
	// Log gets what nobody is waiting to hear: what recovery settled, a
	// checkpoint that went wrong. Nil is silence.
	Log *slog.Logger
	// Now is the clock, time.Now when nil.
	Now func() time.Time
	// Recover settles, when the file is first opened, what a process that died
	// left behind: its runs become StatusInterrupted, and each call without a
	// result gets the result Interrupted, so that the transcript can be given
	// to a model again. Nothing is dropped, and doing it twice changes nothing.
	// Leave it off when another process may be at work on the file: its runs
	// are not dead.
	Recover bool
}

// Store is the database of one profile. Its methods may be called by many
// goroutines at once.
type Store struct {
	path string
	opts Options

	closed atomic.Bool
	mu     sync.Mutex // guards db
	db     *sqlx.DB   // nil until first used

	// unsaved is about how many bytes were committed since the last checkpoint.
	unsaved atomic.Int64
}

// Open returns a Store for the file at path. It does no I/O: the file and its
// directory are made, and the tables brought up to date, by the first method
// that needs them. When that goes wrong the method says so, and the next one
// tries again.
func Open(path string, opts Options) *Store {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Store{path: path, opts: opts}
}

// Close writes the log into the main file and gives the file back. Methods that
// are called later fail with ErrClosed. Closing twice, or what was never used,
// does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed.Store(true)
	db := s.db
	s.db = nil
	if db == nil {
		return nil
	}
	if err := db.Close(); err != nil {
		return fmt.Errorf("close database: %w", s.explain(context.Background(), err))
	}
	return nil
}

// open returns the database, opened and up to date.
func (s *Store) open(ctx context.Context) (*sqlx.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed.Load():
		return nil, ErrClosed
	case s.db != nil:
		return s.db, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	if err := makeFile(s.path); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db, err := s.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", s.explain(ctx, err))
	}
	s.db = db
	return db, nil
}

func (s *Store) connect(ctx context.Context) (*sqlx.DB, error) {
	db, err := sqlx.Open("sqlite", dsn(s.path))
	if err != nil {
		return nil, err
	}
	// One connection for all: transactions of one process wait for each other
	// here, in order and until their context ends, and not in SQLite's busy
	// loop.
	db.SetMaxOpenConns(1)
	if err = migrate(ctx, db); err == nil && s.opts.Recover {
		err = s.settle(ctx, db)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// dsn is the connection string. The path goes through url.URL because a plain
// one would end at its first question mark. The underscored settings are checked
// by the driver before any of them is applied; what is given as _pragma is not,
// so there is as little of that as can be.
func dsn(path string) string {
	query := url.Values{
		"_busy_timeout": {busyTimeout},
		"_journal_mode": {"WAL"},
		// What a transaction does not ask for otherwise: see tx.
		"_synchronous":  {"FULL"},
		"_foreign_keys": {"on"},
		"_txlock":       {"immediate"},
		"_pragma": {
			"wal_autocheckpoint(0)",
			// A log that grew beyond this is cut back to it.
			"journal_size_limit(67108864)",
		},
	}
	file := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query.Encode()}
	return file.String()
}

// makeFile makes the file and its directory for their owner alone; SQLite gives
// its log the mode of the file.
func makeFile(path string) error {
	// Without these two the locks of the file would be lost whenever anything in
	// this process closes it, and a commit would wait for its timestamps too.
	// Both are settings of the process; where they are not to be had SQLite does
	// without.
	if !sqlite.OFDLockingEnabled() {
		_, _ = sqlite.OFDLocking(true)
	}
	_, _ = sqlite.Fdatasync(true)

	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make file: %w", err)
	}
	return file.Close()
}

// promise is how far a transaction's commit reaches.
type promise string

const (
	// outliveProcess is enough for steps that nobody outside was told of.
	outliveProcess promise = "NORMAL"
	// outliveMachine waits for the disk.
	outliveMachine promise = "FULL"
)

// tx runs work in a transaction that holds the write lock, and commits it. It
// adds to errors what it was asked to do. size is about how many bytes the work
// writes beside its rows.
func (s *Store) tx(ctx context.Context, what string, p promise, size int, work func(tx *sqlx.Tx) error) error {
	db, err := s.open(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := transact(ctx, db, p, work); err != nil {
		return fmt.Errorf("%s: %w", what, s.explain(ctx, err))
	}
	s.committed(ctx, size)
	return nil
}

func transact(ctx context.Context, db *sqlx.DB, p promise, work func(tx *sqlx.Tx) error) error {
	conn, err := db.Connx(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	// It cannot be changed within a transaction, and costs a few microseconds.
	if _, err := conn.ExecContext(ctx, "PRAGMA synchronous = "+string(p)); err != nil {
		return err
	}
	tx, err := conn.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	// After a commit this does nothing, and a rollback that fails has nothing
	// to add: the transaction ends with the connection.
	defer func() { _ = tx.Rollback() }()
	if err := work(tx); err != nil {
		return err
	}
	return tx.Commit()
}
