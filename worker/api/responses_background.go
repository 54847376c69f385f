package api

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"hermes/worker/agent"
	"hermes/worker/openai"
)

// runInBackground stores the response, lets its turn run without the client, and
// answers at once, or with the stream that others can follow too.
func (s *Server) runInBackground(c echo.Context, p *responseRun) error {
	r := c.Request()
	if !s.live.enterBackground(s.gate.room()) {
		s.metrics.refused(refusedQueue)
		f := refused(http.StatusTooManyRequests, openai.TypeRateLimit, codeRateLimit,
			"This agent is busy: %d responses are made in the background. Try again later.", s.gate.room())
		f.retryAfter = queueRetry
		return f
	}
	begun := false
	defer func() {
		if !begun {
			s.live.leaveBackground()
		}
	}()
	if err := s.withinQuota(r.Context()); err != nil {
		return err
	}
	if err := s.limits.take(); err != nil {
		s.metrics.refused(refusedRate)
		return err
	}
	place, err := s.lineUp(p.record.Conversation)
	if err != nil {
		s.limits.giveBack()
		return err
	}
	ctx, cancel, done := s.turns.begin(context.WithoutCancel(r.Context()))
	p.cancel = cancel
	if err := p.beginQueued(ctx); err != nil {
		s.limits.giveBack()
		place.abandon()
		done()
		return err
	}
	s.live.add(p)
	queued := p.snapshot()
	p.log.add(p.first(), false)
	begun = true
	s.working.Go(func() {
		defer done()
		defer s.live.leaveBackground()
		defer s.ended(ctx, p)
		p.runQueued(ctx, place)
	})
	if !p.request.Stream {
		writeBody(c.Response(), http.StatusOK, queued)
		return nil
	}
	return p.followLog(r.Context(), c.Response(), 0)
}

// beginQueued is begin as far as it needs no wait: what a turn of a conversation
// follows is known when it is its turn.
func (p *responseRun) beginQueued(ctx context.Context) error {
	if p.record.Conversation == "" {
		return p.begin(ctx)
	}
	// If it never runs, what the client said is still there for what follows it.
	// Input that only makes sense with the history is not.
	if added, err := transcribeItems(nil, p.input, p.s.newFileReader(ctx)); err == nil {
		p.added = added
	}
	if err := p.putBegin(ctx); err != nil {
		return p.s.storeFailure(err)
	}
	return nil
}

// runQueued waits for its turn and runs it.
func (p *responseRun) runQueued(ctx context.Context, place *place) {
	nobody := func([]byte, bool) error { return nil }
	leave, err := p.leaveQueue(ctx, place)
	if err != nil {
		last, _ := p.end(ctx, agent.Result{}, err)
		p.log.add(last, true)
		return
	}
	defer leave()
	p.mu.Lock()
	started := p.encoder.start()
	p.mu.Unlock()
	_ = p.tell(started, true, nobody)
	_, _ = p.run(ctx, nobody)
}

// waitForTurn waits until the turn may run.
func (p *responseRun) waitForTurn(ctx context.Context, place *place) (leave func(), err error) {
	if err := place.wait(ctx); err != nil {
		return nil, err
	}
	leaveGate, err := p.s.gate.await(ctx)
	if err != nil {
		place.leave()
		return nil, err
	}
	leave = func() { leaveGate(); place.leave() }
	// What ran meanwhile has used tokens.
	if err := p.s.withinQuota(ctx); err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

// leaveQueue waits until the turn may run, and finds out what it follows unless that
// is known.
func (p *responseRun) leaveQueue(ctx context.Context, place *place) (leave func(), err error) {
	leave, err = p.waitForTurn(ctx, place)
	if err != nil || len(p.turn.History) > 0 {
		return leave, err
	}
	begun := p.encoder
	if err := p.begin(ctx); err != nil {
		p.encodeWith(begun)
		leave()
		return nil, err
	}
	// The events before were made by the encoder that knew no instructions of
	// turns before this one.
	p.first()
	return leave, nil
}
