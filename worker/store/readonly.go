package store

import (
	"context"
	"errors"
	"net/url"
	"os"
)

// openAsIs opens the file for somebody who only reads it: see Options.ReadOnly.
// It says nothing of itself beside the file, so that the Store of a worker is
// alone with it as before. The caller holds mu.
func (s *Store) openAsIs(ctx context.Context) (*database, error) {
	if _, err := os.Stat(s.path); err != nil {
		return nil, err // SQLite would only say that it cannot be opened
	}
	prepareProcess()
	db, err := openDatabase(readOnlyDSN(s.path))
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
