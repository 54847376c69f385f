package store_test

import (
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"hermes/worker/store"
)

// claim is the request that the tests repeat.
func claim() store.Claim {
	return store.Claim{Scope: "chat", Key: "k", BodyHash: []byte("body"), RunID: "run", ResponseID: "resp"}
}

func finish(status int, body string) store.Finish {
	return store.Finish{Scope: "chat", Key: "k", Answer: store.Answer{Status: status, ContentType: "application/json", Body: []byte(body)}}
}

func claimed(t *testing.T, s *store.Store, c store.Claim) store.Claimed {
	t.Helper()
	got, err := s.BeginIdempotent(t.Context(), c)
	must(t, err)
	return got
}

func TestARepeatedRequestGetsTheFirstAnswer(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	ours := store.Claimed{State: store.ClaimNew, RunID: "run", ResponseID: "resp", Ours: true}
	if got := claimed(t, s, claim()); !reflect.DeepEqual(got, ours) {
		t.Errorf("first: %+v", got)
	}
	again := claim()
	again.RunID, again.ResponseID = "other run", "other response"
	ours.State = store.ClaimRunning
	if got := claimed(t, s, again); !reflect.DeepEqual(got, ours) {
		t.Errorf("while it runs: %+v", got)
	}
	other := claim()
	other.BodyHash = []byte("another body")
	if got := claimed(t, s, other); !reflect.DeepEqual(got, store.Claimed{State: store.ClaimConflict}) {
		t.Errorf("other body while it runs: %+v", got)
	}

	end := finish(200, "{\"answer\":\"\xff\x00\"}\n") // any bytes
	must(t, s.FinishIdempotent(ctx, end))
	want := store.Claimed{State: store.ClaimReplay, RunID: "run", ResponseID: "resp", Answer: end.Answer}
	if got := claimed(t, s, again); !reflect.DeepEqual(got, want) {
		t.Errorf("when it is done: %+v, want %+v", got, want)
	}
	if got, err := s.Idempotency(ctx, "chat", "k"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("looked up: %+v (%v)", got, err)
	}
	if got := claimed(t, s, other); got.State != store.ClaimConflict {
		t.Errorf("other body: %+v", got)
	}
	elsewhere := claim()
	elsewhere.Scope = "responses"
	if got := claimed(t, s, elsewhere); got.State != store.ClaimNew {
		t.Errorf("other scope: %+v", got)
	}
	if err := s.FinishIdempotent(ctx, end); !errors.Is(err, store.ErrEnded) {
		t.Errorf("finished twice: %v", err)
	}
	end.Key = "unknown"
	if err := s.FinishIdempotent(ctx, end); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("finished what was not claimed: %v", err)
	}
	if _, err := s.Idempotency(ctx, "chat", "unknown"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("looked up what was not claimed: %v", err)
	}
}

func TestOneOfManyGetsTheClaim(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/state.db"
	stores := []*store.Store{reopen(t, path, store.Options{Recover: true}), reopen(t, path, store.Options{Recover: true})}
	var wg sync.WaitGroup
	var mu sync.Mutex
	states := map[string]int{}
	for i := range 20 {
		wg.Go(func() {
			got, err := stores[i%2].BeginIdempotent(t.Context(), claim())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			states[got.State]++
		})
	}
	wg.Wait()
	if states[store.ClaimNew] != 1 || states[store.ClaimRunning] != 19 {
		t.Errorf("the claims are %v", states)
	}
}

func TestAnAnswerIsKeptForItsTime(t *testing.T) {
	t.Parallel()
	now := start()
	path := t.TempDir() + "/state.db"
	s := reopen(t, path, store.Options{Now: func() time.Time { return now }})
	claimed(t, s, claim())
	now = now.Add(time.Hour) // a run may take longer than its answer is kept
	if got := claimed(t, s, claim()); got.State != store.ClaimRunning {
		t.Errorf("after an hour of work: %+v", got)
	}
	must(t, s.FinishIdempotent(t.Context(), finish(200, "ok")))
	now = now.Add(store.IdempotencyTTL - time.Microsecond)
	if got := claimed(t, s, claim()); got.State != store.ClaimReplay {
		t.Errorf("just before the end: %+v", got)
	}
	now = now.Add(time.Microsecond)
	if _, err := s.Idempotency(t.Context(), "chat", "k"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("looked up at the end: %v", err)
	}
	other := claim()
	other.Key, other.BodyHash = "other", []byte("x")
	claimed(t, s, other) // takes the expired one away as well
	var rows int
	must(t, raw(t, path).QueryRowContext(t.Context(), "SELECT count(*) FROM idempotency").Scan(&rows))
	if rows != 1 {
		t.Errorf("%d keys are kept", rows)
	}
	if got := claimed(t, s, claim()); got.State != store.ClaimNew {
		t.Errorf("at the end: %+v", got)
	}
}

