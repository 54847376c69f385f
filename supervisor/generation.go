package supervisor

import (
	"fmt"
	"time"
)

// stage is how far a generation has come.
type stage int

const (
	stageStarting stage = iota // it has yet to say READY
	stageReady
	stageRetiring // it finishes what it has begun, and leaves
)

// ending says how far the end of a process has come that did not end by itself.
type ending int

const (
	endingNone ending = iota
	endingHurried
	endingDumped
	endingKilled
)

// generation is the state machine of one process of a profile, from its start to
// its end. It is pure: time comes in, orders come out.
type generation struct {
	limits limits
	number int // counted from 1 for each profile

	stage    stage
	since    time.Time // of stage
	deadline time.Time // when tick has something to do; zero means never
	ending   ending
	cause    string // why the supervisor ends the process

	readySince time.Time     // zero before READY
	drain      time.Duration // how long it may take to retire
	patient    bool          // it may finish its background jobs too
	closed     bool          // it has no listener any more
	turns      int           // that run, by its own count
	jobs       int           // that run in the background
	idleSince  time.Time     // when there was nothing to do any more

	// Outdated is since when the process is to be replaced, which nobody needs to
	// notice; zero if it is not. An alien must be gone before another one begins: it
	// knows other tables of the database.
	outdated time.Time
	alien    bool
}

func newGeneration(l limits, number int, now time.Time) *generation {
	return &generation{limits: l, number: number, since: now, idleSince: now, deadline: now.Add(l.start)}
}

// ready records READY and reports whether that was waited for. One that is
// retired before it said so may have taken requests by now, and gets the time to
// finish them.
func (g *generation) ready(now time.Time) bool {
	if !g.readySince.IsZero() || g.ending != endingNone {
		return false
	}
	g.readySince, g.idleSince = now, now
	switch g.stage {
	case stageStarting:
		g.stage, g.since, g.deadline = stageReady, now, now.Add(g.limits.silence)
		return true
	case stageRetiring:
		g.deadline = now.Add(g.drain)
	case stageReady:
	}
	return false
}

// beat records a sign of life.
func (g *generation) beat(now time.Time) {
	if g.stage == stageReady && g.ending == endingNone {
		g.deadline = now.Add(g.limits.silence)
	}
}

// load records how much work there is.
func (g *generation) load(now time.Time, turns, jobs int) {
	if turns+jobs == 0 && g.busy() {
		g.idleSince = now
	}
	g.turns, g.jobs = turns, jobs
	g.beat(now)
}

func (g *generation) busy() bool { return g.turns+g.jobs > 0 }

// forgive puts off the deadline of a process whose messages may still be waiting
// because the supervisor itself was stopped, or the machine asleep.
func (g *generation) forgive(now time.Time) {
	g.beat(now)
	if g.stage == stageStarting && g.ending == endingNone {
		g.deadline = now.Add(g.limits.start)
	}
}

// tick looks at the clock.
func (g *generation) tick(now time.Time) order {
	if g.deadline.IsZero() || now.Before(g.deadline) {
		return 0
	}
	switch {
	case g.ending == endingNone && g.stage == stageRetiring:
		g.ending, g.deadline = endingHurried, now.Add(g.limits.grace)
		return orderStop
	case g.ending != endingNone:
		if g.cause == "" {
			g.cause = "did not leave in time"
		}
		g.ending, g.deadline = endingKilled, time.Time{}
		return orderKill
	case g.stage == stageStarting:
		g.cause = fmt.Sprintf("not ready after %v", g.limits.start)
	default:
		g.cause = fmt.Sprintf("no sign of life for %v", g.limits.silence)
	}
	g.ending, g.deadline = endingDumped, now.Add(g.limits.dump)
	return orderDump
}

// leave is how a process is to leave.
type leave struct {
	limit time.Duration // what it has begun may take so long
	jobs  bool          // background jobs too
	hurry bool          // at once
}

// retire has the process leave. To be asked again can only shorten the time.
func (g *generation) retire(now time.Time, l leave) order {
	limit, hurry := l.limit, l.hurry
	first := g.stage != stageRetiring
	if first {
		g.stage, g.since, g.drain, g.patient = stageRetiring, now, limit, true
	}
	switch g.ending {
	case endingKilled:
		return 0
	case endingDumped:
		if hurry {
			g.deadline = now
		}
		return 0
	case endingHurried:
		if hurry {
			g.deadline = earlier(g.deadline, now.Add(g.limits.hurry))
		}
		return 0
	case endingNone:
	}
	if first {
		g.deadline = time.Time{} // that was another one
	}
	if hurry {
		g.ending = endingHurried
		g.deadline = earlier(g.deadline, now.Add(g.limits.hurry))
		return orderStop
	}
	g.drain = min(g.drain, limit)
	if g.readySince.IsZero() { // there is nothing yet that it could finish
		limit = min(limit, g.limits.start)
	}
	g.deadline = earlier(g.deadline, now.Add(limit))
	again := g.patient && !l.jobs
	g.patient = g.patient && l.jobs
	if first || again {
		return orderDrain
	}
	return 0
}

// stable reports whether the process served long enough to forgive earlier
// deaths.
func (g *generation) stable(now time.Time) bool {
	return !g.readySince.IsZero() && now.Sub(g.readySince) >= g.limits.stable
}

// earlier is the earlier of two times, of which the first may not be set.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
