package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"hermes/worker/store"
)

// say is a turn of a conversation that has ended.
func say(id, previous, conversation string) store.Response {
	r := answered(id, previous)
	r.Conversation = conversation
	return r
}

func head(t *testing.T, s *store.Store, conversation string) string {
	t.Helper()
	id, err := s.ConversationHead(t.Context(), conversation)
	must(t, err)
	return id
}

func TestAConversationGoesOnFromItsHead(t *testing.T) {
	t.Parallel()
	s := open(t)
	move := store.Put{Head: true}
	if got := head(t, s, "c"); got != "" {
		t.Errorf("head of nothing is %q", got)
	}
	put(t, s, say("1", "", "c"), move)
	put(t, s, say("other", "", "d"), move)
	put(t, s, say("2", "1", "c"), move)
	put(t, s, say("failed", "2", "c"), store.Put{}) // it does not want to be the head
	if got := head(t, s, "c"); got != "2" {
		t.Errorf("head is %q, want 2", got)
	}
	err := s.PutResponse(t.Context(), say("late", "1", "c"), move)
	if !errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), `conversation "c" went on to "2" while "late" was made`) {
		t.Errorf("a turn that began before the head moved: %v", err)
	}
	if gone := missing(t, s, "late"); len(gone) != 1 {
		t.Error("it was stored")
	}
	put(t, s, say("late", "2", "c"), move)
	if got := history(t, s, head(t, s, "c")); got != "1 2 late" {
		t.Errorf("history is %q", got)
	}
}

func TestAConversationOutlivesItsHead(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	move := store.Put{Head: true}
	put(t, s, say("1", "", "c"), move)
	put(t, s, say("2", "1", "c"), move)
	put(t, s, say("3", "2", "c"), move)
	put(t, s, begun("during", "3"), store.Put{})
	must(t, s.DeleteResponse(ctx, "3"))
	if got := head(t, s, "c"); got != "2" {
		t.Errorf("head is %q, want the newest that is stored", got)
	}
	// Who began before the deletion still follows the head.
	put(t, s, say("during", "", "c"), store.Put{Head: true, Update: true})
	if got := history(t, s, head(t, s, "c")); got != "1 2 3 during" {
		t.Errorf("history is %q", got)
	}
	for _, id := range []string{"during", "2", "1"} {
		must(t, s.DeleteResponse(ctx, id))
	}
	if got := head(t, s, "c"); got != "" {
		t.Errorf("head of a conversation without turns is %q", got)
	}
	put(t, s, say("anew", "", "c"), move)
	if got := history(t, s, head(t, s, "c")); got != "anew" {
		t.Errorf("history is %q", got)
	}
}

// The last turn of a conversation may be gone when one ends that followed it.
func TestAConversationThatWasForgottenGoesOn(t *testing.T) {
	t.Parallel()
	s := open(t)
	put(t, s, say("1", "", "c"), store.Put{Head: true})
	put(t, s, begun("2", "1"), store.Put{})
	must(t, s.DeleteResponse(t.Context(), "1"))
	put(t, s, say("2", "1", "c"), store.Put{Head: true, Update: true})
	if got := history(t, s, head(t, s, "c")); got != "1 2" {
		t.Errorf("history is %q", got)
	}
}

func TestParallelTurnsOfAConversationAreAllThere(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/state.db"
	var wg sync.WaitGroup
	// Two processes, as while one generation of a worker replaces another.
	for i, s := range []*store.Store{reopen(t, path, store.Options{}), reopen(t, path, store.Options{})} {
		for j := range 5 {
			wg.Go(func() {
				if err := converse(t, s, fmt.Sprintf("%d-%d", i, j)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	s := reopen(t, path, store.Options{})
	chain, err := s.Chain(t.Context(), head(t, s, "c"))
	must(t, err)
	seen := map[string]bool{}
	for _, turn := range chain {
		seen[string(turn.Transcript)] = true
	}
	if len(chain) != 10 || len(seen) != 10 {
		t.Errorf("%d turns in the chain, %d of them different, want 10", len(chain), len(seen))
	}
}

// converse takes a turn in conversation c, and follows whatever came between.
func converse(t *testing.T, s *store.Store, id string) error {
	t.Helper()
	ctx := t.Context()
	previous, err := s.ConversationHead(ctx, "c")
	if err != nil {
		return err
	}
	err = s.PutResponse(ctx, begun(id, previous), store.Put{})
	if err != nil {
		return err
	}
	for {
		err := s.PutResponse(ctx, say(id, previous, "c"), store.Put{Head: true, Update: true})
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		if previous, err = s.ConversationHead(ctx, "c"); err != nil {
			return err
		}
	}
}
