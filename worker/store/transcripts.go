package store

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// ChatTurn is a turn of a chat whose client keeps the history itself and sends
// back only what it was shown of it.
type ChatTurn struct {
	// Hash names the whole history up to and including this turn as its client
	// shows it, so that another beginning, or an edited one, has other hashes.
	Hash []byte
	// SessionID is the session that the turn is part of.
	SessionID string
	// Messages is what the turn truly was; the store never looks at it. Empty
	// where the client's own words say as much.
	Messages []byte
}

// ChatLimits bounds the chat turns that are kept. The least recently used ones
// go first. Zero fields mean the default.
type ChatLimits struct {
	Turns int   // 2,000 by default
	Bytes int64 // of messages, 64 MiB by default
}

func (l ChatLimits) orDefault() ChatLimits {
	if l.Turns <= 0 {
		l.Turns = 2000
	}
	if l.Bytes <= 0 {
		l.Bytes = 64 << 20
	}
	return l
}

// PutChatTurn keeps a turn, in place of one with the same hash if there is one.
// What exceeds limits.Bytes alone is not kept at all. A power cut may take it
// back.
func (s *Store) PutChatTurn(ctx context.Context, turn ChatTurn, limits ChatLimits) error {
	return s.tx(ctx, "put chat turn", outliveProcess, len(turn.Messages), func(tx *transaction) error {
		return putChatTurn(ctx, tx, turn, limits)
	})
}

func putChatTurn(ctx context.Context, tx *transaction, turn ChatTurn, limits ChatLimits) error {
	limits = limits.orDefault()
	if int64(len(turn.Messages)) > limits.Bytes {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM chat_turns WHERE hash = ?`, turn.Hash); err != nil {
		return err
	}
	inserted, err := tx.ExecContext(ctx, `
		INSERT INTO chat_turns (hash, session_id, size, used) VALUES (?, ?, ?, (SELECT coalesce(max(used), 0) + 1 FROM chat_turns))`,
		turn.Hash, turn.SessionID, len(turn.Messages))
	if err != nil {
		return err
	}
	id, err := inserted.LastInsertId()
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO chat_turn_messages (id, messages) VALUES (?, coalesce(?, x''))`, id, turn.Messages)
	if err != nil {
		return err
	}
	for {
		var total struct {
			Turns int   `db:"turns"`
			Bytes int64 `db:"bytes"`
		}
		if err := tx.GetContext(ctx, &total, `SELECT turns, bytes FROM chat_totals`); err != nil {
			return err
		}
		if total.Turns <= limits.Turns && total.Bytes <= limits.Bytes {
			return nil
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM chat_turns WHERE id = (SELECT id FROM chat_turns ORDER BY used LIMIT 1)`)
		if err != nil {
			return err
		}
	}
}

// ChatTurns looks up the turns of one history by their hashes, oldest first. It
// returns each that is kept at its place, and nil where none is; the last one that
// is not nil is the longest match. It counts as use of them.
func (s *Store) ChatTurns(ctx context.Context, hashes [][]byte) ([]*ChatTurn, error) {
	texts := make([]string, len(hashes))
	for i, hash := range hashes {
		texts[i] = hex.EncodeToString(hash)
	}
	list, err := json.Marshal(texts)
	if err != nil {
		return nil, err
	}
	type row struct {
		Place     int    `db:"place"`
		ID        int64  `db:"id"`
		Used      int64  `db:"used"`
		SessionID string `db:"session_id"`
		Messages  []byte `db:"messages"`
	}
	rows, err := read[row](ctx, s, "read chat turns", `
		SELECT asked.key AS place, t.id, t.used, t.session_id, m.messages
		FROM json_each(?) AS asked CROSS JOIN chat_turns t ON t.hash = unhex(asked.value) JOIN chat_turn_messages m ON m.id = t.id`,
		string(list))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b row) int { return a.Place - b.Place })
	found := make([]*ChatTurn, len(hashes))
	var u uses
	for _, row := range rows {
		found[row.Place] = &ChatTurn{Hash: hashes[row.Place], SessionID: row.SessionID, Messages: row.Messages}
		u.add(row.ID, row.Used)
	}
	s.use(ctx, "chat_turns", u)
	return found, nil
}
