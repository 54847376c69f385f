package api_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/llm"
	"hermes/worker/store"
)

const aTask = "X-OpenWebUI-Task: title_generation"

// ledger is what was used before, or why nobody knows.
type ledger struct {
	from   []time.Time // of every question
	tokens int64
	err    error
}

func (l *ledger) TokensSince(_ context.Context, from time.Time) (int64, error) {
	l.from = append(l.from, from)
	return l.tokens, l.err
}

func TestTurnsAMinute(t *testing.T) {
	t.Parallel()
	clock := time.Unix(1_700_000_000, 0)
	opts := fixed(both{run: says("hi"), complete: says("a title")})
	opts.Now = func() time.Time { return clock }
	opts.Limits.TurnsPerMinute = 3
	server := api.New(opts)
	for _, step := range []struct {
		name, body, task string
		later            time.Duration
		status           int
		retryAfter       string
	}{
		{name: "the first", body: hello, status: 200},
		{name: "the second, a stream", body: helloSSE, status: 200},
		{name: "a broken one does not count", body: `{"messages":1}`, status: 400},
		{name: "a task does not count", body: hello, task: aTask, status: 200},
		{name: "the third", body: hello, status: 200},
		{name: "the fourth", body: hello, status: 429, retryAfter: "20"},
		{name: "a stream is refused before it begins", body: helloSSE, status: 429, retryAfter: "20"},
		{name: "a task is not refused", body: hello, task: aTask, status: 200},
		{name: "too early", body: hello, later: 19500 * time.Millisecond, status: 429, retryAfter: "1"},
		{name: "one is free again", body: hello, later: 500 * time.Millisecond, status: 200},
		{name: "only one", body: hello, status: 429, retryAfter: "20"},
		{name: "a clock that goes back", body: hello, later: -time.Hour, status: 429, retryAfter: "20"},
		{name: "after a long while", body: hello, later: 5 * time.Hour, status: 200},
		{name: "there are three", body: hello, status: 200},
		{name: "and no more", body: hello, status: 200},
		{name: "than that", body: hello, status: 429, retryAfter: "20"},
	} {
		clock = clock.Add(step.later)
		got := call(t, server, "POST", "/v1/chat/completions", step.body, step.task)
		if got.status != step.status || got.header.Get("Retry-After") != step.retryAfter {
			t.Errorf("%s: got %d %s", step.name, got.status, got.body)
		}
		if step.status != 429 {
			continue
		}
		if e := got.error(t); e.Code != "rate_limit_exceeded" || e.Type != "rate_limit_error" || !strings.Contains(e.Message, "limits.turns_per_minute") {
			t.Errorf("%s: error is %+v", step.name, e)
		}
	}
}

func TestATurnThatDoesNotBeginIsNoTurn(t *testing.T) {
	t.Parallel()
	opts := fixed(runs(slow))
	opts.MaxConcurrentRuns = 1
	opts.Limits.TurnsPerMinute = 4
	inBubble(t, opts, func(b *bubble) {
		var answers []<-chan reply
		for range 3 {
			answers = append(answers, read(b.send(hello)))
			synctest.Wait()
		}
		for range 5 { // the queue is full; none of these takes the fourth turn
			if got := <-read(b.send(hello)); got.status != 429 || !strings.Contains(got.body, "is busy") {
				b.Errorf("got %+v", got)
			}
		}
		for _, answer := range answers[:2] {
			<-answer
		}
	})
}

func TestTokensADay(t *testing.T) {
	t.Parallel()
	clock := time.Unix(1_700_000_000, 0) // 22:13:20 UTC
	opts := fixed(both{run: says("hi"), complete: says("a title")})
	opts.Now = func() time.Time { return clock }
	before := &ledger{tokens: 70}
	opts.Limits, opts.Ledger = api.Limits{TokensPerDay: 100}, before
	server := api.New(opts)
	for _, step := range []struct { // an answer costs 12
		name, body, task string
		later            time.Duration
		status           int
		retryAfter       string
	}{
		{name: "some are left", body: hello, status: 200},
		{name: "a task costs too", body: hello, task: aTask, status: 200},
		{name: "what runs is finished", body: helloSSE, status: 200},
		{name: "used up", body: hello, status: 429, retryAfter: "6400"},
		{name: "for streams", body: helloSSE, status: 429, retryAfter: "6400"},
		{name: "for tasks", body: hello, task: aTask, status: 429, retryAfter: "6400"},
		{name: "until the day is over", body: hello, later: 6399 * time.Second, status: 429, retryAfter: "1"},
		{name: "the next day", body: hello, later: time.Second, status: 200},
	} {
		clock = clock.Add(step.later)
		got := call(t, server, "POST", "/v1/chat/completions", step.body, step.task)
		if got.status != step.status || got.header.Get("Retry-After") != step.retryAfter {
			t.Errorf("%s: got %d %q %s", step.name, got.status, got.header.Get("Retry-After"), got.body)
		}
		if step.status != 429 {
			continue
		}
		e := got.error(t)
		if e.Code != "insufficient_quota" || e.Type != "insufficient_quota" || !strings.Contains(e.Message, "106 of 100 (limits.tokens_per_day)") {
			t.Errorf("%s: error is %+v", step.name, e)
		}
		if got.header.Get("X-Should-Retry") != "false" {
			t.Errorf("%s: SDKs are left to try again", step.name)
		}
	}
	if midnight := time.Date(2023, 11, 14, 0, 0, 0, 0, time.UTC); len(before.from) != 1 || !before.from[0].Equal(midnight) {
		t.Errorf("the ledger was asked for %v", before.from)
	}
}

