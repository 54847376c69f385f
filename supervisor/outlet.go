package supervisor

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"hermes/supervisor/egress"
)

// outlet is one generation of the egress process.
type outlet struct {
	cmd     *exec.Cmd
	control *egress.Control
	stdout  *os.File // the reading end
	began   time.Time

	flows sync.WaitGroup
	rest  []byte // begun line of the audit; to be read when flows has ended

	mu     sync.Mutex // guards the rest
	orders []outletOrder
	busy   bool // a goroutine sends
	over   bool
}

// outletOrder is one that waits to be sent.
type outletOrder struct {
	egress.Order

	file *os.File
}

func newOutlet(cmd *exec.Cmd, control *egress.Control, stdout *os.File) *outlet {
	return &outlet{cmd: cmd, control: control, stdout: stdout, began: time.Now()}
}

// order has an order sent, without waiting for it.
func (p *outlet) order(o egress.Order, file *os.File) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.orders = append(p.orders, outletOrder{o, file})
	if !p.busy {
		p.busy = true
		p.flows.Go(p.send)
	}
}

// send sends the orders that wait. A process that does not take one is ended, and
// the next is told all anew.
func (p *outlet) send() {
	for {
		p.mu.Lock()
		if len(p.orders) == 0 || p.over {
			p.busy = false
			p.mu.Unlock()
			return
		}
		o := p.orders[0]
		p.orders = p.orders[1:]
		p.mu.Unlock()
		err := p.control.Send(o.Order, o.file, orderLimit)
		if err != nil && (o.file == nil || !errors.Is(err, os.ErrClosed)) { // else the worker has gone meanwhile
			_ = p.cmd.Process.Signal(syscall.SIGKILL) // it may be dead already
			p.mu.Lock()
			p.over = true
			p.mu.Unlock()
			return
		}
	}
}

// flow reads what the process writes and tells, until pause or its end.
func (p *outlet) flow(out *output, heard func(egress.Order)) {
	p.flows.Go(func() { p.rest = out.copy(io.MultiReader(bytes.NewReader(p.rest), p.stdout), p.cmd.Process.Pid) })
	p.flows.Go(func() {
		for {
			o, file, err := p.control.Receive()
			if file != nil {
				_ = file.Close()
			}
			if err != nil {
				return
			}
			heard(o)
		}
	})
}

// close gives up what is held of a dead process.
func (p *outlet) close() {
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	_ = p.stdout.SetReadDeadline(time.Now().Add(outputLimit))
	_ = p.control.Close()
	p.flows.Wait()
	_ = p.stdout.Close()
}
