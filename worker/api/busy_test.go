package api_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hermes/worker/agent"
	"hermes/worker/api"
)

func TestTooManyTurns(t *testing.T) {
	t.Parallel()
	var busy []int
	var began []string
	opts := fixed(runs(func(_ context.Context, turn agent.Turn, _ func(agent.Event) error) (agent.Result, error) {
		began = append(began, turn.History[0].Text())
		time.Sleep(10 * time.Second)
		return answered("hi"), nil
	}))
	opts.MaxConcurrentRuns = 1
	opts.OnBusy = func(n int) { busy = append(busy, n) }
	inBubble(t, opts, func(b *bubble) {
		var answers []<-chan reply
		for _, word := range []string{"a", "b", "c", "d"} {
			answers = append(answers, read(b.send(strings.Replace(hello, "hello", word, 1))))
			synctest.Wait()
		}
		if got := call(b.T, b.server, "GET", "/health/detailed", ""); !strings.Contains(got.body, `"turns":{"running":1,"waiting":2,"limit":1}`) {
			b.Errorf("health is %s", got.body)
		}
		late := <-answers[3]
		if late.status != http.StatusTooManyRequests || late.header.Get("Retry-After") != "10" || !strings.Contains(late.body, "rate_limit_exceeded") {
			b.Errorf("the fourth got %+v", late)
		}
		for _, answer := range answers[:3] {
			if got := <-answer; got.status != 200 {
				b.Errorf("got %+v", got)
			}
		}
		if !slices.Equal(began, []string{"a", "b", "c"}) {
			b.Errorf("the order was %v", began)
		}
		synctest.Wait() // the last answer is there a moment before its turn has ended
		if !slices.Equal(busy, []int{1, 0}) {
			b.Errorf("busy was reported as %v", busy)
		}
	})
}

func TestAClientThatGoesWhileItWaitsIsForgotten(t *testing.T) {
	t.Parallel()
	for _, onDisconnect := range []string{"cancel", api.Detach} {
		t.Run(onDisconnect, func(t *testing.T) {
			t.Parallel()
			turns := 0
			opts := fixed(runs(func(context.Context, agent.Turn, func(agent.Event) error) (agent.Result, error) {
				turns++
				time.Sleep(10 * time.Second)
				return answered("hi"), nil
			}))
			opts.MaxConcurrentRuns, opts.OnDisconnect = 1, onDisconnect
			inBubble(t, opts, func(b *bubble) {
				first := read(b.send(hello))
				synctest.Wait()
				second := b.send(hello)
				synctest.Wait()
				second.Close()
				<-first
				time.Sleep(time.Minute)
				synctest.Wait()
				if turns != 1 {
					b.Errorf("%d turns ran", turns)
				}
			})
		})
	}
}
