package supervisor

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func testLimits(random func() float64) limits {
	l := defaultLimits()
	l.backoff.random = random
	return l
}

func half() float64 { return 0.5 }

// clock is a time that tests move by hand.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) pass(d time.Duration) time.Time {
	c.now = c.now.Add(d)
	return c.now
}

// started returns a service whose process has just been started.
func started(c *clock, drain time.Duration) *service {
	s := newService(testLimits(half), c.now)
	s.start(c.now)
	s.read("v1")
	s.drain = drain
	s.spawned(c.now)
	return s
}

func expect(t *testing.T, s *service, state State, got, want order) {
	t.Helper()
	if s.state != state || got != want {
		t.Fatalf("service is %s (%s) and ordered %d, want %s and %d", s.state, s.reason, got, state, want)
	}
}

func TestDelayDoublesToAMinuteAndNeverEnds(t *testing.T) {
	t.Parallel()
	b := testLimits(func() float64 { return 1 }).backoff
	for n, want := range []string{"500ms", "1s", "2s", "4s", "8s", "16s", "32s", "1m0s", "1m0s"} {
		if got := b.delay(n).String(); got != want {
			t.Errorf("delay %d is %v, want %v", n, got, want)
		}
	}
	if got := b.delay(1 << 30); got != time.Minute {
		t.Errorf("delay 2^30 is %v, want a minute", got)
	}
}

func TestDelayLiesBetweenHalfAndAllOfIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 200).Draw(t, "n")
		random := rapid.Float64Range(0, 0.999999).Draw(t, "random")
		full := time.Minute
		if n < 7 {
			full = min(full, 500*time.Millisecond<<n)
		}
		if got := testLimits(func() float64 { return random }).backoff.delay(n); got < full/2 || got > full {
			t.Fatalf("delay %d is %v, want %v to %v", n, got, full/2, full)
		}
	})
}

func TestLateWorkerIsDumpedAndKilled(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := started(c, time.Minute)
	expect(t, s, StateStarting, s.tick(c.pass(29*time.Second)), orderNone)
	expect(t, s, StateStarting, s.tick(c.pass(time.Second)), orderDump)
	s.ready(c.pass(time.Second)) // too late
	expect(t, s, StateStarting, s.tick(c.pass(3*time.Second)), orderNone)
	expect(t, s, StateStarting, s.tick(c.pass(time.Second)), orderKill)
	expect(t, s, StateStarting, s.tick(c.pass(time.Hour)), orderNone)
	expect(t, s, StateBackoff, s.exited(c.now, s.cause, false), orderNone)
	if s.reason != "not ready after 30s" {
		t.Errorf("reason is %q", s.reason)
	}
}

func TestSilentWorkerIsDumpedAndKilled(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := started(c, time.Minute)
	s.ready(c.pass(time.Second))
	for range 240 { // twenty minutes of work without a word to anybody but the supervisor
		s.beat(c.pass(5 * time.Second))
		expect(t, s, StateReady, s.tick(c.now), orderNone)
	}
	expect(t, s, StateReady, s.tick(c.pass(29*time.Second)), orderNone)
	expect(t, s, StateReady, s.tick(c.pass(time.Second)), orderDump)
	s.beat(c.now) // a last sign of life saves nobody
	expect(t, s, StateReady, s.tick(c.pass(5*time.Second)), orderKill)
	expect(t, s, StateBackoff, s.exited(c.now, s.cause, false), orderNone)
}

func TestSilenceWhileTheMachineSleptIsForgiven(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := started(c, time.Minute)
	s.forgive(c.pass(time.Hour))
	expect(t, s, StateStarting, s.tick(c.now), orderNone)
	s.ready(c.now)
	s.forgive(c.pass(time.Hour))
	expect(t, s, StateReady, s.tick(c.now), orderNone)
	expect(t, s, StateReady, s.tick(c.pass(30*time.Second)), orderDump)
}

