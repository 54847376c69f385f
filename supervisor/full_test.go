package supervisor

import (
	"strings"
	"testing"
	"time"
)

func TestOnlyAFewGenerationsRetireAtATime(t *testing.T) {
	t.Parallel()
	c := newClock()
	s, first := serving(c, time.Minute)
	for range maxRetiring {
		s.ready(next(s, c, "v"), c.now)
	}
	s.take()
	s.ready(next(s, c, "v"), c.now)
	if got := s.take(); len(got) != 2 || got[1] != (instruction{first, orderStop}) {
		t.Errorf("ordered %v, want that the oldest is hurried", got)
	}
}

func TestNoEditCutsATurnShort(t *testing.T) {
	t.Parallel()
	c := newClock()
	s, first := serving(c, time.Minute)
	for range maxRetiring {
		s.ready(next(s, c, "v"), c.now)
	}
	s.take()
	s.seen = "w"
	if !s.due(c.now) {
		t.Fatal("an edit is not read")
	}
	s.start(c.now)
	s.read("w")
	if !s.full() {
		t.Fatal("there is room for another worker")
	}
	s.queue(c.now)
	if s.due(c.pass(time.Minute)) || !strings.Contains(s.reason, "4 replaced workers") {
		t.Errorf("it does not wait, or does not say for what: %q", s.reason)
	}
	expect(t, s, StateReady)
	for _, g := range s.retiring {
		g.load(c.now, 1, 0)
		g.closed = true
	}
	if !s.settled(c.now) {
		t.Error("a reload would wait until turns have ended")
	}
	first.load(c.now, 0, 0)
	if s.settled(c.now) {
		t.Error("a reload does not wait for a worker that leaves at once")
	}
	s.exited(first, c.now, "left", false)
	if !s.due(c.now) {
		t.Error("it waits although there is room now")
	}
}
