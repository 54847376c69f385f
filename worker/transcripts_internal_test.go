package worker

import (
	"log/slog"
	"path/filepath"
	"reflect"
	"testing"

	"hermes/worker/api"
	"hermes/worker/store"
)

func TestTurnsOfChatsSurviveARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	for i, want := range []api.KeptTurn{{}, {SessionID: "s", Messages: []byte("[1]")}} {
		s := store.Open(path, store.Options{Log: slog.New(slog.DiscardHandler)})
		kept := transcripts{s}
		found, err := kept.Lookup(t.Context(), [][]byte{[]byte("hash"), []byte("other")})
		if err != nil || len(found) != 2 || !reflect.DeepEqual(found[0], want) || !reflect.DeepEqual(found[1], api.KeptTurn{}) {
			t.Errorf("%d: found %+v, %v", i, found, err)
		}
		if err := kept.Put(t.Context(), []byte("hash"), api.KeptTurn{SessionID: "s", Messages: []byte("[1]")}); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
