package store

import (
	"context"
	"time"
)

// What is kept of compactions, unless CompactionLimits says otherwise.
const (
	maxCompactionsEach  = 8
	maxCompactions      = 2000
	maxCompactionsBytes = 32 << 20
	maxCompactionAge    = 90 * 24 * time.Hour
)

// Compaction says how the beginning of a transcript is made short. Its writer knows
// what Body means.
type Compaction struct {
	// Hash names the messages that it is about.
	Hash []byte `db:"hash"`
	Body []byte `db:"body"`
}

// CompactionLimits bounds the compactions that are kept. Those that were not used
// for longest go first. Zero fields mean the default.
type CompactionLimits struct {
	Each  int           // of one session, 8 by default
	Total int           // 2,000 by default
	Bytes int64         // of all bodies, 32 MiB by default
	Age   time.Duration // since the last use, 90 days by default
}

func (l CompactionLimits) orDefault() CompactionLimits {
	if l.Each <= 0 {
		l.Each = maxCompactionsEach
	}
	if l.Total <= 0 {
		l.Total = maxCompactions
	}
	if l.Bytes <= 0 {
		l.Bytes = maxCompactionsBytes
	}
	if l.Age <= 0 {
		l.Age = maxCompactionAge
	}
	return l
}

// Compactions returns those of a session. It counts as use of all of them.
func (s *Store) Compactions(ctx context.Context, sessionID string) ([]Compaction, error) {
	type row struct {
		Compaction
		Used int64 `db:"used_at"`
	}
	rows, err := read[row](ctx, s, "read compactions", `SELECT hash, body, used_at FROM compactions WHERE session_id = ?`, sessionID)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	now := s.opts.Now()
	list := make([]Compaction, len(rows))
	latest := int64(0)
	for i, row := range rows {
		list[i] = row.Compaction
		latest = max(latest, row.Used)
	}
	if now.Sub(time.UnixMicro(latest)) >= promptUse {
		err := s.tx(ctx, "count use of compactions", outliveProcess, 0, func(tx *transaction) error {
			// All of them move on alike, and so keep their order.
			_, err := tx.ExecContext(ctx, `UPDATE compactions SET used_at = used_at + ? WHERE session_id = ?`, now.UnixMicro()-latest, sessionID)
			return err
		})
		if err != nil && ctx.Err() == nil {
			s.opts.Log.Warn("use was not counted", "table", "compactions", "error", err)
		}
	}
	return list, nil
}

// PutCompaction keeps a compaction of a session, in place of the one with its hash.
// A power cut may take it back.
func (s *Store) PutCompaction(ctx context.Context, sessionID string, compaction Compaction, limits CompactionLimits) error {
	limits = limits.orDefault()
	now := s.opts.Now()
	return s.tx(ctx, "put compaction", outliveProcess, len(compaction.Body), func(tx *transaction) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO compactions (session_id, hash, body, used_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (session_id, hash) DO UPDATE SET body = excluded.body, used_at = excluded.used_at`,
			sessionID, compaction.Hash, compaction.Body, now.UnixMicro())
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			DELETE FROM compactions WHERE used_at < ? OR (session_id, hash) IN (
				SELECT session_id, hash FROM (
					SELECT session_id, hash, row_number() OVER latest AS number, sum(length(body)) OVER latest AS bytes,
						row_number() OVER (PARTITION BY session_id ORDER BY used_at DESC, hash) AS each
					FROM compactions WINDOW latest AS (ORDER BY used_at DESC, session_id DESC, hash ROWS UNBOUNDED PRECEDING))
				WHERE number > ? OR bytes > ? OR each > ?)`,
			now.Add(-limits.Age).UnixMicro(), limits.Total, limits.Bytes, limits.Each)
		return err
	})
}
