package store

import (
	"context"
	"database/sql"
	"net/url"
	"strings"
	"sync"

	"github.com/jmoiron/sqlx"
)

// busyTimeout is how long a transaction waits for another process's one, in
// milliseconds. No transaction of ours takes a hundredth of it.
const busyTimeout = "5000"

// database is an open file with its one connection. Statements are prepared when
// they are used for the second time; a worker uses some dozens of them.
type database struct {
	*sqlx.DB
	// level is what the connection has for synchronous, "" when that is not known.
	// It belongs to whoever has the connection. A new connection has the highest
	// level, so what is believed of it is never too much.
	level promise
	// onCommit is Options.OnCommit.
	onCommit func(done bool)

	mu       sync.Mutex // guards prepared
	prepared map[string]*sqlx.Stmt
}

func openDatabase(source string) (*database, error) {
	db, err := sqlx.Open("sqlite", source)
	if err != nil {
		return nil, err
	}
	// One connection for all: transactions of one process wait for each other
	// here, in order and until their context ends, and not in SQLite's busy
	// loop.
	db.SetMaxOpenConns(1)
	return &database{DB: db, prepared: map[string]*sqlx.Stmt{}}, nil
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

// promise is how far a transaction's commit reaches.
type promise string

const (
	// outliveProcess is enough for steps that nobody outside was told of.
	outliveProcess promise = "NORMAL"
	// outliveMachine waits for the disk.
	outliveMachine promise = "FULL"
)

// transact runs work in a transaction that holds the write lock, and commits it.
func transact(ctx context.Context, db *database, p promise, work func(tx *transaction) error) error {
	conn, err := db.Connx(ctx)
	if err != nil {
		return err
	}
	t := &transaction{db: db}
	err = t.run(ctx, conn, p, work)
	if closed := conn.Close(); err == nil {
		err = closed
	}
	// The connection is free again, so there is one to prepare on.
	for _, query := range t.unprepared {
		db.prepare(ctx, query)
	}
	return err
}

// transaction is a transaction whose statements are those of its database.
type transaction struct {
	db         *database
	tx         *sqlx.Tx
	unprepared []string // what was used for the second time
}

func (t *transaction) run(ctx context.Context, conn *sqlx.Conn, p promise, work func(tx *transaction) error) error {
	if t.db.level != p { // it cannot be changed within a transaction
		t.db.level = ""
		if _, err := conn.ExecContext(ctx, "PRAGMA synchronous = "+string(p)); err != nil {
			return err
		}
		t.db.level = p
	}
	var err error
	if t.tx, err = conn.BeginTxx(ctx, nil); err != nil {
		return err
	}
	// After a commit this does nothing, and a rollback that fails has nothing
	// to add: the transaction ends with the connection.
	defer func() { _ = t.tx.Rollback() }()
	if err := work(t); err != nil {
		return err
	}
	t.committing(false)
	if err := t.tx.Commit(); err != nil {
		return &commitError{err}
	}
	t.committing(true)
	return nil
}

func (t *transaction) committing(done bool) {
	if t.db.onCommit != nil {
		t.db.onCommit(done)
	}
}

// Waiting ends with its context: for the connection, and for the write lock. The
// statements of a transaction take microseconds, and the driver would start a
// goroutine for each whose context can end, so theirs cannot.

// ExecContext runs a statement.
func (t *transaction) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx = context.WithoutCancel(ctx)
	if statement := t.statement(ctx, query); statement != nil {
		return statement.ExecContext(ctx, args...)
	}
	return t.tx.ExecContext(ctx, query, args...)
}

// GetContext reads one row, or sql.ErrNoRows.
func (t *transaction) GetContext(ctx context.Context, dest any, query string, args ...any) error {
	ctx = context.WithoutCancel(ctx)
	if statement := t.statement(ctx, query); statement != nil {
		return statement.GetContext(ctx, dest, args...)
	}
	return t.tx.GetContext(ctx, dest, query, args...)
}

// SelectContext reads all rows.
func (t *transaction) SelectContext(ctx context.Context, dest any, query string, args ...any) error {
	ctx = context.WithoutCancel(ctx)
	if statement := t.statement(ctx, query); statement != nil {
		return statement.SelectContext(ctx, dest, args...)
	}
	return t.tx.SelectContext(ctx, dest, query, args...)
}

// statement is a query that was prepared. Those of a transaction are closed with
// it, those of a database with that.
type statement interface {
	ExecContext(ctx context.Context, args ...any) (sql.Result, error)
	GetContext(ctx context.Context, dest any, args ...any) error
	SelectContext(ctx context.Context, dest any, args ...any) error
}

func (t *transaction) statement(ctx context.Context, query string) statement {
	prepared, again := t.db.lookUp(query)
	if prepared != nil {
		return t.tx.StmtxContext(ctx, prepared)
	}
	if again {
		t.unprepared = append(t.unprepared, query)
	}
	return nil
}

// SelectContext reads all rows, so that none of them keeps the one connection.
func (d *database) SelectContext(ctx context.Context, dest any, query string, args ...any) error {
	prepared, again := d.lookUp(query)
	if prepared == nil && again {
		prepared = d.prepare(ctx, query)
	}
	if prepared == nil {
		return d.DB.SelectContext(ctx, dest, query, args...)
	}
	return statement(prepared).SelectContext(ctx, dest, args...)
}

// lookUp returns the prepared statement of a query, if there is one, and says
// whether the query was used before.
func (d *database) lookUp(query string) (prepared *sqlx.Stmt, again bool) {
	if strings.HasPrefix(query, "PRAGMA") {
		return nil, false // some of them give the answer of when they were prepared
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	prepared, again = d.prepared[query]
	if !again {
		d.prepared[query] = nil
	}
	return prepared, again
}

// prepare keeps a query as a statement. What cannot be prepared is run as it is,
// and says then what is wrong. When two prepare the same query, the statement of
// one lives on unused.
func (d *database) prepare(ctx context.Context, query string) *sqlx.Stmt {
	prepared, err := d.PreparexContext(ctx, query) //nolint:sqlclosecheck // it is closed with the database
	if err != nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.prepared[query] = prepared
	return prepared
}