func TestARequestThatFailedMayBeTriedAgainUnlessAToolBegan(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	begin(t, s, "s", "run")
	claimed(t, s, claim())
	if freed, err := s.ForgetIdempotent(ctx, "chat", "k"); !freed || err != nil {
		t.Errorf("before any tool: %t (%v)", freed, err)
	}
	if freed, err := s.ForgetIdempotent(ctx, "chat", "k"); freed || err != nil {
		t.Errorf("without a claim: %t (%v)", freed, err)
	}
	if got := claimed(t, s, claim()); got.State != store.ClaimNew {
		t.Errorf("second try: %+v", got)
	}
	ask(t, s, "run", "1")
	must(t, s.StartTool(ctx, "run", "1", time.Time{}))
	must(t, s.FinishTool(ctx, "run", "1", store.ToolResult{Text: "ok"}))
	if freed, err := s.ForgetIdempotent(ctx, "chat", "k"); freed || err != nil {
		t.Errorf("after a tool: %t (%v)", freed, err)
	}
	must(t, s.FinishIdempotent(ctx, finish(502, "upstream failed")))
	if got := claimed(t, s, claim()); got.State != store.ClaimReplay || got.Status != 502 {
		t.Errorf("third try: %+v", got)
	}
	unknown := store.Claim{Key: "no run"}
	claimed(t, s, unknown)
	if freed, err := s.ForgetIdempotent(ctx, "", "no run"); freed || err != nil {
		t.Errorf("without a run: %t (%v)", freed, err)
	}
	if freed, err := s.ForgetIdempotent(ctx, "chat", "k"); freed || err != nil {
		t.Errorf("after the answer: %t (%v)", freed, err)
	}
}

func TestResponseAndAnswerAreStoredTogether(t *testing.T) {
	t.Parallel()
	s := open(t)
	claimed(t, s, claim())
	end := finish(200, "whole")
	put(t, s, begun("resp", ""), store.Put{})
	put(t, s, answered("resp", ""), store.Put{Update: true, Finish: &end})
	if got := claimed(t, s, claim()); got.State != store.ClaimReplay || string(got.Body) != "whole" {
		t.Errorf("claim is %+v", got)
	}
	// Neither is stored when one of them cannot be.
	if err := s.PutResponse(t.Context(), answered("second", ""), store.Put{Finish: &end}); !errors.Is(err, store.ErrEnded) {
		t.Errorf("second answer: %v", err)
	}
	if gone := missing(t, s, "second"); len(gone) != 1 {
		t.Error("its response was stored")
	}
}

// A library that repeats what failed does not always say so. Its claims leave a
// failure that is young, and nothing else.
func TestAFreshClaimMayLeaveAFailure(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		keep   time.Duration
		later  time.Duration
		want   string
	}{
		{"an answer", 200, time.Minute, 0, store.ClaimNew},
		{"a request that was wrong", 400, time.Minute, 0, store.ClaimNew},
		{"a young failure", 502, time.Minute, 59 * time.Second, store.ClaimReplay},
		{"an old failure", 502, time.Minute, time.Minute, store.ClaimNew},
		{"a failure that nobody wants", 502, 0, 0, store.ClaimNew},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			now := time.Unix(1_800_000_000, 0)
			s := reopen(t, t.TempDir()+"/state.db", store.Options{Now: func() time.Time { return now }})
			c := claim()
			c.Fresh, c.KeepFailed = true, test.keep
			claimed(t, s, c)
			must(t, s.FinishIdempotent(t.Context(), finish(test.status, "{}")))
			now = now.Add(test.later)
			if got := claimed(t, s, c); got.State != test.want {
				t.Errorf("the claim is %s, want %s", got.State, test.want)
			}
		})
	}
}
