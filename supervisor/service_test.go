package supervisor

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func testLimits(random func() float64) limits {
	return limits{
		start: 30 * time.Second, silence: 30 * time.Second, dump: 5 * time.Second,
		hurry: 2 * time.Second, grace: 5 * time.Second, stable: time.Minute, reload: 15 * time.Minute,
		backoff: backoff{base: 500 * time.Millisecond, most: time.Minute, random: random},
	}
}

func half() float64 { return 0.5 }

// clock is a time that tests move by hand.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) pass(d time.Duration) time.Time {
	c.now = c.now.Add(d)
	return c.now
}

// next makes a try of s that gets as far as a process.
func next(s *service, c *clock, files fingerprint) *generation {
	s.start(c.now)
	s.read(files)
	s.launch(c.now)
	return s.spawned(c.now)
}

// started returns a service whose process has just been started.
func started(c *clock, drain time.Duration) (*service, *generation) {
	s := newService(testLimits(half), c.now)
	s.drain = drain
	return s, next(s, c, "v1")
}

// serving returns a service whose process is ready.
func serving(c *clock, drain time.Duration) (*service, *generation) {
	s, g := started(c, drain)
	s.ready(g, c.now)
	return s, g
}

// expect checks the state of s, and what it has ordered since it was last asked.
func expect(t *testing.T, s *service, state State, want ...instruction) {
	t.Helper()
	got := s.take()
	same := len(got) == len(want)
	for i := range want {
		same = same && got[i] == want[i]
	}
	if s.state != state || !same {
		t.Fatalf("service is %s (%s) and ordered %v, want %s and %v", s.state, s.reason, got, state, want)
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
	s, g := started(c, time.Minute)
	s.tick(c.pass(29 * time.Second))
	expect(t, s, StateStarting)
	s.tick(c.pass(time.Second))
	expect(t, s, StateStarting, instruction{g, orderDump})
	s.ready(g, c.pass(time.Second)) // too late
	s.tick(c.pass(3 * time.Second))
	expect(t, s, StateStarting)
	s.tick(c.pass(time.Second))
	expect(t, s, StateStarting, instruction{g, orderKill})
	s.tick(c.pass(time.Hour))
	expect(t, s, StateStarting)
	s.exited(g, c.now, g.cause, false)
	expect(t, s, StateBackoff)
	if s.reason != "not ready after 30s" {
		t.Errorf("reason is %q", s.reason)
	}
}

func TestSilentWorkerIsDumpedAndKilled(t *testing.T) {
	t.Parallel()
	c := newClock()
	s, g := serving(c, time.Minute)
	for range 240 { // twenty minutes of work without a word to anybody but the supervisor
		g.beat(c.pass(5 * time.Second))
		s.tick(c.now)
		expect(t, s, StateReady)
	}
	s.tick(c.pass(29 * time.Second))
	expect(t, s, StateReady)
	s.tick(c.pass(time.Second))
	expect(t, s, StateReady, instruction{g, orderDump})
	g.beat(c.now) // a last sign of life saves nobody
	s.tick(c.pass(5 * time.Second))
	expect(t, s, StateReady, instruction{g, orderKill})
	s.exited(g, c.now, g.cause, false)
	expect(t, s, StateBackoff)
}

func TestSilenceWhileTheMachineSleptIsForgiven(t *testing.T) {
	t.Parallel()
	c := newClock()
	s, g := started(c, time.Minute)
	s.forgive(c.pass(time.Hour))
	s.tick(c.now)
	expect(t, s, StateStarting)
	s.ready(g, c.now)
	s.forgive(c.pass(time.Hour))
	s.tick(c.now)
	expect(t, s, StateReady)
	s.tick(c.pass(30 * time.Second))
	expect(t, s, StateReady, instruction{g, orderDump})
}

func TestStopDrainsThenHurriesThenKills(t *testing.T) {
	t.Parallel()
	c := newClock()
	s, g := serving(c, time.Minute)
	s.stop(c.now, false)
	expect(t, s, StateDraining, instruction{g, orderDrain})
	s.stop(c.now, false)
	s.tick(c.pass(59 * time.Second))
	expect(t, s, StateDraining)
	s.tick(c.pass(time.Second))
	expect(t, s, StateDraining, instruction{g, orderStop})
	s.tick(c.pass(s.limits.grace))
	expect(t, s, StateDraining, instruction{g, orderKill})
	s.stop(c.now, true)
	s.exited(g, c.now, g.cause, false)
	expect(t, s, StateStopped)
	if s.due(c.pass(time.Hour)) || s.listens() || !s.empty() {
		t.Error("a stopped service is due, listens or has a process")
	}
}

func TestSecondStopHurries(t *testing.T) {
	t.Parallel()
	c := newClock()
	s, g := serving(c, time.Minute)
	s.stop(c.now, false)
	expect(t, s, StateDraining, instruction{g, orderDrain})
	s.stop(c.pass(time.Second), true)
	expect(t, s, StateDraining, instruction{g, orderStop})
	s.tick(c.pass(s.limits.hurry))
	expect(t, s, StateDraining, instruction{g, orderKill})
	s.exited(g, c.now, "", false)
	expect(t, s, StateStopped)
}

func TestStopFindsEveryPhase(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		lead   func(s *service, c *clock)
		state  State
		orders []order
	}{
		{"new", func(*service, *clock) {}, StateStopped, nil},
		{"reading settings", func(s *service, c *clock) { s.start(c.now) }, StateDraining, nil},
		{"starting", func(s *service, c *clock) { next(s, c, "v1") }, StateDraining, []order{orderStop}},
		{"asleep", func(s *service, c *clock) { s.start(c.now); s.launch(c.now); s.sleep(c.now) }, StateStopped, nil},
		{"backoff", func(s *service, c *clock) { s.start(c.now); s.retry(c.now, StateBackoff, "x") }, StateStopped, nil},
		{"bad config", func(s *service, c *clock) { s.start(c.now); s.reject(c.now, "x") }, StateStopped, nil},
		{"dumped", func(s *service, c *clock) { next(s, c, "v1"); s.tick(c.pass(s.limits.start)) }, StateDraining, []order{orderDump}},
		{"replacing", func(s *service, c *clock) {
			s.ready(next(s, c, "v1"), c.now)
			next(s, c, "v2")
		}, StateDraining, []order{orderDrain, orderStop}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			s := newService(testLimits(half), c.now)
			test.lead(s, c)
			s.stop(c.now, false)
			got := s.take()
			for i := range got {
				if len(got) != len(test.orders) || got[i].order != test.orders[i] {
					t.Fatalf("ordered %v, want %v", got, test.orders)
				}
			}
			if s.state != test.state || len(got) != len(test.orders) || s.due(c.pass(time.Hour)) || s.listens() {
				t.Errorf("%s after a stop with orders %v; due or listening: %v %v", s.state, got, s.due(c.now), s.listens())
			}
		})
	}
}

