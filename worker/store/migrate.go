package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// migrations are the changes of the tables, one file each, numbered from 0001 by
// the beginning of their names. A database's user_version is the number of the
// last one that it has seen.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the tables up to date, each file in one transaction with its
// number. Two processes may do it at once.
func migrate(ctx context.Context, db *database) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	slices.Sort(names)

	var version, newest int
	if err := db.GetContext(ctx, &version, "PRAGMA user_version"); err != nil {
		return err
	}
	for _, name := range names {
		if newest, err = numberOf(name); err != nil {
			return err
		}
		if newest <= version {
			continue
		}
		text, err := migrations.ReadFile(name)
		if err != nil {
			return err
		}
		if err := step(ctx, db, newest, string(text)); err != nil {
			return fmt.Errorf("apply %s: %w", name, err)
		}
	}
	if version > newest {
		return newer(version, newest)
	}
	return nil
}

// Schema is the version of the tables that a Store makes when it opens a database.
// An older one is brought up to it; a program that knows less does not open it then.
func Schema() int {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0 // of a pattern that is wrong, which this one is not
	}
	newest := 0
	for _, name := range names {
		if n, err := numberOf(name); err == nil {
			newest = max(newest, n)
		}
	}
	return newest
}

// numberOf is the number in the name of a migration.
func numberOf(name string) (int, error) {
	digits, _, _ := strings.Cut(path.Base(name), "_")
	number, err := strconv.Atoi(digits)
	if err != nil {
		return 0, fmt.Errorf("number of %s: %w", name, err)
	}
	return number, nil
}

// upToDate says whether a database has seen all migrations, and changes nothing.
func upToDate(ctx context.Context, db *database) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	newest, err := numberOf(slices.Max(names))
	if err != nil {
		return err
	}
	var version int
	if err := db.GetContext(ctx, &version, "PRAGMA user_version"); err != nil {
		return err
	}
	switch {
	case version < newest:
		return fmt.Errorf("%w (its tables are of version %d, this one knows %d); the first turn that is served brings them up to date",
			ErrOlder, version, newest)
	case version > newest:
		return newer(version, newest)
	default:
		return nil
	}
}

func newer(version, newest int) error {
	return fmt.Errorf("%w (its tables are of version %d, this one knows %d); start the newer hermes again", ErrNewer, version, newest)
}

func step(ctx context.Context, db *database, number int, text string) error {
	return transact(ctx, db, outliveMachine, func(tx *transaction) error {
		// Another process may have been faster. The write lock is ours now.
		var version int
		if err := tx.GetContext(ctx, &version, "PRAGMA user_version"); err != nil || version >= number {
			return err
		}
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "PRAGMA user_version = "+strconv.Itoa(number))
		return err
	})
}
