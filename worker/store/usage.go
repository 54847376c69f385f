package store

import (
	"context"
	"time"
)

// TokensSince returns how many tokens, in and out, the runs have used that ended
// at or after from. Runs that have not ended are not in it, nor are those whose
// process died, as nobody knows what they used.
func (s *Store) TokensSince(ctx context.Context, from time.Time) (int64, error) {
	sums, err := read[int64](ctx, s, "sum tokens", `
		SELECT coalesce(sum(input_tokens + output_tokens), 0) FROM runs WHERE ended_at >= ?`, micros(from))
	if err != nil {
		return 0, err
	}
	return sums[0], nil
}
