package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// headQuery finds the newest stored response that was made the head of a
// conversation: its head, or what stands in for a head that was evicted or
// deleted.
const headQuery = `SELECT id FROM responses WHERE conversation = ? AND place > 0 ORDER BY place DESC LIMIT 1`

// ConversationHead returns the id of the response that the next turn of a
// conversation follows: the last one that was put with Put.Head, or the newest
// of its kind that is stored when that one was evicted or deleted, or "" when
// the conversation begins, or begins anew. It is no use of the response; Chain
// is.
func (s *Store) ConversationHead(ctx context.Context, name string) (string, error) {
	ids, err := read[string](ctx, s, "read conversation", headQuery, name)
	if err != nil || len(ids) == 0 {
		return "", err
	}
	return ids[0], nil
}

// advance makes a response that was just put the head of its conversation,
// unless another one became the head since it was begun.
func advance(ctx context.Context, tx *transaction, id string) error {
	var r Response
	err := tx.GetContext(ctx, &r, `SELECT previous_id, conversation, status FROM responses WHERE id = ?`, id)
	switch {
	case err != nil:
		return err
	case r.Conversation == "":
		return fmt.Errorf("response %q is part of no conversation, so it cannot be the head of one", id)
	case r.InFlight():
		return fmt.Errorf("response %q cannot be the head of conversation %q: %w", id, r.Conversation, ErrInFlight)
	}
	var head string
	if err := tx.GetContext(ctx, &head, headQuery, r.Conversation); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var last struct {
		HeadID string `db:"head_id"`
		Places int64  `db:"places"`
	}
	err = tx.GetContext(ctx, &last, `SELECT head_id, places FROM conversations WHERE name = ?`, r.Conversation)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	// The head that this response follows may have been evicted since.
	if head != "" && r.PreviousID != head && r.PreviousID != last.HeadID {
		return fmt.Errorf("conversation %q went on to %q while %q was made: %w", r.Conversation, head, id, ErrConflict)
	}
	_, err = tx.ExecContext(ctx, `UPDATE responses SET place = ? WHERE id = ?`, last.Places+1, id)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO conversations (name, head_id, places) VALUES (?, ?, 1)
		ON CONFLICT (name) DO UPDATE SET head_id = excluded.head_id, places = places + 1`, r.Conversation, id)
	return err
}

// forgetConversation removes what is known of a conversation that has no stored
// turn left.
func forgetConversation(ctx context.Context, tx *transaction, name string) error {
	if name == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
		DELETE FROM conversations WHERE name = ?1
			AND NOT EXISTS (SELECT 1 FROM responses WHERE conversation = ?1 AND place > 0)`, name)
	return err
}
