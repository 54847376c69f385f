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
	ctx, _, done := s.turns.begin(client)
	defer done()
	leave, err = s.gate.enter(ctx)
	if err != nil {
		return nil, s.notAdmitted(client, err)
	}
	return leave, nil
}

// notAdmitted says why a turn was not begun.
func (s *Server) notAdmitted(client context.Context, err error) error {
	switch {
	case errors.Is(err, errShutdown):
		return shuttingDown()
	case client.Err() != nil:
		return errGone
	case errors.Is(err, errQueueFull), errors.Is(err, errWaited):
		f := refused(http.StatusTooManyRequests, openai.TypeRateLimit, codeRateLimit,
			"This agent is busy: %d turns run at once, and no place became free. Try again later.", s.opts.MaxConcurrentRuns)
		f.retryAfter = queueRetry
		return f
	default:
		return internal(err)
	}
}
