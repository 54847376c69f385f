package supervisor

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"hermes/supervisor/confine"
)

// held is what a gateway has for as long as it runs, whatever program it is.
type held struct {
	lease  *lease
	socket net.Listener
	began  time.Time
	image  int // counts the programs
	hangup hangup
	sum    string // of this program, if it is known
}

func (h *held) release() error {
	if h.lease == nil {
		return nil
	}
	return h.lease.release()
}

// hold makes the members of f, and all that the gateway has. What it returns is to
// be released whatever the error.
func (s *Supervisor) hold(ctx context.Context, f *fleet) (*held, error) {
	if t := s.opts.Takeover; t != nil {
		return s.takeOver(f, t)
	}
	h := &held{began: time.Now(), image: 1, hangup: hangupHere()}
	f.maker.confiner = confine.Find(confine.Mechanism(s.opts.Limits))
	err := s.gather(ctx, f)
	if err == nil {
		h.lease, err = s.lease(ctx)
	}
	if err == nil {
		f.outside.remember(s.usedFile())
		s.takeIn(ctx, f)
		err = s.lock(f)
	}
	if err == nil {
		err = s.apart(f)
	}
	if err == nil {
		h.socket, err = openSocket(ctx, s.opts.Home.Dir(), s.name())
	}
	if err != nil {
		f.release()
		f.neighbours.release()
		f.maker.confiner.Close()
	}
	return h, err
}

// takeIn takes over the workers that a gateway has left which was killed.
func (s *Supervisor) takeIn(ctx context.Context, f *fleet) {
	for _, o := range f.seek(ctx) {
		m, _, _, err := f.adopt(o, time.Now())
		if err != nil {
			f.log.Warn("a worker of the former gateway is not taken over; it leaves by itself", "error", err)
			continue
		}
		f.announce(m)
	}
}

// takeOver goes on with what the program before this one had.
func (s *Supervisor) takeOver(f *fleet, t *Takeover) (*held, error) {
	h := &held{began: t.state.Began, image: t.state.Image + 1, hangup: t.state.Hangup, sum: t.state.Binary}
	if t.state.PID != os.Getpid() {
		return h, errors.New("the state of the gateway is that of another process")
	}
	f.maker.confiner = confine.Resume(t.state.Confine)
	f.manager.again = t.state.Ready
	var err error
	if h.lease, err = t.lease(); err != nil {
		return &held{}, err
	}
	if h.socket, err = t.socket(); err != nil {
		return h, err
	}
	if err := f.outside.takeOver(t.state.Outlets, t.state.Used); err != nil {
		return h, err
	}
	f.outside.remember(s.usedFile())
	if err := t.members(s, f); err != nil {
		return h, err
	}
	f.outside.drainOld()
	f.log.Info("gateway is another program now, and goes on", "version", s.opts.Version, "before", t.state.From, "workers", f.busy())
	return h, nil
}

// upgrader makes what upgrades this gateway.
func (s *Supervisor) upgrader(f *fleet, h *held, words *teller, signals *signals) *upgrader {
	u := &upgrader{
		s: s, f: f, exec: s.exec, lease: h.lease, socket: h.socket, calls: &calls{}, words: words, quiet: signals.quiet, sum: h.sum,
		carry: carried{
			Version: CarryVersion, PID: os.Getpid(), Home: s.opts.Home.Dir(), From: s.opts.Version, Schema: s.opts.Schema,
			Image: h.image, Began: h.began, Hangup: h.hangup,
		},
	}
	for _, name := range s.opts.Profiles {
		u.carry.Profiles = append(u.carry.Profiles, string(name))
	}
	return u
}

// asked begins an upgrade for somebody who wants to know at once whether it can be.
func (u *upgrader) asked(ctx context.Context, binary string) (status UpgradeStatus, perform func(), err error) {
	status, p, err := u.begin(ctx, binary)
	if err != nil {
		return status, nil, err
	}
	u.f.log.Info("gateway becomes another program", "binary", status.Binary, "version", p.Version)
	return status, func() { u.f.work.Go(func() { u.perform(context.WithoutCancel(ctx)) }) }, nil
}

// signalled upgrades because a signal asks for it, and calls done if that comes to
// nothing.
func (u *upgrader) signalled(ctx context.Context, since time.Time, done func()) {
	u.f.work.Go(func() {
		defer done()
		timer := time.NewTimer(time.Until(since.Add(stormPause)))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-u.f.done:
			return
		}
		if _, _, err := u.asked(ctx, ""); err == nil {
			u.perform(ctx)
		}
	})
}
