package supervisor

import (
	"fmt"
	"time"
)

// State says where the service of a profile stands.
type State string

// The states of a service. Only StateStarting, StateReady and StateDraining have
// a process.
const (
	// StateStopped: not running and not wanted, or the profile is not enabled.
	StateStopped State = "stopped"
	// StateStarting: settings are being read, or the worker has yet to say READY.
	StateStarting State = "starting"
	// StateReady: requests are served.
	StateReady State = "ready"
	// StateDraining: the worker finishes its turns and takes no new ones.
	StateDraining State = "draining"
	// StateBackoff: the worker has died and is started again in a while.
	StateBackoff State = "backoff"
	// StateBadConfig: nothing is tried before the settings change.
	StateBadConfig State = "bad_config"
	// StateBlocked: something that is not the profile's fault is in the way, its
	// port or its lock in other hands. Tried again like StateBackoff.
	StateBlocked State = "blocked"
)

// order is what a service wants done to its process.
type order int

const (
	orderNone order = iota
	orderDrain
	orderStop    // leave at once
	orderDump    // SIGQUIT, which makes a Go program print its goroutines
	orderKill    // SIGKILL to the whole process group
	orderRelease // nothing runs and nothing will: give up the port and the lock
)

// limits are the times that a service keeps, so that tests can shorten them.
type limits struct {
	start   time.Duration // from the start of a process to READY
	silence time.Duration // from one sign of life to the next
	dump    time.Duration // from SIGQUIT to SIGKILL
	hurry   time.Duration // from an order to stop to SIGKILL
	grace   time.Duration // what a drain may take beyond the drain timeout
	stable  time.Duration // Ready for this long forgives earlier deaths
	backoff backoff
}

// ending says how far the end of a process has come that did not end by itself.
type ending int

const (
	endingNone ending = iota
	endingDumped
	endingKilled
)

// service is the state machine of one profile. It is pure: time comes in as an
// argument, what is to be done goes out as an order, and nobody but the
// reconcile loop touches it.
type service struct {
	limits limits

	state  State
	since  time.Time // of state
	reason string    // why, for a person; may be empty

	// deadline is when tick has something to do, or, in StateBackoff and
	// StateBlocked, when the next try is due. Zero means never.
	deadline time.Time
	ending   ending
	cause    string // why the supervisor ends the process

	wanted     bool // false from the first order to stop on
	running    bool // there is a process
	generation int  // of the newest process, counted from 1
	restarts   int  // deaths that nobody asked for
	failures   int  // deaths and vain tries in a row
	readySince time.Time
	drain      time.Duration // the profile's drain timeout
	busy       int

	// loaded is what the settings files looked like before they were last read,
	// seen what they look like now. Empty means not known yet.
	loaded, seen fingerprint
}

// fingerprint stands for the contents of a profile's settings files.
type fingerprint string

func newService(l limits, now time.Time) *service {
	return &service{limits: l, state: StateStopped, since: now, wanted: true}
}

func (s *service) become(state State, now time.Time, reason string) {
	s.state, s.since, s.reason = state, now, reason
	s.deadline = time.Time{}
}

// due reports whether start should be called.
func (s *service) due(now time.Time) bool {
	if !s.wanted || s.running || s.state == StateStarting {
		return false
	}
	switch s.state {
	case StateBackoff, StateBlocked:
		return s.changed() || !now.Before(s.deadline)
	default:
		return s.loaded == "" || s.changed()
	}
}

// changed reports whether the settings files differ from what was last read.
func (s *service) changed() bool { return s.seen != "" && s.seen != s.loaded }

// start begins a try: settings are to be read, then a process started. A change
// of the settings wipes out what went wrong with the old ones.
func (s *service) start(now time.Time) {
	if s.changed() {
		s.failures = 0
	}
	s.become(StateStarting, now, "")
}

// read records what the settings files looked like before they were read.
func (s *service) read(f fingerprint) { s.loaded, s.seen = f, f }

// rest ends a try whose settings forbid a start, in StateBadConfig or
// StateStopped. Only a change of the settings begins another, so the port is
// given up: a client that is refused knows more than one that waits for nobody.
func (s *service) rest(now time.Time, state State, reason string) order {
	if !s.wanted {
		return s.stopped(now)
	}
	s.become(state, now, reason)
	return orderRelease
}

