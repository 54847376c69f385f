package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
)

// How often a connection is tried, and the pause between two tries.
const (
	connectTries = 20
	connectPause = 10 * time.Millisecond
)

// Options is what a Store is made from. The zero value works.
type Options struct {
	// Log gets what nobody is waiting to hear: what recovery settled, a
	// checkpoint that went wrong. Nil is silence.
	Log *slog.Logger
	// Now is the clock, time.Now when nil.
	Now func() time.Time
	// Recover settles what a process that died left behind, when the file is
	// first opened, or when a later call comes upon it. Its runs become
	// StatusInterrupted, and each call without a result gets the result
	// Interrupted, so that the transcript can be given to a model again. Its
	// responses in flight end as SettleResponse says. Its jobs are JobLost. Its
	// idempotency keys are free again where no tool had begun; the others are answered as SettleAnswer
	// says, because their request must not run twice. Nothing is dropped, and
	// doing it twice changes nothing. What belongs to a process that lives is
	// left alone.
	//
	// Recover also lets a file that is damaged be moved aside, so that a new one
	// can begin: see Health.
	Recover bool
	// SettleResponse ends a response whose process died. It is given all that is
	// stored of it, and the messages that were recorded of its run, and must not
	// call the Store. Nil ends it as ResponseFailed and leaves its body as it is.
	SettleResponse func(Response, []Message) Settled
	// SettleAnswer is what a request is answered with when it is repeated and its
	// process died after a tool had begun. Nil is an empty answer of status 500.
	SettleAnswer func(Claim) Answer
	// ReadOnly opens the file as it is, beside whoever uses it: nothing is made,
	// changed or settled. There must be a file (fs.ErrNotExist), and its tables must
	// be up to date (ErrOlder); methods that write fail.
	ReadOnly bool
	// OnBroken is called, once, when a commit went wrong and every method fails from
	// then on: see ErrIO. It must not call the Store.
	OnBroken func()
	// OnAdopt is called when recovery has taken over responses in the background,
	// which Adopted hands out. It must not call the Store. Nil takes none over: they
	// end as the others do.
	OnAdopt func()
	// OnCommit is called right before each commit and right after it. It is there
	// for tests that end the process at that point.
	OnCommit func(done bool)
}

// Store is the database of one profile. Its methods may be called by many
// goroutines at once.
type Store struct {
	path  string
	opts  Options
	owner string // names this Store among all that ever used the file

	closed   atomic.Bool
	mu       sync.Mutex // guards what follows
	presence *os.File   // see arrive; nil until first used
	unclean  bool       // the file has to be looked through when it is opened
	db       *database  // nil until first used

	adopting sync.Mutex // guards adopted
	adopted  []Adopted

	// unsaved is about how many bytes were committed since the last checkpoint.
	unsaved atomic.Int64
	// neighbours says that another Store that lives has the file open. When it
	// dies, this one settles its work.
	neighbours atomic.Bool
	broken     atomic.Bool // a commit went wrong: see ErrIO
	full       atomic.Bool // the last transaction found the disk full
	suspect    atomic.Bool // damage was met: the next opening looks through the file
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
	return &Store{path: path, opts: opts, owner: rand.Text()}
}

// Close writes the log into the main file and gives the file back. Methods that
// are called later fail with ErrClosed. Closing twice, or what was never used,
// does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed.Store(true)
	err := s.disconnect()
	s.leave()
	return err
}

// Reopen makes a Store usable again after a commit went wrong: it opens the file
// anew and looks through it. What was acknowledged is there; whether the failed
// transaction is can be asked by id with Run, Response, ConversationHead and
// Idempotency. What this Store has in flight is left as it is.
func (s *Store) Reopen(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed.Load() {
		s.unclean = true
		if err := s.disconnect(); err != nil {
			s.opts.Log.Warn("database was not closed well", "error", err)
		}
		s.broken.Store(false)
	}
	s.mu.Unlock()
	if _, err := s.open(ctx); err != nil {
		return fmt.Errorf("reopen database: %w", err)
	}
	return nil
}

