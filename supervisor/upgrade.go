package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"hermes/supervisor/handoff"
)

const (
	// calmLimit is how long an upgrade waits for what is just being begun.
	calmLimit = 15 * time.Second
	// callsLimit is how long it waits for commands that wait for something.
	callsLimit = 2 * time.Second
	// flushLimit is how long it waits for what is to be written.
	flushLimit = time.Second
	// stormPause is how long after a change of programs signals that ask for another
	// one wait, so that a hundred of them come to two changes.
	stormPause = time.Second
)

// errUpgrading is the error for a command that an upgrade comes between.
var errUpgrading = errors.New("the gateway is just being upgraded; what was asked for goes on, and shows in: hermes gateway status")

// execFunc is syscall.Exec: it returns only an error.
type execFunc func(exe string, argv, environ []string) error

// UpgradeStatus is how the last upgrade stands that this program was asked for.
type UpgradeStatus struct {
	// Attempt counts them.
	Attempt int       `json:"attempt"`
	At      time.Time `json:"at"`
	Binary  string    `json:"binary"`
	Running bool      `json:"running"`
	Error   string    `json:"error,omitempty"`
}

// upgrader makes this process another program that goes on with everything: same
// pid, same children, same descriptors.
type upgrader struct {
	s      *Supervisor
	f      *fleet
	exec   execFunc
	lease  *lease
	socket net.Listener
	calls  *calls
	words  *teller
	quiet  func(on bool) // says whether SIGHUP is to do nothing
	carry  carried       // what does not change

	mu   sync.Mutex // guards last and sum
	last UpgradeStatus
	sum  string // of this program, empty until it was asked for
}

// status is how the last upgrade stands, nil without any.
func (u *upgrader) status() *UpgradeStatus {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last.Attempt == 0 {
		return nil
	}
	last := u.last
	return &last
}

// claim begins an attempt, unless one is under way.
func (u *upgrader) claim(binary string) (UpgradeStatus, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last.Running {
		return UpgradeStatus{}, errors.New("an upgrade is under way already; wait for its end")
	}
	u.last = UpgradeStatus{Attempt: u.last.Attempt + 1, At: time.Now(), Binary: binary, Running: true}
	return u.last, nil
}

// over ends an attempt that has come to nothing.
func (u *upgrader) over(err error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last.Running = false
	if err != nil {
		u.last.Error = err.Error()
	}
	return err
}

// begin looks whether the gateway can become a program, the one that it was started
// from if binary is empty. If it can, it does so in a moment: go on with perform.
func (u *upgrader) begin(ctx context.Context, binary string) (status UpgradeStatus, p Program, err error) {
	if binary == "" {
		binary = u.s.opts.Binary
	}
	status, err = u.claim(binary)
	if err != nil {
		return status, p, err
	}
	switch {
	case !canCarry:
		err = errors.New("on this system a gateway cannot be upgraded while it runs; stop it and start it again")
	case !filepath.IsAbs(binary):
		err = fmt.Errorf("%q is no absolute path of a program", binary)
	default:
		p, err = probe(ctx, u.s.children, binary, u.s.opts.Environ)
	}
	if err != nil {
		u.f.log.Warn("upgrade is refused; the gateway goes on as it is", "reason", err)
		return status, p, u.over(err)
	}
	return status, p, nil
}

// perform becomes the program of the attempt that begin has begun. It returns only
// if that went wrong, and everything goes on then.
func (u *upgrader) perform(ctx context.Context) {
	err := u.try(ctx, u.status().Binary)
	u.f.post(func() { u.f.upgrading = false })
	if err != nil {
		u.f.log.Error("upgrade went wrong; the gateway goes on as it is", "error", err)
	}
	_ = u.over(err) // status tells
}

// try is perform without what an error entails.
func (u *upgrader) try(ctx context.Context, binary string) error {
	next := u.carry
	var err error
	if next.Before, err = u.ownSum(); err != nil {
		return fmt.Errorf("read this program: %w", err)
	}
	if next.Binary, err = sumOf(binary); err != nil {
		return fmt.Errorf("read the new program: %w", err)
	}
	if err := u.calm(ctx); err != nil {
		return err
	}
	u.f.spares.empty(false) // they are this program; the next one makes its own
	u.f.ends.Lock()
	defer u.f.ends.Unlock()
	resume, err := u.pause()
	if err != nil {
		return err
	}
	defer resume()
	u.f.events.cut() // who follows them comes again, and misses none
	u.calls.await(callsLimit)
	u.words.flush(flushLimit)
	failed := make(chan error, 1)
	if !u.f.post(func() { failed <- u.leap(binary, next) }) {
		return errStopping
	}
	return <-failed
}

