package store

import (
	"context"
	"time"
)

// What is kept of prompts, unless PromptLimits says otherwise.
const (
	maxPrompts     = 1000
	maxPromptBytes = 32 << 20
	maxPromptAge   = 90 * 24 * time.Hour
)

// promptUse is how exactly the last use of a prompt is known: a turn writes it
// down only when it is that much later than the one before.
const promptUse = time.Hour

// PromptLimits bounds the prompts of sessions that are kept. The least recently
// used ones go first. Zero fields mean the default.
type PromptLimits struct {
	Sessions int           // 1,000 by default
	Bytes    int64         // 32 MiB by default
	Age      time.Duration // since the last use, 90 days by default
}

func (l PromptLimits) orDefault() PromptLimits {
	if l.Sessions <= 0 {
		l.Sessions = maxPrompts
	}
	if l.Bytes <= 0 {
		l.Bytes = maxPromptBytes
	}
	if l.Age <= 0 {
		l.Age = maxPromptAge
	}
	return l
}

// SessionPrompt returns the prompt of a session, and whether one is kept. It
// counts as use.
func (s *Store) SessionPrompt(ctx context.Context, sessionID string) (prompt string, found bool, err error) {
	type row struct {
		Prompt []byte `db:"prompt"`
		Used   int64  `db:"used_at"`
	}
	rows, err := read[row](ctx, s, "read prompt", `SELECT prompt, used_at FROM session_prompts WHERE session_id = ?`, sessionID)
	if err != nil || len(rows) == 0 {
		return "", false, err
	}
	now := s.opts.Now()
	if now.Sub(time.UnixMicro(rows[0].Used)) >= promptUse {
		err := s.tx(ctx, "count use of prompt", outliveProcess, 0, func(tx *transaction) error {
			_, err := tx.ExecContext(ctx, `UPDATE session_prompts SET used_at = ? WHERE session_id = ?`, now.UnixMicro(), sessionID)
			return err
		})
		if err != nil && ctx.Err() == nil {
			s.opts.Log.Warn("use was not counted", "table", "session_prompts", "error", err)
		}
	}
	return string(rows[0].Prompt), true, nil
}

// PutSessionPrompt keeps the prompt of a session that has none yet, and returns
// the one that it has then: of two turns that begin a session at once, the first
// one decides for both. A power cut may take it back.
func (s *Store) PutSessionPrompt(ctx context.Context, sessionID, prompt string, limits PromptLimits) (kept string, err error) {
	limits = limits.orDefault()
	now := s.opts.Now()
	err = s.tx(ctx, "put prompt", outliveProcess, len(prompt), func(tx *transaction) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO session_prompts (session_id, prompt, created_at, used_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			sessionID, []byte(prompt), now.UnixMicro(), now.UnixMicro())
		if err != nil {
			return err
		}
		var found []byte
		if err := tx.GetContext(ctx, &found, `SELECT prompt FROM session_prompts WHERE session_id = ?`, sessionID); err != nil {
			return err
		}
		kept = string(found)
		_, err = tx.ExecContext(ctx, `
			DELETE FROM session_prompts WHERE used_at < ? OR session_id IN (
				SELECT session_id FROM (
					SELECT session_id, row_number() OVER latest AS number, sum(length(prompt)) OVER latest AS bytes
					FROM session_prompts WINDOW latest AS (ORDER BY used_at DESC, created_at DESC, session_id DESC ROWS UNBOUNDED PRECEDING))
				WHERE number > ? OR bytes > ?)`,
			now.Add(-limits.Age).UnixMicro(), limits.Sessions, limits.Bytes)
		return err
	})
	return kept, err
}
