package llm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
)

// upstream is one client of a chain under test.
type upstream struct {
	name    string
	answers []llmtest.Answer
}

// chainOf makes a chain whose pauses have no random part.
func chainOf(upstreams ...upstream) (*llm.Chain, map[string]*llmtest.Script) {
	scripts := map[string]*llmtest.Script{}
	opts := llm.Options{Rand: func() float64 { return 0 }}
	for _, up := range upstreams {
		scripts[up.name] = llmtest.NewScript(up.answers...)
		opts.Clients = append(opts.Clients, llm.Named{Name: up.name, Client: scripts[up.name]})
	}
	return llm.Retrying(opts), scripts
}

// transcript is what a reader of the events saw, in words.
func transcript(events *[]string) func(llm.Event) error {
	return func(event llm.Event) error {
		switch event := event.(type) {
		case llm.Text:
			*events = append(*events, "text "+string(event.JSON))
		case llm.Reasoning:
			*events = append(*events, "reasoning "+string(event.JSON))
		case llm.Retry:
			*events = append(*events, fmt.Sprintf("retry %d: %v", event.Attempt, event.Err))
		}
		return nil
	}
}

func fails(class llm.Class) llmtest.Answer {
	return llmtest.Fail(&llm.Error{Class: class, Message: string(class)})
}

func failsFor(class llm.Class, wait time.Duration) llmtest.Answer {
	return llmtest.Fail(&llm.Error{Class: class, Message: string(class), RetryAfter: wait})
}

