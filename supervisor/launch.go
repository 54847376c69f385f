package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"hermes/configs"
	"hermes/profiles"
	"hermes/supervisor/handoff"
)

// try is what the second half of a start is made from: everything that may wait
// for the disk or the kernel happens in its run, outside of the loop.
type try struct {
	profile profiles.Profile
	loaded  configs.Loaded
	claim   claim
	lock    *profiles.Lock // nil: take it
	address address        // where the profile listens so far
	process bool           // make one
	scarce  func() string  // why no process should be started now, or empty
	home    string
	spawn   spawn
	outside *outside // nil: the worker has the keys and dials by itself
}

// launch is the outcome of a try. Lock and listener are kept whatever the error.
type launch struct {
	lock     *profiles.Lock
	listener *net.TCPListener // that of the try's address if it was right
	process  *process
	err      error
	blocked  string   // why something outside of the profile is in the way, or empty
	inUse    bool     // the port is taken
	draining bool     // a worker of a dead gateway has the lock, and will be gone
	closed   []string // files that other users could read until now
	misfit   bool     // no worker can be told these settings
}

func (t try) run(ctx context.Context) launch {
	out := t.attempt(ctx)
	if what := shortage(out.err); what != "" {
		out.blocked = what
	}
	return out
}

func (t try) attempt(ctx context.Context) launch {
	out := launch{lock: t.lock}
	if out.err = t.profile.Prepare(); out.err != nil {
		return out
	}
	out.closed = t.profile.CloseRecords()
	if out.lock == nil {
		lock, err := t.profile.Lock()
		if held, ok := errors.AsType[*profiles.Held](err); ok {
			out.blocked = fmt.Sprintf("the gateway with pid %d serves this profile already", held.PID)
		}
		if draining, ok := errors.AsType[*profiles.Draining](err); ok {
			out.blocked, out.draining = draining.Reason(), true
		}
		if err != nil {
			out.err = err
			return out
		}
		out.lock = lock
	}
	if t.address.listener != nil && t.address.claim == t.claim {
		out.listener = t.address.listener
	} else {
		listener, err := bind(ctx, t.claim, t.address)
		if err != nil {
			out.err = err
			out.blocked = bindReason(t.claim, t.profile.Name, err)
			out.inUse = errors.Is(err, syscall.EADDRINUSE)
			return out
		}
		out.listener = listener
	}
	s := t.spawn
	s.listener, s.lock = out.listener, out.lock
	orphan := s.start.Orphan
	orphan.Nonce, orphan.Socket = s.lock.Nonce(), orphanSocket(t.home, 0)
	s.start = newStart(t.profile, t.loaded, t.spawn.start.Generation, out.listener.Addr().String())
	s.start.Orphan = orphan
	if err := handoff.StartMessage(&s.start).Check(); err != nil {
		out.err, out.misfit = fmt.Errorf("the settings are too much for a worker: %w", err), true
		return out
	}
	table := newTable(t.loaded)
	if t.outside != nil {
		s.start = withoutKeys(s.start)
		if err := table.Check(); err != nil {
			out.err, out.misfit = err, true
			return out
		}
	}
	if !t.process {
		return out
	}
	if out.blocked = t.scarce(); out.blocked != "" {
		out.err = errors.New(out.blocked)
		return out
	}
	if out.err = t.user(ctx, &s); out.err != nil {
		out.blocked = out.err.Error()
		return out
	}
	if t.outside != nil {
		if s.way, s.egress, out.err = t.outside.open(string(t.profile.Name), table); out.err != nil {
			return out
		}
	}
	out.process, out.err = startProcess(s)
	if out.err != nil {
		s.way.close()
	}
	return out
}

// begin is the first half of a start: the settings are read.
func (f *fleet) begin(ctx context.Context, m *member, now time.Time) {
	m.start(now)
	if first := m.first; first != nil {
		m.first = nil
		f.configured(ctx, m, *first)
		return
	}
	known := m.trial
	if m.forcing {
		known = nil
	}
	f.work.Go(func() {
		s := f.settings(m.profile, known)
		f.post(func() { f.configured(ctx, m, s) })
	})
}

// settings are those of a profile: what is known of them, as long as the files are
// the same, since to read them takes a third of a wake-up.
func (f *fleet) settings(p profiles.Profile, known *settings) settings {
	if known != nil && known.err == nil && known.print == f.watcher.fingerprint(p) && known.identity == identityOf(p.Dir) {
		return *known
	}
	return f.load(p)
}

