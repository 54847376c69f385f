package supervisor

import (
	"log/slog"
	"net"
	"path/filepath"
	"slices"

	"hermes/configs"
	"hermes/profiles"
	"hermes/supervisor/handoff"
)

// member is one profile of a fleet: its state machine, and what the supervisor
// holds for it. It belongs to the reconcile loop.
type member struct {
	*service
	profile profiles.Profile
	log     *slog.Logger
	output  *output
	first   *settings // read before the loop began, used by the first try

	claim    claim // the address that the settings ask for
	claimed  bool  // it is ours to bind: no other member may have it
	bound    claim // what listener was bound for
	listener *net.TCPListener
	lock     *profiles.Lock

	process  *process
	keyless  bool
	lastExit *Exit
	deaths   map[string]int // that nobody asked for, by their kind
	gone     bool           // the profile's directory does not exist any more

	// What has been said already, so as not to say it again.
	announced string   // where the profile is served
	told      string   // why it is not
	warned    []string // what should be looked at
	stale     bool     // that its settings have changed
}

// settings are what was read for a try, or why that was not possible.
type settings struct {
	loaded configs.Loaded
	err    error
	print  fingerprint
}

// pid returns the worker's process id, or 0.
func (m *member) pid() int {
	if m.process == nil {
		return 0
	}
	return m.process.pid()
}

// url is where clients find the profile, or empty while nothing listens there.
func (m *member) url() string {
	if m.listener == nil {
		return ""
	}
	return "http://" + m.listener.Addr().String()
}

// apply does what the service ordered.
func (m *member) apply(o order) {
	switch o {
	case orderNone:
	case orderDrain:
		m.log.Info("worker drains", "pid", m.pid(), "turns", m.busy)
		m.closeListener()
		m.process.send(handoff.Message{Kind: handoff.KindDrain})
	case orderStop:
		m.closeListener()
		m.process.send(handoff.Message{Kind: handoff.KindStop})
	case orderDump:
		m.log.Warn("worker hangs; its goroutines go to its log before it is killed", "pid", m.pid(), "reason", m.cause)
		m.process.dump()
	case orderKill:
		m.log.Warn("worker is killed", "pid", m.pid(), "reason", m.cause)
		m.process.kill()
	case orderRelease:
		m.closeListener()
		m.claimed = false
		if m.lock != nil {
			if err := m.lock.Release(); err != nil {
				m.log.Warn("profile lock not released", "error", err)
			}
			m.lock = nil
		}
	}
}

func (m *member) closeListener() {
	if m.listener == nil {
		return
	}
	if err := m.listener.Close(); err != nil {
		m.log.Warn("listener not closed", "error", err)
	}
	m.listener = nil
}

// tell logs why the profile is not served, once for each reason.
func (m *member) tell() {
	if m.reason == "" || m.reason == m.told {
		return
	}
	m.told = m.reason
	switch m.state {
	case StateStopped:
		m.log.Info("profile is not served", "reason", m.reason)
	case StateBadConfig:
		m.log.Error("profile is not served before its settings change", "reason", m.reason)
	default:
		m.log.Warn("profile is not served yet", "reason", m.reason, "retry_at", m.deadline)
	}
}

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

// status describes the member, but for its memory.
func (m *member) status() ProfileStatus {
	status := ProfileStatus{
		Name: string(m.profile.Name), State: m.state, Since: m.since, Reason: m.reason,
		PID: m.pid(), Generation: m.generation, Port: m.claim.port, URL: m.url(), Keyless: m.keyless,
		Restarts: m.restarts, LastExit: m.lastExit, Busy: m.busy,
	}
	m.measured(&status)
	if m.state == StateBackoff || m.state == StateBlocked {
		status.Retry = m.deadline
	}
	if m.state == StateReady && m.reason == "" && m.changed() {
		status.Reason = "settings have changed since the start; restart the gateway to use them"
	}
	return status
}

// workerLog is the log of a profile's workers.
func workerLog(p profiles.Profile) *LogFile {
	return NewLogFile(p.Dir, filepath.Join(filepath.Base(p.Logs()), "worker.log"))
}
