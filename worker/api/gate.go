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
	onBusy func(int)

	mu        sync.Mutex // guards what follows
	limit     int
	running   int
	waiting   []chan struct{} // closed when its place is free
	impatient int             // how many of them give up after maxWait

	report   sync.Mutex // held while onBusy is called; guards reported
	reported int
}

func newGate(limit int, onBusy func(int)) *gate {
	return &gate{limit: limit, onBusy: onBusy}
}

// resize changes how many turns run at once. Those that wait begin if there is
// room now; those that run beyond a lower limit are finished.
func (g *gate) resize(limit int) {
	g.mu.Lock()
	g.limit = limit
	for g.running < g.limit && len(g.waiting) > 0 {
		g.running++
		close(g.waiting[0])
		g.waiting = slices.Delete(g.waiting, 0, 1)
	}
	g.mu.Unlock()
	g.tell()
}

// enter waits for a place, for as long as a client that waits too would. The
// function that it returns gives the place back and must be called once.
func (g *gate) enter(ctx context.Context) (leave func(), err error) {
	g.mu.Lock()
	place := g.place()
	switch {
	case place == nil:
		g.mu.Unlock()
		g.tell()
		return g.leave, nil
	case g.impatient >= roomOf(g.limit):
		g.mu.Unlock()
		return nil, errQueueFull
	}
	g.waiting = append(g.waiting, place)
	g.impatient++
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		g.impatient--
		g.mu.Unlock()
	}()
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	return g.wait(ctx, place, timer.C)
}

// await is enter for a turn that no client waits for: it stands in the same queue,
// however long that is.
func (g *gate) await(ctx context.Context) (leave func(), err error) {
	g.mu.Lock()
	place := g.place()
	if place == nil {
		g.mu.Unlock()
		g.tell()
		return g.leave, nil
	}
	g.waiting = append(g.waiting, place)
	g.mu.Unlock()
	return g.wait(ctx, place, nil)
}

// place takes a place that is free, and then is nil, or makes one that will be.
// The caller holds mu.
func (g *gate) place() chan struct{} {
	if g.running < g.limit {
		g.running++
		return nil
	}
	return make(chan struct{})
}

// wait waits until the place is free, ctx ends, or the time is over.
func (g *gate) wait(ctx context.Context, place chan struct{}, limit <-chan time.Time) (leave func(), err error) {
	select {
	case <-place:
		return g.leave, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-limit:
		err = errWaited
	}
	if !g.giveUp(place) {
		g.leave() // it was given a place at the same moment
	}
	return nil, err
}

// room is how many may wait whose clients wait too.
func (g *gate) room() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return roomOf(g.limit)
}

// roomOf is the room beside a limit.
func roomOf(limit int) int { return 2 * limit }

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
	if len(g.waiting) > 0 && g.running <= g.limit {
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
	mu    sync.Mutex // guards what follows
	open  map[*turn]bool
	over  error         // why no turn may go on any more
	empty chan struct{} // closed when no turn is open; nil if nobody asks
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
		if len(t.open) == 0 && t.empty != nil {
			close(t.empty)
			t.empty = nil
		}
	}
}

// wait returns true as soon as no turn is open, and false when the time is over or
// stop is closed before.
func (t *turns) wait(stop <-chan struct{}, limit <-chan time.Time) bool {
	t.mu.Lock()
	if len(t.open) == 0 {
		t.mu.Unlock()
		return true
	}
	if t.empty == nil {
		t.empty = make(chan struct{})
	}
	empty := t.empty
	t.mu.Unlock()
	select {
	case <-empty:
		return true
	case <-limit:
	case <-stop:
	}
	return false
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
