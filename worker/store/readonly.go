package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

// openAsIs opens the file for somebody who only reads it: see Options.ReadOnly.
// It says nothing of itself beside the file, so that the Store of a worker is
// alone with it as before. The caller holds mu.
func (s *Store) openAsIs(ctx context.Context) (*database, error) {
	db, err := openReader(ctx, s.path, readOnlyDSN(s.path))
	if err != nil {
		return nil, err
	}
	if err := upToDate(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// readOnlyDSN is the connection string for reading. SQLite keeps the main file
// and its log as they are then; beside them it may make the log's index, which
// every reader needs.
func readOnlyDSN(path string) string {
	query := url.Values{"mode": {"ro"}, "_busy_timeout": {busyTimeout}, "_pragma": {"query_only(1)"}}
	file := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query.Encode()}
	return file.String()
}

// openReader opens a database that somebody else may change, whoever that is: a reader
// outside of the profile's walls may be root, and a worker that was taken over must not
// choose which file root reads. A link in place of the file is not followed, nor is a pipe
// waited for; which file SQLite has found in the end, it tells itself.
func openReader(ctx context.Context, path, source string) (*database, error) {
	info, err := os.Lstat(path) // SQLite would only say that it cannot be opened
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no plain file; move it away", path)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	prepareProcess()
	db, err := openDatabase(source)
	if err != nil {
		return nil, err
	}
	var opened string
	err = db.GetContext(ctx, &opened, "SELECT file FROM pragma_database_list WHERE name = 'main'")
	if err == nil && opened != filepath.Join(dir, filepath.Base(path)) {
		err = fmt.Errorf("%s was replaced while it was opened", path)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}
