package worker

import (
	"context"
	"sync"
)

// load is how much work a worker has: the turns that run, and the background jobs.
// Its methods may be called from several goroutines.
type load struct {
	tell func(turns, jobs int) // called one at a time, the last one with the latest numbers

	mu          sync.Mutex // guards what follows, and is held while tell is called
	turns, jobs int
	idle        chan struct{} // closed when no job runs; nil if nobody asks
}

func (l *load) setTurns(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turns = n
	l.tell(l.turns, l.jobs)
}

func (l *load) setJobs(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.jobs = n
	if n == 0 && l.idle != nil {
		close(l.idle)
		l.idle = nil
	}
	l.tell(l.turns, l.jobs)
}

// jobsDone waits until no background job runs, or ctx has ended.
func (l *load) jobsDone(ctx context.Context) {
	l.mu.Lock()
	if l.jobs == 0 {
		l.mu.Unlock()
		return
	}
	if l.idle == nil {
		l.idle = make(chan struct{})
	}
	idle := l.idle
	l.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}
