package supervisor

import (
	"strings"
	"testing"
	"time"
)

func TestLongSilentTurnIsNotHung(t *testing.T) {
	t.Parallel()
	c := newClock()
	s, g := serving(c, time.Minute)
	g.load(c.now, 1, 0)
	for range 20 * 60 / 5 { // a call of 20 minutes that prints nothing; the worker itself lives
		s.tick(c.pass(5 * time.Second))
		g.beat(c.now)
	}
	s.tick(c.pass(25 * time.Second))
	expect(t, s, StateReady)
	s.tick(c.pass(5 * time.Second)) // now it hangs: found within the timeout and one beat
	expect(t, s, StateReady, instruction{g, orderDump})
}

func TestDeadlinesDoNotFollowTheWallClock(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Now()}
	monotonic := func(what string, times ...time.Time) {
		t.Helper()
		for _, at := range times {
			if at.IsZero() || !strings.Contains(at.String(), " m=") { // which has no monotonic reading
				t.Errorf("%s: %v would move with the wall clock", what, at)
			}
		}
	}
	s, g := started(c, time.Minute)
	monotonic("start", g.deadline, s.since)
	s.ready(g, c.pass(time.Second))
	monotonic("ready", g.deadline, g.readySince, g.idleSince)
	g.beat(c.pass(time.Second))
	g.load(c.now, 1, 0)
	monotonic("beat", g.deadline)
	s.exited(g, c.now, "died", false)
	monotonic("backoff", s.deadline)
	g = next(s, c, "v2")
	s.ready(g, c.now)
	s.stop(c.now, false)
	monotonic("drain", g.deadline)
	s.tick(c.pass(time.Hour))
	monotonic("hurry", g.deadline)
}