func TestStopDrainsAndThenKills(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := started(c, time.Minute)
	s.ready(c.now)
	expect(t, s, StateDraining, s.stop(c.now, false), orderDrain)
	expect(t, s, StateDraining, s.stop(c.now, false), orderNone)
	expect(t, s, StateDraining, s.tick(c.pass(time.Minute)), orderNone) // the worker's own limit comes first
	expect(t, s, StateDraining, s.tick(c.pass(s.limits.grace)), orderKill)
	expect(t, s, StateDraining, s.stop(c.now, true), orderNone)
	expect(t, s, StateStopped, s.exited(c.now, s.cause, false), orderRelease)
	if s.due(c.pass(time.Hour)) {
		t.Error("a stopped service is due")
	}
}

func TestSecondStopHurries(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := started(c, time.Minute)
	s.ready(c.now)
	expect(t, s, StateDraining, s.stop(c.now, false), orderDrain)
	expect(t, s, StateDraining, s.stop(c.pass(time.Second), true), orderStop)
	expect(t, s, StateDraining, s.tick(c.pass(s.limits.hurry)), orderKill)
	expect(t, s, StateStopped, s.exited(c.now, "", false), orderRelease)
}

func TestStopFindsEveryState(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		lead  func(s *service, c *clock)
		state State
		order order
	}{
		{"new", func(*service, *clock) {}, StateStopped, orderRelease},
		{"reading settings", func(s *service, c *clock) { s.start(c.now) }, StateStarting, orderNone},
		{"starting", func(s *service, c *clock) { s.start(c.now); s.spawned(c.now) }, StateDraining, orderStop},
		{"backoff", func(s *service, c *clock) { s.start(c.now); s.retry(c.now, StateBackoff, "x") }, StateStopped, orderRelease},
		{"blocked", func(s *service, c *clock) { s.start(c.now); s.retry(c.now, StateBlocked, "x") }, StateStopped, orderRelease},
		{"bad config", func(s *service, c *clock) { s.start(c.now); s.rest(c.now, StateBadConfig, "x") }, StateStopped, orderRelease},
		{"dumped", func(s *service, c *clock) {
			s.start(c.now)
			s.spawned(c.now)
			s.tick(c.pass(s.limits.start))
		}, StateStarting, orderNone},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			s := newService(testLimits(half), c.now)
			test.lead(s, c)
			expect(t, s, test.state, s.stop(c.now, false), test.order)
			if s.due(c.pass(time.Hour)) {
				t.Error("due after a stop")
			}
		})
	}
}

func TestStopDuringATryEndsIt(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := newService(testLimits(half), c.now)
	s.start(c.now)
	s.stop(c.now, false)
	expect(t, s, StateDraining, s.spawned(c.now), orderStop)

	s = newService(testLimits(half), c.now)
	s.start(c.now)
	s.stop(c.now, false)
	expect(t, s, StateStopped, s.retry(c.now, StateBlocked, "port"), orderRelease)
}

func TestBadConfigWaitsForAChange(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := started(c, time.Minute)
	expect(t, s, StateBadConfig, s.exited(c.now, "bad", true), orderRelease)
	if s.due(c.pass(24 * time.Hour)) {
		t.Fatal("tried again although nothing has changed")
	}
	s.seen = "v2"
	if !s.due(c.now) {
		t.Fatal("not tried at once after a change")
	}
	s.start(c.now)
	s.read("v3") // changed once more before it was read
	s.rest(c.now, StateBadConfig, "still bad")
	if s.due(c.pass(24 * time.Hour)) {
		t.Fatal("tried again although nothing has changed since it was read")
	}
}

func TestChangeEndsTheWaitAndForgives(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := started(c, time.Minute)
	for range 10 {
		s.exited(c.now, "x", false)
		s.start(c.pass(time.Minute))
		s.spawned(c.now)
	}
	s.exited(c.now, "x", false)
	if s.due(c.now) {
		t.Fatal("due at once after ten deaths")
	}
	s.seen = "v2"
	if !s.due(c.now) {
		t.Fatal("not due after a change")
	}
	s.start(c.now)
	s.read("v2")
	s.spawned(c.now)
	s.exited(c.now, "x", false)
	if got := s.deadline.Sub(c.now); got > 500*time.Millisecond {
		t.Errorf("waits %v after the first death with new settings, want at most 500ms", got)
	}
}

