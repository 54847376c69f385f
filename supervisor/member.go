package supervisor

import (
	"cmp"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"time"

	"hermes/configs"
	"hermes/profiles"
	"hermes/supervisor/handoff"
)

// acceptTime is how long a worker goes on accepting when its listener goes: enough
// for connections that have begun.
const acceptTime = 100 * time.Millisecond

// member is one profile of a fleet: its state machine, and what the supervisor
// holds for it. It belongs to the reconcile loop.
type member struct {
	*service
	profile profiles.Profile
	log     *slog.Logger
	output  *output
	waker   *waker
	first   *settings // read before the loop began, used by the first try

	claim   claim // the address that the settings ask for
	claimed bool  // it is ours to bind: no other member may have it
	// Address is where clients come, and coming where they will when the next
	// generation is ready; it has no listener if that is the same.
	address, coming address
	lock            *profiles.Lock

	running  map[*generation]*process
	good     *settings   // what the last worker that became ready was told
	trial    *settings   // what the next one is told
	refused  fingerprint // of the settings that a worker would not work with
	keyless  bool
	accepted bool // the home's settings accept that
	exposed  bool // its commands can read what belongs to other profiles
	lastExit *Exit
	identity string         // of the profile's directory, empty before it was looked at
	gone     bool           // that directory does not exist any more
	drowsy   bool           // the waker has the listener
	deaths   map[string]int // that nobody asked for, by their kind
	killed   map[string]int // workers that a signal ended, by its name
	drains   int            // workers that left as they were asked to
	adopted  int            // workers taken over from a gateway that has died
	drained  time.Duration  // how long they took together

	// What has been said already, so as not to say it again.
	shown     shown    // by an event
	announced string   // where the profile is served
	told      string   // why it is not
	warned    []string // what should be looked at
}

// address is where a profile listens.
type address struct {
	claim    claim
	listener *net.TCPListener
}

// settings are what was read for a try, or why that was not possible.
type settings struct {
	loaded   configs.Loaded
	err      error
	print    fingerprint
	identity string // of the profile's directory
}

// serving returns the process that serves, or nil.
func (m *member) serving() *process { return m.running[m.current] }

// pid returns the process id of the worker that serves, or else of one that will,
// or of the last that finishes its turns, or 0.
func (m *member) pid() int {
	if p := m.shownProcess(); p != nil {
		return p.pid()
	}
	return 0
}

// shownProcess is the process of pid, nil if there is none.
func (m *member) shownProcess() *process {
	for _, g := range slices.Concat([]*generation{m.current, m.next}, m.retiring) {
		if p := m.running[g]; p != nil {
			return p
		}
	}
	return nil
}

// url is where clients find the profile, or empty while nothing listens there.
func (m *member) url() string {
	if m.address.listener == nil {
		return ""
	}
	return "http://" + m.address.listener.Addr().String()
}

// settle does what the service has ordered, and holds what it wants held.
func (m *member) settle() {
	for _, c := range m.take() {
		if p := m.running[c.generation]; p != nil {
			m.obey(p, c)
		}
	}
	asleep := m.phase == phaseSleeping && !m.awake && m.address.listener != nil
	if m.drowsy && !asleep {
		m.waker.forget(m)
		m.drowsy = false
	}
	if !m.listens() {
		m.shut(&m.address)
		m.shut(&m.coming)
		m.claimed = false
	}
	if !m.listens() && m.empty() && m.lock != nil {
		if err := m.lock.Release(); err != nil {
			m.log.Warn("profile lock not released", "error", err)
		}
		m.lock = nil
	}
	if asleep && !m.drowsy {
		m.drowsy = true
		m.waker.await(m, m.address.listener)
	}
}

// obey passes an order on.
func (m *member) obey(p *process, c instruction) {
	switch c.order {
	case orderDrain:
		m.log.Info("worker drains", "pid", p.pid(), "generation", c.generation.number, "turns", c.generation.turns, "jobs", c.generation.jobs)
		m.send(p, handoff.Message{Kind: handoff.KindDrain, Limit: c.generation.drain, Patient: c.generation.patient})
	case orderStop:
		p.send(handoff.Message{Kind: handoff.KindStop})
	case orderDump:
		m.log.Warn("worker hangs; its goroutines go to its log before it is killed", "pid", p.pid(), "reason", c.generation.cause)
		p.dump()
	case orderKill:
		m.log.Warn("worker is killed", "pid", p.pid(), "reason", c.generation.cause)
		p.kill()
	}
}