// configured decides what becomes of a try whose settings have been read.
func (f *fleet) configured(ctx context.Context, m *member, s settings) {
	now := time.Now()
	defer m.tell()
	m.read(s.print)
	if what := shortage(s.err); what != "" && m.willing() { // nothing is known of the settings
		m.retry(now, StateBlocked, what)
		return
	}
	s = m.choose(s)
	c := s.loaded.Config
	switch {
	case !m.willing():
		m.enter(phaseIdle, now)
		return
	case s.err != nil:
		m.reject(now, s.err.Error())
		return
	case !c.APIServer.Enabled:
		m.rest(now, StateStopped, "its API server is not enabled")
		return
	}
	if reason := f.exposes(m, c.Isolation); reason != "" {
		m.reject(now, reason)
		return
	}
	m.warn(s.loaded.Warnings)
	m.mode, m.idle = f.mode(c.Supervisor), c.Supervisor.IdleStop
	m.drain, m.keyless = c.APIServer.DrainTimeout, c.APIServer.Key.IsZero()
	asleep := m.current == nil && !m.awake
	switch {
	case m.mode == startNever && asleep:
		m.rest(now, StateStopped, fmt.Sprintf("supervisor.start is never; start it with: hermes gateway start %s", m.profile.Name))
	case !m.forcing && m.serving() != nil && claimOf(c.APIServer) == m.address.claim && f.adjust(m, s):
		m.keep(now)
	case m.full() && !m.forcing:
		m.queue(now)
	default:
		f.launch(ctx, m, s, m.mode == startAlways || !asleep)
	}
}

// choose returns the settings to use: those that were read, or while those are no
// good, the ones that the last worker was happy with.
func (m *member) choose(s settings) settings {
	m.rejected = ""
	switch {
	case s.err == nil && (s.print != m.refused || m.forcing):
		return s
	case m.good == nil:
		return s
	case s.err != nil:
		m.rejected = rejection(s.err.Error())
	default:
		m.rejected = rejection("a worker refused them")
	}
	return *m.good
}

// adjust brings the worker that serves to the settings without another one, if
// that is possible. What it was told is compared, not what is in the files.
func (f *fleet) adjust(m *member, s settings) bool {
	p := m.serving()
	wanted := newStart(m.profile, s.loaded, p.start.Generation, p.start.API.Address)
	wanted.Resources = p.start.Resources.With(wanted.Resources)
	if p.way != nil {
		wanted = withoutKeys(wanted)
	}
	if !wanted.Alike(p.start) {
		return false
	}
	m.good = &s
	if p.way != nil {
		p.way.update(newTable(s.loaded))
	}
	if wanted.Live().Equal(p.start.Live()) {
		return true
	}
	m.redact(secretsOf(s.loaded))
	live := wanted.Live()
	if !p.send(handoff.Message{Kind: handoff.KindSettings, Live: &live, Revision: p.revision + 1}) {
		return false
	}
	p.revision++
	wanted.Orphan, wanted.Resources, wanted.Isolation = p.start.Orphan, p.start.Resources, wanted.Isolation.Like(p.start.Isolation)
	p.start = wanted
	m.log.Info("settings go to the worker that serves", "pid", p.pid())
	return true
}

// mode is when the worker of a profile with these settings is started.
func (f *fleet) mode(c configs.Supervisor) startMode {
	switch {
	case c.Start != configs.Auto:
		return startMode(c.Start)
	case f.watcher.all:
		return startOnDemand
	default:
		return startAlways
	}
}

