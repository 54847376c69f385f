package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"sync"
	"syscall"
	"time"

	"hermes/supervisor/egress"
	"hermes/supervisor/egress/wire"
	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox"
)

const (
	// orderLimit is how long the egress process may take to read an order. One that
	// does not is replaced.
	orderLimit = 5 * time.Second
	// egressSteady is how long that process has to live for its death to be answered
	// with a new one at once.
	egressSteady = 10 * time.Second
	// egressLeave is how long, after the end of all workers, it has to leave.
	egressLeave = 3 * time.Second
)

// outside keeps the process through which workers reach the outside: it starts it
// with the first worker, starts it anew when it dies, and tells each of its
// generations what each worker may reach. It holds the far ends of the workers'
// sockets, so that what a worker asks for while there is no such process waits for
// the next one. Its methods may be called from any goroutine.
type outside struct {
	exe      string
	environ  []string
	children *sandbox.Children
	log      *slog.Logger
	output   *output
	backoff  backoff

	mu       sync.Mutex // guards the rest
	last     int        // id that was given out
	ways     map[int]*way
	current  *outlet // nil before the first worker, and between two
	leaving  map[*outlet]bool
	used     map[string]egress.Used // of profiles, as it was told last
	kept     *kept                  // where that outlives the gateway
	failures int
	closed   bool
	work     sync.WaitGroup
	again    *time.Timer
}

// way is what a worker has of the outside.
type way struct {
	outside *outside
	id      int
	profile string
	far     *os.File // the end that egress receives from

	// What it may reach; guarded by outside.mu.
	table egress.Table
}

// newOutside makes an outside, nil where there is none.
func newOutside(exe string, environ []string, children *sandbox.Children, log *slog.Logger, out *output, b backoff) *outside {
	if !wire.Supported {
		return nil
	}
	return &outside{
		exe: exe, environ: environ, children: children, log: log, output: out, backoff: b,
		ways: map[int]*way{}, leaving: map[*outlet]bool{}, used: map[string]egress.Used{},
	}
}

// open makes a way for a worker. The file is the worker's end, which the caller
// closes.
func (o *outside) open(profile string, table egress.Table) (*way, *os.File, error) {
	near, far, err := wire.Pair()
	if err != nil {
		return nil, nil, err
	}
	w, err := o.add(profile, table, far)
	if err != nil {
		return nil, nil, errors.Join(err, near.Close(), far.Close())
	}
	return w, near, nil
}

// add begins to serve the far end of a worker's socket.
func (o *outside) add(profile string, table egress.Table, far *os.File) (*way, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil, errors.New("the gateway stops")
	}
	o.last++
	w := &way{outside: o, id: o.last, profile: profile, far: far, table: table}
	o.ways[w.id] = w
	o.output.redact(o.secrets())
	if o.current == nil && o.again == nil {
		o.start()
	} else if o.current != nil {
		o.current.order(o.serve(w), far)
	}
	return w, nil
}

