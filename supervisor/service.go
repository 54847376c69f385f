package supervisor

import (
	"slices"
	"time"
)

// phase is how far the latest try to bring a service to its settings has come.
// The first start and the replacement of a worker that serves are the same.
type phase int

const (
	phaseIdle      phase = iota // nothing is tried
	phaseReading                // the settings are being read
	phaseLaunching              // lock, listener and process are being made
	phaseStarting               // the process has yet to say READY
	phaseWaiting                // the try failed; deadline is when the next one begins
	phaseResting                // only a change of the settings or a command begins another
	phaseSleeping               // the profile listens; a connection begins the next
)

// service is the state machine of one profile. It is pure: time comes in as an
// argument, orders to processes are collected for whoever takes them, and nobody
// but the reconcile loop touches it.
//
// At most one generation is current, and at most one is next: it becomes current
// when it is ready, and the one before it retires.
type service struct {
	limits limits

	// What is wished. The files of the settings say the rest.
	wanted bool      // false when the gateway stops, or the profile is gone
	held   bool      // stopped by a command, until one starts it
	forced bool      // a command wants a new generation
	rushed bool      // the one before it is not to finish its turns
	mode   startMode // of the settings that were read last
	awake  bool      // a connection or a command wants a worker, whatever mode says
	idle   time.Duration
	drain  time.Duration // the profile's drain timeout

	// The try.
	phase      phase
	phaseSince time.Time
	deadline   time.Time // in phaseWaiting
	outcome    State     // of a try that did not make a worker, or wait for a connection
	reason     string    // why, for a person; may be empty
	rejected   string    // why the settings as they are now are not in effect
	forcing    bool      // it was begun by forced
	crowded    bool      // in phaseWaiting: for one that retires to end, not for the deadline
	failures   int       // deaths and vain tries in a row

	current, next *generation
	retiring      []*generation
	generations   int // how many there have been
	restarts      int // deaths that nobody asked for

	state State
	since time.Time // of state

	// loaded is what the settings files looked like before they were last read,
	// seen what they look like now. Empty means not known yet.
	loaded, seen fingerprint

	orders []instruction // for the caller to take
}

// fingerprint stands for the contents of a profile's settings files.
type fingerprint string

func newService(l limits, now time.Time) *service {
	return &service{limits: l, wanted: true, mode: startAlways, outcome: StateStopped, state: StateStopped, since: now, phaseSince: now}
}

// enter begins a phase.
func (s *service) enter(p phase, now time.Time) {
	s.phase, s.phaseSince, s.deadline, s.crowded = p, now, time.Time{}, false
	s.show(now)
}

// show brings state up to date. Every method ends with it.
func (s *service) show(now time.Time) {
	if state := s.look(); state != s.state {
		s.state, s.since = state, now
	}
}

func (s *service) look() State {
	switch {
	case s.current != nil:
		return StateReady
	case !s.willing() && (s.next != nil || len(s.retiring) > 0 || s.trying()):
		return StateDraining
	case !s.willing():
		return StateStopped
	case s.trying():
		return StateStarting
	case s.phase == phaseSleeping:
		return StateSleeping
	case s.outcome == StateStopped && len(s.retiring) > 0:
		return StateDraining
	default:
		return s.outcome
	}
}

// willing reports whether the profile is to be served at all.
func (s *service) willing() bool { return s.wanted && !s.held }

// trying reports whether a try is under way.
func (s *service) trying() bool {
	return s.phase == phaseReading || s.phase == phaseLaunching || s.phase == phaseStarting
}

// listens reports whether clients are to be let in, if only to wait. One that is
// refused knows more than one that waits for nobody.
func (s *service) listens() bool {
	if s.phase == phaseLaunching {
		return true // it is being used
	}
	return s.willing() && (s.current != nil || s.next != nil || s.phase != phaseResting)
}

// empty reports whether no process is left and none is about to start.
func (s *service) empty() bool {
	return s.current == nil && s.next == nil && len(s.retiring) == 0 && !s.trying()
}