func TestStopDuringATryEndsWhatComesOfIt(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := newService(testLimits(half), c.now)
	s.start(c.now)
	s.launch(c.now)
	s.stop(c.now, false)
	if s.empty() || !s.listens() {
		t.Error("what the try uses is taken from it")
	}
	g := s.spawned(c.now)
	expect(t, s, StateDraining, instruction{g, orderStop})
}

func TestReplacementServesBeforeTheOldOneLeaves(t *testing.T) {
	t.Parallel()
	c := newClock()
	s, old := serving(c, time.Minute)
	s.seen = "v2"
	if !s.due(c.now) {
		t.Fatal("a change does not act")
	}
	g := next(s, c, "v2")
	expect(t, s, StateReady)
	s.ready(g, c.pass(time.Second))
	expect(t, s, StateReady, instruction{old, orderDrain})
	if s.current != g || old.drain != s.limits.reload || !old.patient {
		t.Errorf("current is %d; the old one drains for %v", s.current.number, old.drain)
	}
	s.tick(c.pass(s.limits.reload))
	if got := s.take(); len(got) != 2 || got[0] != (instruction{old, orderStop}) { // and the new one was silent
		t.Errorf("ordered %v", got)
	}
}

func TestReplacementThatFailsLeavesTheOldOneAlone(t *testing.T) {
	t.Parallel()
	c := newClock()
	s, old := serving(c, time.Minute)
	for range 5 {
		g := next(s, c, "v2")
		s.exited(g, c.now, "ended with exit code 3", false)
		expect(t, s, StateReady)
		if s.current != old || s.reason != "new settings are not in effect: ended with exit code 3" || s.due(c.now) {
			t.Fatalf("current is %v, reason %q", s.current, s.reason)
		}
	}
	s.seen = "v3" // at once, whatever the wait
	if !s.due(c.now) {
		t.Fatal("a further edit waits")
	}
	g := next(s, c, "v3")
	s.exited(g, c.now, "bad", true)
	expect(t, s, StateReady)
	if s.due(c.pass(time.Hour)) || s.rejected == "" {
		t.Errorf("refused settings are tried again, or not named: %q", s.rejected)
	}
	s.restart(c.now, false)
	if !s.due(c.now) {
		t.Error("a command waits")
	}
}

