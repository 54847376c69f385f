package upstream

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"hermes/worker/llm"
)

func TestLookupAsksOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		answer := errors.New("away")
		l := NewLookup(time.Now, time.Minute, func(context.Context) (llm.Capabilities, error) {
			asked++
			time.Sleep(time.Second) // of synctest's clock
			return llm.Capabilities{ContextLength: 5}, answer
		})
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if got := l.Get(ended); got != (llm.Capabilities{}) || asked != 0 {
			t.Errorf("with an ended context: %+v after %d questions", got, asked)
		}
		for range 2 { // the second comes too early
			if got := l.Get(t.Context()); got != (llm.Capabilities{}) || asked != 1 {
				t.Errorf("after a failure: %+v after %d questions", got, asked)
			}
		}
		time.Sleep(time.Minute)
		answer = nil
		for range 3 { // together
			go func() {
				if got := l.Get(t.Context()); got.ContextLength != 5 {
					t.Errorf("got %+v", got)
				}
			}()
		}
		time.Sleep(2 * time.Second)
		if got := l.Get(ended); got.ContextLength != 5 || asked != 2 {
			t.Errorf("got %+v after %d questions", got, asked)
		}
	})
}

func TestLookupIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLookup(time.Now, time.Minute, func(ctx context.Context) (llm.Capabilities, error) {
			<-ctx.Done()
			return llm.Capabilities{}, ctx.Err()
		})
		began := time.Now()
		l.Get(t.Context())
		if took := time.Since(began); took != lookupTimeout {
			t.Errorf("took %v", took)
		}
		// Whoever stops waiting says nothing about the server.
		again := NewLookup(time.Now, time.Hour, l.ask)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		again.Get(ctx)
		if _, settled := again.settled(); settled {
			t.Error("a question that was broken off counts as a failure")
		}
	})
}
