package store

import (
	"context"
	"fmt"
	"slices"
)

// Turn is what one response added to the history of those that follow it.
type Turn struct {
	// ResponseID and Status are empty when the response itself was evicted or
	// deleted.
	ResponseID string `db:"response_id"`
	Status     string `db:"status"`
	Transcript []byte `db:"transcript"`
}

// Chain returns the history that ends with a response: its turn and those of all
// that it follows, oldest first, also of responses that are not stored any more.
// It counts as use of all that are. An unknown id is ErrNotFound.
func (s *Store) Chain(ctx context.Context, id string) ([]Turn, error) {
	type row struct {
		Turn
		Depth int   `db:"depth"` // 0 is the end of the chain
		Used  int64 `db:"used"`
	}
	rows, err := read[row](ctx, s, "read chain", `
		WITH RECURSIVE line (turn_id, parent_id, depth) AS (
			SELECT t.id, t.parent_id, 0 FROM responses r JOIN turns t ON t.id = r.turn_id WHERE r.id = ?
			UNION ALL
			SELECT t.id, t.parent_id, line.depth + 1 FROM line JOIN turns t ON t.id = line.parent_id
		)
		SELECT line.depth, t.transcript, coalesce(r.id, '') AS response_id, coalesce(r.status, '') AS status, coalesce(r.used, 0) AS used
		FROM line JOIN turns t ON t.id = line.turn_id LEFT JOIN responses r ON r.turn_id = line.turn_id`, id)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("read chain: response %q: %w", id, ErrNotFound)
	}
	slices.SortFunc(rows, func(a, b row) int { return b.Depth - a.Depth })
	var turns []Turn
	var u uses
	for _, r := range rows {
		turns = append(turns, r.Turn)
		if r.ResponseID != "" {
			u.add(r.ResponseID, r.Used)
		}
	}
	s.use(ctx, "responses", u)
	return turns, nil
}

// turnOf returns the turn of a response that another one shall follow.
func turnOf(ctx context.Context, tx *transaction, id string) (*int64, error) {
	var row responseRow
	if err := tx.GetContext(ctx, &row, `SELECT turn_id, status FROM responses WHERE id = ?`, id); err != nil {
		return nil, fmt.Errorf("previous response %q: %w", id, absent(err))
	}
	if row.InFlight() {
		// Its turn is not known yet. As nothing follows what may still get another
		// parent, chains never become rings.
		return nil, fmt.Errorf("previous response %q is %s: %w", id, row.Status, ErrInFlight)
	}
	return &row.TurnID, nil
}

// prune removes a turn that has lost its response, and those before it that were
// kept for its sake alone.
func prune(ctx context.Context, tx *transaction, turn int64) error {
	_, err := tx.ExecContext(ctx, `
		WITH RECURSIVE dead (id, parent_id) AS (
			SELECT id, parent_id FROM turns WHERE id = ?
				AND NOT EXISTS (SELECT 1 FROM turns child WHERE child.parent_id = turns.id)
			UNION ALL
			SELECT t.id, t.parent_id FROM dead JOIN turns t ON t.id = dead.parent_id
			WHERE NOT EXISTS (SELECT 1 FROM responses r WHERE r.turn_id = t.id)
				AND NOT EXISTS (SELECT 1 FROM turns child WHERE child.parent_id = t.id AND child.id <> dead.id)
		)
		DELETE FROM turns WHERE id IN (SELECT id FROM dead)`, turn)
	return err
}
