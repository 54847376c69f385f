package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/openai"
	"hermes/worker/store"
)

// resumeNote is what a model is told that goes on after a crash.
const resumeNote = "[The server stopped in the middle of this task and has started again. What you did until then stands above; where a result says interrupted, " +
	"look at what was done before you do it again. Background jobs are gone. Go on, and end with the whole answer.]"

// maxSaved is how many bytes of a response in the background are stored on its way.
// Of a longer one the stream after a crash is made of what is recorded of its turn.
const maxSaved = 128 << 10

// resumable is what a response in the background needs of its request to go on in
// another process.
type resumable struct {
	Request   json.RawMessage `json:"request"` // without its input, which is stored apart
	RequestID string          `json:"request_id"`
	OpenWebUI bool            `json:"open_web_ui"`
	ToolItems toolItems       `json:"tool_items"`
}

// remember lets the response go on after a crash.
func (p *responseRun) remember(body []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return internal(err) // it was decoded before
	}
	fields["input"] = json.RawMessage(`"stored apart"`)
	request, err := json.Marshal(fields)
	if err != nil {
		return internal(err)
	}
	p.record.Request, err = json.Marshal(resumable{request, p.turn.RequestID, p.opts.openWebUI, p.opts.tools})
	if err != nil {
		return internal(err)
	}
	return nil
}

// Adopt goes on with the responses in the background that a dead process has left,
// and returns when each of them has its place in line. Requests wait for it until
// then if ExpectAdoption was called before.
func (s *Server) Adopt(ctx context.Context) {
	s.adopting.Lock() // of two calls neither is over before the other
	defer s.adopting.Unlock()
	defer func() {
		if s.adoption != nil {
			s.adoptionOnce.Do(func() { close(s.adoption) })
		}
	}()
	adopted, err := s.opts.Store.Adopted(ctx)
	if err != nil {
		s.opts.Log.Warn("responses of the last process were not gone on with", "error", err)
		return
	}
	for _, a := range adopted {
		s.adopt(ctx, a)
	}
}

// ExpectAdoption makes requests about responses wait until Adopt was called once. It
// must be called before the first request.
func (s *Server) ExpectAdoption() { s.adoption = make(chan struct{}) }

// afterAdoption lets requests about responses wait until those of a dead process
// have their places: they come first, and must be found.
func (s *Server) afterAdoption(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if s.adoption != nil {
			select {
			case <-s.adoption:
			case <-c.Request().Context().Done():
				return errGone
			}
		}
		return next(c)
	}
}

// adopt gives one response its place in line.
func (s *Server) adopt(ctx context.Context, a store.Adopted) {
	s.opts.Log.Info("response is gone on with after a crash", "response_id", a.ID, "begun", a.Begun(), "times_before", a.Resumes)
	p, resume, err := s.revive(ctx, a)
	if err != nil {
		s.opts.Log.Error("response cannot be gone on with", "response_id", a.ID, "error", err)
		s.giveUp(ctx, a)
		return
	}
	place := s.conversations.enterAgain(p.record.Conversation)
	s.live.forceBackground()
	runCtx, cancel, done := s.turns.begin(context.WithoutCancel(ctx))
	p.cancel = cancel
	s.live.add(p)
	s.working.Go(func() {
		defer done()
		defer s.live.leaveBackground()
		defer s.ended(runCtx, p)
		p.runAdopted(runCtx, place, resume)
	})
}

// giveUp ends a response that cannot be gone on with.
func (s *Server) giveUp(ctx context.Context, a store.Adopted) {
	settled := SettleResponse(s.opts.Redact, s.opts.Now)(a.Response, a.Messages)
	ended := store.Response{ID: a.ID, Status: settled.Status, Body: settled.Body, Outline: settled.Outline, Transcript: settled.Transcript}
	if err := s.opts.Store.PutResponse(ctx, ended, store.Put{Keep: s.opts.StoredResponses, Update: true}); err != nil {
		s.opts.Log.Warn("response was not ended", "response_id", a.ID, "error", err)
	}
}

