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
	profile  profiles.Profile
	loaded   configs.Loaded
	claim    claim
	lock     *profiles.Lock   // nil: take it
	listener *net.TCPListener // nil: bind it
	spawn    spawn
}

// launch is the outcome of a try. Lock and listener are kept whatever the error.
type launch struct {
	lock     *profiles.Lock
	listener *net.TCPListener
	process  *process
	err      error
	blocked  string // why something outside of the profile is in the way, or empty
	inUse    bool   // the port is taken
}

func (t try) run(ctx context.Context) launch {
	out := launch{lock: t.lock, listener: t.listener}
	if out.err = t.profile.Prepare(); out.err != nil {
		return out
	}
	if out.lock == nil {
		lock, err := t.profile.Lock()
		if held, ok := errors.AsType[*profiles.Held](err); ok {
			out.blocked = fmt.Sprintf("the gateway with pid %d serves this profile already", held.PID)
		}
		if err != nil {
			out.err = err
			return out
		}
		out.lock = lock
	}
	if out.listener == nil {
		listener, err := bind(ctx, t.claim)
		if err != nil {
			out.err = err
			out.blocked = bindReason(t.claim, t.profile.Name, err)
			out.inUse = errors.Is(err, syscall.EADDRINUSE)
			return out
		}
		out.listener = listener
	}
	s := t.spawn
	s.listener = out.listener
	s.start = newStart(t.profile, t.loaded, t.spawn.start.Generation, out.listener.Addr().String())
	s.output.redact(s.start.Redact)
	out.process, out.err = startProcess(s)
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
	f.work.Go(func() {
		s := f.load(m.profile)
		f.post(func() { f.configured(ctx, m, s) })
	})
}

// configured is the second half of a start: the settings have been read.
func (f *fleet) configured(ctx context.Context, m *member, s settings) {
	now := time.Now()
	m.read(s.print)
	m.stale = false
	c := s.loaded.Config.APIServer
	switch {
	case !m.wanted:
		f.rest(m, now, StateStopped, "")
		return
	case s.err != nil:
		f.rest(m, now, StateBadConfig, s.err.Error())
		return
	case !c.Enabled:
		f.rest(m, now, StateStopped, "its API server is not enabled")
		return
	}
	m.warn(s.loaded.Warnings)
	m.drain, m.keyless = c.DrainTimeout, c.Key.IsZero()
	m.claim, m.claimed = claimOf(c), false
	if rival := f.rival(m); rival != nil {
		f.retry(m, now, StateBlocked, rivalReason(m.claim, m.profile.Name, rival.profile.Name))
		return
	}
	m.claimed = true
	if m.listener != nil && m.bound != m.claim {
		m.closeListener()
	}
	t := try{
		profile: m.profile, loaded: s.loaded, claim: m.claim,
		lock: m.lock, listener: m.listener, spawn: f.spawn,
	}
	t.spawn.dir, t.spawn.output = m.profile.Dir, m.output
	t.spawn.start.Generation = m.generation + 1
	f.work.Go(func() {
		l := t.run(ctx)
		kept := f.post(func() { f.launched(m, t.claim, l) })
		if l.process == nil || l.err != nil {
			return
		}
		if !kept {
			l.process.kill()
		}
		exit := l.process.watch(ctx, func(message handoff.Message) {
			f.post(func() { f.heard(m, l.process, message) })
		})
		f.post(func() { f.exited(m, l.process, exit) })
	})
}

// rival returns the member that has the claim of m already, or nil.
func (f *fleet) rival(m *member) *member {
	for _, other := range f.members {
		if other != m && other.claimed && other.claim.meets(m.claim) {
			return other
		}
	}
	return nil
}

// launched takes in the outcome of a try.
func (f *fleet) launched(m *member, bound claim, l launch) {
	now := time.Now()
	m.lock, m.listener, m.bound = l.lock, l.listener, bound
	switch {
	case l.err == nil:
		m.process = l.process
		m.output.note(m.pid(), fmt.Sprintf("worker started, generation %d", m.generation+1))
		m.apply(m.spawned(now))
	case l.blocked != "":
		if l.inUse {
			if other := f.holder(m); other != nil {
				l.blocked = rivalReason(m.claim, m.profile.Name, other.profile.Name)
			}
		}
		m.claimed = false
		f.retry(m, now, StateBlocked, l.blocked)
	default:
		f.retry(m, now, StateBackoff, l.err.Error())
	}
}

// holder returns the member that listens on the port of m under another host
// name, or nil.
func (f *fleet) holder(m *member) *member {
	for _, other := range f.members {
		if other != m && other.listener != nil && other.claim.port == m.claim.port {
			return other
		}
	}
	return nil
}

func (f *fleet) rest(m *member, now time.Time, state State, reason string) {
	m.apply(m.rest(now, state, reason))
	m.tell()
}

func (f *fleet) retry(m *member, now time.Time, state State, reason string) {
	m.apply(m.retry(now, state, reason))
	m.tell()
}
