package supervisor

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"hermes/profiles"
	"hermes/supervisor/confine"
	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox/wall"
)

// Takeover is what the program left that this process was before.
type Takeover struct{ state carried }

// Receive returns what the program left that this process was before, nil if it
// was none, and the environment without the word of it.
func Receive(environ []string) (*Takeover, []string, error) {
	number := variable(environ, carryVariable)
	if number == "" {
		return nil, environ, nil
	}
	data, err := receive(number)
	if err != nil {
		return nil, nil, err
	}
	state, err := decodeCarried(data)
	if err != nil {
		return nil, nil, err
	}
	return &Takeover{state}, withoutCarry(environ), nil
}

// Home is the directory of the home that is served, Profiles what is served of it,
// as in Options. The words of the command line may mean something else by now.
func (t *Takeover) Home() string { return t.state.Home }

// Profiles says what is served, see Options.
func (t *Takeover) Profiles() []profiles.Name {
	if t.state.Profiles == nil {
		return nil
	}
	names := make([]profiles.Name, len(t.state.Profiles))
	for i, name := range t.state.Profiles {
		names[i] = profiles.Name(name)
	}
	return names
}

// lease is the one that this process has.
func (t *Takeover) lease() (*lease, error) {
	file, err := inherited(t.state.Lease, "gateway lock")
	return &lease{file: file}, err
}

// socket is the control socket.
func (t *Takeover) socket() (net.Listener, error) {
	ln, err := inheritedListener(t.state.Socket, "control socket")
	if unix, ok := ln.(*net.UnixListener); ok {
		unix.SetUnlinkOnClose(true)
	}
	return ln, err
}

// unpacker makes living things of carried ones.
type unpacker struct {
	f     *fleet
	now   time.Time
	state carried
	// schema is the version of the tables that this program knows.
	schema int
}

// members makes the members of the fleet.
func (t *Takeover) members(s *Supervisor, f *fleet) error {
	u := unpacker{f: f, now: time.Now(), state: t.state, schema: s.opts.Schema}
	f.events.resume(t.state.Events)
	var failed error
	for i := range t.state.Members {
		failed = errors.Join(failed, u.member(&t.state.Members[i]))
	}
	var reading errgroup.Group
	reading.SetLimit(f.parallel)
	for _, m := range f.members {
		if m.gone || m.loaded == "" {
			continue
		}
		// What is in effect is in the files, unless they have changed since, or are
		// not in effect: then a worker that dies has nothing to fall back on.
		reading.Go(func() error {
			now := f.load(m.profile)
			if now.err == nil && now.print == m.loaded && m.rejected == "" {
				m.good, m.trial = &now, &now
			}
			return nil
		})
	}
	return errors.Join(failed, reading.Wait())
}

func (u unpacker) member(c *carriedMember) error {
	m := u.f.add(u.f.watcher.home.Place(profiles.Name(c.Name)), nil)
	m.identity, m.gone = c.Identity, c.Gone
	m.service = u.service(&c.Service)
	m.claim, m.claimed = c.Claim.claim(), c.Claimed
	m.refused, m.keyless, m.lastExit, m.deaths = c.Refused, c.Keyless, c.LastExit, c.Deaths
	m.killed, m.drains, m.drained, m.adopted = c.Killed, c.Drains, c.Drained, c.Adopted
	m.announced, m.told, m.warned = c.Announced, c.Told, c.Warned
	m.output.remember(c.Lines, c.Dropped)
	if c.Lock != 0 {
		file, err := inherited(c.Lock, "profile lock")
		if err != nil {
			return err
		}
		m.lock = profiles.InheritLock(file)
	}
	var err error
	if m.address, err = u.address(c.Address); err != nil {
		return err
	}
	if m.coming, err = u.address(c.Coming); err != nil {
		return err
	}
	for i := range c.Processes {
		if err := u.process(m, &c.Processes[i]); err != nil {
			return err
		}
	}
	m.redact(nil)
	m.show(u.now)
	m.shown = shown{m.state, m.why(), m.served()} // the program before has said so
	return nil
}

func (u unpacker) address(c carriedAddress) (address, error) {
	a := address{claim: c.Claim.claim()}
	if c.Listener == 0 {
		return a, nil
	}
	ln, err := inheritedListener(c.Listener, "listener")
	if err != nil {
		return a, err
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return a, errors.Join(fmt.Errorf("take over listener: it is a %T", ln), ln.Close())
	}
	a.listener = tcp
	return a, nil
}

