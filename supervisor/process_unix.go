//go:build unix

package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hermes/profiles"
	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox/wall"
)

const (
	// maxOrders is how many messages may wait to be sent to a worker.
	maxOrders = 16
	// sendLimit is how long a worker has to read a message.
	sendLimit = 10 * time.Second
	// sweepLimit is how long the killing of what a dead worker left behind may take.
	sweepLimit = 10 * time.Second
	// outputLimit is how long the log waits, after a worker and everything that it
	// started have died, for the end of its output. Only a process that got away
	// could still hold the pipe.
	outputLimit = time.Second
)

// spawn is everything that the worker of a profile is started from.
type spawn struct {
	maker
	spares   *spares // nil: there are none
	listener *net.TCPListener
	lock     *profiles.Lock
	start    handoff.Start
	output   *output
	user     wall.Identity // as whom it runs in namespaces, nobody: whoever is next
	way      *way          // to the outside; nil: the worker dials by itself
	egress   *os.File      // the worker's end of it, which goes with the start message
}

// process is a running worker.
type process struct {
	spawn
	*blank
	spare bool // it was one
	// given goes with the start message, and is closed when that has been sent.
	given handoff.Belongings

	mu      sync.Mutex // guards orders, writing, paused and over
	orders  []handoff.Message
	writing bool // write runs; there is no goroutine for a worker that is told nothing
	paused  bool // orders wait for whoever goes on
	over    bool // the process is dead
	writer  sync.WaitGroup
	// Revision is the last of the settings that were sent after the start, applied
	// the last that the worker has taken over. Both belong to the loop, and so does
	// spawn.start, once the start message has been sent.
	revision, applied int
	// walls is what the worker has found around its commands; no level before that. It
	// belongs to the loop.
	walls handoff.Walls
	// later is an order that a timer sends; it belongs to the loop.
	later *laterOrder

	flows  sync.WaitGroup // what flow has begun
	copied chan struct{}  // closed when the output is not read any more
	begun  []byte         // of a line of the output; to be read when copied is closed

	// binary is the sum of the program that the worker runs, and schema the version of
	// the tables that it knows; empty and 0 are those of this process.
	binary string
	schema int
	foster *foster // set if another gateway has started it

	short  bool  // somebody in the group was killed for its memory; known once it is disbanded
	unsent error // why the worker was not told what it needs to know; read after write has returned
}

// laterOrder is an order that waits for its time.
type laterOrder struct {
	timer   *time.Timer
	message handoff.Message
}

// startProcess starts a worker. The caller calls flow next, and await, and end.
func startProcess(s spawn) (*process, error) {
	p := &process{spawn: s}
	if err := p.belong(); err != nil {
		return p, err
	}
	b, err := p.become()
	if err != nil {
		p.given.Close()
		return p, err
	}
	b.settle()
	p.blank = b
	p.start.Isolation.Room = string(b.room)
	if err := p.lend(); err != nil {
		p.unsent = err
		p.kill() // it is of no use to anybody
	}
	resources := p.hold()
	if err := s.lock.SetWorker(p.outer()); err != nil { // a child of this process: so it is known whose the lock is
		p.output.note(p.pid(), err.Error())
	}
	start := p.start // what was told may change, what is being sent must not
	start.Resources = resources
	p.send(handoff.StartMessage(&start))
	return p, nil
}

// belong copies what is given to the worker: the loop may give up its own before the
// start message is sent.
func (p *process) belong() error {
	lock, err := duplicate(p.lock.File(), "lock")
	if err != nil {
		handoff.Belongings{Egress: p.egress}.Close()
		return fmt.Errorf("pass lock: %w", err)
	}
	listener, err := duplicate(p.listener, "listener")
	if err != nil {
		handoff.Belongings{Egress: p.egress, Lock: lock}.Close()
		return fmt.Errorf("pass listener: %w", err)
	}
	p.given = handoff.Belongings{Lock: lock, Listener: listener, Egress: p.egress}
	return nil
}

// send has m sent to the worker, without waiting for it, and reports whether there
// was room for it: a worker that reads none of its orders is killed soon.
func (p *process) send(m handoff.Message) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return true
	}
	if len(p.orders) == maxOrders {
		return false
	}
	p.orders = append(p.orders, m)
	p.begin()
	return true
}

// begin has the orders that wait be sent. The caller holds mu.
func (p *process) begin() {
	if len(p.orders) > 0 && !p.writing && !p.paused {
		p.writing = true
		p.writer.Go(p.write)
	}
}

// dump makes a worker print its goroutines, and end.
func (p *process) dump() { // it may be dead already
	if p.foster != nil {
		_ = p.foster.signal(syscall.SIGQUIT)
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGQUIT)
}

// kill ends the worker and its process group.
func (p *process) kill() { // it may be dead already
	if p.foster != nil {
		_ = p.foster.signal(syscall.SIGKILL) // the rest of its group is ended when it is dead
		return
	}
	_ = p.children.Signal(p.cmd, syscall.SIGKILL)
}

