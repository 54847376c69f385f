package supervisor

import (
	"fmt"
	"slices"
	"time"

	"hermes/supervisor/handoff"
)

// wake is told of a connection that waits for a worker.
func (s *service) wake() {
	if s.phase == phaseSleeping {
		s.awake = true
	}
}

// stop ends the service for good.
func (s *service) stop(now time.Time, hurry bool) {
	s.wanted = false
	s.leave(now, hurry)
}

// hold ends the service until resume is called.
func (s *service) hold(now time.Time, hurry bool) {
	s.held = true
	s.leave(now, hurry)
	s.reason = "stopped by command"
}

// leave has every process leave.
func (s *service) leave(now time.Time, hurry bool) {
	s.awake, s.forced, s.rushed = false, false, false
	s.outcome, s.reason, s.rejected = StateStopped, "", ""
	for _, g := range s.processes() {
		// What is not ready runs no turn that could be finished.
		s.retire(g, now, leave{limit: s.drain, hurry: hurry || g.stage == stageStarting})
	}
	if s.phase != phaseReading && s.phase != phaseLaunching { // which end by themselves
		s.enter(phaseIdle, now)
	}
	s.show(now)
}

// resume starts the service, whatever its settings say of when.
func (s *service) resume(now time.Time) {
	s.held, s.awake = false, true
	if s.current == nil {
		s.forced = true // no wait
	}
	s.show(now)
}

// hasten has a try that failed be made again now. A person has asked for it.
func (s *service) hasten(now time.Time) {
	switch {
	case s.phase == phaseWaiting:
		s.failures, s.deadline = 0, now
	case s.phase == phaseResting && s.current == nil && s.outcome == StateBadConfig:
		s.forced = true
	}
}

// settled reports whether nothing is under way to bring the service to its
// settings: it is as they say, or as near to that as it comes for now, and no
// connection comes to a worker any more that retires.
func (s *service) settled(now time.Time) bool {
	open := slices.ContainsFunc(s.retiring, func(g *generation) bool { return !g.closed && g.ending == endingNone })
	awaited := s.willing() && s.current == nil && s.alien()
	// Who retires with nothing to do is gone in a moment, and makes room.
	soon := s.crowded && slices.ContainsFunc(s.retiring, func(g *generation) bool { return !g.busy() })
	return !s.trying() && !s.due(now) && !open && !awaited && !soon
}

// settling is how long a process that is to be replaced serves on at least, so that
// whoever looks after an upgrade sees first that it went well.
const settling = time.Second

// relieve replaces a process that is outdated: when it has nothing to do, or after
// the time that one may take that has been replaced. Its successor begins beside it,
// unless it is an alien.
func (s *service) relieve(now time.Time) {
	g := s.current
	if g == nil || g.outdated.IsZero() || !s.willing() || g.ending != endingNone {
		return
	}
	wait := settling
	if g.busy() {
		wait = s.limits.reload
	}
	news := g.alien && (s.changed() && s.loaded != "" || s.forced)
	switch {
	case now.Before(g.outdated.Add(wait)) && !news:
	case g.alien && (s.phase == phaseIdle || s.phase == phaseWaiting || news):
		s.awake, s.outcome, s.reason = true, StateStopped, ""
		s.retire(g, now, s.relief())
		s.enter(phaseIdle, now)
	case !g.alien && s.phase == phaseIdle && !s.full():
		s.forced = true
	}
}

// full reports whether so many generations retire beside the one that serves that
// one more would cut the oldest short.
func (s *service) full() bool { return s.current != nil && len(s.retiring) >= maxRetiring }

// queue has a try wait until one of the generations that retire has ended: no edit
// is worth somebody's turn. Those that come meanwhile are one.
func (s *service) queue(now time.Time) {
	s.reason = fmt.Sprintf("new settings wait until one of %d replaced workers has finished its turns", len(s.retiring))
	s.enter(phaseWaiting, now)
	s.crowded = true
}

// restart makes a new generation. With hurry the one before it does not finish its
// turns.
func (s *service) restart(now time.Time, hurry bool) {
	s.held, s.awake, s.forced, s.rushed = false, true, true, hurry
	s.show(now)
}

// foster takes in a process that another gateway has started. The best that there
// is serves, and the others finish what they have begun.
func (s *service) foster(report handoff.Message, number int, alien bool, now time.Time) *generation {
	g := newGeneration(s.limits, number, now)
	g.turns, g.jobs, g.closed, g.outdated, g.alien = report.Busy, report.Jobs, report.Closed, now, alien
	s.generations = max(s.generations, number)
	if report.Ready {
		g.ready(now)
	}
	old := s.current
	switch {
	case report.Drains || report.Closed, old != nil && old.number > number:
		s.retire(g, now, s.relief())
	case !report.Ready && s.next == nil && !alien && !s.trying():
		s.next = g
		s.enter(phaseStarting, now)
	case !report.Ready:
		s.retire(g, now, leave{hurry: true})
	default:
		s.current, s.awake, s.reason = g, true, ""
		s.loaded = "" // whether it knows the settings is looked at anew
		if old != nil {
			s.retire(old, now, s.relief())
		}
		if !s.trying() {
			s.enter(phaseIdle, now)
		}
	}
	s.show(now)
	return g
}
