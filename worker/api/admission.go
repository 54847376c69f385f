package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"hermes/worker/openai"
)

// queueRetry is what a client is told to wait when too many turns run.
const queueRetry = 10 * time.Second

// enter waits until a turn may run, as long as the client waits too.
func (s *Server) enter(client context.Context) (leave func(), err error) {
	if err := s.withinQuota(client); err != nil {
		return nil, err
	}
	if err := s.limits.take(); err != nil {
		s.metrics.refused(refusedRate)
		return nil, err
	}
	ctx, _, done := s.turns.begin(client)
	defer done()
	came := s.opts.Now()
	leave, err = s.gate.enter(ctx)
	if err != nil {
		s.limits.giveBack()
		return nil, s.notAdmitted(client, err)
	}
	s.metrics.wait.observe(s.metrics.since(came))
	if err := s.withinQuota(client); err != nil { // what ran meanwhile has used tokens
		leave()
		s.limits.giveBack()
		return nil, err
	}
	return leave, nil
}

// withinQuota returns an error when the profile may use no more tokens today.
// Turns and background tasks ask before they begin.
func (s *Server) withinQuota(client context.Context) error {
	err := s.limits.withinQuota(client)
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*failure](err); ok {
		s.metrics.refused(refusedQuota)
		return f
	}
	return s.notAdmitted(client, err)
}

// notAdmitted says why a turn was not begun.
func (s *Server) notAdmitted(client context.Context, err error) error {
	switch {
	case errors.Is(err, errShutdown):
		return shuttingDown()
	case client.Err() != nil:
		return errGone
	case errors.Is(err, errQueueFull), errors.Is(err, errWaited):
		s.metrics.refused(refusedQueue)
		f := refused(http.StatusTooManyRequests, openai.TypeRateLimit, codeRateLimit,
			"This agent is busy: %d turns run at once, and no place became free. Try again later.", s.now.Load().MaxConcurrentRuns)
		f.retryAfter = queueRetry
		return f
	default:
		return internal(err)
	}
}
