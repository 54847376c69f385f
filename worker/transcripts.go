package worker

import (
	"context"

	"hermes/worker/api"
	"hermes/worker/store"
)

// transcripts keeps turns of chats in the profile's database.
type transcripts struct{ store *store.Store }

var _ api.Transcripts = transcripts{}

// Lookup returns the turns of one history by their hashes.
func (t transcripts) Lookup(ctx context.Context, hashes [][]byte) ([]api.KeptTurn, error) {
	found, err := t.store.ChatTurns(ctx, hashes)
	if err != nil {
		return nil, err
	}
	kept := make([]api.KeptTurn, len(found))
	for i, turn := range found {
		if turn != nil {
			kept[i] = api.KeptTurn{SessionID: turn.SessionID, Messages: turn.Messages}
		}
	}
	return kept, nil
}

// Put keeps a turn. Those that were not used for longest give way to it.
func (t transcripts) Put(ctx context.Context, hash []byte, turn api.KeptTurn) error {
	return t.store.PutChatTurn(ctx, store.ChatTurn{Hash: hash, SessionID: turn.SessionID, Messages: turn.Messages}, store.ChatLimits{})
}

// Unheard returns what broke off with its process.
func (t transcripts) Unheard(ctx context.Context, histories [][]byte) ([]store.Unheard, error) {
	return t.store.Unheard(ctx, histories)
}

// Heard says that a run's client has the whole answer.
func (t transcripts) Heard(ctx context.Context, runID string) error { return t.store.Heard(ctx, runID) }