// revive makes the run of a response again. Resume is what was done of it, nil if
// its turn had not begun.
func (s *Server) revive(ctx context.Context, a store.Adopted) (*responseRun, *resumption, error) {
	var kept resumable
	if err := json.Unmarshal(a.Request, &kept); err != nil {
		return nil, nil, fmt.Errorf("read request: %w", err)
	}
	request, err := openai.DecodeResponsesRequest(kept.Request)
	if err != nil {
		return nil, nil, err
	}
	turn, err := s.responseTurn(request, kept.OpenWebUI)
	if err != nil {
		return nil, nil, err
	}
	was, err := readInterrupted(a.Response, a.Messages)
	if err != nil {
		return nil, nil, err
	}
	base := strings.TrimPrefix(a.ID, openai.PrefixResponse)
	turn.RunID, turn.RequestID = a.RunID, kept.RequestID
	p := &responseRun{
		s: s, request: request, turn: turn, runTurn: s.opts.Agent.Run, files: s.newFileReader(ctx),
		record: a.Response, put: true, detached: true, log: newEventLog(), done: make(chan struct{}),
		opts: responseOptions{
			response: was.body, tools: kept.ToolItems, now: s.opts.Now, newID: counter(base + "_"), whole: !s.opts.Streaming,
			status: kept.OpenWebUI && progressOf(s.opts.ToolProgress, kept.OpenWebUI).events, openWebUI: kept.OpenWebUI,
		},
	}
	p.record.Request = nil
	p.added, p.before = was.all(), usageSum(was.all())
	if err := json.Unmarshal(a.Input, &p.input); err != nil {
		return nil, nil, fmt.Errorf("read input: %w", err)
	}
	if !a.Begun() {
		p.encoder = newResponseEncoder(p.opts)
		p.log.add(p.first(), false)
		return p, nil, nil
	}
	r := &resumption{was: was, times: a.Resumes + 1}
	var events []byte
	if p.encoder, events, err = was.encoder(p.opts, a.Outline, s.opts.Redact); err != nil {
		return nil, nil, err
	}
	p.log.add(events, false)
	p.log.resumedHere()
	if run, err := s.opts.Store.Run(ctx, a.RunID); err == nil {
		p.turn.SessionID = run.SessionID
		r.finished = run.Status == store.StatusDone
	}
	p.turn.RunID = prefixRun + base + "_" + strconv.Itoa(r.times)
	return p, r, nil
}

// resumption is what was done of a turn before its process died.
type resumption struct {
	was      interruptedResponse
	times    int
	finished bool // only its end is not stored
}

// runAdopted waits for its turn, and runs what is left of it.
func (p *responseRun) runAdopted(ctx context.Context, place *place, r *resumption) {
	if r == nil {
		p.runQueued(ctx, place)
		return
	}
	fail := func(err error) {
		last, _ := p.end(ctx, agent.Result{}, err)
		p.log.add(last, true)
	}
	leave, err := p.waitForTurn(ctx, place)
	if err != nil {
		fail(err)
		return
	}
	defer leave()
	if err := p.goOn(ctx, r); err != nil {
		fail(err)
		return
	}
	if r.finished {
		last, _ := p.end(ctx, p.finishedResult(r), nil)
		p.log.add(last, true)
		return
	}
	_, _ = p.run(ctx, func([]byte, bool) error { return nil })
}

// goOn finds what the turn goes on from, and stores that it does: the next process
// finds all that was done so far in the response, and what follows in a new run.
func (p *responseRun) goOn(ctx context.Context, r *resumption) error {
	past, err := p.follow(ctx)
	if err != nil {
		return err
	}
	p.acted = true
	if !r.finished {
		note := llm.TextMessage(llm.User, resumeNote)
		note.Note = true // what the person has said last stays the task
		p.added = append(p.added, note)
	}
	instructions := ""
	if p.opts.response.Instructions != nil {
		instructions = *p.opts.response.Instructions
	}
	p.turn.History, p.turn.System = apartFromSystem(instructions, append(past, p.added...))
	transcript, err := json.Marshal(p.added)
	if err != nil {
		return fmt.Errorf("encode transcript: %w", err)
	}
	p.record.RunID, p.record.Transcript = p.turn.RunID, transcript
	p.record.Status, p.record.Input = openai.StatusInProgress, nil
	p.mu.Lock()
	p.record.Body, p.record.Outline = p.encoder.object(), p.encoder.outline
	p.mu.Unlock()
	if r.finished {
		return nil
	}
	if err := p.s.opts.Store.PutResponse(ctx, p.record, store.Put{Keep: p.s.opts.StoredResponses, Update: true}); err != nil {
		return p.s.storeFailure(err)
	}
	return nil
}

// finishedResult is how a turn ended of which only that is not stored.
func (p *responseRun) finishedResult(r *resumption) agent.Result {
	result := agent.Result{RunID: p.record.RunID, Finish: llm.FinishStop}
	if n := len(r.was.said); n > 0 {
		result.Message = r.was.said[n-1]
		result.Finish = result.Message.Finish
	}
	return result
}

// save stores how far a response in the background has come. What cannot be stored
// is made of the record of its turn.
func (p *responseRun) save(ctx context.Context) {
	p.mu.Lock()
	body, outline := p.encoder.object(), p.encoder.outline
	p.mu.Unlock()
	if len(body) > maxSaved {
		return
	}
	err := p.s.opts.Store.PutResponse(ctx, store.Response{
		ID: p.record.ID, Status: openai.StatusInProgress, Body: body, Outline: outline,
	}, store.Put{Keep: p.s.opts.StoredResponses, Update: true})
	if err != nil {
		p.s.opts.Log.Debug("response was not stored on its way", "request_id", p.turn.RequestID, "error", err)
	}
}
