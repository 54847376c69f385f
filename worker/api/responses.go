package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"hermes/worker/agent"
	"hermes/worker/openai"
	"hermes/worker/store"
)

// Store keeps responses, conversations and the answers to requests that must not
// run twice. It is *store.Store, where the contract of each method stands.
type Store interface {
	PutResponse(ctx context.Context, r store.Response, put store.Put) error
	Response(ctx context.Context, id string) (store.Response, error)
	InputItems(ctx context.Context, id string) ([]byte, error)
	DeleteResponse(ctx context.Context, id string) error
	Chain(ctx context.Context, id string) ([]store.Turn, error)
	ConversationHead(ctx context.Context, name string) (string, error)
	Run(ctx context.Context, id string) (store.Run, error)

	BeginIdempotent(ctx context.Context, claim store.Claim) (store.Claimed, error)
	FinishIdempotent(ctx context.Context, finish store.Finish) error
	ForgetIdempotent(ctx context.Context, scope, key string) (bool, error)

	Adopted(ctx context.Context) ([]store.Adopted, error)
}

// createResponse answers POST /v1/responses.
func (s *Server) createResponse(c echo.Context) error {
	r := c.Request()
	body, err := s.readJSON(r)
	if err != nil {
		return err
	}
	request, err := openai.DecodeResponsesRequest(body)
	if err != nil {
		return err
	}
	p, err := s.newRun(r.Context(), request, r.Header)
	if err != nil {
		return err
	}
	p.turn.RequestID = requestID(c)
	if task := responseTask(r.Header, request); task != "" {
		return s.answerResponseTask(c, p, task)
	}
	if p.claim, err = s.wanted(r, body); err != nil {
		return err
	}
	if request.Background {
		if err := p.remember(body); err != nil {
			return err
		}
	}
	p.detach(request.Background || s.now.Load().OnDisconnect == Detach && !fromTerminal(r.Header) || p.claim.keyed())
	var replay replayFunc
	if request.Stream {
		replay = s.replayAnswered(r.Context())
	}
	return s.once(c, p.claim, p.turn.RunID, p.record.ID, replay, func() error {
		if request.Background {
			return s.runInBackground(c, p)
		}
		return s.runResponse(c, p)
	})
}

// runResponse waits until the turn may run, runs it and answers.
func (s *Server) runResponse(c echo.Context, p *responseRun) error {
	r := c.Request()
	place, err := s.lineUp(p.record.Conversation)
	if err != nil {
		return err
	}
	if err := s.waitInLine(r.Context(), place); err != nil {
		return err
	}
	defer place.leave()
	leave, err := s.enter(r.Context())
	if err != nil {
		return err
	}
	defer leave()
	client := r.Context()
	if p.detached {
		client = context.WithoutCancel(client)
	}
	ctx, cancel, done := s.turns.begin(client)
	defer done()
	p.cancel = cancel
	if err := p.begin(ctx); err != nil {
		return err
	}
	s.live.add(p)
	defer s.ended(ctx, p)
	if p.request.Stream {
		return p.stream(ctx, c.Response())
	}
	return p.whole(ctx, c.Response())
}

// lineUp takes a place in the line of a conversation.
func (s *Server) lineUp(conversation string) (*place, error) {
	place, err := s.conversations.lineUp(conversation)
	if err != nil {
		s.metrics.refused(refusedQueue)
		f := refused(http.StatusTooManyRequests, openai.TypeRateLimit, codeRateLimit,
			"This conversation is busy: %d turns of it wait already. Try again later.", s.conversations.room())
		f.retryAfter = queueRetry
		return nil, f
	}
	return place, nil
}

// waitInLine waits until it is the turn of a request, as long as its client does.
func (s *Server) waitInLine(client context.Context, place *place) error {
	ctx, _, done := s.turns.begin(client)
	defer done()
	if err := place.wait(ctx); err != nil {
		return s.notAdmitted(client, err)
	}
	return nil
}

// stream runs the turn and sends the events of the response.
func (p *responseRun) stream(ctx context.Context, w http.ResponseWriter) error {
	out := openStream(w, func(error) {
		if !p.detached {
			p.cancel(errGone)
		}
	})
	defer out.close()
	if err := p.tell(p.first(), true, out.send); err != nil {
		p.abandon(ctx)
		return errGone
	}
	last, _ := p.run(ctx, out.send)
	if out.send(last, true) != nil {
		return errGone
	}
	return nil
}

// abandon ends a response whose turn has not begun.
func (p *responseRun) abandon(ctx context.Context) {
	p.cancel(errGone)
	_, _ = p.end(ctx, agent.Result{}, context.Cause(ctx))
}

// whole runs the turn and answers with the response. One that failed before it
// did anything is an error, so that SDKs try again by themselves; one whose tools
// have run is shown as it is, because some SDKs would run them again whatever they
// are told.
func (p *responseRun) whole(ctx context.Context, w http.ResponseWriter) error {
	_, f := p.run(ctx, func([]byte, bool) error { return nil })
	if cause := context.Cause(ctx); cause != nil && !told(cause) {
		return errGone
	}
	if f != nil && !p.acted {
		p.forget(ctx)
		return f
	}
	writeBody(w, http.StatusOK, p.final)
	return nil
}

// forget removes a response that its client has no id of.
func (p *responseRun) forget(ctx context.Context) {
	if !p.put {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	if err := p.s.opts.Store.DeleteResponse(ctx, p.record.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
		p.s.opts.Log.Warn("failed response was not removed", "request_id", p.turn.RequestID, "error", err)
	}
}
