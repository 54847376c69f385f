package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// checkTime bounds the look through a file whose last user did not close it.
	// It reads some hundred megabytes a second.
	checkTime = 2 * time.Second
	// damagedMark is in the names of files that were moved aside.
	damagedMark = ".damaged-"
)

// Health is how a database is.
type Health struct {
	// Err is why it does not serve, nil when it does: what a read of it says, or a
	// write after the disk was found full.
	Err error
	// Damaged are files that were found damaged and moved aside, the oldest first.
	// A new database was begun in place of each. They are never removed; what can
	// be read of one, the .recover command of the sqlite3 program finds.
	Damaged []string
}

// Health says how the database is, by using it.
func (s *Store) Health(ctx context.Context) Health {
	_, err := read[int](ctx, s, "read database", `SELECT turns FROM chat_totals`)
	if err == nil && s.full.Load() {
		err = s.tx(ctx, "write database", outliveProcess, 0, func(tx *transaction) error {
			// A change that is none: SQLite does not write what stays equal.
			if _, err := tx.ExecContext(ctx, `INSERT INTO conversations (name, head_id, places) VALUES ('', '', 0)`); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `DELETE FROM conversations WHERE name = ''`)
			return err
		})
	}
	return Health{Err: err, Damaged: s.damaged()}
}

// damaged lists the files that were moved aside, without their logs.
func (s *Store) damaged() []string {
	entries, err := os.ReadDir(filepath.Dir(s.path))
	if err != nil {
		return nil
	}
	var found []string
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, filepath.Base(s.path)+damagedMark) && !strings.HasSuffix(name, "-wal") && !strings.HasSuffix(name, "-shm") {
			found = append(found, filepath.Join(filepath.Dir(s.path), name))
		}
	}
	slices.Sort(found)
	return found
}

// verify looks through the file for damage, for as long as checkTime.
func (s *Store) verify(ctx context.Context, db *database) error {
	bounded, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	began := time.Now()
	var verdict string
	err := db.GetContext(bounded, &verdict, "PRAGMA quick_check(1)")
	switch {
	case err != nil && bounded.Err() != nil && ctx.Err() == nil:
		s.opts.Log.Warn("database was not closed, and is too large to be looked through", "path", s.path)
		return nil
	case err != nil:
		return err
	case verdict != "ok":
		return fmt.Errorf("%w: %s: %s", ErrDamaged, s.path, verdict)
	}
	s.opts.Log.Info("database was not closed; it is sound", "path", s.path, "took", time.Since(began).String())
	return nil
}

// moveAside renames a damaged file and its log, so that a new one can begin and
// nothing of the old one is lost. The caller holds mu, and no other Store uses
// the file.
func (s *Store) moveAside(cause error) error {
	backup := s.path + damagedMark + s.opts.Now().UTC().Format("20060102-150405")
	for n, base := 2, backup; exists(backup); n++ {
		backup = fmt.Sprintf("%s-%d", base, n)
	}
	// The main file goes first: SQLite throws away a log that is left without
	// one, and would apply a log that it finds beside a new one.
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(s.path+suffix, backup+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("move damaged database aside: %w", err)
		}
	}
	s.suspect.Store(false)
	s.opts.Log.Error("database was damaged: it was moved aside, and an empty one begins in its place",
		"path", s.path, "backup", backup, "error", cause)
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