// processes is every generation that lives.
func (s *service) processes() []*generation { return slices.Collect(s.living) }

// living calls yield with them. The loop asks each profile whenever anything
// happens to one, and makes no lists for that.
func (s *service) living(yield func(*generation) bool) {
	for _, g := range s.retiring {
		if !yield(g) {
			return
		}
	}
	for _, g := range [...]*generation{s.current, s.next} {
		if g != nil && !yield(g) {
			return
		}
	}
}

// give collects an order.
func (s *service) give(g *generation, o order) {
	if o != 0 {
		s.orders = append(s.orders, instruction{g, o})
	}
}

// take returns the orders since the last call.
func (s *service) take() []instruction {
	orders := s.orders
	s.orders = nil
	return orders
}

// due reports whether start should be called.
func (s *service) due(now time.Time) bool {
	if !s.willing() || s.alien() {
		return false
	}
	news := s.changed() || s.forced
	switch s.phase {
	case phaseReading, phaseLaunching:
		return false
	case phaseStarting, phaseResting:
		return news || s.loaded == ""
	case phaseWaiting:
		if s.crowded {
			return news || !s.full()
		}
		return news || !now.Before(s.deadline)
	case phaseSleeping:
		return news || s.awake
	default:
		return news || s.current == nil
	}
}

// alien reports whether a process lives that must be gone before another begins.
func (s *service) alien() bool {
	return slices.ContainsFunc(s.processes(), func(g *generation) bool { return g.alien })
}

// changed reports whether the settings files differ from what was last read.
func (s *service) changed() bool { return s.seen != "" && s.seen != s.loaded }

// start begins a try: settings are to be read. A process of an earlier one that
// is not ready yet is given up, and a change of the settings or a command wipes
// out what went wrong before.
func (s *service) start(now time.Time) {
	if s.changed() || s.forced {
		s.failures = 0
	}
	s.forcing, s.forced = s.forced || s.forcing && s.phase == phaseWaiting, false
	if s.next != nil {
		s.retire(s.next, now, s.relief())
	}
	s.enter(phaseReading, now)
}

// read records what the settings files looked like before they were read.
func (s *service) read(f fingerprint) { s.loaded, s.seen = f, f }

// keep ends a try: what serves knows, or is being told, all that was read.
func (s *service) keep(now time.Time) {
	s.reason, s.failures = "", 0
	s.enter(phaseIdle, now)
}

// launch goes on with a try: its process is to be made.
func (s *service) launch(now time.Time) { s.enter(phaseLaunching, now) }

// sleep ends a try: the profile listens, and that is all for now.
func (s *service) sleep(now time.Time) {
	if !s.willing() {
		s.enter(phaseIdle, now)
		return
	}
	s.reason, s.failures = "", 0
	s.enter(phaseSleeping, now)
}

// rest ends a try whose settings forbid a worker. What serves finishes its turns.
func (s *service) rest(now time.Time, outcome State, reason string) {
	s.outcome, s.reason, s.awake = outcome, reason, false
	if s.current != nil {
		s.retire(s.current, now, leave{limit: s.drain})
	}
	s.enter(phaseResting, now)
}

// reject ends a try that can only be made again with other settings. What serves
// goes on.
func (s *service) reject(now time.Time, reason string) {
	if s.current == nil {
		s.rest(now, StateBadConfig, reason)
		return
	}
	s.reason, s.rejected = "", rejection(reason)
	s.enter(phaseResting, now)
}

// rejection says for a person that settings are not in effect, and why.
func rejection(reason string) string {
	return "settings rejected: " + reason + "; those before them stay in effect"
}

// retry ends a try that failed for now, for a reason that is StateBlocked or
// StateBackoff. What serves goes on.
func (s *service) retry(now time.Time, outcome State, reason string) {
	s.outcome, s.reason = outcome, reason
	if s.current != nil {
		s.reason = "new settings are not in effect: " + reason
	}
	s.enter(phaseWaiting, now)
	s.deadline = now.Add(s.limits.backoff.delay(s.failures))
	s.failures++
}

