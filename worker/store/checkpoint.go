package store

import (
	"context"
	"fmt"
)

const (
	// checkpointAfter is how many bytes of log make a checkpoint worth its two
	// fsyncs: about fifty commits of a plain chat.
	checkpointAfter = 1 << 20
	// checkpointAtLast is how large the log may grow when nobody calls
	// Checkpoint.
	checkpointAtLast = 16 << 20
	// commitSize is about what a commit of a few small rows writes: the page of
	// each table and index that it touches.
	commitSize = 6 * 4096
)

// Checkpoint writes the log's transactions into the main file when enough of
// them have gathered, so that the log can begin anew. Call it when an answer was
// sent and nobody waits; most calls cost nothing. Transactions wait while it
// works, some milliseconds.
//
// It is also where the search gets to know what was said, and where the work of another process is settled that lived when this
// one began, and has died since.
func (s *Store) Checkpoint(ctx context.Context) error {
	if s.neighbours.Load() {
		if err := s.settleNeighbours(ctx); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
	}
	if s.unsaved.Load() > 0 { // else this Store has written nothing
		if err := s.index(ctx); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
	}
	if s.unsaved.Load() < checkpointAfter {
		return nil
	}
	return s.checkpoint(ctx)
}

// committed counts a commit, and does a checkpoint itself when it was forgotten
// for too long. The commit is acknowledged whatever comes of that.
func (s *Store) committed(ctx context.Context, size int) {
	if s.unsaved.Add(int64(size)+commitSize) < checkpointAtLast {
		return
	}
	if err := s.checkpoint(ctx); err != nil && ctx.Err() == nil {
		s.opts.Log.Warn("checkpoint went wrong", "error", err)
	}
}

func (s *Store) checkpoint(ctx context.Context) error {
	db, err := s.open(ctx)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	before := s.unsaved.Load()
	// PASSIVE never waits for another process's reader or writer: what it cannot
	// write now, the next one will. It runs on the one connection there is,
	// because beside a second one the log would never begin anew.
	if _, err := db.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		return fmt.Errorf("checkpoint: %w", s.explain(ctx, err))
	}
	s.unsaved.Add(-before)
	return nil
}
