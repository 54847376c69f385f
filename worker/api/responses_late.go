package api

import (
	"context"
	"errors"
	"time"

	"hermes/worker/store"
)

// How long after a failure the end of a response is put again, at first and at
// most.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = time.Second
)

// ended takes a run that has ended out of those that run here, as soon as its end
// is stored. On a full disk that may take long. Until then it is shown from here,
// as what is stored says that it goes on.
func (s *Server) ended(ctx context.Context, p *responseRun) {
	close(p.done)
	if p.late == nil {
		s.live.remove(p)
		return
	}
	s.working.Go(func() {
		defer s.live.remove(p)
		p.putLate(context.WithoutCancel(ctx))
	})
}

// putLate stores the end of a response that could not be stored when it ended.
// When the process ends before, its successor settles the response.
func (p *responseRun) putLate(ctx context.Context) {
	for wait := firstRetry; !p.s.draining.Load(); wait = min(2*wait, lastRetry) {
		select {
		case <-time.After(wait):
		case <-p.s.hurried:
			return
		}
		attempt, cancel := context.WithTimeout(ctx, keepTimeout)
		err := p.s.opts.Store.PutResponse(attempt, p.record, *p.late)
		cancel()
		switch {
		case err == nil, errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrEnded), errors.Is(err, store.ErrClosed):
			return
		case errors.Is(err, store.ErrConflict): // its conversation has gone on without it
			p.late.Head = false
		}
	}
}