// flow hands the worker its orders and its output to the log, and calls heard for
// each of its messages, until pause or the end of the worker.
func (p *process) flow(heard func(handoff.Message)) {
	p.mu.Lock()
	p.paused = false
	p.begin()
	p.mu.Unlock()
	p.flows.Go(func() { p.read(heard) })
	p.copied = make(chan struct{})
	go func() {
		defer close(p.copied)
		begun := bytes.NewReader(p.begun)
		p.begun = p.output.copy(io.MultiReader(begun, p.stdout), p.pid())
	}()
}

// pause ends what flow has begun, with nothing lost: what is under way is finished,
// or waits for whoever goes on.
func (p *process) pause() {
	p.mu.Lock()
	p.paused = true
	p.mu.Unlock()
	p.link.Pause()
	_ = p.stdout.SetReadDeadline(time.Unix(1, 0)) // cannot fail on a pipe of ours
	<-p.copied
	p.writer.Wait()
	p.flows.Wait()
}

// resume goes on after a pause.
func (p *process) resume(heard func(handoff.Message)) {
	p.link.Resume()
	_ = p.stdout.SetReadDeadline(time.Time{})
	p.flow(heard)
}

// await returns when the worker is dead. It has not been waited for then.
func (p *process) await() {
	if p.foster != nil {
		p.foster.await()
		return
	}
	p.children.Await(p.cmd)
}

// end returns how a dead worker ended once nothing that it started is left.
func (p *process) end(ctx context.Context) Exit {
	var waitErr error
	if p.foster == nil {
		waitErr = p.children.Wait(p.cmd) // kills the rest of the group
	}
	sweepErr := errors.Join(p.sweep(ctx), p.disband())
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	_ = p.stdout.SetReadDeadline(time.Now().Add(outputLimit)) // cannot fail on a pipe of ours
	<-p.copied
	if len(p.begun) > 0 {
		p.output.line(p.begun, p.pid(), false)
	}
	p.close() // ends what still writes or reads
	p.way.close()
	p.writer.Wait()
	p.given.Close() // if nobody was there to take it
	p.flows.Wait()
	return p.exit(waitErr, sweepErr)
}

// sweep ends what the worker started and its group did not hold.
func (p *process) sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sweepLimit)
	defer cancel()
	if p.foster != nil {
		defer p.foster.close()
		return p.foster.sweep(ctx)
	}
	return p.children.Sweep(ctx, nil)
}

// exit describes the end of the worker.
func (p *process) exit(waitErr, sweepErr error) Exit {
	exit := Exit{At: time.Now(), PID: p.pid(), Code: -1, Lines: p.output.lines()}
	status, ok := syscall.WaitStatus(0), false
	if p.foster == nil && p.cmd.ProcessState != nil {
		status, ok = p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	}
	switch {
	case p.foster != nil:
		exit.Reason = "ended, nobody knows how: another gateway had started it"
	case !ok:
		exit.Reason = fmt.Sprintf("lost: %v", waitErr)
	case status.Signaled():
		exit.Signal = unix.SignalName(status.Signal())
		exit.Reason = "killed by " + exit.Signal
	case p.shimmed() && status.ExitStatus() > 128: // a shim tells how its worker ended
		exit.Signal = unix.SignalName(syscall.Signal(status.ExitStatus() - 128))
		exit.Reason = "killed by " + exit.Signal
	default:
		exit.Code = status.ExitStatus()
		exit.Reason = fmt.Sprintf("ended with exit code %d", exit.Code)
	}
	p.judgeMemory(&exit)
	if p.unsent != nil {
		exit.Reason = fmt.Sprintf("was not told its settings: %v, %s", p.unsent, exit.Reason)
	}
	if sweepErr != nil {
		exit.Reason += fmt.Sprintf("; something that it started may still run: %v", sweepErr)
	}
	return exit
}

// write sends the orders that wait, until there are none or the process does not
// take them: after that nothing is sent any more. A worker that cannot be told its
// settings would wait for them in vain, and is killed.
func (p *process) write() {
	for {
		p.mu.Lock()
		if len(p.orders) == 0 || p.over || p.paused {
			p.writing = false
			p.mu.Unlock()
			return
		}
		m := p.orders[0]
		p.orders = p.orders[1:]
		p.mu.Unlock()
		if err := p.deliver(m); err != nil {
			return // its death or its silence says more
		}
	}
}

// deliver sends one order.
func (p *process) deliver(m handoff.Message) error {
	if m.Kind != handoff.KindStart {
		return p.link.Send(m, sendLimit)
	}
	err := p.link.Give(m, p.given, sendLimit)
	p.given.Close()
	if err != nil {
		p.unsent = err
		p.kill()
	}
	return err
}

// read passes messages on until the worker closes its end. A worker that sends
// what is no message is not heard any more, and killed for its silence.
func (p *process) read(heard func(handoff.Message)) {
	for {
		m, err := p.link.Receive()
		if err != nil {
			return
		}
		heard(m)
	}
}
