package supervisor

import (
	"slices"
	"time"
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
	return !s.trying() && !s.due(now) && !open
}

// restart makes a new generation. With hurry the one before it does not finish its
// turns.
func (s *service) restart(now time.Time, hurry bool) {
	s.held, s.awake, s.forced, s.rushed = false, true, true, hurry
	s.show(now)
}
