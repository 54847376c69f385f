package supervisor

import (
	"errors"
	"fmt"
	"time"

	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox"
)

const (
	// innerLimit is how long a shim may take to start its worker.
	innerLimit = 10 * time.Second
	// innerPause is the time between two looks for it.
	innerPause = 300 * time.Microsecond
)

// shimmed reports whether a worker of that room has a shim, which is what was started.
func (b *blank) shimmed() bool { return b.room.Spaces() }

// walled reports whether a profile wants a wall around its worker. Without one around
// commands there is none: a command is a child of the worker then.
func walled(i handoff.Isolation) bool { return i.Worker != "off" && i.Tools != "off" }

// settle waits until the shim has started the worker, and sees to it that both are in
// their group. A worker that belongs to nobody has started nothing. A spare has that
// behind it when it is taken: with cgroups of version 1 it takes the kernel some
// milliseconds.
func (b *blank) settle() {
	if !b.shimmed() || b.inner.Load() != 0 {
		return
	}
	shim := b.cmd.Process.Pid
	for deadline := time.Now().Add(innerLimit); ; <-time.After(innerPause) {
		pid, err := sandbox.FirstChild(shim)
		if err == nil && pid != 0 {
			b.inner.Store(int64(pid))
			break
		}
		if err != nil || time.Now().After(deadline) {
			return // its end says more
		}
	}
	if err := b.group.AdmitMissing(int(b.inner.Load())); err != nil {
		b.unheld = errors.Join(b.unheld, fmt.Errorf("the worker is not in its cgroup: %w", err))
	}
}

// become finds the process that the worker will be: a spare, if the profile wants walls
// as those have, or a new one.
func (p *process) become() (*blank, error) {
	wants := walled(p.start.Isolation) || p.rooms == nil
	if wants {
		if b := p.spares.take(); b != nil {
			p.spare = true
			return b, nil
		}
	}
	return p.maker.blank(wants, p.user)
}

// outer is the process that was started: the shim of a worker that has one.
func (p *process) outer() int {
	if p.foster != nil {
		return p.foster.pid
	}
	return p.cmd.Process.Pid
}

// pid is the worker, or its shim as long as nothing else is known.
func (p *process) pid() int {
	if !p.shimmed() {
		return p.outer()
	}
	if inner := int(p.inner.Load()); inner != 0 {
		return inner
	}
	pid, err := sandbox.FirstChild(p.outer())
	if err != nil || pid == 0 {
		return p.outer()
	}
	p.inner.Store(int64(pid))
	return pid
}
