package api

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// maxWait is how long a request waits for its turn to begin. Clients and the
// proxies in front of them give up after about a minute without an answer.
const maxWait = 30 * time.Second

// Why a turn may not begin.
var (
	errQueueFull = errors.New("too many requests are waiting")
	errWaited    = errors.New("no place became free in time")
)

// gate lets at most limit turns run at once. Twice as many wait behind them,
// and begin in the order in which they came.
type gate struct {
	limit  int
	onBusy func(int)

	mu      sync.Mutex // guards what follows
	running int
	waiting []chan struct{} // closed when its place is free

	report   sync.Mutex // held while onBusy is called; guards reported
	reported int
}

func newGate(limit int, onBusy func(int)) *gate {
	return &gate{limit: limit, onBusy: onBusy}
}

// enter waits for a place. The function that it returns gives the place back
// and must be called once.
func (g *gate) enter(ctx context.Context) (leave func(), err error) {
	g.mu.Lock()
	if g.running < g.limit {
		g.running++
		g.mu.Unlock()
		g.tell()
		return g.leave, nil
	}
	if len(g.waiting) >= g.room() {
		g.mu.Unlock()
		return nil, errQueueFull
	}
	place := make(chan struct{})
	g.waiting = append(g.waiting, place)
	g.mu.Unlock()

	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case <-place:
		return g.leave, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timer.C:
		err = errWaited
	}
	if !g.giveUp(place) {
		g.leave() // it was given a place at the same moment
	}
	return nil, err
}

// room is how many may wait.
func (g *gate) room() int { return 2 * g.limit }

// giveUp takes a waiting request out of the queue. It is false when its place
// has become free.
func (g *gate) giveUp(place chan struct{}) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, place)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// leave hands the place to whoever has waited longest.
func (g *gate) leave() {
	g.mu.Lock()
	if len(g.waiting) > 0 {
		close(g.waiting[0])
		g.waiting = slices.Delete(g.waiting, 0, 1)
		g.mu.Unlock()
		return
	}
	g.running--
	g.mu.Unlock()
	g.tell()
}

// load returns how many turns run and how many wait.
func (g *gate) load() (running, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running, len(g.waiting)
}

// tell reports the number of running turns. The number is read while report is
// held, so the last report is never an old one.
func (g *gate) tell() {
	if g.onBusy == nil {
		return
	}
	g.report.Lock()
	defer g.report.Unlock()
	running, _ := g.load()
	if running != g.reported {
		g.reported = running
		g.onBusy(running)
	}
}

// turn is one turn that waits or runs.
type turn struct{ cancel context.CancelCauseFunc }

// turns knows every turn, so that a drain that has no time left can end them.
type turns struct {
	mu   sync.Mutex // guards what follows
	open map[*turn]bool
	over error // why no turn may go on any more
}

// begin makes the context of a turn. It ends when ctx does, when cancel is
// called, or with all turns. Done must be called when the turn is over.
func (t *turns) begin(ctx context.Context) (turnCtx context.Context, cancel context.CancelCauseFunc, done func()) {
	turnCtx, cancel = context.WithCancelCause(ctx)
	one := &turn{cancel}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over != nil {
		cancel(t.over)
	}
	t.open[one] = true
	return turnCtx, cancel, func() {
		cancel(nil)
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.open, one)
	}
}

// end cancels all turns, and those that would begin from now on, and returns
// how many there were.
func (t *turns) end(cause error) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = cause
	for one := range t.open {
		one.cancel(cause)
	}
	return len(t.open)
}
