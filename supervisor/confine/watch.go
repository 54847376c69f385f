package confine

import (
	"context"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

const (
	// calm is how often a tree is looked at that is far from its limits, alert how
	// often one is that has used half of them.
	calm  = time.Second
	alert = 100 * time.Millisecond
	// heavy is when looking itself takes too long to be done so often.
	heavy = 20 * time.Millisecond
)

// Watcher holds the tree of processes below this one, itself included, to its
// limits. What is over them is ended command by command, the largest first; this
// process goes last.
type Watcher struct {
	limits Limits
	log    *slog.Logger
	// over is called when this process has to go, being over the limit by itself.
	over func()

	memory, processes atomic.Uint64
	self              int                       // this process; its children are commands
	list              func() ([]process, error) // the tree, this process first
	kill              func([]process)
	do                func(look func())
}

// NewWatcher makes a Watcher. over is called at most once. Shimmed says that what this
// process has started are children of process 1, as it is itself.
func NewWatcher(l Limits, log *slog.Logger, shimmed bool, over func()) *Watcher {
	root := os.Getpid()
	if shimmed {
		root = 1
	}
	return &Watcher{limits: l, log: log, over: over, self: os.Getpid(), list: func() ([]process, error) { return tree(root) }, kill: killAll, do: func(look func()) { look() }}
}

// By has somebody look, and kill, who may do that. It must be called before Run.
func (w *Watcher) By(do func(look func())) { w.do = do }

// Counts are how often the Watcher has killed something.
func (w *Watcher) Counts() Counts {
	return Counts{Memory: w.memory.Load(), Processes: w.processes.Load()}
}

// Run watches until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	timer := time.NewTimer(calm)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		var next time.Duration
		var gone bool
		w.do(func() { next, gone = w.look() })
		if gone {
			w.over()
			return
		}
		if took := time.Since(began); took > heavy {
			next = max(next, 10*took)
		}
		timer.Reset(next)
	}
}

// process is one of the tree.
type process struct {
	pid, parent, group int
	threads            int
	resident           int64  // what it has in memory, shared pages counted for each
	born               uint64 // in ticks since the machine started
}

// command is what a child of the worker has started, itself included.
type command struct {
	processes []process
	resident  int64
	threads   int
}

// look looks once, and says when to look again, or that this process has to go.
func (w *Watcher) look() (next time.Duration, gone bool) {
	all, err := w.list()
	if err != nil || len(all) == 0 {
		return calm, false
	}
	commands, total, threads := group(all, w.self)
	switch {
	// First, since 300 processes of which nobody was told yet are over both limits, and it
	// is their number that is wrong.
	case w.limits.Processes > 0 && threads > w.limits.Processes:
		largest := pick(commands, func(c command) int64 { return int64(c.threads) })
		w.processes.Add(1)
		w.log.Warn("command is killed for the limit of processes", "limit", w.limits.Processes, "pid", largest.processes[0].pid, "threads", largest.threads)
		w.kill(largest.processes)
		return alert / 4, false
	case w.limits.Memory > 0 && total > w.limits.Memory && proportional(all) > w.limits.Memory:
		largest := pick(commands, func(c command) int64 { return c.resident })
		w.memory.Add(1) // before, so that whoever sees the end knows why
		if largest == nil {
			w.log.Error("worker is over the memory limit by itself and ends", "limit", w.limits.Memory, "resident", total)
			return 0, true
		}
		w.log.Warn("command is killed for the memory limit", "limit", w.limits.Memory, "pid", largest.processes[0].pid, "resident", largest.resident)
		w.kill(largest.processes)
		return alert / 4, false
	case w.limits.Memory > 0 && total > w.limits.Memory/2, w.limits.Processes > 0 && threads > w.limits.Processes/2:
		return alert, false
	case len(commands) > 0:
		return calm / 4, false
	default:
		return calm, false
	}
}

// group sorts a tree by the children of its first process, and of self, and sums it up.
func group(all []process, self int) (commands []command, total int64, threads int) {
	top := map[int]int{} // process to the index of its command
	for i, p := range all {
		total += p.resident
		if i == 0 || p.pid == self {
			continue
		}
		threads += p.threads
		at, known := top[p.parent]
		if !known {
			at = len(commands)
			commands = append(commands, command{})
		}
		top[p.pid] = at
		c := &commands[at]
		c.processes = append(c.processes, p)
		c.resident += p.resident
		c.threads += p.threads
	}
	return commands, total, threads
}

// pick returns the command of which there is most, nil if there is none.
func pick(commands []command, size func(command) int64) *command {
	var largest *command
	for i := range commands {
		if largest == nil || size(commands[i]) > size(*largest) {
			largest = &commands[i]
		}
	}
	return largest
}
