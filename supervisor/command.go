package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hermes/profiles"
)

// The actions that a running gateway can be asked for of one profile.
const (
	// ActionStart starts the worker, also of a profile that is started on demand or
	// by a command only.
	ActionStart = "start"
	// ActionStop finishes what runs and stops, until ActionStart or the next start of
	// the gateway.
	ActionStop = "stop"
	// ActionRestart starts a new worker, and then lets the one before it finish.
	ActionRestart = "restart"
)

// Outcome is what a command has come to for one profile.
type Outcome struct {
	Name       string `json:"name"`
	State      State  `json:"state"`
	PID        int    `json:"pid,omitempty"`
	Generation int    `json:"generation"`
	// Failed says that the profile is not as it should be, and Reason why.
	Failed bool   `json:"failed,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// errUnknown is the error for a profile that the gateway does not serve.
var errUnknown = errors.New("this gateway does not serve it")

// errStopping is the error for a command that comes too late.
var errStopping = errors.New("the gateway is stopping")

// waiter waits for members to get somewhere.
type waiter struct {
	members []*member
	there   func(*member, time.Time) bool
	done    chan []Outcome // has room for the one answer
}

// answer tells those who wait for what is so now.
func (f *fleet) answer() {
	now := time.Now()
	f.waiting = slices.DeleteFunc(f.waiting, func(w *waiter) bool {
		for _, m := range w.members {
			if !w.there(m, now) && !f.stopping {
				return false
			}
		}
		outcomes := make([]Outcome, len(w.members))
		for i, m := range w.members {
			outcomes[i] = m.outcomeOf()
		}
		w.done <- outcomes
		return true
	})
}

// outcomeOf is what a command is told of the member.
func (m *member) outcomeOf() Outcome {
	failed := m.state == StateBackoff || m.state == StateBadConfig || m.state == StateBlocked || m.state == StateReady && m.why() != ""
	return Outcome{
		Name: string(m.profile.Name), State: m.state, PID: m.pid(), Generation: m.generations, Failed: failed, Reason: m.why(),
	}
}

// inEffect reports whether a member is as its settings say, or as near to that as
// it comes for now.
func inEffect(m *member, now time.Time) bool {
	p := m.serving()
	return m.settled(now) && (p == nil || p.applied == p.revision)
}

// ask has begin run in the loop and waits for its waiter; nil means that there is
// nothing to wait for.
func (f *fleet) ask(ctx context.Context, begin func() (*waiter, error)) ([]Outcome, error) {
	begun := make(chan error, 1)
	var w *waiter
	asked := f.post(func() {
		var err error
		if f.stopping {
			err = errStopping
		} else if f.upgrading {
			err = errUpgrading
		} else if w, err = begin(); err == nil {
			w.done = make(chan []Outcome, 1)
			f.waiting = append(f.waiting, w)
		}
		begun <- err
	})
	if !asked {
		return nil, errStopping
	}
	if err := <-begun; err != nil {
		return nil, err
	}
	select {
	case outcomes := <-w.done:
		if outcomes == nil {
			return nil, errUpgrading
		}
		return outcomes, nil
	case <-f.done:
		return nil, errStopping
	case <-ctx.Done():
		f.post(func() { f.waiting = slices.DeleteFunc(f.waiting, func(other *waiter) bool { return other == w }) })
		return nil, fmt.Errorf("wait for the profiles: %w", context.Cause(ctx))
	}
}

// reload looks at the home at once and waits until every profile is as its
// settings say, or has failed to become so. What had failed before is tried again.
func (f *fleet) reload(ctx context.Context) ([]Outcome, error) {
	listed := make(chan []profiles.Profile, 1)
	if !f.post(func() { listed <- f.known() }) {
		return nil, errStopping
	}
	sights, _ := f.watcher.glance(<-listed)
	return f.ask(ctx, func() (*waiter, error) {
		now := time.Now()
		f.saw(sights)
		for _, m := range f.members {
			m.hasten(now)
		}
		return &waiter{members: slices.Clone(f.members), there: func(m *member, now time.Time) bool {
			return inEffect(m, now) || m.gone && m.empty()
		}}, nil
	})
}

// act does one of the actions to a profile. It acts at once, whatever is being
// waited for; without wait it does not wait until that has come to something.
func (f *fleet) act(ctx context.Context, name, action string, now, wait bool) (Outcome, error) {
	outcomes, err := f.ask(ctx, func() (*waiter, error) {
		i := slices.IndexFunc(f.members, func(m *member) bool { return string(m.profile.Name) == name && !m.gone })
		if i < 0 {
			return nil, errUnknown
		}
		m, at := f.members[i], time.Now()
		m.log.Info("command for the profile", "action", action, "now", now)
		there := inEffect
		switch action {
		case ActionStart:
			m.resume(at)
		case ActionStop:
			m.hold(at, now)
			there = func(m *member, _ time.Time) bool { return m.empty() }
		case ActionRestart:
			m.restart(at, now)
		default:
			return nil, fmt.Errorf("%q is none of: %s", action, strings.Join([]string{ActionStart, ActionStop, ActionRestart}, ", "))
		}
		if !wait {
			there = func(*member, time.Time) bool { return true }
		}
		return &waiter{members: []*member{m}, there: there}, nil
	})
	if err != nil {
		return Outcome{}, err
	}
	return outcomes[0], nil
}
