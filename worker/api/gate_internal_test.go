package api

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTurnsBeginInTheOrderInWhichTheyCame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var reported []int
		g := newGate(2, func(n int) { reported = append(reported, n) })
		var mu sync.Mutex
		var order []int
		for i := range 6 {
			go func() {
				leave, err := g.enter(t.Context())
				if err != nil {
					t.Errorf("%d: %v", i, err)
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				time.Sleep(time.Second)
				leave()
			}()
			synctest.Wait()
		}
		if running, waiting := g.load(); running != 2 || waiting != 4 {
			t.Errorf("%d run and %d wait", running, waiting)
		}
		if _, err := g.enter(t.Context()); !errors.Is(err, errQueueFull) {
			t.Errorf("the seventh got %v", err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		// Two leave at the same moment, and so two begin.
		for i, n := range order {
			if n/2 != i/2 || len(order) != 6 {
				t.Errorf("the order was %v", order)
			}
		}
		if want := []int{1, 2, 1, 0}; !slices.Equal(reported, want) {
			t.Errorf("reported were %v, want %v", reported, want)
		}
	})
}

func TestNobodyWaitsForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, nil)
		leave, err := g.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := g.enter(t.Context()); !errors.Is(err, errWaited) || time.Since(began) != maxWait {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		left := errors.New("left")
		time.AfterFunc(time.Second, func() { cancel(left) })
		began = time.Now()
		if _, err := g.enter(ctx); !errors.Is(err, left) || time.Since(began) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		leave()
		if running, waiting := g.load(); running != 0 || waiting != 0 {
			t.Errorf("%d run and %d wait when all is over", running, waiting)
		}
	})
}

func TestNoPlaceIsLostOrMadeUp(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	last, most := 0, 0
	g := newGate(3, func(n int) {
		mu.Lock()
		defer mu.Unlock()
		last, most = n, max(most, n)
	})
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if i%3 == 0 {
				go cancel()
			}
			if leave, err := g.enter(ctx); err == nil {
				leave()
			}
		})
	}
	all.Wait()
	if running, waiting := g.load(); running != 0 || waiting != 0 || last != 0 || most > 3 {
		t.Errorf("%d run, %d wait, reported were %d in the end and %d at most", running, waiting, last, most)
	}
}
