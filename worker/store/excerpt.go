package store

import "context"

// excerptColumns are those of messages without their bodies, and with at most
// excerptText of their texts.
const excerptColumns = `m.id, m.session_id, m.run_id, m.role, m.tool_call_id, substr(m.text, 1, 4000) AS text, m.created_at`

// Around returns the message of that id and up to window messages on each side
// of it, in order and without their bodies. There are none if the message is not
// part of the session.
func (s *Store) Around(ctx context.Context, sessionID string, id int64, window int) ([]Message, error) {
	return s.excerpt(ctx, `
		SELECT * FROM (SELECT `+excerptColumns+` FROM messages m WHERE m.session_id = ?1 AND m.id <= ?2 ORDER BY m.id DESC LIMIT ?3 + 1)
		UNION
		SELECT * FROM (SELECT `+excerptColumns+` FROM messages m WHERE m.session_id = ?1 AND m.id > ?2 ORDER BY m.id LIMIT ?3)
		ORDER BY id`, sessionID, id, window)
}

// Ends returns the first and the last messages of a session, in order and without
// their bodies.
func (s *Store) Ends(ctx context.Context, sessionID string, first, last int) ([]Message, error) {
	return s.excerpt(ctx, `
		SELECT * FROM (SELECT `+excerptColumns+` FROM messages m WHERE m.session_id = ?1 ORDER BY m.id LIMIT ?2)
		UNION
		SELECT * FROM (SELECT `+excerptColumns+` FROM messages m WHERE m.session_id = ?1 ORDER BY m.id DESC LIMIT ?3)
		ORDER BY id`, sessionID, first, last)
}

func (s *Store) excerpt(ctx context.Context, query string, args ...any) ([]Message, error) {
	rows, err := read[messageRow](ctx, s, "read messages", query, args...)
	return values(rows, messageRow.value), err
}