// launch is the second half of a start.
func (f *fleet) launch(ctx context.Context, m *member, s settings, process bool) {
	now := time.Now()
	wanted := claimOf(s.loaded.Config.APIServer)
	if rival := f.rival(m, wanted); rival != nil {
		m.lose(wanted)
		m.retry(now, StateBlocked, rivalReason(wanted, m.profile.Name, rival.profile.Name))
		return
	}
	m.claim, m.claimed, m.trial = wanted, true, &s
	if m.current == nil && m.address.claim != m.claim {
		m.shut(&m.address) // nobody is served there
	}
	t := try{
		profile: m.profile, loaded: s.loaded, claim: m.claim, lock: m.lock, address: m.address, process: process, scarce: f.scarce, spawn: spawn{maker: f.maker, spares: f.spares}, outside: f.outside,
		home: f.watcher.home.Dir(),
	}
	t.spawn.output = m.output
	t.spawn.start.Generation = m.generations + 1
	t.spawn.start.Orphan = handoff.Orphan{Host: wanted.host, Port: wanted.port, Schema: f.schema}
	m.redact(secretsOf(s.loaded))
	m.launch(now)
	f.work.Go(func() {
		l := t.run(ctx)
		made := make(chan *generation, 1)
		kept := f.post(func() { made <- f.launched(m, t, l) })
		if l.process == nil || l.err != nil {
			return
		}
		if !kept {
			l.process.flow(func(handoff.Message) {})
			l.process.kill()
			made <- nil
		}
		// In a goroutine of its own: what a start needs of the stack, a wait does not.
		f.work.Go(func() { f.tend(ctx, m, <-made, l.process) })
	})
}

// tend looks after a worker, which flows, until it has ended. No upgrade comes between its end
// and the moment when the loop knows of it.
func (f *fleet) tend(ctx context.Context, m *member, g *generation, p *process) {
	p.await()
	f.ends.RLock()
	defer f.ends.RUnlock()
	exit := p.end(ctx)
	f.post(func() { f.exited(m, g, exit) })
}

// hears returns what a worker's messages are handed to.
func (f *fleet) hears(m *member, g *generation, p *process) func(handoff.Message) {
	return func(message handoff.Message) {
		f.post(func() { f.heard(m, g, p, message) })
	}
}

// rival returns another member that has a claim already, or nil.
func (f *fleet) rival(m *member, wanted claim) *member {
	for _, other := range f.members {
		if other != m && (other.claimed && other.claim.meets(wanted) ||
			other.address.listener != nil && other.address.claim.meets(wanted)) {
			return other
		}
	}
	return nil
}

// launched takes in the outcome of a try, and returns its generation if it made
// one.
func (f *fleet) launched(m *member, t try, l launch) *generation {
	now := time.Now()
	defer m.tell()
	if len(l.closed) > 0 {
		m.log.Warn("other users of this machine could read these files until now", "files", l.closed)
	}
	if m.lock == nil { // or it was found with an orphan meanwhile
		m.lock = l.lock
	}
	switch {
	case l.listener == nil || l.listener == m.address.listener:
	case m.current == nil:
		m.shut(&m.address)
		m.address = address{t.claim, l.listener}
	default:
		m.coming = address{t.claim, l.listener}
	}
	switch {
	case l.err == nil && l.process != nil:
		g := m.spawned(now)
		m.running[g] = l.process
		l.process.flow(f.hears(m, g, l.process))
		m.output.note(l.process.pid(), fmt.Sprintf("worker started, generation %d", g.number))
		return g
	case l.err == nil:
		m.sleep(now)
		f.announce(m)
	case !m.willing():
		m.enter(phaseIdle, now)
	case l.misfit:
		m.reject(now, l.err.Error())
	case l.blocked != "":
		if l.draining {
			m.failures = 0 // its end is near: look again soon, however often that was
			f.search(0)
		}
		if l.inUse {
			if other := f.holder(m, t.claim); other != nil {
				l.blocked = rivalReason(t.claim, m.profile.Name, other.profile.Name)
			}
		}
		m.lose(t.claim)
		m.retry(now, StateBlocked, l.blocked)
	default:
		m.retry(now, StateBackoff, l.err.Error())
	}
	m.abandon()
	return nil
}

// lose gives up a claim that cannot be had: what is served keeps the one that it
// has.
func (m *member) lose(wanted claim) {
	m.claim, m.claimed = wanted, false
	m.abandon()
}

// abandon gives up the address of a try that has come to nothing beside the one
// that is served.
func (m *member) abandon() {
	m.shut(&m.coming)
	if m.address.listener != nil {
		m.claim, m.claimed = m.address.claim, true
	}
}

// holder returns another member that listens on the port under another host
// name, or nil.
func (f *fleet) holder(m *member, wanted claim) *member {
	for _, other := range f.members {
		if other != m && other.address.listener != nil && other.address.claim.port == wanted.port {
			return other
		}
	}
	return nil
}
