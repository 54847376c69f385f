package worker

import (
	"context"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// idleAfter is how long after its last turn a worker tidies up. Right after
	// a turn the next one is likely, and would fetch again what was given away.
	idleAfter = 8 * time.Second
	// tidyTimeout bounds the tidying, which a turn that begins may wait for.
	tidyTimeout = 2 * time.Second
)

// idle tidies up once, some seconds after the last turn: a worker waits most of
// its life, and a thousand of them share one machine.
type idle struct {
	checkpoint func(context.Context) error
	log        *slog.Logger
	// processors has Go use all processors, or one. It is nil in a process that was
	// not started with one.
	processors func(all bool)

	mu    sync.Mutex // guards timer and all
	timer *time.Timer
	all   bool           // processors are used
	wg    sync.WaitGroup // the tidying that runs
}

func newIdle(checkpoint func(context.Context) error, log *slog.Logger) *idle {
	i := &idle{checkpoint: checkpoint, log: log}
	if runtime.GOMAXPROCS(0) == 1 {
		i.processors = func(all bool) {
			if all {
				runtime.SetDefaultGOMAXPROCS()
			} else {
				runtime.GOMAXPROCS(1)
			}
		}
	}
	return i
}

// busy starts the wait when the last turn has ended, and ends it when a new one
// begins.
func (i *idle) busy(turns int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cancel()
	if turns > 0 {
		i.use(true)
		return
	}
	i.wg.Add(1)
	var timer *time.Timer
	timer = time.AfterFunc(idleAfter, func() {
		defer i.wg.Done()
		i.tidy()
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.timer == timer { // no turn has begun
			i.use(false)
		}
	})
	i.timer = timer
}

// use has Go use all processors, or one, which stops the process for some
// microseconds. The caller holds mu.
func (i *idle) use(all bool) {
	if i.processors != nil && i.all != all {
		i.all = all
		i.processors(all)
	}
}

// tidy moves what was committed into the main file of the database, where no
// reader has to look it up in the log, and returns memory to the system. A process
// that has not collected yet has taken less than 4 MB, and what it has lies close
// together: its first collection would take 1.3 MB for the runtime's tables, and give
// back less.
func (i *idle) tidy() {
	ctx, cancel := context.WithTimeout(context.Background(), tidyTimeout)
	defer cancel()
	if err := i.checkpoint(ctx); err != nil {
		i.log.Warn("checkpoint", "error", err)
	}
	var stats debug.GCStats
	if debug.ReadGCStats(&stats); stats.NumGC > 0 {
		debug.FreeOSMemory()
	}
}

// stop ends the wait, or waits for the tidying when it has begun.
func (i *idle) stop() {
	i.mu.Lock()
	i.cancel()
	i.mu.Unlock()
	i.wg.Wait()
}

// cancel ends the wait. The caller holds mu.
func (i *idle) cancel() {
	if i.timer != nil && i.timer.Stop() {
		i.wg.Done()
	}
	i.timer = nil
}