// disconnect gives back the database. The caller holds mu.
func (s *Store) disconnect() error {
	db := s.db
	s.db = nil
	if db == nil {
		return nil
	}
	if err := db.Close(); err != nil {
		return fmt.Errorf("close database: %w", s.meaning(err))
	}
	return nil
}

// open returns the database, opened and up to date.
func (s *Store) open(ctx context.Context) (*database, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed.Load():
		return nil, ErrClosed
	case s.broken.Load():
		return nil, s.unusable()
	case s.db != nil:
		return s.db, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	db, err := s.openFile(ctx)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", s.explain(ctx, err))
	}
	s.db = db
	return db, nil
}

// openFile opens the file, or one in its place when it is damaged. The caller
// holds mu.
func (s *Store) openFile(ctx context.Context) (*database, error) {
	if s.opts.ReadOnly {
		return s.openAsIs(ctx)
	}
	if err := makeFile(s.path); err != nil {
		return nil, err
	}
	if err := s.arrive(); err != nil {
		return nil, err
	}
	alone := s.look()
	s.neighbours.Store(!alone)
	db, err := s.connectInTurn(ctx, alone && s.unclean)
	if !errors.Is(s.explain(ctx, err), ErrDamaged) || !alone || !s.opts.Recover {
		return db, err
	}
	// So much hangs on this that it is asked twice.
	if db, err = s.connect(ctx, true); !errors.Is(s.explain(ctx, err), ErrDamaged) {
		return db, err
	}
	if err := s.moveAside(err); err != nil {
		return nil, err
	}
	if err := makeFile(s.path); err != nil {
		return nil, err
	}
	return s.connect(ctx, false)
}

// connectInTurn is connect, tried again while another process begins with the
// same new file: SQLite waits for locks, but not for that of a change of the
// journal mode. The caller holds mu.
func (s *Store) connectInTurn(ctx context.Context, verify bool) (*database, error) {
	for try := 1; ; try++ {
		db, err := s.connect(ctx, verify)
		if try == connectTries || !errors.Is(s.explain(ctx, err), ErrBusy) {
			return db, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(connectPause):
		}
	}
}

// connect opens what is there. The caller holds mu.
func (s *Store) connect(ctx context.Context, verify bool) (*database, error) {
	db, err := openDatabase(dsn(s.path))
	if err != nil {
		return nil, err
	}
	db.onCommit = s.opts.OnCommit
	if verify {
		err = s.verify(ctx, db)
	}
	if err == nil {
		err = migrate(ctx, db)
	}
	if err == nil && s.opts.Recover {
		_, err = s.settle(ctx, db)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.unclean = false
	return db, nil
}

// makeFile makes the file and its directory for their owner alone; SQLite gives
// its log the mode of the file.
func makeFile(path string) error {
	prepareProcess()
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

// prepareProcess makes settings of the process. Without them the locks of the
// file would be lost whenever anything in this process closes it, and a commit
// would wait for its timestamps too. Where they are not to be had SQLite does
// without.
func prepareProcess() {
	if !sqlite.OFDLockingEnabled() {
		_, _ = sqlite.OFDLocking(true)
	}
	_, _ = sqlite.Fdatasync(true)
}

// tx runs work in a transaction that holds the write lock, and commits it. It
// adds to errors what it was asked to do. size is about how many bytes the work
// writes beside its rows.
func (s *Store) tx(ctx context.Context, what string, p promise, size int, work func(tx *transaction) error) error {
	db, err := s.open(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := transact(ctx, db, p, work); err != nil {
		return fmt.Errorf("%s: %w", what, s.judge(ctx, err))
	}
	s.full.Store(false)
	s.committed(ctx, size)
	return nil
}
