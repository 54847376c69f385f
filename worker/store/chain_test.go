package store_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"hermes/worker/store"
)

// history is the transcripts of a chain in one line.
func history(t *testing.T, s *store.Store, id string) string {
	t.Helper()
	turns, err := s.Chain(t.Context(), id)
	must(t, err)
	var texts []string
	for _, turn := range turns {
		texts = append(texts, string(turn.Transcript))
	}
	return strings.Join(texts, " ")
}

// turns counts what is kept for the sake of chains.
func turns(t *testing.T, path string) int {
	t.Helper()
	var count int
	must(t, raw(t, path).QueryRowContext(t.Context(), "SELECT count(*) FROM turns").Scan(&count))
	return count
}

func TestChainsBranch(t *testing.T) {
	t.Parallel()
	s := open(t)
	put(t, s, answered("a", ""), store.Put{})
	put(t, s, answered("b", "a"), store.Put{})
	put(t, s, answered("c", "b"), store.Put{})
	put(t, s, answered("c2", "b"), store.Put{})
	for id, want := range map[string]string{"a": "a", "c": "a b c", "c2": "a b c2"} {
		if got := history(t, s, id); got != want {
			t.Errorf("history of %s is %q, want %q", id, got, want)
		}
	}
}

func TestHistoryOutlivesItsResponses(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/state.db"
	s := reopen(t, path, store.Options{})
	put(t, s, answered("a", ""), store.Put{})
	put(t, s, answered("b", "a"), store.Put{})
	put(t, s, answered("c", "b"), store.Put{})
	put(t, s, answered("branch", "a"), store.Put{})
	must(t, s.DeleteResponse(t.Context(), "b"))
	must(t, s.DeleteResponse(t.Context(), "a"))
	if got := history(t, s, "c"); got != "a b c" {
		t.Errorf("history of c is %q", got)
	}
	chain, err := s.Chain(t.Context(), "c")
	must(t, err)
	want := []store.Turn{{Transcript: []byte("a")}, {Transcript: []byte("b")}, {ResponseID: "c", Status: store.ResponseCompleted, Transcript: []byte("c")}}
	if !reflect.DeepEqual(chain, want) {
		t.Errorf("chain is %+v", chain)
	}

	// What nothing descends from any more goes, and no more than that.
	must(t, s.DeleteResponse(t.Context(), "c"))
	if got := turns(t, path); got != 2 {
		t.Errorf("%d turns are kept, want a and branch", got)
	}
	if got := history(t, s, "branch"); got != "a branch" {
		t.Errorf("history of branch is %q", got)
	}
	must(t, s.DeleteResponse(t.Context(), "branch"))
	if got := turns(t, path); got != 0 {
		t.Errorf("%d turns are kept of nothing", got)
	}
}

func TestHistoryOutlivesEviction(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/state.db"
	s := reopen(t, path, store.Options{})
	var want []string
	previous := ""
	for i := range 50 {
		id := fmt.Sprint(i)
		want = append(want, id)
		put(t, s, begun(id, previous), store.Put{Keep: 3})
		// Its parent may go while the turn runs.
		if i == 25 {
			must(t, s.DeleteResponse(t.Context(), previous))
		}
		put(t, s, answered(id, previous), store.Put{Keep: 3, Update: true})
		previous = id
	}
	if got := history(t, s, previous); got != strings.Join(want, " ") {
		t.Errorf("history is %q", got)
	}
	for i := range 3 {
		put(t, s, answered(fmt.Sprint("other", i), ""), store.Put{Keep: 3})
	}
	if got := turns(t, path); got != 3 {
		t.Errorf("%d turns are kept, want 3", got)
	}
}

func TestAChainIsUsedAsAWhole(t *testing.T) {
	t.Parallel()
	s := open(t)
	put(t, s, answered("a", ""), store.Put{})
	put(t, s, answered("b", "a"), store.Put{})
	put(t, s, answered("other", ""), store.Put{})
	if got := history(t, s, "b"); got != "a b" {
		t.Errorf("history is %q", got)
	}
	put(t, s, answered("new", ""), store.Put{Keep: 3})
	if gone := missing(t, s, "a", "b", "other"); len(gone) != 1 || gone[0] != "other" {
		t.Errorf("evicted are %v", gone)
	}
}

func TestATurnThatWaitedMayFollowAnother(t *testing.T) {
	t.Parallel()
	s := open(t)
	put(t, s, answered("a", ""), store.Put{})
	put(t, s, answered("b", "a"), store.Put{})
	put(t, s, begun("queued", "a"), store.Put{})
	put(t, s, store.Response{ID: "queued", PreviousID: "b", Status: store.ResponseCompleted, Transcript: []byte("q")}, store.Put{Update: true})
	if got := history(t, s, "queued"); got != "a b q" {
		t.Errorf("history is %q", got)
	}
	r, err := s.Response(t.Context(), "queued")
	must(t, err)
	if r.PreviousID != "b" {
		t.Errorf("it follows %q", r.PreviousID)
	}
}
