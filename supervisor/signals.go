package supervisor

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// hangup is what SIGHUP means to a gateway.
type hangup string

const (
	// hangupEnds: the terminal that it was started from is gone. Without its
	// supervisor in sight a worker would go on unseen.
	hangupEnds hangup = "ends"
	// hangupNothing: it was started with nohup, which is to outlive the terminal.
	hangupNothing hangup = "nothing"
	// hangupUpgrades: it has no terminal; a service manager or a person asks it to
	// begin its program anew.
	hangupUpgrades hangup = "upgrades"
)

// hangupHere is what SIGHUP means to this process as it was started.
func hangupHere() hangup {
	tty, err := os.Open("/dev/tty")
	switch {
	case err != nil && !canCarry:
		return hangupEnds
	case err != nil:
		return hangupUpgrades
	}
	_ = tty.Close()
	if signal.Ignored(syscall.SIGHUP) {
		return hangupNothing
	}
	return hangupEnds
}

// signals are those that a gateway listens to.
type signals struct {
	given  <-chan os.Signal
	own    chan os.Signal // nil if they are given
	hangup hangup
	since  time.Time
}

// listen begins to listen to signals.
func (s *Supervisor) listen(h hangup) *signals {
	all := &signals{given: s.opts.Signals, hangup: h, since: time.Now()}
	if all.given == nil {
		all.own = make(chan os.Signal, 4)
		all.given = all.own
		all.quiet(false)
	}
	return all
}

func (s *signals) stop() {
	if s.own != nil {
		signal.Stop(s.own)
	}
}

// quiet says whether SIGHUP is to do nothing, as long as there is nobody to listen:
// it would end the program that is just beginning.
func (s *signals) quiet(on bool) {
	switch {
	case s.own == nil:
	case on && s.hangup == hangupUpgrades:
		signal.Ignore(syscall.SIGHUP)
	case s.hangup == hangupNothing:
		signal.Notify(s.own, syscall.SIGINT, syscall.SIGTERM)
	default:
		signal.Notify(s.own, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	}
}

// pass hands on what signals ask for, until over is closed.
func (s *signals) pass(ctx context.Context, f *fleet, u *upgrader, over <-chan struct{}) {
	hurry := false
	var asked atomic.Bool // by a signal that has come to nothing yet
	gone := ctx.Done()
	for {
		select {
		case sig := <-s.given:
			now := hurry
			switch {
			case sig == syscall.SIGHUP && s.hangup == hangupUpgrades:
				if asked.CompareAndSwap(false, true) {
					u.signalled(context.WithoutCancel(ctx), s.since, func() { asked.Store(false) })
				}
				continue
			case sig == syscall.SIGHUP && now:
				continue // shell and terminal each send one
			case now:
				f.log.Info("gateway stops at once", "signal", sig.String())
			default:
				f.log.Info("gateway stops when running turns are finished; a second signal ends them", "signal", sig.String())
			}
			f.post(func() { f.stop(now) })
			hurry = true
		case <-gone:
			f.post(func() { f.stop(false) })
			gone, hurry = nil, true
		case <-over:
			return
		}
	}
}
