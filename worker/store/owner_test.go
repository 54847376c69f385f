package store_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"hermes/worker/store"
)

// work leaves a run, a response and two idempotency keys in flight; a tool has
// begun for the key "k", none for the key "idle".
func work(t *testing.T, s *store.Store) {
	t.Helper()
	begin(t, s, "s", "run")
	claimed(t, s, claim())
	idle := claim()
	idle.Key, idle.RunID = "idle", "no such run"
	claimed(t, s, idle)
	put(t, s, say("head", "", "c"), store.Put{Head: true})
	r := begun("resp", "head")
	r.RunID, r.Conversation, r.Background, r.Body, r.Input = "run", "c", true, []byte("in flight"), []byte("hi")
	put(t, s, r, store.Put{})
	ask(t, s, "run", "1")
	must(t, s.StartTool(t.Context(), "run", "1", time.Time{}))
}

// untouched checks that all of work is still in flight.
func untouched(t *testing.T, s *store.Store) {
	t.Helper()
	run, err := s.Run(t.Context(), "run")
	must(t, err)
	r, err := s.Response(t.Context(), "resp")
	must(t, err)
	if run.Status != store.StatusRunning || r.Status != store.ResponseInProgress {
		t.Errorf("run is %s, response is %s", run.Status, r.Status)
	}
	idle := claim()
	idle.Key = "idle"
	for _, c := range []store.Claim{claim(), idle} {
		if got := claimed(t, s, c); got.State != store.ClaimRunning || got.Ours {
			t.Errorf("key %s: %+v", c.Key, got)
		}
	}
}

// settling is what an endpoint does with what a dead process left.
func settling() store.Options {
	return store.Options{
		Recover: true,
		SettleResponse: func(r store.Response, messages []store.Message) store.Settled {
			text := string(r.Body) + " " + string(r.Input) + ":"
			for _, m := range messages {
				text += " " + m.Role
			}
			return store.Settled{Status: store.ResponseIncomplete, Body: []byte(text), Transcript: []byte("settled"), Head: true}
		},
		SettleAnswer: func(c store.Claim) store.Answer {
			return store.Answer{Status: 500, ContentType: "text/plain", Body: []byte("interrupted " + c.Key + " " + c.RunID)}
		},
	}
}

func settled(t *testing.T, s *store.Store) {
	t.Helper()
	r, err := s.Response(t.Context(), "resp")
	must(t, err)
	if r.Status != store.ResponseIncomplete || string(r.Body) != "in flight hi: user assistant tool" {
		t.Errorf("response is %s: %s", r.Status, r.Body)
	}
	if got := head(t, s, "c"); got != "resp" {
		t.Errorf("head is %q", got)
	}
	if got := history(t, s, "resp"); got != "head settled" {
		t.Errorf("history is %q", got)
	}
	want := store.Claimed{
		State: store.ClaimReplay, RunID: "run", ResponseID: "resp", Interrupted: true,
		Answer: store.Answer{Status: 500, ContentType: "text/plain", Body: []byte("interrupted k run")},
	}
	for range 2 {
		if got := claimed(t, s, claim()); !reflect.DeepEqual(got, want) {
			t.Errorf("key whose tool had begun: %+v", got)
		}
	}
	idle := claim()
	idle.Key = "idle"
	if got := claimed(t, s, idle); got.State != store.ClaimNew {
		t.Errorf("key whose run had no effect: %+v", got)
	}
	if run, err := s.Run(t.Context(), "run"); err != nil || run.Status != store.StatusInterrupted {
		t.Errorf("run is %+v (%v)", run, err)
	}
}

func TestWorkOfADeadStoreIsSettled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := store.Open(path, store.Options{Now: start})
	work(t, s)
	must(t, s.Close())
	settled(t, reopen(t, path, settling()))
}

func TestSettlingHasDefaults(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := store.Open(path, store.Options{Now: start})
	work(t, s)
	must(t, s.Close())
	s = reopen(t, path, store.Options{Recover: true})
	if r, err := s.Response(t.Context(), "resp"); err != nil || r.Status != store.ResponseFailed || string(r.Body) != "in flight" {
		t.Errorf("response is %+v (%v)", r, err)
	}
	if got := claimed(t, s, claim()); got.State != store.ClaimReplay || !got.Interrupted || got.Status != 500 {
		t.Errorf("key: %+v", got)
	}
	if got := head(t, s, "c"); got != "head" {
		t.Errorf("head is %q", got)
	}
}

// While one generation of a worker replaces another, both have the file open.
func TestWorkOfALivingStoreIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, touch := range map[string]func(*testing.T, *store.Store){
		"read":       func(t *testing.T, s *store.Store) { t.Helper(); missing(t, s, "resp") },
		"claim":      func(t *testing.T, s *store.Store) { t.Helper(); claimed(t, s, claim()) },
		"checkpoint": func(t *testing.T, s *store.Store) { t.Helper(); must(t, s.Checkpoint(t.Context())) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "state.db")
			first := store.Open(path, store.Options{Now: start, Recover: true})
			work(t, first)
			second := reopen(t, path, settling())
			untouched(t, second)
			must(t, second.Checkpoint(t.Context()))
			untouched(t, second)
			// It dies: whatever comes upon its work settles it.
			must(t, first.Close())
			touch(t, second)
			settled(t, second)
		})
	}
}

func TestOpenStoresLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	write(t, path+"-open-", nil, 0o600)
	write(t, path+"-open-OFADEADONE", nil, 0o600)
	a, b := store.Open(path, store.Options{}), store.Open(path, store.Options{})
	begin(t, a, "s", "a")
	begin(t, b, "s", "b")
	must(t, a.Close())
	begin(t, b, "s", "c")
	must(t, b.Close())
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, entry := range entries {
		if strings.Contains(entry.Name(), "DEAD") || len(entries) > 2 {
			t.Errorf("%s was left behind", entry.Name())
		}
	}
}
