package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"hermes/profiles"
	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox"
)

const (
	// pulse is how often the loop looks around without a cause.
	pulse = time.Second
	// absence is how long the loop must not have run for its own sleep, not that of
	// the workers, to be the cause of their silence.
	absence = 5 * time.Second
	// giveUpAfter is how long, after all limits have passed, a process is waited for
	// that SIGKILL does not end.
	giveUpAfter = 10 * time.Second
	// tidyAfter is how long no worker has started before memory is given back to the
	// system. Starts need more of it than a thousand workers that run.
	tidyAfter = 5 * time.Second
	// waitLimit is how long, after the end of the loop, goroutines are waited for.
	// One that asks a file system that does not answer may never end.
	waitLimit = 5 * time.Second
)

// fleet is the reconcile loop. Everything in it belongs to the goroutine that
// calls run; others reach it by post.
type fleet struct {
	watcher  watcher
	limits   limits
	only     []profiles.Name // nil: all
	logs     logLimits
	several  bool // more than one profile may be served: lines for people name it
	parallel int  // how many members may be starting at once
	log      *slog.Logger
	say      func(line string) // for people
	load     func(profiles.Profile) settings
	scarce   func() string // why no worker should be started now, or empty
	maker    maker
	outside  *outside      // nil: workers dial by themselves
	waker    *waker        // tells of connections to profiles that sleep
	walls    handoff.Walls // what this machine has for commands; no level if nobody has looked
	workers  handoff.Walls // and what it has for workers
	manager  *manager
	events   *events
	spares   *spares

	neighbours *neighbours
	members    []*member
	waiting    []*waiter
	stopping   bool
	giveUp     time.Time // zero before the gateway stops
	tidyAt     time.Time // zero when no worker has started since the last time
	stockAt    time.Time // before it no spare is made
	stocking   bool      // one is being made

	look  chan struct{} // has room for one: the directories are to be looked at
	inbox chan func()
	done  chan struct{} // closed when the loop has ended
	work  sync.WaitGroup

	// ends is held for reading while the end of a worker is taken in, and for writing
	// while this process hands everything on to its next program.
	ends sync.RWMutex
	// upgrading keeps anything from being begun; it belongs to the loop.
	upgrading bool
	// schema is the version of the tables that workers of this program make.
	schema int
	// search looks for orphans while the loop runs.
	search func(after time.Duration)
}

// post has fn run in the loop and reports whether it will be.
func (f *fleet) post(fn func()) bool {
	select {
	case f.inbox <- fn:
		return true
	case <-f.done:
		return false
	}
}

// run keeps the members as they should be until stop was called and all of them
// have stopped.
func (f *fleet) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer close(f.done)
	f.search = func(after time.Duration) { f.seekLater(ctx, after) }
	f.attend(ctx)
	f.search(seekAgain)
	known := f.known()
	f.work.Go(func() {
		f.watcher.watch(ctx, known, f.look, func(sights []sight) { f.post(func() { f.saw(sights) }) })
	})

	if os.Getpid() == 1 {
		f.work.Go(func() { f.bury(ctx) })
	}

	timer := time.NewTimer(0)
	defer timer.Stop()
	for last := time.Now(); ; {
		now := time.Now()
		if now.Sub(last) > absence {
			for _, m := range f.members {
				m.forgive(now)
			}
		}
		last = now
		f.publish(now) // what came of the last step may not last through the next
		f.advance(ctx, now)
		f.publish(now)
		f.forget()
		f.answer()
		f.manager.tell(f, now)
		if f.stopping && f.idle() {
			return nil
		}
		if f.stopping && now.After(f.giveUp) {
			return fmt.Errorf("stop gateway: %s did not end", strings.Join(f.left(), ", "))
		}
		timer.Reset(f.next(now))
		select {
		case fn := <-f.inbox:
			fn()
		case <-timer.C:
		}
	}
}

// attend looks after the workers that were there before the loop.
func (f *fleet) attend(ctx context.Context) {
	for _, m := range f.members {
		for g, p := range m.running {
			p.flow(f.hears(m, g, p))
			f.work.Go(func() { f.tend(ctx, m, g, p) })
		}
	}
}

// nudge has the directories looked at soon.
func (f *fleet) nudge() {
	select {
	case f.look <- struct{}{}:
	default:
	}
}

// known is the profiles of the members.
func (f *fleet) known() []profiles.Profile {
	known := make([]profiles.Profile, len(f.members))
	for i, m := range f.members {
		known[i] = m.profile
	}
	return known
}

