package worker

import (
	"context"
	"encoding/json"
	"fmt"

	"hermes/worker/agent"
	"hermes/worker/store"
)

// compactions keeps in the profile's database how transcripts were made short, so
// that the next turn of a session begins with the same bytes, also after a restart.
type compactions struct{ store *store.Store }

var _ agent.Compactions = compactions{}

// Compactions returns what is kept of a session. What cannot be read is none.
func (c compactions) Compactions(ctx context.Context, sessionID string) ([]agent.Compaction, error) {
	kept, err := c.store.Compactions(ctx, sessionID)
	if err != nil {
		return nil, err
	}
	list := make([]agent.Compaction, 0, len(kept))
	for _, row := range kept {
		var compaction agent.Compaction
		if json.Unmarshal(row.Body, &compaction) == nil {
			list = append(list, compaction)
		}
	}
	return list, nil
}

// KeepCompaction keeps one more. Those that were not used for longest give way to it.
func (c compactions) KeepCompaction(ctx context.Context, sessionID string, compaction agent.Compaction) error {
	body, err := json.Marshal(compaction)
	if err != nil {
		return fmt.Errorf("encode compaction: %w", err)
	}
	return c.store.PutCompaction(ctx, sessionID, store.Compaction{Hash: compaction.Hash, Body: body}, store.CompactionLimits{})
}
