package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"hermes/supervisor/confine"
	"hermes/supervisor/handoff"
	"hermes/worker/api"
)

// limits are what this process and all that it starts may have together. The
// kernel holds them, or a Watcher here.
type limits struct {
	confine.Limits
	mechanism confine.Mechanism
	watcher   *confine.Watcher // nil where the kernel holds them
	files     confine.Files
	log       *slog.Logger
	over      chan struct{} // closed when this process has to go

	mu   sync.Mutex // guards what follows
	last confine.Counts
	// which was reached the last time.
	which string
}

// errOutOfMemory is why a worker ends that is over the memory limit by itself.
var errOutOfMemory = errors.New("the worker is over the profile's memory limit by itself; it has to be started anew")

// newLimits takes what the supervisor says.
func newLimits(start handoff.Resources, shimmed bool, log *slog.Logger) *limits {
	l := &limits{
		over:      make(chan struct{}),
		Limits:    confine.Limits{Memory: start.Memory, Processes: start.Processes},
		mechanism: confine.Mechanism(start.Mechanism), log: log,
		files: confine.Files{Memory: start.MemoryEvents, Processes: start.ProcessesEvents},
	}
	if l.mechanism == confine.Watched {
		l.watcher = confine.NewWatcher(l.Limits, log, shimmed, func() { close(l.over) })
	}
	if l.Memory > 0 {
		// Go collects harder from here on, instead of growing into the limit. Its
		// commands need room as well.
		debug.SetMemoryLimit(l.Memory / 4 * 3)
	}
	return l
}

// run watches, where this process has to do it itself.
func (l *limits) run(ctx context.Context) error {
	if l.watcher != nil {
		l.watcher.Run(ctx)
	}
	select {
	case <-l.over:
		return errOutOfMemory
	case <-ctx.Done():
		return nil
	}
}

// reached says how often a limit was reached, and which one the last time.
func (l *limits) reached() (times uint64, which string) {
	var now confine.Counts
	if l.watcher != nil {
		now = l.watcher.Counts()
	} else {
		now = l.files.Counts()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Processes > l.last.Processes {
		l.which = l.ProcessesWords()
	}
	if now.Memory > l.last.Memory {
		l.which = l.MemoryWords()
	}
	if now != l.last && l.watcher == nil { // a Watcher has said more
		l.log.Warn("limit was reached", "which", l.which)
	}
	l.last = now
	return now.Memory + now.Processes, l.which
}

// health says how the limits are held.
func (l *limits) health() api.Part {
	part := api.Part{Status: api.StatusOK, Detail: fmt.Sprintf("memory %d MiB, %d processes and threads, %s", l.Memory>>20, l.Processes, l.mechanism.Words())}
	if times, which := l.reached(); times > 0 {
		part.Detail += fmt.Sprintf("; reached %d times, the last time %s", times, which)
	}
	return part
}
