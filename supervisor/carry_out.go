package supervisor

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"syscall"
	"time"

	"hermes/supervisor/egress"
	"hermes/supervisor/handoff"
)

// packer makes carried things of living ones, and keeps their descriptors.
type packer struct {
	now    time.Time
	before carried // what is the same for all
	kept   *keptFDs
	failed error
}

// keep returns a number by which the next program has the descriptor too.
func (p *packer) keep(c syscall.Conn) int {
	fd, err := p.kept.add(c)
	p.failed = errors.Join(p.failed, err)
	return fd
}

func (p *packer) member(m *member) carriedMember {
	c := carriedMember{
		Name: string(m.profile.Name), Identity: m.identity, Gone: m.gone,
		Service: p.service(m.service), Claim: carriedClaimOf(m.claim), Claimed: m.claimed,
		Address: p.address(m.address), Coming: p.address(m.coming),
		Refused: m.refused, Keyless: m.keyless, LastExit: m.lastExit, Deaths: m.deaths,
		Killed: m.killed, Drains: m.drains, Drained: m.drained, Adopted: m.adopted,
		Announced: m.announced, Told: m.told, Warned: m.warned,
	}
	c.Lines, c.Dropped = m.output.remembered()
	if m.lock != nil {
		c.Lock = p.keep(m.lock.File())
	}
	for g, process := range m.running {
		c.Processes = append(c.Processes, p.process(m, g, process))
	}
	slices.SortFunc(c.Processes, func(a, b carriedProcess) int { return a.Number - b.Number })
	return c
}

func (p *packer) address(a address) carriedAddress {
	c := carriedAddress{Claim: carriedClaimOf(a.claim)}
	if a.listener != nil {
		c.Listener = p.keep(a.listener)
	}
	return c
}

func (p *packer) service(s *service) carriedService {
	return carriedService{
		Wanted: s.wanted, Held: s.held, Forced: s.forced, Rushed: s.rushed, Mode: s.mode, Awake: s.awake,
		Idle: s.idle, Drain: s.drain,
		Phase: s.phase, PhaseSince: momentOf(s.phaseSince, p.now), Deadline: momentOf(s.deadline, p.now),
		Outcome: s.outcome, Reason: s.reason, Rejected: s.rejected, Forcing: s.forcing, Failures: s.failures,
		Generations: s.generations, Restarts: s.restarts, State: s.state, Since: momentOf(s.since, p.now),
		Loaded: s.loaded, Seen: s.seen,
	}
}

func (p *packer) process(m *member, g *generation, w *process) carriedProcess {
	c := carriedProcess{
		Place: placeRetiring, Number: g.number, Stage: g.stage, Since: momentOf(g.since, p.now),
		Deadline: momentOf(g.deadline, p.now), Ending: g.ending, Cause: g.cause,
		ReadySince: momentOf(g.readySince, p.now), Drain: g.drain, Patient: g.patient, Closed: g.closed,
		Turns: g.turns, Jobs: g.jobs, IdleSince: momentOf(g.idleSince, p.now), Outdated: momentOf(g.outdated, p.now),

		PID: w.outer(), Began: momentOf(w.began, p.now),
		Link: p.keep(w.link), LinkRest: w.link.Rest(), Log: p.keep(w.stdout), LogRest: w.begun,
		Start: w.start, Revision: w.revision, Applied: w.applied, Walls: w.walls, Group: w.group.State(),
		Binary: cmp.Or(w.binary, p.before.Before), Schema: cmp.Or(w.schema, p.before.Schema),
	}
	if w.foster != nil {
		c.Pidfd = p.keep(w.foster)
	}
	if w.way != nil {
		table := w.way.table
		c.Way, c.Table = p.keep(w.way.far), &table
	}
	switch g {
	case m.current:
		c.Place = placeCurrent
	case m.next:
		c.Place = placeNext
	}
	switch w.listener {
	case nil:
	case m.address.listener:
		c.Listens = "address"
	case m.coming.listener:
		c.Listens = "coming"
	}
	c.Orders = w.waiting()
	if w.later != nil && w.later.timer.Stop() {
		c.Later = &w.later.message
	}
	return c
}

// outside packs the egress processes. They must be paused.
func (p *packer) outside(o *outside) (all []carriedOutlet, used map[string]egress.Used) {
	if o == nil {
		return nil, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, x := range o.living() {
		all = append(all, carriedOutlet{PID: x.cmd.Process.Pid, Control: p.keep(x.control), Log: p.keep(x.stdout), LogRest: x.rest})
	}
	return all, maps.Clone(o.used)
}

// waiting returns the orders that have not been sent, and leaves them where they
// are. The process must be paused.
func (p *process) waiting() []handoff.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.orders)
}

// unpack undoes what the packing has stopped.
func (p *process) unpack(c *carriedProcess) {
	if c.Later != nil {
		p.later.timer.Reset(acceptTime)
	}
}

// remembered is what an output has for status.
func (o *output) remembered() (lines []string, dropped int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.last), o.total
}

// remember is the other side of remembered.
func (o *output) remember(lines []string, dropped int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last, o.total = lines[max(0, len(lines)-keptLines):], dropped
}
