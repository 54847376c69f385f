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
	inBubble(t, opts, func(t *testing.T, server *api.Server, p *pipes) {
		var answers []<-chan reply
		for _, word := range []string{"a", "b", "c", "d"} {
			answers = append(answers, read(p.send(strings.Replace(hello, "hello", word, 1))))
			synctest.Wait()
		}
		if got := call(t, server, "GET", "/health/detailed", ""); !strings.Contains(got.body, `"turns":{"running":1,"waiting":2,"limit":1}`) {
			t.Errorf("health is %s", got.body)
		}
		late := <-answers[3]
		if late.status != http.StatusTooManyRequests || late.header.Get("Retry-After") != "10" || !strings.Contains(late.body, "rate_limit_exceeded") {
			t.Errorf("the fourth got %+v", late)
		}
		for _, answer := range answers[:3] {
			if got := <-answer; got.status != 200 {
				t.Errorf("got %+v", got)
			}
		}
		if !slices.Equal(began, []string{"a", "b", "c"}) {
			t.Errorf("the order was %v", began)
		}
		if !slices.Equal(busy, []int{1, 0}) {
			t.Errorf("busy was reported as %v", busy)
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
			inBubble(t, opts, func(t *testing.T, _ *api.Server, p *pipes) {
				first := read(p.send(hello))
				synctest.Wait()
				second := p.send(hello)
				synctest.Wait()
				second.Close()
				<-first
				time.Sleep(time.Minute)
				if turns != 1 {
					t.Errorf("%d turns ran", turns)
				}
			})
		})
	}
}
