package store_test

import (
	"fmt"
	"slices"
	"testing"

	"hermes/worker/store"
)

func putTurn(t *testing.T, s *store.Store, hash, messages string, limits store.ChatLimits) {
	t.Helper()
	must(t, s.PutChatTurn(t.Context(), store.ChatTurn{Hash: []byte(hash), Messages: []byte(messages)}, limits))
}

// lookUp shows what is kept for hashes, "-" where nothing is.
func lookUp(t *testing.T, s *store.Store, hashes ...string) []string {
	t.Helper()
	var asked [][]byte
	for _, hash := range hashes {
		asked = append(asked, []byte(hash))
	}
	found, err := s.ChatTurns(t.Context(), asked)
	must(t, err)
	var shown []string
	for _, turn := range found {
		if turn == nil {
			shown = append(shown, "-")
		} else {
			shown = append(shown, string(turn.Messages))
		}
	}
	return shown
}

func TestTurnsOfAChatAreFoundByTheirHashes(t *testing.T) {
	t.Parallel()
	s := open(t)
	var enough store.ChatLimits
	putTurn(t, s, "h1", "one", enough)
	putTurn(t, s, "h3", "three", enough)
	putTurn(t, s, "h4\x00\xff", "", enough)
	putTurn(t, s, "branch", "else", enough)
	if got, want := lookUp(t, s, "h1", "h2", "h3", "h4\x00\xff", "h5"), []string{"one", "-", "three", "", "-"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	putTurn(t, s, "h1", "one again", enough)
	if got := lookUp(t, s, "h1"); !slices.Equal(got, []string{"one again"}) {
		t.Errorf("found %q", got)
	}
	if got := lookUp(t, s); got != nil {
		t.Errorf("found %q for nothing", got)
	}
}

func TestChatTurnsAreBounded(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]store.ChatLimits{"number": {Turns: 3}, "size": {Bytes: 30}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			for i := range 3 {
				putTurn(t, s, fmt.Sprint(i), "ten bytes.", limits)
			}
			lookUp(t, s, "0", "1")
			putTurn(t, s, "3", "ten bytes.", limits)
			if got, want := lookUp(t, s, "0", "1", "2", "3"), []string{"ten bytes.", "ten bytes.", "-", "ten bytes."}; !slices.Equal(got, want) {
				t.Errorf("found %q, want %q", got, want)
			}
			// The oldest turns of a chat are missed least.
			putTurn(t, s, "4", "ten bytes.", limits)
			if got, want := lookUp(t, s, "0", "1", "3", "4"), []string{"-", "ten bytes.", "ten bytes.", "ten bytes."}; !slices.Equal(got, want) {
				t.Errorf("found %q, want %q", got, want)
			}
		})
	}
}

func TestATurnLargerThanTheLimitPushesNothingOut(t *testing.T) {
	t.Parallel()
	s := open(t)
	limits := store.ChatLimits{Bytes: 10}
	putTurn(t, s, "small", "ten bytes.", limits)
	putTurn(t, s, "large", "eleven byte", limits)
	if got := lookUp(t, s, "small", "large"); !slices.Equal(got, []string{"ten bytes.", "-"}) {
		t.Errorf("found %q", got)
	}
}

func TestAChatTurnKnowsItsSession(t *testing.T) {
	t.Parallel()
	s := open(t)
	must(t, s.PutChatTurn(t.Context(), store.ChatTurn{Hash: []byte("h"), SessionID: "s1"}, store.ChatLimits{}))
	found, err := s.ChatTurns(t.Context(), [][]byte{[]byte("h")})
	must(t, err)
	if found[0] == nil || found[0].SessionID != "s1" || len(found[0].Messages) != 0 {
		t.Errorf("found %+v", found[0])
	}
}