func TestTokensOfFailedTurnsCount(t *testing.T) {
	t.Parallel()
	opts := fixed(script(nil, agent.Result{Usage: llm.Usage{Input: 100}}, &llm.Error{Class: llm.Network}))
	opts.Limits.TokensPerDay = 100
	server := api.New(opts)
	for _, want := range []int{502, 429} {
		if got := call(t, server, "POST", "/v1/chat/completions", hello); got.status != want {
			t.Errorf("got %d %s, want %d", got.status, got.body, want)
		}
	}
}

func TestTokensOfTheDaySurviveARestart(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	path := filepath.Join(t.TempDir(), "state.db")
	first := store.Open(path, store.Options{})
	for id, ended := range map[string]time.Time{"today": now.Add(-time.Hour), "yesterday": now.Add(-23 * time.Hour)} {
		err := errors.Join(
			first.BeginRun(t.Context(), store.Session{ID: id}, store.Run{ID: id, Began: ended.Add(-time.Minute)}, store.Message{}),
			first.EndRun(t.Context(), id, store.End{Status: store.StatusDone, Usage: store.Usage{Input: 60, Output: 40, Cached: 50}, At: ended}, nil))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		limit  int64
		status int
	}{{"all of it is used up", 100, 429}, {"one is left", 101, 200}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			again := store.Open(path, store.Options{})
			defer again.Close()
			opts := fixed(says("hi"))
			opts.Limits, opts.Ledger = api.Limits{TokensPerDay: test.limit}, again
			if got := call(t, api.New(opts), "POST", "/v1/chat/completions", hello); got.status != test.status {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

func TestHealthShowsWhatIsUsed(t *testing.T) {
	t.Parallel()
	opts := fixed(says("hi"))
	before := &ledger{tokens: 500}
	opts.Limits, opts.Ledger = api.Limits{TurnsPerMinute: 3, TokensPerDay: 1000}, before
	server := api.New(opts)
	for i, want := range []string{
		`"limits":{"turns_per_minute":{"limit":3,"used":0},"tokens_per_day":{"limit":1000,"used":500}}`,
		`"limits":{"turns_per_minute":{"limit":3,"used":1},"tokens_per_day":{"limit":1000,"used":512}}`,
		`"limits":{"turns_per_minute":{"limit":3,"used":2},"tokens_per_day":{"limit":1000,"used":524}}`,
	} {
		if i > 0 {
			call(t, server, "POST", "/v1/chat/completions", hello)
		}
		if got := call(t, server, "GET", "/health/detailed", ""); got.status != 200 || !strings.Contains(got.body, want) {
			t.Errorf("after %d turns: %d %s", i, got.status, got.body)
		}
	}
	before.err = errors.New("disk I/O error")
	if got := call(t, api.New(opts), "GET", "/health/detailed", ""); !strings.Contains(got.body, `"limits":{"turns_per_minute":{"limit":3,"used":0}}`) {
		t.Errorf("with a broken database: %s", got.body)
	}
}

func TestALedgerThatCannotBeRead(t *testing.T) {
	t.Parallel()
	broken := &ledger{err: errors.New("disk I/O error")}
	opts := fixed(says("hi"))
	opts.Limits, opts.Ledger = api.Limits{TokensPerDay: 100}, broken
	server := api.New(opts)
	if got := call(t, server, "POST", "/v1/chat/completions", hello); got.status != 500 || got.error(t).Code != "internal_error" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	broken.err, broken.tokens = nil, 100
	if got := call(t, server, "POST", "/v1/chat/completions", hello); got.status != 429 {
		t.Errorf("when it can be read again: got %d %s", got.status, got.body)
	}
}
