package store

import (
	"context"
	"encoding/json"
	"slices"
)

// uses are rows that were just read, to be counted as used in that order.
type uses struct {
	ids  []any
	used []int64 // when they were used last, by the count of their table
}

func (u *uses) add(id any, used int64) {
	u.ids = append(u.ids, id)
	u.used = append(u.used, used)
}

// use counts uses of rows of a table. What was read is handed out whatever comes
// of it: a full disk keeps nobody from reading.
func (s *Store) use(ctx context.Context, table string, u uses) {
	if len(u.ids) == 0 {
		return
	}
	if err := s.count(ctx, table, u); err != nil && ctx.Err() == nil {
		s.opts.Log.Warn("use was not counted", "table", table, "error", err)
	}
}

func (s *Store) count(ctx context.Context, table string, u uses) error {
	// Who asks for the same thing again finds it used last already, in this
	// order: nothing has to be written then.
	if slices.IsSorted(u.used) {
		since, err := read[int](ctx, s, "count use", `SELECT count(*) FROM `+table+` WHERE used >= ?`, u.used[0])
		if err != nil || since[0] == len(u.ids) {
			return err
		}
	}
	ids, err := json.Marshal(u.ids)
	if err != nil {
		return err
	}
	return s.tx(ctx, "count use", outliveProcess, 0, func(tx *transaction) error {
		_, err := tx.ExecContext(ctx, `
			UPDATE `+table+` SET used = (SELECT max(used) FROM `+table+`) + 1 + ids.key
			FROM json_each(?) AS ids WHERE `+table+`.id = ids.value`, string(ids))
		return err
	})
}
