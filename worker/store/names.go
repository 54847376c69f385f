package store

import (
	"context"
	"unicode/utf8"
)

// ConversationNames returns the names of the conversations that can be gone on
// with, by the id of the session that each belongs to.
func (s *Store) ConversationNames(ctx context.Context) (map[string]string, error) {
	type row struct {
		SessionID string `db:"session_id"`
		Name      string `db:"name"`
		Place     int64  `db:"place"`
	}
	// The name is that of the row with the greatest place: a session that has had
	// two goes on with the last one.
	rows, err := read[row](ctx, s, "read names", `
		SELECT r.session_id, p.conversation AS name, max(p.place) AS place FROM responses p JOIN runs r ON r.id = p.run_id
		WHERE p.conversation <> '' AND p.place > 0 GROUP BY r.session_id`)
	if err != nil {
		return nil, err
	}
	names := make(map[string]string, len(rows))
	for _, row := range rows {
		names[row.SessionID] = row.Name
	}
	return names, nil
}

// SessionIDs returns the ids that begin with a prefix, at most limit of them, the
// last used first.
func (s *Store) SessionIDs(ctx context.Context, prefix string, limit int) ([]string, error) {
	return read[string](ctx, s, "read session ids", `
		SELECT id FROM sessions WHERE substr(id, 1, ?) = ? ORDER BY updated_at DESC, id DESC LIMIT ?`,
		utf8.RuneCountInString(prefix), prefix, limit)
}