// bury reaps what others in a container left dead. As the first process of it,
// this one becomes the parent of every orphan; those that live are not its
// business.
func (f *fleet) bury(ctx context.Context) {
	ticker := time.NewTicker(pulse)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := f.maker.children.Sweep(ctx, func(sandbox.Stray) bool { return true }); err != nil && ctx.Err() == nil {
				f.log.Warn("dead processes not reaped", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// advance lets every member act on the time, and starts those that are due while
// there is room.
func (f *fleet) advance(ctx context.Context, now time.Time) {
	trying := 0
	for _, m := range f.members {
		m.tick(now)
		m.settle()
		if m.trying() && now.Sub(m.phaseSince) < f.limits.start { // one that hangs holds up nobody
			trying++
		}
	}
	f.tidy(now, trying > 0)
	f.stock(now, trying > 0)
	for _, m := range f.members {
		if trying >= f.parallel || f.upgrading {
			return
		}
		if m.due(now) {
			f.begin(ctx, m, now)
			m.settle()
			if m.trying() {
				trying++
			}
		}
	}
}

// tidy gives memory back some time after the last start.
func (f *fleet) tidy(now time.Time, starting bool) {
	switch {
	case starting:
		f.tidyAt = now.Add(tidyAfter)
	case !f.tidyAt.IsZero() && now.After(f.tidyAt):
		f.tidyAt = time.Time{}
		f.work.Go(debug.FreeOSMemory)
	}
}

// next returns the time until a member has something to do.
func (f *fleet) next(now time.Time) time.Duration {
	wait := pulse
	for _, m := range f.members {
		wait = m.wait(now, wait)
	}
	return f.nextStock(now, wait)
}

// idle reports whether no process is left and none is about to start.
func (f *fleet) idle() bool {
	for _, m := range f.members {
		if !m.empty() {
			return false
		}
	}
	return true
}

// left names what idle waits for.
func (f *fleet) left() []string {
	var names []string
	for _, m := range f.members {
		if !m.empty() {
			names = append(names, fmt.Sprintf("the worker of %s (pid %d)", m.profile.Name, m.pid()))
		}
	}
	return names
}

// stop ends everything, at once if hurry is set.
func (f *fleet) stop(hurry bool) {
	now := time.Now()
	longest := f.limits.hurry
	for _, m := range f.members {
		if !hurry {
			longest = max(longest, m.drain+f.limits.grace)
		}
		m.stop(now, hurry)
	}
	if until := now.Add(longest + giveUpAfter); !f.stopping || until.Before(f.giveUp) {
		f.giveUp = until
	}
	f.stopping = true
}

// saw takes in a look at the settings files.
func (f *fleet) saw(sights []sight) {
	now := time.Now()
	byName := make(map[profiles.Name]*member, len(f.members))
	for _, m := range f.members {
		byName[m.profile.Name] = m
	}
	for _, s := range sights {
		m := byName[s.profile.Name]
		switch {
		case m == nil && !s.gone && !f.stopping:
			f.add(s.profile, nil).identity = s.identity
		case m == nil:
		case m.gone && s.gone:
		case s.gone || m.another(s):
			f.lose(m, now, !s.gone)
		case !m.gone:
			m.identity, m.seen = s.identity, s.print
		}
	}
}

// another reports whether a sight is of another directory than the member's, made
// in its place.
func (m *member) another(s sight) bool {
	return m.identity != "" && s.identity != "" && m.identity != s.identity
}

// lose stops a member whose directory is gone. If there is another one in its
// place already, what still runs must not write into that.
func (f *fleet) lose(m *member, now time.Time, replaced bool) {
	if !m.gone {
		m.gone = true
		m.log.Info("profile is gone from the disk", "another_in_its_place", replaced)
	}
	m.stop(now, replaced)
}

// forget drops the members that have stopped and have no directory any more. There
// may be another one in its place.
func (f *fleet) forget() {
	before := len(f.members)
	defer func() {
		if len(f.members) < before {
			f.nudge()
		}
	}()
	f.members = slices.DeleteFunc(f.members, func(m *member) bool {
		if !m.gone || !m.empty() {
			return false
		}
		m.settle()
		f.vanished(m.profile.Name, m.state)
		f.work.Go(func() { m.output.close(time.Second) })
		return true
	})
}

// add makes a member for p. First may be nil.
func (f *fleet) add(p profiles.Profile, first *settings) *member {
	log := f.log.With("profile", string(p.Name))
	m := &member{
		service: newService(f.limits, time.Now()), profile: p, log: log, first: first,
		waker: f.waker, running: map[*generation]*process{},
	}
	if first != nil {
		m.identity = first.identity
	}
	m.output = newOutput(string(p.Name), workerLog(p, f.logs), f.logs.rate, func(err error) {
		if err != nil {
			log.Warn("worker log cannot be written; the worker goes on", "error", err)
			return
		}
		log.Info("worker log can be written again")
	})
	f.members = append(f.members, m)
	return m
}

// wait waits for what the loop has started, within limits.
func (f *fleet) wait() {
	over := make(chan struct{})
	go func() {
		f.work.Wait()
		close(over)
	}()
	timer := time.NewTimer(waitLimit)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
		f.log.Warn("a file system or a worker does not answer; it is left alone")
	}
}

// release gives up what members hold outside of the loop.
func (f *fleet) release() {
	for _, m := range f.members {
		m.stop(time.Now(), true)
		m.settle()
	}
}

// closeOutputs ends the logs of all members, side by side.
func (f *fleet) closeOutputs() {
	var wg sync.WaitGroup
	for _, m := range f.members {
		wg.Go(func() { m.output.close(time.Second) })
	}
	wg.Wait()
}
