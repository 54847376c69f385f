package store

import "context"

// indexBatch is how many messages go into the index in one transaction, which
// others wait for.
const indexBatch = 100

// index puts the messages that were recorded since the last time into the index
// of the search. A commit that did it for its own message would take twice as
// long; so it is done before a search, and with a checkpoint.
func (s *Store) index(ctx context.Context) error {
	if s.opts.ReadOnly {
		return nil
	}
	for {
		waiting, err := read[int64](ctx, s, "read index", `SELECT id FROM unindexed ORDER BY id LIMIT ?`, indexBatch)
		if err != nil || len(waiting) == 0 {
			return err
		}
		last := waiting[len(waiting)-1]
		err = s.tx(ctx, "index messages", outliveProcess, 0, func(tx *transaction) error {
			// Another Store may have been faster; what it did is not waiting any more.
			_, err := tx.ExecContext(ctx, `
				INSERT INTO message_search (rowid, text)
				SELECT t.id, t.text FROM unindexed u JOIN message_texts t ON t.id = u.id WHERE u.id <= ?`, last)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `DELETE FROM unindexed WHERE id <= ?`, last)
			return err
		})
		if err != nil {
			return err
		}
	}
}