// send has a worker drain. One that is the last to have its listener is given the
// time to accept those who have come so far.
func (m *member) send(p *process, drain handoff.Message) {
	if m.listens() && p.listener == m.address.listener {
		p.send(drain)
		return
	}
	p.later = &laterOrder{message: drain}
	p.later.timer = time.AfterFunc(acceptTime, func() { p.send(drain) })
}

// shut closes a listener, if there is one. A worker that has a copy of it takes
// those who have come so far.
func (m *member) shut(a *address) {
	if a.listener == nil {
		return
	}
	if err := deafen(a.listener); err != nil {
		m.log.Debug("listener takes connections to its end", "error", err)
	}
	if err := a.listener.Close(); err != nil {
		m.log.Warn("listener not closed", "error", err)
	}
	a.listener = nil
}

// arrive makes the coming address the one where clients come. That of before
// is closed: its last clients are with the worker that retires, and whoever comes
// later is to learn that the profile has moved.
func (m *member) arrive() {
	if m.coming.listener == nil {
		return
	}
	if m.drowsy {
		m.waker.forget(m)
		m.drowsy = false
	}
	m.shut(&m.address)
	m.address, m.coming = m.coming, address{}
}

// tell logs why the profile is not served, or not as its settings say, once for
// each reason.
func (m *member) tell() {
	reason := m.why()
	if reason == "" || reason == m.told {
		return
	}
	m.told = reason
	switch {
	case m.state == StateReady:
		m.log.Warn("settings are not in effect", "reason", reason)
	case m.state == StateBadConfig:
		m.log.Error("profile is not served before its settings change", "reason", reason)
	case m.phase == phaseWaiting:
		m.log.Warn("profile is not served yet", "reason", reason, "retry_at", m.deadline)
	default:
		m.log.Info("profile is not served", "reason", reason)
	}
}

// why is what a person is told of the state.
func (m *member) why() string { return cmp.Or(m.reason, m.rejected) }

// warn logs what should be looked at in the settings, once.
func (m *member) warn(warnings []string) {
	if slices.Equal(warnings, m.warned) {
		return
	}
	m.warned = warnings
	for _, warning := range warnings {
		m.log.Warn("settings should be looked at", "warning", warning)
	}
}

// redact has the log hide the secrets of every worker that lives, and more.
func (m *member) redact(more []string) {
	secrets := slices.Clone(more)
	for _, p := range m.running {
		secrets = append(append(secrets, p.start.Redact...), p.way.secrets()...)
	}
	m.output.redact(secrets)
}

// status describes the member, but for its memory.
func (m *member) status() ProfileStatus {
	status := ProfileStatus{
		Name: string(m.profile.Name), State: m.state, Since: m.since, Reason: m.why(), Start: string(m.mode),
		PID: m.pid(), Generation: m.generations, Port: m.claim.port, URL: m.url(), Keyless: m.keyless,
		Restarts: m.restarts, LastExit: m.lastExit,
	}
	if p := m.serving(); p != nil && p.walls.Level != "" {
		walls := p.walls
		status.Walls = &walls
	}
	if p := m.shownProcess(); p != nil && p.outer() != status.PID {
		status.shim = p.outer()
	}
	m.measured(&status)
	status.Outdated = m.current != nil && !m.current.outdated.IsZero()
	if m.phase == phaseWaiting {
		status.Retry = m.deadline
	}
	for _, g := range m.processes() {
		status.Busy += g.turns
		status.Jobs += g.jobs
	}
	for _, g := range m.retiring {
		p := m.running[g]
		if p == nil || p.pid() == status.PID {
			continue // it is the one that status is about
		}
		status.Retiring = append(status.Retiring, Retiring{
			PID: p.pid(), Generation: g.number, Since: g.since, Until: g.deadline, Busy: g.turns, Jobs: g.jobs,
		})
	}
	return status
}

// logLimits bound the log of a profile's workers.
type logLimits struct {
	size  int64 // of a file, in bytes
	files int
	rate  int // bytes in a second
}

// workerLog is the log of a profile's workers.
func workerLog(p profiles.Profile, l logLimits) *LogFile {
	return NewLogFile(p.Dir, filepath.Join(filepath.Base(p.Logs()), "worker.log"), l.size, l.files)
}
