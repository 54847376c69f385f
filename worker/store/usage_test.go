package store_test

import (
	"testing"
	"time"

	"hermes/worker/store"
)

func TestTokensAreSummed(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	at := func(hours int) time.Time { return start().Add(time.Duration(hours) * time.Hour) }
	if got, err := s.TokensSince(ctx, at(0)); err != nil || got != 0 {
		t.Errorf("an empty file has %d (%v)", got, err)
	}
	for id, end := range map[string]store.End{
		"before":    {Status: store.StatusDone, Usage: store.Usage{Input: 1_000_000}, At: at(9)},
		"at":        {Status: store.StatusDone, Usage: store.Usage{Input: 1, Output: 2, Cached: 1, Reasoning: 1}, At: at(10)},
		"after":     {Status: store.StatusFailed, Usage: store.Usage{Input: 10}, At: at(11)},
		"cancelled": {Status: store.StatusCancelled, Usage: store.Usage{Output: 100}, At: at(12)},
	} {
		begin(t, s, id, id)
		must(t, s.EndRun(ctx, id, end, nil))
	}
	begin(t, s, "running", "running")
	if got, err := s.TokensSince(ctx, at(10)); err != nil || got != 113 {
		t.Errorf("%d tokens were used (%v), want 113", got, err)
	}
}
