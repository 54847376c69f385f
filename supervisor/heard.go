package supervisor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"hermes/supervisor/handoff"
)

// exitPanic is the exit code of a Go program that panics, or was sent SIGQUIT.
const exitPanic = 2

// heard takes in a message of the process p.
func (f *fleet) heard(m *member, p *process, message handoff.Message) {
	if m.process != p {
		return
	}
	now := time.Now()
	switch message.Kind {
	case handoff.KindReady:
		if m.ready(now); m.state == StateReady {
			f.announce(m)
		}
	case handoff.KindBusy:
		m.busy = message.Busy
		m.beat(now)
	case handoff.KindBeat:
		m.beat(now)
	default: // of a newer worker, or none of its business
	}
}

// announce tells people that a profile is served: in the log always, on the
// gateway's own output once for each address.
func (f *fleet) announce(m *member) {
	m.told = ""
	m.log.Info("worker ready", "pid", m.pid(), "url", m.url(), "generation", m.generation,
		"took", time.Since(m.process.began).Round(time.Millisecond))
	if m.announced == m.url() {
		return
	}
	m.announced = m.url()
	whose := ""
	if f.several {
		whose = fmt.Sprintf(" (%s)", m.profile.Name)
	}
	f.say(fmt.Sprintf("[API Server] API server listening on %s%s\n", m.url(), whose))
	if m.keyless {
		f.say(fmt.Sprintf("[API Server] no key is set: any program on this machine may use it, other machines may not%s\n", whose))
	}
}

// exited takes in the end of the process p.
func (f *fleet) exited(m *member, p *process, exit Exit) {
	if m.process != p {
		return
	}
	now := time.Now()
	wanted, misfit := m.wanted, exit.Code == handoff.ExitConfig
	if wanted && !misfit {
		m.died(exit, m.cause)
	}
	m.process = nil
	if m.cause != "" {
		exit.Reason = m.cause + ", " + exit.Reason
	}
	m.lastExit = &exit
	m.output.note(exit.PID, "worker is gone: "+exit.Reason)
	reason, words := exit.Reason, lastWords(exit.Lines)
	if misfit {
		reason = "its worker refused the settings"
	}
	// After a panic the last words are a stack trace, which says little in a line.
	if words != "" && exit.Code > 0 && exit.Code != exitPanic {
		reason += ": " + words
	}
	m.apply(m.exited(now, reason, misfit))
	switch {
	case !wanted:
		m.log.Info("worker stopped", "pid", exit.PID, "reason", exit.Reason)
	case misfit:
		m.tell()
	default:
		m.log.Warn("worker died", "pid", exit.PID, "reason", reason,
			"restart_in", m.deadline.Sub(now).Round(time.Millisecond), "restarts", m.restarts)
	}
}

// lastWords returns what the worker said last, as text.
func lastWords(lines []string) string {
	for _, line := range slices.Backward(lines) {
		if text := textOf(line); text != "" {
			return text
		}
	}
	return ""
}

// textOf returns the message of a line of a log: its msg and error if it is a
// JSON record, else all of it.
func textOf(line string) string {
	var r struct {
		Message string `json:"msg"`
		Error   string `json:"error"`
	}
	if json.Unmarshal([]byte(line), &r) != nil {
		return strings.TrimSpace(line)
	}
	if r.Error != "" {
		return r.Message + ": " + r.Error
	}
	return r.Message
}