func TestChainTriesAgainAndElsewhere(t *testing.T) {
	t.Parallel()
	ok := llmtest.Say("ok")
	tests := []struct {
		name      string
		upstreams []upstream
		events    []string
		err       string // "" for an answer
		took      time.Duration
	}{
		{
			name:      "answers at once",
			upstreams: []upstream{{"a", []llmtest.Answer{ok}}},
			events:    []string{`text "ok"`},
		},
		{
			name:      "passing trouble is tried again",
			upstreams: []upstream{{"a", []llmtest.Answer{fails(llm.Overloaded), fails(llm.Network), ok}}},
			events:    []string{"retry 1: a: overloaded", "retry 2: a: network", `text "ok"`},
		},
		{
			name:      "three attempts are the end",
			upstreams: []upstream{{"a", []llmtest.Answer{fails(llm.Network), fails(llm.Network), fails(llm.Network), ok}}},
			events:    []string{"retry 1: a: network", "retry 2: a: network"},
			err:       "a: network",
		},
		{
			name:      "the wait that was asked for is kept",
			upstreams: []upstream{{"a", []llmtest.Answer{failsFor(llm.RateLimit, 20*time.Second), ok}}},
			events:    []string{"retry 1: a: rate_limit", `text "ok"`},
			took:      20 * time.Second,
		},
		{
			name: "waits are bounded together",
			upstreams: []upstream{{"a", []llmtest.Answer{
				failsFor(llm.RateLimit, 20*time.Second), failsFor(llm.RateLimit, 20*time.Second), ok,
			}}},
			events: []string{"retry 1: a: rate_limit"},
			err:    "a: rate_limit",
			took:   20 * time.Second,
		},
		{
			name: "a long wait is spent with the next one",
			upstreams: []upstream{
				{"a", []llmtest.Answer{failsFor(llm.RateLimit, 20*time.Second), ok}},
				{"b", []llmtest.Answer{ok}},
			},
			events: []string{"retry 1: a: rate_limit", `text "ok"`},
		},
		{
			name: "what one cannot do another may",
			upstreams: []upstream{
				{"a", []llmtest.Answer{fails(llm.Auth)}},
				{"b", []llmtest.Answer{fails(llm.Billing)}},
				{"c", []llmtest.Answer{fails(llm.Overloaded), ok}},
			},
			events: []string{"retry 1: a: auth", "retry 2: b: billing", "retry 3: c: overloaded", `text "ok"`},
		},
		{
			name: "a bad request is bad everywhere",
			upstreams: []upstream{
				{"a", []llmtest.Answer{fails(llm.BadRequest), ok}},
				{"b", []llmtest.Answer{ok}},
			},
			err: "a: bad_request",
		},
		{
			name: "all fail",
			upstreams: []upstream{
				{"a", []llmtest.Answer{fails(llm.Auth)}},
				{"b", []llmtest.Answer{fails(llm.Overflow)}},
			},
			events: []string{"retry 1: a: auth"},
			err:    "a: auth; b: context_overflow",
		},
		{
			name: "what is busy is left at once when there is another",
			upstreams: []upstream{
				{"a", []llmtest.Answer{fails(llm.Overloaded), ok}},
				{"b", []llmtest.Answer{ok}},
			},
			events: []string{"retry 1: a: overloaded", `text "ok"`},
		},
		{
			name: "nothing after the first word but the rest of a broken answer",
			upstreams: []upstream{
				{"a", []llmtest.Answer{{Text: []string{"half"}, Err: &llm.Error{Class: llm.Overloaded, Message: "busy"}}, ok}},
				{"b", []llmtest.Answer{ok}},
			},
			events: []string{`text "half"`},
			err:    "a: busy",
		},
		{
			name: "thinking that breaks off begins anew",
			upstreams: []upstream{
				{"a", []llmtest.Answer{{Reasoning: []string{"hm"}, Err: &llm.Error{Class: llm.Network, Message: "cut"}}, ok}},
			},
			events: []string{`reasoning "hm"`, `text "ok"`},
		},
		{
			name: "but only once",
			upstreams: []upstream{
				{"a", []llmtest.Answer{
					{Reasoning: []string{"hm"}, Err: &llm.Error{Class: llm.Network, Message: "cut"}},
					{Reasoning: []string{"hm"}, Err: &llm.Error{Class: llm.Network, Message: "cut again"}},
					ok,
				}},
			},
			events: []string{`reasoning "hm"`, `reasoning "hm"`},
			err:    "a: cut again",
		},
		{
			name: "no clients",
			err:  "No model is configured.",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				chain, _ := chainOf(test.upstreams...)
				var events []string
				began := time.Now()
				message, err := chain.Stream(t.Context(), llm.Request{}, transcript(&events))
				if test.err == "" && (err != nil || message.Text() != "ok") {
					t.Errorf("got %q and %v, want an answer", message.Text(), err)
				}
				if test.err != "" && (err == nil || err.Error() != test.err) {
					t.Errorf("got error %v, want %q", err, test.err)
				}
				if got, want := strings.Join(events, "\n"), strings.Join(test.events, "\n"); got != want {
					t.Errorf("events\n%s\nwant\n%s", got, want)
				}
				if took := time.Since(began); took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
			})
		})
	}
}

func TestChainPausesGrowAndAreSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		script := llmtest.NewScript(fails(llm.Overloaded), fails(llm.Overloaded), llmtest.Say("ok"))
		chain := llm.Retrying(llm.Options{
			Clients: []llm.Named{{Name: "a", Client: script}},
			Rand:    func() float64 { return 0.5 },
		})
		began := time.Now()
		var pauses []time.Duration
		_, err := chain.Stream(t.Context(), llm.Request{}, func(event llm.Event) error {
			pauses = append(pauses, time.Since(began))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		// Announced before each pause, and then the text.
		if got, want := fmt.Sprint(pauses), "[0s 250ms 750ms]"; got != want {
			t.Errorf("events at %s, want %s", got, want)
		}
	})
}

func TestChainLetsAFailedClientRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := fails(llm.Billing), llmtest.Say("b")
		chain, scripts := chainOf(
			upstream{"a", []llmtest.Answer{a, a, a, llmtest.Say("a"), llmtest.Say("a")}},
			upstream{"b", []llmtest.Answer{b, b, b, b, b, b}},
		)
		ask := func(want string, left int) {
			t.Helper()
			message, err := chain.Stream(t.Context(), llm.Request{}, func(llm.Event) error { return nil })
			if err != nil || message.Text() != want {
				t.Errorf("got %q and %v, want %q", message.Text(), err, want)
			}
			if got := scripts["a"].Left(); got != left {
				t.Errorf("a has %d answers left, want %d", got, left)
			}
		}
		ask("b", 4)
		time.Sleep(59 * time.Second) // of synctest's clock
		ask("b", 4)                  // a is not asked
		time.Sleep(2 * time.Second)
		ask("b", 3) // asked, fails, rests for 2 minutes
		time.Sleep(119 * time.Second)
		ask("b", 3)
		time.Sleep(2 * time.Second)
		ask("b", 2)
		time.Sleep(4*time.Minute + time.Second)
		ask("a", 1) // well again
		ask("a", 0)
	})
}

func TestChainAsksRestingClientsWhenAllElseFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain, _ := chainOf(
			upstream{"a", []llmtest.Answer{fails(llm.Auth), llmtest.Say("a")}},
			upstream{"b", []llmtest.Answer{fails(llm.Auth), fails(llm.Auth)}},
		)
		var events []string
		if _, err := chain.Stream(t.Context(), llm.Request{}, transcript(&events)); llm.ClassOf(err) != llm.Auth {
			t.Errorf("got %v, want the error of class auth", err)
		}
		time.Sleep(time.Second)
		message, err := chain.Stream(t.Context(), llm.Request{}, transcript(&events))
		if err != nil || message.Text() != "a" {
			t.Errorf("got %q and %v, want an answer of the resting client", message.Text(), err)
		}
	})
}

func TestChainStopsWithItsReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone")
		chain, scripts := chainOf(upstream{"a", []llmtest.Answer{llmtest.Say("x"), llmtest.Say("y")}})
		if _, err := chain.Stream(t.Context(), llm.Request{}, func(llm.Event) error { return gone }); err != gone { //nolint:errorlint // untouched
			t.Errorf("got %v, want the reader's own error", err)
		}
		if scripts["a"].Left() != 1 {
			t.Error("the model was asked again for a reader that has gone")
		}

		chain, scripts = chainOf(upstream{"a", []llmtest.Answer{fails(llm.Network), llmtest.Say("y")}})
		if _, err := chain.Stream(t.Context(), llm.Request{}, func(llm.Event) error { return gone }); err != gone { //nolint:errorlint // untouched
			t.Errorf("got %v at the retry, want the reader's own error", err)
		}
		if scripts["a"].Left() != 1 {
			t.Error("the model was tried again for a reader that has gone")
		}
	})
}

func TestChainIsCancelled(t *testing.T) {
	t.Parallel()
	stopped := errors.New("stopped")
	tests := []struct {
		name   string
		answer llmtest.Answer
	}{
		{"while a model is silent", llmtest.Answer{Hang: true}},
		{"in a pause", failsFor(llm.RateLimit, 20*time.Second)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				chain, scripts := chainOf(upstream{"a", []llmtest.Answer{test.answer, llmtest.Say("never")}})
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(stopped) })
				began := time.Now()
				_, err := chain.Stream(ctx, llm.Request{}, func(llm.Event) error { return nil })
				if !errors.Is(err, stopped) {
					t.Errorf("got %v, want the reason of the cancellation", err)
				}
				if time.Since(began) != time.Second || scripts["a"].Left() != 1 {
					t.Errorf("ended after %v with %d answers left", time.Since(began), scripts["a"].Left())
				}
			})
		})
	}
}

func TestChainTellsTheShortestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain, _ := chainOf(
			upstream{"a", []llmtest.Answer{failsFor(llm.RateLimit, time.Hour)}},
			upstream{"b", []llmtest.Answer{failsFor(llm.RateLimit, 2*time.Minute)}},
		)
		_, err := chain.Stream(t.Context(), llm.Request{}, func(llm.Event) error { return nil })
		failed, ok := errors.AsType[*llm.Error](err)
		if !ok || failed.Class != llm.RateLimit || failed.RetryAfter != 2*time.Minute {
			t.Errorf("got %#v, want a rate limit of 2 minutes", err)
		}
	})
}
