package store

import (
	"context"
	"encoding/hex"
	"encoding/json"
)

// Unheard is a run whose process died before its client had the answer.
type Unheard struct {
	// Place is where in the list its history stands.
	Place     int    `db:"place"`
	RunID     string `db:"run_id"`
	SessionID string `db:"session_id"`
	// Messages are what was recorded of it, behind the message that it answers.
	Messages []Message `db:"-"`
}

// Unheard returns the runs that answered one of these histories (see Run.History)
// and whose client never had the end of the answer, because the process died. They
// come in the order of the list, and those of one history in the order in which
// they began.
func (s *Store) Unheard(ctx context.Context, histories [][]byte) ([]Unheard, error) {
	texts := make([]string, len(histories))
	for i, history := range histories {
		texts[i] = hex.EncodeToString(history)
	}
	list, err := json.Marshal(texts)
	if err != nil {
		return nil, err
	}
	// A run of this Store has a client that still listens, or has left.
	found, err := read[Unheard](ctx, s, "read unheard runs", `
		SELECT asked.key AS place, r.id AS run_id, r.session_id
		FROM json_each(?) AS asked CROSS JOIN runs r ON r.history = unhex(asked.value) AND r.history <> x''
		WHERE r.owner <> ? AND r.status IN ('interrupted', 'done')
		ORDER BY asked.key, r.began_at, r.rowid`, string(list), s.owner)
	for i := range found {
		rows, err := read[messageRow](ctx, s, "read unheard runs", `
			SELECT `+messageColumns+` FROM messages WHERE run_id = ? ORDER BY id LIMIT -1 OFFSET 1`, found[i].RunID)
		if err != nil {
			return nil, err
		}
		found[i].Messages = values(rows, messageRow.value)
	}
	return found, err
}

// Heard records that the client of a run has the end of its answer. What broke off
// before at the same place of the chat is part of that answer.
func (s *Store) Heard(ctx context.Context, runID string) error {
	return s.tx(ctx, "end of answer was sent", outliveProcess, 0, func(tx *transaction) error {
		_, err := tx.ExecContext(ctx, `
			UPDATE runs SET history = x'' WHERE history <> x'' AND history = (SELECT history FROM runs WHERE id = ?)`, runID)
		return err
	})
}
