package worker

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"testing"

	"hermes/worker/store"
)

func TestTurnsOfChatsSurviveARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	for i, want := range [][]byte{nil, []byte("[1]")} {
		s := store.Open(path, store.Options{Log: slog.New(slog.DiscardHandler)})
		kept := transcripts{s}
		found, err := kept.Lookup(t.Context(), [][]byte{[]byte("hash"), []byte("other")})
		if err != nil || len(found) != 2 || !bytes.Equal(found[0], want) || found[1] != nil {
			t.Errorf("%d: found %q, %v", i, found, err)
		}
		if err := kept.Put(t.Context(), []byte("hash"), []byte("[1]")); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