// spawned records that the process of a try has been started.
func (s *service) spawned(now time.Time) *generation {
	s.generations++
	s.next = newGeneration(s.limits, s.generations, now)
	g := s.next
	s.enter(phaseStarting, now)
	if !s.willing() {
		s.retire(g, now, leave{hurry: true})
		s.enter(phaseIdle, now)
	}
	return g
}

// ready records that a process serves requests, and retires the one before it.
func (s *service) ready(g *generation, now time.Time) {
	if !g.ready(now) || g != s.next {
		return
	}
	old := s.current
	s.current, s.next, s.reason, s.awake = g, nil, "", true
	if old != nil {
		relief := s.relief()
		relief.hurry = s.rushed
		s.retire(old, now, relief)
	}
	s.rushed = false
	s.enter(phaseIdle, now)
}

// relief is how a process leaves that the gateway could also let go on.
func (s *service) relief() leave { return leave{limit: s.limits.reload, jobs: true} }

// retire has a process leave.
func (s *service) retire(g *generation, now time.Time, l leave) {
	if s.current == g {
		s.current = nil
	}
	if s.next == g {
		s.next = nil
	}
	if !slices.Contains(s.retiring, g) {
		s.retiring = append(s.retiring, g)
	}
	s.give(g, g.retire(now, l))
	for _, oldest := range s.retiring[:max(0, len(s.retiring)-maxRetiring)] {
		s.give(oldest, oldest.retire(now, leave{hurry: true}))
	}
	s.show(now)
}

// tick looks at the clock.
func (s *service) tick(now time.Time) {
	for g := range s.living {
		o := g.tick(now)
		s.give(g, o)
		if o == orderDump && (g == s.current || s.current == nil) {
			s.reason = g.cause
		}
	}
	s.relieve(now)
	if at := s.bedtime(); !at.IsZero() && !now.Before(at) {
		s.awake = false
		s.retire(s.current, now, s.relief())
		s.sleep(now)
	}
}

// bedtime is when a worker that has nothing to do is stopped; zero is never. What
// it has to do, only the worker knows.
func (s *service) bedtime() time.Time {
	g := s.current
	if s.mode != startOnDemand || s.idle == 0 || !s.willing() || s.phase != phaseIdle ||
		g == nil || g.busy() || g.ending != endingNone {
		return time.Time{}
	}
	return g.idleSince.Add(s.idle)
}

// wait returns the time until tick or start has something to do, at most limit.
func (s *service) wait(now time.Time, limit time.Duration) time.Duration {
	until := func(t time.Time) {
		if t.After(now) {
			limit = min(limit, t.Sub(now))
		}
	}
	until(s.deadline)
	until(s.bedtime())
	for g := range s.living {
		until(g.deadline)
	}
	return limit
}

// forgive puts off every deadline; see generation.forgive.
func (s *service) forgive(now time.Time) {
	for g := range s.living {
		g.forgive(now)
	}
}

// missed records that the process of a try was dead before it could be used: the try
// is made again at once, and is nobody's failure.
func (s *service) missed(now time.Time) {
	s.next = nil
	s.outcome, s.reason = StateStarting, ""
	s.enter(phaseWaiting, now)
	s.deadline = now
}

// exited records that a process and all that it started are gone. Misfit says
// that it refused its settings.
func (s *service) exited(g *generation, now time.Time, reason string, misfit bool) {
	defer s.show(now)
	if i := slices.Index(s.retiring, g); i >= 0 {
		s.retiring = slices.Delete(s.retiring, i, i+1)
		return
	}
	if !misfit {
		s.restarts++
	}
	if g.stable(now) {
		s.failures = 0
	}
	if g == s.current {
		s.current = nil
		if s.trying() {
			return // which makes the next one
		}
	}
	s.next = nil
	if misfit {
		s.reject(now, reason)
		return
	}
	s.retry(now, StateBackoff, reason)
}
