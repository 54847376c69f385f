package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Tasks returns the list of tasks of a session as its writer encoded it, nil if
// it has none.
func (s *Store) Tasks(ctx context.Context, sessionID string) ([]byte, error) {
	lists, err := read[[]byte](ctx, s, "read tasks", `SELECT tasks FROM session_tasks WHERE session_id = ?`, sessionID)
	if err != nil || len(lists) == 0 {
		return nil, err
	}
	return lists[0], nil
}

// ChangeTasks replaces the list of a session by what change makes of it, nil if
// there was none. Nobody else changes it meanwhile. Change must not call the
// Store; its error comes back, and then nothing is changed.
func (s *Store) ChangeTasks(ctx context.Context, sessionID string, change func(list []byte) ([]byte, error)) error {
	return s.tx(ctx, "change tasks", outliveProcess, 0, func(tx *transaction) error {
		var known int
		err := tx.GetContext(ctx, &known, `SELECT 1 FROM sessions WHERE id = ?`, sessionID)
		if err != nil {
			return fmt.Errorf("session %q: %w", sessionID, absent(err))
		}
		var list []byte
		err = tx.GetContext(ctx, &list, `SELECT tasks FROM session_tasks WHERE session_id = ?`, sessionID)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if list, err = change(list); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			INSERT INTO session_tasks (session_id, tasks, changed_at) VALUES (?, ?, ?)
			ON CONFLICT (session_id) DO UPDATE SET tasks = excluded.tasks, changed_at = excluded.changed_at`,
			sessionID, list, micros(s.opts.Now()))
		return err
	})
}
