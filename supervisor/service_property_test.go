package supervisor

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// world drives one service through random events, and knows what must hold.
type world struct {
	*rapid.T
	*clock
	s        *service
	failures int // what the service should count
	edits    int
}

// TestServiceKeepsItsRules drives services through random events and checks after
// each what must hold at all times.
func TestServiceKeepsItsRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		random := rapid.Float64Range(0, 0.999999)
		w := &world{T: t, clock: newClock()}
		w.s = newService(testLimits(func() float64 { return random.Draw(t, "random") }), w.now)
		w.s.drain = time.Minute
		w.s.mode = rapid.SampledFrom([]startMode{startAlways, startOnDemand}).Draw(t, "mode")
		if w.s.mode == startOnDemand {
			w.s.idle = time.Minute
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			w.pass(time.Duration(rapid.IntRange(0, 40_000).Draw(t, "ms")) * time.Millisecond)
			w.step()
			w.check()
		}
		w.converge()
	})
}

// step lets one event happen that can happen.
func (w *world) step() {
	s := w.s
	events := []string{"go on", "go on", "go on", "go on", "ready", "die", "missed", "beat", "work", "edit", "connection", "command", "upgrade"}
	switch rapid.SampledFrom(events).Draw(w.T, "event") {
	case "go on":
		w.goOn()
	case "ready":
		if s.next != nil && s.next.ending == endingNone {
			g, old := s.next, s.current
			s.ready(g, w.now)
			if s.current != g || s.state != StateReady || (old != nil && old.stage != stageRetiring) {
				w.Fatal("ready and not current, or beside the one before it")
			}
		}
	case "die":
		w.die()
	case "missed":
		if s.next != nil && s.next.ending == endingNone {
			restarts, failures := s.restarts, s.failures
			s.missed(w.now)
			if s.restarts != restarts || s.failures != failures || s.willing() && !s.alien() && !s.due(w.now) {
				w.Fatal("a spare that was dead is a failure, or the next one waits")
			}
		}
	case "beat":
		for _, g := range s.processes() {
			g.beat(w.now)
		}
	case "work":
		if g := s.current; g != nil {
			g.load(w.now, rapid.IntRange(0, 2).Draw(w.T, "turns"), rapid.IntRange(0, 1).Draw(w.T, "jobs"))
		}
	case "edit":
		w.edits++
		s.seen = fingerprint(rune('a' + w.edits%26))
		if s.willing() && s.phase != phaseReading && s.phase != phaseLaunching && s.changed() && !s.alien() && !s.due(w.now) {
			w.Fatalf("an edit does not act in phase %d", s.phase)
		}
	case "connection":
		s.wake()
		if s.phase == phaseSleeping && s.willing() && !s.due(w.now) {
			w.Fatal("a connection does not wake")
		}
	case "command":
		w.command()
	case "upgrade": // which waits until nothing is being begun
		if g := s.current; g != nil && s.next == nil && s.phase != phaseReading && s.phase != phaseLaunching {
			g.outdated, g.alien = w.now, rapid.Bool().Draw(w.T, "alien")
		}
	}
	if s.next != nil && s.alien() {
		w.Fatal("a worker begins beside one that knows other tables")
	}
}

// goOn lets the clock and the loop act.
func (w *world) goOn() {
	s := w.s
	before := s.current
	s.tick(w.now)
	if before != nil && s.current == nil && before.busy() && !before.alien {
		w.Fatal("a busy worker was put to sleep")
	}
	switch {
	case s.phase == phaseReading:
		s.read(s.seen + ".")
		s.seen = s.loaded
		w.decide()
	case s.phase == phaseLaunching:
		switch {
		case !s.willing():
			s.spawned(w.now)
		case s.current == nil && s.mode == startOnDemand && !s.awake:
			s.sleep(w.now)
		case rapid.IntRange(0, 4).Draw(w.T, "blocked") == 0:
			s.retry(w.now, StateBlocked, "the port is taken")
			w.failures++
		default:
			s.spawned(w.now)
		}
	case s.due(w.now):
		if s.changed() || s.forced {
			w.failures = 0
		}
		s.start(w.now)
	}
}

// decide ends the reading of settings as the loop would.
func (w *world) decide() {
	s := w.s
	outcomes := []string{"replace", "replace", "replace", "invalid", "disabled"}
	if s.current != nil {
		outcomes = append(outcomes, "same")
	}
	outcome := rapid.SampledFrom(outcomes).Draw(w.T, "settings")
	current := s.current
	switch {
	case !s.willing():
		s.enter(phaseIdle, w.now)
	case outcome == "invalid":
		s.reject(w.now, "bad")
		if s.current != current {
			w.Fatal("invalid settings ended a worker")
		}
	case outcome == "disabled":
		s.rest(w.now, StateStopped, "not enabled")
	case outcome == "same":
		s.keep(w.now)
		w.failures = 0
	case s.full() && !s.forcing:
		s.queue(w.now)
		if s.due(w.now.Add(time.Hour)) {
			w.Fatal("what waits for a turn to end does not wait")
		}
		s.exited(s.retiring[0], w.now, "left", false)
		if s.willing() && !s.alien() && !s.due(w.now) {
			w.Fatal("a turn has ended, and what waited for it waits on")
		}
	default:
		s.launch(w.now)
	}
}