// TestServicesKeepTheirRules drives three services through random events and
// checks after each what must hold at all times.
func TestServicesKeepTheirRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		random := rapid.Float64Range(0, 0.999999)
		l := testLimits(func() float64 { return random.Draw(t, "random") })
		fleet := make([]*service, 3)
		failures := make([]int, len(fleet)) // what each service should count
		for i := range fleet {
			fleet[i] = newService(l, c.now)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			i := rapid.IntRange(0, len(fleet)-1).Draw(t, "service")
			s := fleet[i]
			others := fmt.Sprint(*fleet[(i+1)%3], *fleet[(i+2)%3])
			c.pass(time.Duration(rapid.IntRange(0, 90_000).Draw(t, "ms")) * time.Millisecond)
			step(t, s, c, &failures[i])
			if got := fmt.Sprint(*fleet[(i+1)%3], *fleet[(i+2)%3]); got != others {
				t.Fatalf("one service changed another:\n%s\n%s", others, got)
			}
		}
	})
}

// step lets one event happen to s that can happen in its state.
func step(t *rapid.T, s *service, c *clock, failures *int) {
	switch rapid.SampledFrom([]string{"go on", "go on", "go on", "go on", "die", "refuse", "beat", "stop", "change"}).Draw(t, "event") {
	case "go on":
		switch {
		case s.due(c.now):
			if s.changed() {
				*failures = 0
			}
			s.start(c.now)
			s.read(s.seen + "r")
		case s.state == StateStarting && !s.running:
			s.spawned(c.now)
		case s.state == StateStarting:
			s.ready(c.now)
		default:
			s.tick(c.now)
		}
	case "die", "refuse":
		if !s.running {
			return
		}
		wanted := s.wanted
		if !s.readySince.IsZero() && c.now.Sub(s.readySince) >= time.Minute {
			*failures = 0
		}
		misfit := rapid.Bool().Draw(t, "misfit")
		s.exited(c.now, "died", misfit)
		switch {
		case !wanted && s.state != StateStopped:
			t.Fatalf("unwanted and dead, but %s", s.state)
		case wanted && misfit && (s.state != StateBadConfig || s.due(c.now.Add(time.Hour)) != s.changed()):
			t.Fatalf("refused its settings, but is %s or due", s.state)
		case wanted && !misfit:
			full := time.Minute
			if *failures < 7 {
				full = min(full, 500*time.Millisecond<<*failures)
			}
			if wait := s.deadline.Sub(c.now); s.state != StateBackoff || wait < full/2 || wait > full {
				t.Fatalf("waits %v in %s after %d deaths, want %v to %v", wait, s.state, *failures, full/2, full)
			}
			*failures++
		}
	case "beat":
		s.beat(c.now)
	case "stop":
		if !rapid.Bool().Draw(t, "really") {
			return
		}
		hurry := rapid.Bool().Draw(t, "hurry")
		order := s.stop(c.now, hurry)
		if s.wanted || (!s.running && s.state != StateStarting && s.state != StateStopped) {
			t.Fatalf("%s after a stop", s.state)
		}
		if s.running && s.state != StateDraining && s.ending == endingNone {
			t.Fatalf("runs on in %s after a stop and the order %d", s.state, order)
		}
	case "change":
		s.seen += "c"
		if s.wanted && !s.running && s.state != StateStarting && !s.due(c.now) {
			t.Fatalf("a change does not act in %s", s.state)
		}
	}
	if s.running != (s.generation > 0 && (s.state == StateStarting || s.state == StateReady || s.state == StateDraining)) &&
		s.state != StateStarting {
		t.Fatalf("running is %v in %s", s.running, s.state)
	}
}