func (u *upgrader) ownSum() (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	var err error
	if u.sum == "" {
		u.sum, err = ownSum(u.s.opts.Exe)
	}
	return u.sum, err
}

// calm keeps anything from being begun, and waits until what has been begun is
// there or not.
func (u *upgrader) calm(ctx context.Context) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	began := time.Now()
	for {
		busy := make(chan string, 1)
		if !u.f.post(func() {
			u.f.upgrading = true
			busy <- u.f.beginning(time.Since(began) > callsLimit)
		}) {
			return errStopping
		}
		name := <-busy
		switch {
		case name == "":
			return nil
		case time.Since(began) > calmLimit:
			return fmt.Errorf("%s is not done within %v; try again", name, calmLimit)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// beginning names something that an upgrade has to wait for, or is empty. With
// impatient it does not wait for commands, and tells them so.
func (f *fleet) beginning(impatient bool) string {
	for _, m := range f.members {
		if m.phase == phaseReading || m.phase == phaseLaunching {
			return "the start of profile " + string(m.profile.Name)
		}
	}
	if f.stocking {
		return "the start of a spare worker"
	}
	if impatient {
		for _, w := range f.waiting {
			w.done <- nil
		}
		f.waiting = nil
	}
	if len(f.waiting) > 0 {
		return "a command"
	}
	return ""
}

// pause has every worker's messages and output wait, and returns what has them go
// on.
func (u *upgrader) pause() (resume func(), err error) {
	type flowing struct {
		process *process
		hears   func(handoff.Message)
	}
	listed := make(chan []flowing, 1)
	var outputs []*output
	if !u.f.post(func() {
		var all []flowing
		for _, m := range u.f.members {
			outputs = append(outputs, m.output)
			for g, p := range m.running {
				all = append(all, flowing{p, u.f.hears(m, g, p)})
			}
		}
		listed <- all
	}) {
		return nil, errStopping
	}
	all := <-listed
	var wg sync.WaitGroup
	for _, w := range all {
		wg.Go(w.process.pause)
	}
	resumeOutside := u.f.outside.pause()
	wg.Wait()
	for _, o := range outputs {
		wg.Go(func() { o.flush(flushLimit) })
	}
	wg.Wait()
	return func() {
		resumeOutside()
		for _, w := range all {
			w.process.resume(w.hears)
		}
	}, nil
}

// leap packs everything and becomes the program. It runs in the loop, so that
// nothing changes meanwhile.
func (u *upgrader) leap(binary string, next carried) error {
	if u.f.stopping {
		return errStopping
	}
	pack := packer{now: time.Now(), before: next, kept: &keptFDs{}}
	defer pack.kept.close()
	next.Lease, next.Socket = pack.keep(u.lease.file), pack.keep(asConn(u.socket))
	next.Confine = u.f.maker.confiner.State()
	next.Ready, next.Events = u.f.manager.ready, u.f.events.kept()
	for _, m := range u.f.members {
		next.Members = append(next.Members, pack.member(m))
	}
	next.Outlets, next.Used = pack.outside(u.f.outside)
	defer u.unpack(next)
	if pack.failed != nil {
		return pack.failed
	}
	data, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("write down the state: %w", err)
	}
	fd, err := pack.kept.addData(data)
	if err != nil {
		return fmt.Errorf("write down the state: %w", err)
	}
	environ := append(withoutCarry(u.s.opts.Environ), carryVariable+"="+strconv.Itoa(fd))
	argv := append([]string{binary}, os.Args[1:]...)
	u.f.manager.reloading()
	u.quiet(true)
	defer u.quiet(false)
	return fmt.Errorf("become %s: %w", binary, pack.kept.replace(u.exec, binary, argv, environ))
}

// unpack has go on what the packing has stopped.
func (u *upgrader) unpack(c carried) {
	for i, m := range c.Members {
		for g, p := range u.f.members[i].running {
			at := slices.IndexFunc(m.Processes, func(c carriedProcess) bool { return c.Number == g.number })
			if at >= 0 {
				p.unpack(&m.Processes[at])
			}
		}
	}
}

// withoutCarry is an environment without the variable that an upgrade adds.
func withoutCarry(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(v string) bool { return strings.HasPrefix(v, carryVariable+"=") })
}