func (w *world) die() {
	s := w.s
	all := s.processes()
	if len(all) == 0 {
		return
	}
	g := rapid.SampledFrom(all).Draw(w.T, "generation")
	misfit := rapid.Bool().Draw(w.T, "misfit")
	retired, was := g.stage == stageRetiring, s.current
	trying := s.trying() && g == s.current
	if !retired && g.stable(w.now) {
		w.failures = 0
	}
	restarts := s.restarts
	s.exited(g, w.now, "died", misfit)
	if counted := s.restarts > restarts; counted != (!retired && !misfit) {
		w.Fatal("a death that nobody asked for was not counted, or another one was")
	}
	switch {
	case g != was && s.current != was:
		w.Fatal("the death of one generation ended another")
	case retired || trying:
	case s.reason != "died" && s.reason != "new settings are not in effect: died" && !misfit:
		w.Fatalf("the reason of a death became %q", s.reason)
	case misfit && s.current == nil && s.state != StateBadConfig:
		w.Fatalf("refused its settings, but is %s", s.state)
	case !misfit:
		full := time.Minute
		if w.failures < 7 {
			full = min(full, 500*time.Millisecond<<w.failures)
		}
		if wait := s.deadline.Sub(w.now); s.phase != phaseWaiting || wait < full/2 || wait > full {
			w.Fatalf("waits %v after %d deaths, want %v to %v", wait, w.failures, full/2, full)
		}
		w.failures++
	}
}

func (w *world) command() {
	s := w.s
	hurry := rapid.Bool().Draw(w.T, "now")
	switch rapid.SampledFrom([]string{"stop", "start", "restart"}).Draw(w.T, "command") {
	case "stop":
		s.hold(w.now, hurry)
		if s.due(w.now.Add(time.Hour)) || s.current != nil || s.next != nil {
			w.Fatal("goes on after a stop")
		}
	case "start":
		s.resume(w.now)
		if !s.alien() && s.current == nil && !s.trying() && !s.due(w.now) {
			w.Fatalf("a start does not act in phase %d", s.phase)
		}
	case "restart":
		s.restart(w.now, hurry)
		if !s.alien() && s.phase != phaseReading && s.phase != phaseLaunching && !s.due(w.now) {
			w.Fatalf("a restart does not act in phase %d", s.phase)
		}
	}
}

// check holds the service against what must always be true.
func (w *world) check() {
	s := w.s
	s.take()
	if s.current != nil && (s.current.stage != stageReady || s.state != StateReady) {
		w.Fatalf("current in stage %d, state %s", s.current.stage, s.state)
	}
	if s.next != nil && (s.next.stage != stageStarting || s.phase != phaseStarting) {
		w.Fatalf("next in stage %d, phase %d", s.next.stage, s.phase)
	}
	if (s.phase == phaseStarting) != (s.next != nil) {
		w.Fatalf("phase %d with next %v", s.phase, s.next)
	}
	unhurried := 0
	for _, g := range s.retiring {
		if g.stage != stageRetiring || g == s.current || g == s.next {
			w.Fatal("one that retires is not alone in that")
		}
		if g.deadline.IsZero() && g.ending != endingKilled {
			w.Fatal("one retires without a limit")
		}
		if g.ending == endingNone {
			unhurried++
		}
	}
	if unhurried > maxRetiring {
		w.Fatalf("%d retire at leisure", unhurried)
	}
	if state := s.look(); state != s.state {
		w.Fatalf("shown as %s, is %s", s.state, state)
	}
	if s.current == nil && (s.state == StateBackoff || s.state == StateBlocked || s.state == StateBadConfig) && s.reason == "" {
		w.Fatalf("%s without a reason", s.state)
	}
	killed := slices.ContainsFunc(s.processes(), func(g *generation) bool { return g.ending == endingKilled })
	if s.current == nil && s.willing() && !killed && s.wait(w.now.Add(-time.Hour), 1000*time.Hour) == 1000*time.Hour && !s.due(w.now) &&
		s.phase != phaseResting && s.phase != phaseSleeping && s.phase != phaseReading && s.phase != phaseLaunching {
		w.Fatalf("nothing will ever happen in phase %d", s.phase)
	}
}

// converge lets everything go well from here on: then the service is as the
// directory and the commands say.
func (w *world) converge() {
	s := w.s
	s.resume(w.now)
	s.seen = "the end"
	for range 10 {
		w.pass(2 * time.Minute)
		for _, g := range slices.Clone(s.retiring) {
			s.exited(g, w.now, "left", false)
		}
		s.forgive(w.now)
		s.relieve(w.now)
		switch {
		case s.phase == phaseReading:
			s.read("the end")
			s.launch(w.now)
		case s.phase == phaseLaunching:
			s.spawned(w.now)
		case s.next != nil && s.next.ending != endingNone:
			s.exited(s.next, w.now, "killed", false)
		case s.next != nil:
			s.ready(s.next, w.now)
		case s.current != nil && s.current.ending != endingNone:
			s.exited(s.current, w.now, "killed", false)
		case s.due(w.now):
			s.start(w.now)
		}
		s.take()
	}
	if s.state != StateReady || s.loaded != "the end" || len(s.processes()) != 1 {
		w.Fatalf("%s (%s) with %d processes and settings %q", s.state, s.reason, len(s.processes()), s.loaded)
	}
	s.stop(w.now, false)
	s.exited(s.retiring[0], w.now, "left", false)
	if s.state != StateStopped || !s.empty() || s.listens() || s.due(w.now.Add(time.Hour)) {
		w.Fatalf("%s after the end", s.state)
	}
}