// secrets are those of all ways. The caller holds mu.
func (o *outside) secrets() []string {
	var all []string
	for _, w := range o.ways {
		all = append(all, w.table.Secrets...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// serve is the order to serve a worker. The caller holds mu.
func (o *outside) serve(w *way) egress.Order {
	table := w.table // which is sent later, and may be another by then
	return egress.Order{Do: egress.DoServe, ID: w.id, Profile: w.profile, Table: &table, Used: o.used[w.profile]}
}

// update has the worker reach something else, or with other keys, from now on.
func (w *way) update(table egress.Table) {
	o := w.outside
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ways[w.id] != w || reflect.DeepEqual(w.table, table) {
		return
	}
	w.table = table
	o.output.redact(o.secrets())
	if o.current != nil {
		o.current.order(egress.Order{Do: egress.DoUpdate, ID: w.id, Profile: w.profile, Table: &table}, nil)
	}
}

// secrets are those that the worker's requests are made with.
func (w *way) secrets() []string {
	if w == nil {
		return nil
	}
	w.outside.mu.Lock()
	defer w.outside.mu.Unlock()
	return w.table.Secrets
}

// close ends the way. What is under way goes on until its worker is gone.
func (w *way) close() {
	if w == nil {
		return
	}
	o := w.outside
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ways[w.id] != w {
		return
	}
	delete(o.ways, w.id)
	if o.current != nil {
		o.current.order(egress.Order{Do: egress.DoForget, ID: w.id}, nil)
	}
	_ = w.far.Close()
}

// start begins a generation of the process, and tells it of all workers. The caller
// holds mu.
func (o *outside) start() {
	began, err := o.spawn()
	if err != nil {
		o.log.Error("egress process is not started; workers wait for it", "error", err)
		o.retry()
		return
	}
	o.current = began
	for _, id := range slices.Sorted(maps.Keys(o.ways)) {
		began.order(o.serve(o.ways[id]), o.ways[id].far)
	}
	o.tend(began)
}

// retry starts the process later. The caller holds mu.
func (o *outside) retry() {
	wait := o.backoff.delay(o.failures)
	o.failures++
	o.again = time.AfterFunc(wait, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.again = nil
		if !o.closed && o.current == nil {
			o.start()
		}
	})
}

// spawn starts the process.
func (o *outside) spawn() (*outlet, error) {
	control, theirs, err := egress.ControlPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make log pipe: %w", err), control.Close())
	}
	defer write.Close()
	cmd := &exec.Cmd{
		Path: o.exe, Args: []string{o.exe, egress.Subcommand}, Env: handoff.Environ(o.environ), Dir: "/",
		Stdout: write, Stderr: write, ExtraFiles: []*os.File{theirs}, SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := o.children.Start(cmd); err != nil {
		return nil, errors.Join(fmt.Errorf("start egress: %w", err), control.Close(), read.Close())
	}
	o.log.Info("egress process started", "pid", cmd.Process.Pid)
	return newOutlet(cmd, control, read), nil
}

// tend looks after a process until it has ended. The caller holds mu.
func (o *outside) tend(p *outlet) {
	p.flow(o.output, o.heard)
	o.work.Go(func() {
		o.children.Await(p.cmd)
		err := o.children.Wait(p.cmd)
		p.close()
		o.ended(p, err)
	})
}

// heard takes in what the process tells.
func (o *outside) heard(told egress.Order) {
	if told.Do != egress.DoUsed {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.used[told.Profile] = o.used[told.Profile].Most(told.Used)
	o.kept.later(o.usedNow)
}

// usedNow is a copy of what profiles have used.
func (o *outside) usedNow() map[string]egress.Used {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.used)
}

// remember goes on with what the gateways before have counted, and keeps what this one
// counts in a file.
func (o *outside) remember(path string) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept = keepIn(path, o.log)
	for profile, used := range o.kept.read() {
		o.used[profile] = o.used[profile].Most(used)
	}
}

// ended takes in the end of a process.
func (o *outside) ended(p *outlet, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.leaving, p)
	if o.current != p {
		return
	}
	o.current = nil
	if o.closed {
		return
	}
	o.log.Error("egress process has died; what it had under way is lost, the next one serves", "pid", p.cmd.Process.Pid, "error", err)
	if time.Since(p.began) >= egressSteady {
		o.failures = 0
	}
	if o.failures == 0 {
		o.failures++
		o.start()
		return
	}
	o.retry()
}

// stop ends the processes. No worker lives any more.
func (o *outside) stop() {
	if o == nil {
		return
	}
	o.mu.Lock()
	o.closed = true
	if o.again != nil {
		o.again.Stop()
	}
	all := slices.Collect(maps.Keys(o.leaving))
	if o.current != nil {
		all = append(all, o.current)
		o.current.order(egress.Order{Do: egress.DoDrain}, nil)
	}
	for _, w := range o.ways {
		_ = w.far.Close()
	}
	o.mu.Unlock()
	over := make(chan struct{})
	go func() {
		o.work.Wait()
		close(over)
	}()
	timer := time.NewTimer(egressLeave)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
		for _, p := range all {
			_ = o.children.Signal(p.cmd, syscall.SIGKILL)
		}
		<-over
	}
	o.kept.close(o.usedNow)
	o.output.close(time.Second)
}