// retry ends a try that failed for now, in StateBlocked or StateBackoff.
func (s *service) retry(now time.Time, state State, reason string) order {
	if !s.wanted {
		return s.stopped(now)
	}
	s.become(state, now, reason)
	s.deadline = now.Add(s.limits.backoff.delay(s.failures))
	s.failures++
	return orderNone
}

// spawned records that the process of a try has been started. The returned order
// is not orderNone if it is not wanted any more.
func (s *service) spawned(now time.Time) order {
	s.generation++
	s.running, s.ending, s.cause, s.busy = true, endingNone, "", 0
	s.readySince = time.Time{}
	s.deadline = now.Add(s.limits.start)
	if !s.wanted {
		return s.stop(now, true)
	}
	return orderNone
}

// ready records that the process serves requests.
func (s *service) ready(now time.Time) {
	if s.state != StateStarting || !s.running || s.ending != endingNone {
		return
	}
	s.become(StateReady, now, "")
	s.readySince = now
	s.deadline = now.Add(s.limits.silence)
}

// beat records a sign of life.
func (s *service) beat(now time.Time) {
	if s.state == StateReady && s.ending == endingNone {
		s.deadline = now.Add(s.limits.silence)
	}
}

// forgive puts off the deadline of a worker whose messages may still be waiting
// because the supervisor itself was stopped, or the machine asleep.
func (s *service) forgive(now time.Time) {
	s.beat(now)
	if s.state == StateStarting && s.running && s.ending == endingNone {
		s.deadline = now.Add(s.limits.start)
	}
}

// tick looks at the clock.
func (s *service) tick(now time.Time) order {
	if !s.running || s.deadline.IsZero() || now.Before(s.deadline) {
		return orderNone
	}
	switch {
	case s.ending == endingDumped || s.state == StateDraining:
		if s.cause == "" {
			s.cause = "did not leave in time"
		}
		s.ending, s.deadline = endingKilled, time.Time{}
		return orderKill
	case s.state == StateStarting:
		s.cause = fmt.Sprintf("not ready after %v", s.limits.start)
	default:
		s.cause = fmt.Sprintf("no sign of life for %v", s.limits.silence)
	}
	s.reason = s.cause
	s.ending, s.deadline = endingDumped, now.Add(s.limits.dump)
	return orderDump
}

// stop makes the service unwanted. With hurry, turns are not waited for. A
// service that is asked twice goes on as it was, unless it is now hurried.
func (s *service) stop(now time.Time, hurry bool) order {
	first := s.wanted
	s.wanted = false
	switch {
	case !s.running && s.state == StateStarting:
		return orderNone // the try ends by itself and looks at wanted
	case !s.running:
		if s.state == StateStopped && !first {
			return orderNone
		}
		return s.stopped(now)
	case s.ending == endingKilled:
		return orderNone
	case s.ending == endingDumped:
		if hurry {
			s.deadline = now
		}
		return orderNone
	}
	// A worker that is not ready runs no turn that could be finished.
	hurry = hurry || s.state == StateStarting
	limit, order := s.drain+s.limits.grace, orderDrain
	if hurry {
		limit, order = s.limits.hurry, orderStop
	}
	if s.state != StateDraining {
		s.become(StateDraining, now, "")
		s.deadline = now.Add(limit)
		return order
	}
	if until := now.Add(limit); hurry && until.Before(s.deadline) {
		s.deadline = until
		return order
	}
	return orderNone
}

// exited records that the process and all that it started are gone. misfit says
// that it refused its settings.
func (s *service) exited(now time.Time, reason string, misfit bool) order {
	s.running, s.busy = false, 0
	if !s.wanted {
		return s.stopped(now)
	}
	if !s.readySince.IsZero() && now.Sub(s.readySince) >= s.limits.stable {
		s.failures = 0
	}
	if misfit {
		return s.rest(now, StateBadConfig, reason)
	}
	s.restarts++
	return s.retry(now, StateBackoff, reason)
}

func (s *service) stopped(now time.Time) order {
	s.become(StateStopped, now, "")
	return orderRelease
}