func TestAbandonedProcessThatIsReadyAfterAllMayFinish(t *testing.T) {
	t.Parallel()
	c := newClock()
	s, g := started(c, time.Minute)
	s.seen = "v2"
	next(s, c, "v2")
	expect(t, s, StateStarting, instruction{g, orderDrain})
	s.ready(g, c.now) // its message was under way, and so may be its first request
	if s.current != nil || !g.deadline.Equal(c.now.Add(s.limits.reload)) {
		t.Errorf("it serves, or has until %v", g.deadline)
	}
}

func TestBadConfigWaitsForAChange(t *testing.T) {
	t.Parallel()
	c := newClock()
	s, g := started(c, time.Minute)
	s.exited(g, c.now, "bad", true)
	expect(t, s, StateBadConfig)
	if s.due(c.pass(24*time.Hour)) || s.listens() {
		t.Fatal("tried again although nothing has changed, or clients are left waiting")
	}
	s.seen = "v2"
	if !s.due(c.now) {
		t.Fatal("not tried at once after a change")
	}
	s.start(c.now)
	s.read("v3") // changed once more before it was read
	s.reject(c.now, "still bad")
	if s.due(c.pass(24 * time.Hour)) {
		t.Fatal("tried again although nothing has changed since it was read")
	}
}

func TestChangeOrCommandEndsTheWaitAndForgives(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"change", "start", "restart"} {
		c := newClock()
		s, g := started(c, time.Minute)
		for range 10 {
			s.exited(g, c.now, "x", false)
			c.pass(time.Minute)
			g = next(s, c, "v1")
		}
		s.exited(g, c.now, "x", false)
		if s.due(c.now) {
			t.Fatal("due at once after ten deaths")
		}
		switch how {
		case "change":
			s.seen = "v2"
		case "start":
			s.resume(c.now)
		case "restart":
			s.restart(c.now, false)
		}
		if !s.due(c.now) {
			t.Fatalf("not due after a %s", how)
		}
		g = next(s, c, "v2")
		s.exited(g, c.now, "x", false)
		if got := s.deadline.Sub(c.now); got > 500*time.Millisecond {
			t.Errorf("waits %v after the first death after a %s, want at most 500ms", got, how)
		}
	}
}

func TestStopByCommandHoldsUntilStart(t *testing.T) {
	t.Parallel()
	c := newClock()
	s, g := serving(c, time.Minute)
	s.hold(c.now, false)
	expect(t, s, StateDraining, instruction{g, orderDrain})
	s.exited(g, c.now, "", false)
	s.seen = "v2"
	if s.state != StateStopped || s.due(c.pass(time.Hour)) || s.reason != "stopped by command" || s.listens() {
		t.Fatalf("%s, %q, due: %v", s.state, s.reason, s.due(c.now))
	}
	s.resume(c.now)
	if !s.due(c.now) {
		t.Error("a start does not act")
	}
}

func TestWorkerWithNothingToDoGoesToSleep(t *testing.T) {
	t.Parallel()
	c := newClock()
	s, g := serving(c, time.Minute)
	s.mode, s.idle = startOnDemand, time.Minute
	g.load(c.now, 0, 1) // a background job
	for range 100 {
		g.beat(c.pass(5 * time.Second))
		s.tick(c.now)
		expect(t, s, StateReady)
	}
	g.load(c.now, 0, 0)
	for range 11 {
		g.beat(c.pass(5 * time.Second))
		s.tick(c.now)
		expect(t, s, StateReady)
	}
	s.tick(c.pass(5 * time.Second))
	expect(t, s, StateSleeping, instruction{g, orderDrain})
	if s.due(c.now) || !s.listens() {
		t.Fatal("due, or deaf")
	}
	s.wake() // in the window, while the old one still leaves
	if !s.due(c.now) {
		t.Error("a connection does not wake it")
	}
}
