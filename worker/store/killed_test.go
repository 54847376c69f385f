package store_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"hermes/worker/store"
)

// putResponses takes turns in four conversations for as long as it can, each
// with an idempotency key, and prints a line for each step that was
// acknowledged: "CONVERSATION-N STEP".
func putResponses(ctx context.Context, path string) int {
	s := store.Open(path, store.Options{Recover: true})
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			name := fmt.Sprint("c", worker)
			for {
				if err := childResponse(ctx, s, name); err != nil {
					fmt.Println("error", err)
					return
				}
			}
		})
	}
	wg.Wait()
	return 1
}

func childResponse(ctx context.Context, s *store.Store, name string) error {
	previous, err := s.ConversationHead(ctx, name)
	if err != nil {
		return err
	}
	n := 0
	if previous != "" {
		chain, err := s.Chain(ctx, previous)
		if err != nil {
			return err
		}
		n = len(chain)
	}
	// A turn that a kill interrupted has taken its id.
	id := fmt.Sprintf("%s-%d-%d", name, n, rand.Uint32())
	if _, err := s.BeginIdempotent(ctx, store.Claim{Key: id}); err != nil {
		return err
	}
	r := begun(id, previous)
	r.Conversation, r.Background, r.Input = name, rand.IntN(2) == 0, make([]byte, 3000)
	if err := s.PutResponse(ctx, r, store.Put{Keep: 1e6}); err != nil {
		return err
	}
	fmt.Println(id, "begin")
	end := store.Put{Keep: 1e6, Update: true, Head: true, Finish: &store.Finish{Key: id, Answer: store.Answer{Status: 200, Body: []byte(id)}}}
	if err := s.PutResponse(ctx, answered(id, ""), end); err != nil {
		return err
	}
	fmt.Println(id, "end")
	if rand.IntN(10) == 0 {
		return s.Checkpoint(ctx)
	}
	return nil
}

func TestKilledProcessLosesNoResponse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	all := map[string]bool{}
	for range 5 {
		acks, said := runChild(t, path, 1+rand.IntN(100), workEnv+"=responses")
		if said != "" {
			t.Fatalf("the child ended by itself: %s", said)
		}
		maps.Copy(all, acks)
		checkResponses(t, path, all)
	}
}

// checkResponses opens the file as the next process would and looks for every
// acknowledged step.
func checkResponses(t *testing.T, path string, acks map[string]bool) {
	t.Helper()
	s := store.Open(path, store.Options{Recover: true})
	defer s.Close()
	chains := map[string]string{} // each conversation's history
	for worker := range 4 {
		name := fmt.Sprint("c", worker)
		if id := head(t, s, name); id != "" {
			chains[name] = " " + history(t, s, id) + " "
		}
	}
	for ack := range acks {
		id, step, _ := strings.Cut(ack, " ")
		r, err := s.Response(t.Context(), id)
		if err != nil || r.InFlight() {
			t.Errorf("%s was acknowledged: %+v (%v)", ack, r, err)
		}
		if step != "end" {
			continue
		}
		name, _, _ := strings.Cut(id, "-")
		if r.Status != store.ResponseCompleted || !strings.Contains(chains[name], " "+id+" ") {
			t.Errorf("%s was acknowledged: it is %s, the conversation is %s", ack, r.Status, chains[name])
		}
		if got, err := s.Idempotency(t.Context(), "", id); err != nil || string(got.Body) != id {
			t.Errorf("%s was acknowledged: its answer is %+v (%v)", ack, got, err)
		}
	}
	if health := s.Health(t.Context()); health.Err != nil || health.Damaged != nil {
		t.Errorf("health is %+v", health)
	}
	var verdict string
	must(t, raw(t, path).QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict))
	if verdict != "ok" {
		t.Errorf("integrity check: %s", verdict)
	}
}
