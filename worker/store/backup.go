package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
)

// Backup writes the database at path, as it is at one moment, into a new file
// that only its owner may read. It may be used by others meanwhile: they are not
// waited for, and do not wait. Tables of another version are copied as they are.
// A database that is not there is fs.ErrNotExist.
func Backup(ctx context.Context, path, to string) error {
	db, err := openReader(ctx, path, copyDSN(path))
	if err != nil {
		return fmt.Errorf("copy database: %w", err)
	}
	// SQLite writes into an empty file that is there, and keeps its mode.
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.Join(fmt.Errorf("copy database: %w", err), db.Close())
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	if err = errors.Join(asStore(ctx, path, err), file.Close(), db.Close()); err != nil {
		return errors.Join(fmt.Errorf("copy database: %w", err), os.Remove(to))
	}
	return nil
}

// Settle ends what is in flight in a database that was copied while it was used.
// The original goes on with it, and a copy that did so too would run its commands
// a second time. Tables of an older version are brought up to date.
func Settle(ctx context.Context, path string) error {
	s := Open(path, Options{Recover: true})
	if err := errors.Join(s.Health(ctx).Err, s.Close()); err != nil {
		return fmt.Errorf("settle database: %w", err)
	}
	return nil
}

// copyDSN is readOnlyDSN without query_only, which would keep VACUUM from writing
// the other file.
func copyDSN(path string) string {
	query := url.Values{"mode": {"ro"}, "_busy_timeout": {busyTimeout}}
	file := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query.Encode()}
	return file.String()
}

// asStore gives an error the meaning that a Store of the file would give it.
func asStore(ctx context.Context, path string, err error) error {
	return Open(path, Options{}).explain(ctx, err)
}

// Check looks through a database that came from elsewhere, whole and without
// changing it: it is sound (else ErrDamaged), its tables are those of a version
// that this hermes knows (else ErrNewer), and there is nothing beside them, such
// as a trigger that would run whenever something is written.
func Check(ctx context.Context, path string) error {
	if err := check(ctx, path); err != nil {
		return fmt.Errorf("check database: %w", asStore(ctx, path, err))
	}
	return nil
}

func check(ctx context.Context, path string) (err error) {
	db, err := openReader(ctx, path, readOnlyDSN(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var version int
	if err := db.GetContext(ctx, &version, "PRAGMA user_version"); err != nil {
		return err
	}
	want, err := schemaOf(ctx, version)
	if err != nil {
		return err
	}
	got, err := schema(ctx, db)
	if err != nil {
		return err
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("%w: it does not have the tables of a profile", ErrDamaged)
	}
	var verdict string
	if err := db.GetContext(ctx, &verdict, "PRAGMA integrity_check(1)"); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s", ErrDamaged, verdict)
	}
	return nil
}

// schemaOf is what a database of a version consists of.
func schemaOf(ctx context.Context, version int) (_ []string, err error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	if version < 1 {
		return nil, fmt.Errorf("%w: it has no tables", ErrDamaged)
	}
	if version > len(names) {
		return nil, newer(version, len(names))
	}
	db, err := openDatabase("file::memory:")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for i, name := range names[:version] {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if err := step(ctx, db, i+1, string(text)); err != nil {
			return nil, err
		}
	}
	return schema(ctx, db)
}

// schema lists what a database consists of. What SQLite keeps for itself, such as
// statistics, differs between databases of one version.
func schema(ctx context.Context, db *database) ([]string, error) {
	var list []string
	err := db.SelectContext(ctx, &list, `SELECT type || ' ' || name || ' ' || tbl_name || ' ' || coalesce(sql, '')
		FROM sqlite_schema WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY 1`)
	return list, err
}
