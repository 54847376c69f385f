package supervisor

import (
	"maps"
	"os"
	"slices"
	"time"

	"hermes/supervisor/egress"
)

// living are the generations of the process that have not ended. The caller holds
// mu.
func (o *outside) living() []*outlet {
	all := slices.Collect(maps.Keys(o.leaving))
	if o.current != nil {
		all = append(all, o.current)
	}
	slices.SortFunc(all, func(a, b *outlet) int { return a.cmd.Process.Pid - b.cmd.Process.Pid })
	return all
}

// pause has what the processes say wait for whoever goes on, and returns what has it
// go on here.
func (o *outside) pause() (resume func()) {
	if o == nil {
		return func() {}
	}
	o.mu.Lock()
	all := o.living()
	o.mu.Unlock()
	for _, p := range all {
		_ = p.stdout.SetReadDeadline(time.Unix(1, 0)) // neither can fail on what is ours
		_ = p.control.SetReadDeadline(time.Unix(1, 0))
		p.flows.Wait()
	}
	o.output.flush(flushLimit)
	return func() {
		for _, p := range all {
			_ = p.stdout.SetReadDeadline(time.Time{})
			_ = p.control.SetReadDeadline(time.Time{})
			p.flow(o.output, o.heard)
		}
	}
}

// takeOver goes on with the processes of the program before this one. They are
// drained when the first worker has another.
func (o *outside) takeOver(all []carriedOutlet, used map[string]egress.Used) error {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if used != nil {
		o.used = used
	}
	for _, c := range all {
		control, err := egress.OpenControl(c.Control)
		if err != nil {
			return err
		}
		var stdout *os.File
		if stdout, err = inheritedPipe(c.Log, "log of egress"); err != nil {
			return err
		}
		cmd, err := o.children.Adopt(c.PID)
		if err != nil { // it has died meanwhile
			_, _ = control.Close(), stdout.Close()
			continue
		}
		p := newOutlet(cmd, control, stdout)
		p.rest = c.LogRest
		o.leaving[p] = true
		o.tend(p)
	}
	return nil
}

// drainOld has the processes of the program before this one finish what they have.
// Its own serves all workers by now.
func (o *outside) drainOld() {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for p := range o.leaving {
		p.order(egress.Order{Do: egress.DoDrain}, nil)
	}
}
