package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// settle ends the runs that a dead process left behind: see Options.Recover.
func (s *Store) settle(ctx context.Context, db *sqlx.DB) error {
	var runs []Run
	err := transact(ctx, db, outliveMachine, func(tx *sqlx.Tx) error {
		err := tx.SelectContext(ctx, &runs, `SELECT id, session_id FROM runs WHERE status = ?`, StatusRunning)
		if err != nil {
			return err
		}
		now := s.opts.Now()
		for _, run := range runs {
			if err := s.settleCalls(ctx, tx, run.ID, run.SessionID, now); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `
				UPDATE runs SET status = ?, error = ?, ended_at = ? WHERE id = ?`,
				StatusInterrupted, "its process died", micros(now), run.ID)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("settle interrupted runs: %w", err)
	}
	if len(runs) > 0 {
		s.opts.Log.Warn("interrupted runs were settled", "runs", len(runs))
	}
	return nil
}

// settleCalls answers the run's calls that have no result with Interrupted, in
// the order in which they were asked for.
func (s *Store) settleCalls(ctx context.Context, tx *sqlx.Tx, runID, sessionID string, at time.Time) error {
	var open []string
	err := tx.SelectContext(ctx, &open, `
		SELECT id FROM tool_calls WHERE run_id = ? AND result_id IS NULL ORDER BY message_id, position`, runID)
	if err != nil {
		return err
	}
	for _, callID := range open {
		message := Message{SessionID: sessionID, RunID: runID, Role: RoleTool, ToolCallID: callID, Text: Interrupted, At: at}
		id, err := s.addMessage(ctx, tx, message)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			UPDATE tool_calls SET status = ?, ended_at = ?, result_id = ? WHERE run_id = ? AND id = ?`,
			CallInterrupted, micros(at), id, runID, callID)
		if err != nil {
			return err
		}
	}
	return nil
}
