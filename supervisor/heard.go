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

// heard takes in a message of a worker.
func (f *fleet) heard(m *member, g *generation, p *process, message handoff.Message) {
	if m.running[g] != p {
		return
	}
	now := time.Now()
	switch message.Kind {
	case handoff.KindReady:
		before := m.current
		m.ready(g, now)
		if m.current != before {
			m.arrive()
			m.good = m.trial
			f.announce(m)
			m.log.Info("worker ready", "pid", p.pid(), "url", m.url(), "generation", g.number,
				"took", time.Since(p.began).Round(time.Millisecond))
			f.judge(m, p.walls) // which it may have told before
		}
	case handoff.KindBusy:
		g.load(now, message.Busy, message.Jobs)
	case handoff.KindBeat:
		g.beat(now)
	case handoff.KindClosed:
		g.closed = true
	case handoff.KindWalls:
		f.walled(m, g, p, *message.Walls)
	case handoff.KindApplied:
		p.applied = message.Revision
	default: // of a newer worker, or none of its business
	}
}

// announce tells people where a profile listens, once for each address.
func (f *fleet) announce(m *member) {
	m.told = ""
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

// exited takes in the end of a worker.
func (f *fleet) exited(m *member, g *generation, exit Exit) {
	if m.running[g] == nil {
		return
	}
	now := time.Now()
	if p := m.running[g]; p.spare && g == m.next && g.ending == endingNone && exit.Signal == "SIGKILL" && exit.Cause == "" {
		f.missed(m, g, exit, now)
		return
	}
	retired, trial, misfit := g.stage == stageRetiring, g == m.next, exit.Code == handoff.ExitConfig
	if !retired && !misfit {
		m.died(exit, g.cause)
	}
	m.left(g, exit, now)
	delete(m.running, g)
	if g.cause != "" {
		exit.Reason = g.cause + ", " + exit.Reason
	}
	m.lastExit = &exit
	m.output.note(exit.PID, "worker is gone: "+exit.Reason)
	reason, words := exit.Reason, lastWords(exit.Lines)
	if misfit {
		reason = "its worker refused the settings"
		m.refused = m.loaded
	}
	// After a panic the last words are a stack trace, which says little in a line.
	if words != "" && exit.Code > 0 && exit.Code != exitPanic {
		reason += ": " + words
	}
	m.exited(g, now, reason, misfit)
	if trial {
		m.abandon()
	}
	switch {
	case retired:
		m.log.Info("worker stopped", "pid", exit.PID, "reason", exit.Reason)
	case misfit, m.current != nil:
		m.tell()
	default:
		m.log.Warn("worker died", "pid", exit.PID, "reason", reason,
			"restart_in", max(m.deadline.Sub(now), 0).Round(time.Millisecond), "restarts", m.restarts)
	}
}

// missed takes in the end of a spare that was killed before it served: it was dead,
// or dying, when it was given the profile. Nobody is to wait for that.
func (f *fleet) missed(m *member, g *generation, exit Exit, now time.Time) {
	delete(m.running, g)
	m.log.Warn("spare worker died as it was taken; another one is started", "pid", exit.PID)
	m.missed(now)
	m.abandon()
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