func (u unpacker) service(c *carriedService) *service {
	return &service{
		limits: u.f.limits, wanted: c.Wanted, held: c.Held, forced: c.Forced, rushed: c.Rushed, mode: c.Mode, awake: c.Awake,
		idle: c.Idle, drain: c.Drain,
		phase: c.Phase, phaseSince: c.PhaseSince.at(u.now), deadline: c.Deadline.at(u.now),
		outcome: c.Outcome, reason: c.Reason, rejected: c.Rejected, forcing: c.Forcing, failures: c.Failures,
		generations: c.Generations, restarts: c.Restarts, state: c.State, since: c.Since.at(u.now),
		loaded: c.Loaded, seen: c.Seen,
	}
}

func (u unpacker) generation(c *carriedProcess) *generation {
	g := &generation{
		limits: u.f.limits, number: c.Number, stage: c.Stage, since: c.Since.at(u.now), deadline: c.Deadline.at(u.now),
		ending: c.Ending, cause: c.Cause, readySince: c.ReadySince.at(u.now), drain: c.Drain, patient: c.Patient,
		closed: c.Closed, turns: c.Turns, jobs: c.Jobs, idleSince: c.IdleSince.at(u.now), outdated: c.Outdated.at(u.now),
		alien: c.Schema != u.schema,
	}
	if g.outdated.IsZero() && c.Binary != u.state.Binary {
		g.outdated = u.now
	}
	return g
}

func (u unpacker) process(m *member, c *carriedProcess) error {
	p := &process{
		spawn: spawn{maker: u.f.maker}, blank: &blank{began: c.Began.at(u.now), group: confine.ResumeGroup(c.Group), room: wall.Level(c.Start.Isolation.Room)},
		begun: c.LogRest, revision: c.Revision, applied: c.Applied, walls: c.Walls,
	}
	p.output, p.start, p.lock = m.output, c.Start, m.lock
	switch c.Listens {
	case "address":
		p.listener = m.address.listener
	case "coming":
		p.listener = m.coming.listener
	}
	if c.Binary != u.state.Binary {
		p.binary = c.Binary
	}
	if c.Schema != u.schema {
		p.schema = c.Schema
	}
	link, err := inherited(c.Link, "control socket of a worker")
	if err != nil {
		return err
	}
	if p.link, err = handoff.Inherit(link, c.LinkRest); err != nil {
		return err
	}
	if p.stdout, err = inheritedPipe(c.Log, "log pipe"); err != nil {
		return err
	}
	if c.Pidfd != 0 {
		p.foster, err = inheritedFoster(c.Pidfd, c.PID)
	} else {
		p.cmd, err = p.children.Adopt(c.PID)
	}
	if err != nil {
		return err
	}
	if c.Way != 0 {
		if err := u.way(m, p, c); err != nil {
			return err
		}
	}
	for _, order := range c.Orders {
		if order.Kind == handoff.KindStart { // what goes with it could not be written down
			_ = p.belong() // without it the worker is not told, and killed for that
		}
		p.send(order)
	}
	if c.Later != nil {
		p.later = &laterOrder{message: *c.Later}
		p.later.timer = time.AfterFunc(acceptTime, func() { p.send(*c.Later) })
	}
	g := u.generation(c)
	m.running[g] = p
	switch c.Place {
	case placeCurrent:
		m.current = g
	case placeNext:
		m.next = g
		if g.alien { // it must not bring the tables to what is of yesterday
			m.retire(g, u.now, leave{hurry: true})
			m.enter(phaseIdle, u.now)
		}
	case placeRetiring:
		m.retiring = append(m.retiring, g)
	}
	return nil
}

// way gives a worker the way to the outside that it has, or another one if it has yet
// to be told of it: the end that was to go with its start is gone.
func (u unpacker) way(m *member, p *process, c *carriedProcess) error {
	far, err := inherited(c.Way, "a worker's way to the outside")
	if err != nil {
		return err
	}
	if slices.ContainsFunc(c.Orders, func(o handoff.Message) bool { return o.Kind == handoff.KindStart }) {
		_ = far.Close()
		p.way, p.egress, err = u.f.outside.open(string(m.profile.Name), *c.Table)
		return err
	}
	p.way, err = u.f.outside.add(string(m.profile.Name), *c.Table, far)
	return err
}

// asConn is a listener as what has a descriptor; the two kinds that there are do.
func asConn(ln net.Listener) syscall.Conn {
	conn, _ := ln.(syscall.Conn)
	return conn
}
