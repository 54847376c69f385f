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
func (t transcripts) Lookup(ctx context.Context, hashes [][]byte) ([][]byte, error) {
	return t.store.ChatTurns(ctx, hashes)
}

// Put keeps a turn. Those that were not used for longest give way to it.
func (t transcripts) Put(ctx context.Context, hash, messages []byte) error {
	return t.store.PutChatTurn(ctx, store.ChatTurn{Hash: hash, Messages: messages}, store.ChatLimits{})
}
