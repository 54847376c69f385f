package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/openai"
	"hermes/worker/store"
)

// prefixRun begins the names of runs that are made here.
const prefixRun = "run_"

// SourceTerminal is the source of turns that hermes chat asks for.
const SourceTerminal = "terminal"

// errStopped is the cause with which a client's wish cancels a response.
var errStopped = errors.New("cancelled by the client")

// responseRun is one response on its way, from the request to its last event.
type responseRun struct {
	s       *Server
	request *openai.ResponsesRequest
	// turn is what the agent runs. Its history is known after begin.
	turn    agent.Turn
	runTurn runFunc
	opts    responseOptions
	// input is what the client sent, with ids.
	input openai.Items
	files *fileReader
	// claim ends an idempotent request together with the response, nil if it is
	// none.
	claim *claim
	// detached lets the turn go on without its client.
	detached bool
	// log is kept when the stream can be followed by others than the client that
	// asked for the response.
	log *eventLog

	record store.Response // as it was stored last
	added  []llm.Message  // by the input
	put    bool           // it was stored
	ran    bool           // its turn has begun
	acted  bool           // a tool has begun
	final  []byte         // the whole response, when it has ended
	late   *store.Put     // how its end is to be stored, if that went wrong
	before llm.Usage      // by processes that died on the way

	mu      sync.Mutex // guards encoder
	encoder *responseEncoder
	cancel  context.CancelCauseFunc
	done    chan struct{} // closed when it has ended
}

// newRun makes a run of a request, or says what is wrong with it. It begins
// nothing.
func (s *Server) newRun(ctx context.Context, request *openai.ResponsesRequest, h http.Header) (*responseRun, error) {
	openWebUI := fromOpenWebUI(h)
	turn, err := s.responseTurn(request, openWebUI)
	if err != nil {
		return nil, err
	}
	base := s.opts.NewID()
	id := openai.PrefixResponse + base
	if request.Model == "" {
		request.Model = s.opts.ModelName
	}
	turn.RunID = prefixRun + base
	terminal := fromTerminal(h)
	if terminal {
		turn.Source = SourceTerminal
	}
	p := &responseRun{
		s: s, request: request, turn: turn, runTurn: s.opts.Agent.Run, files: s.newFileReader(ctx), done: make(chan struct{}),
		opts: responseOptions{
			response:  openai.NewResponse(request, id, s.opts.Now()),
			tools:     toolItemsOf(s.opts.ToolItems, h, openWebUI),
			now:       s.opts.Now,
			newID:     counter(base + "_"),
			whole:     !s.opts.Streaming,
			status:    terminal || openWebUI && progressOf(s.now.Load().ToolProgress, openWebUI).events,
			openWebUI: openWebUI,
		},
	}
	if openWebUI { // its tools are not offered
		p.opts.response.Tools = []openai.ResponsesTool{}
	}
	if p.input, err = s.resolveReferences(ctx, request.Input); err != nil {
		return nil, err
	}
	if request.PreviousResponseID == "" && request.Conversation == nil { // else the history has all
		if p.input, err = s.fillGaps(ctx, p.input); err != nil {
			return nil, err
		}
	}
	p.input = p.input.Identify(counter(base + "_i"))
	p.record = store.Response{
		ID: id, RunID: turn.RunID, Background: request.Background, Status: p.opts.response.Status,
		PreviousID: request.PreviousResponseID, Created: s.opts.Now(),
	}
	if request.Conversation != nil {
		p.record.Conversation = request.Conversation.ID
	}
	return p, nil
}

// detach lets the turn go on without its client, who may come back for the rest.
func (p *responseRun) detach(yes bool) {
	if p.detached = yes; yes && p.request.Stored() {
		p.log = newEventLog()
	}
}

// counter returns ids that tell of which response they are: see itemOwner.
func counter(prefix string) func() string {
	n := 0
	return func() string {
		n++
		return prefix + strconv.Itoa(n)
	}
}

// begin finds out what came before, and stores the response as one that is in
// flight: from then on a crash cannot lose it. It says what is wrong with the
// request where only the history tells.
func (p *responseRun) begin(ctx context.Context) error {
	var past []llm.Message
	for {
		var err error
		if past, err = p.follow(ctx); err != nil {
			return err
		}
		if p.added, err = transcribeItems(past, p.input, p.files); err != nil {
			return err
		}
		if err = p.checkInput(past); err != nil {
			return err
		}
		err = p.putBegin(ctx)
		if err == nil {
			break
		}
		// The head of a conversation may go between two calls. There is another
		// one then, or none.
		if p.record.Conversation == "" || !errors.Is(err, store.ErrNotFound) || ctx.Err() != nil || p.deleted(ctx) {
			return p.s.storeFailure(err)
		}
	}
	instructions := ""
	if p.opts.response.Instructions != nil {
		instructions = *p.opts.response.Instructions
	}
	p.turn.History, p.turn.System = apartFromSystem(instructions, slices.Concat(past, p.added))
	return nil
}

// deleted reports whether the response was put and is not stored any more.
func (p *responseRun) deleted(ctx context.Context) bool {
	if !p.put {
		return false
	}
	_, err := p.s.opts.Store.Response(ctx, p.record.ID)
	return errors.Is(err, store.ErrNotFound)
}

// checkInput makes sure that there is something to answer.
func (p *responseRun) checkInput(past []llm.Message) error {
	asks := func(m llm.Message) bool { return m.Role == llm.User || m.Role == llm.Tool }
	if !slices.ContainsFunc(p.added, asks) && !slices.ContainsFunc(past, asks) {
		return invalid("input", codeInvalidValue, "input holds nothing to answer: there must be a message of the user, or the output of a function.")
	}
	return nil
}

// follow returns the history that the response follows, and takes over what
// stays in force of it.
func (p *responseRun) follow(ctx context.Context) ([]llm.Message, error) {
	if name := p.record.Conversation; name != "" {
		head, err := p.s.opts.Store.ConversationHead(ctx, name)
		if err != nil {
			return nil, p.s.storeFailure(err)
		}
		p.record.PreviousID = head
	}
	if p.record.PreviousID == "" {
		return nil, nil
	}
	previous, err := p.s.opts.Store.Response(ctx, p.record.PreviousID)
	if err == nil && previous.InFlight() {
		err = store.ErrInFlight
	}
	if err != nil {
		return nil, p.s.storeFailure(err)
	}
	turns, err := p.s.opts.Store.Chain(ctx, previous.ID)
	if err != nil {
		return nil, p.s.storeFailure(err)
	}
	if p.request.Instructions == nil && previous.Instructions != "" {
		p.opts.response.Instructions = &previous.Instructions
	}
	if run, err := p.s.opts.Store.Run(ctx, previous.RunID); err == nil {
		p.turn.SessionID = run.SessionID
	}
	return pastTurns(turns)
}

// putBegin stores the response as in flight, unless it is not to be stored.
func (p *responseRun) putBegin(ctx context.Context) error {
	encoder := newResponseEncoder(p.opts)
	p.record.Body = encoder.object()
	p.encodeWith(encoder)
	if p.opts.response.Instructions != nil {
		p.record.Instructions = *p.opts.response.Instructions
	}
	if !p.request.Stored() {
		return nil
	}
	var err error
	if p.record.Input, err = json.Marshal(p.input); err != nil {
		return fmt.Errorf("encode input: %w", err)
	}
	if p.record.Transcript, err = json.Marshal(p.added); err != nil {
		return fmt.Errorf("encode transcript: %w", err)
	}
	put := store.Put{Keep: p.s.opts.StoredResponses, Update: p.put}
	if p.request.Background && !p.put { // the answer; what follows is no part of it
		put.Finish = p.claim.finish(http.StatusOK, p.record.Body)
	}
	err = p.s.opts.Store.PutResponse(ctx, p.record, put)
	if err == nil && put.Finish != nil {
		p.claim.land()
		p.claim = nil
	}
	p.put = p.put || err == nil
	return err
}

// encodeWith puts another encoder in, also while others look at the response.
func (p *responseRun) encodeWith(encoder *responseEncoder) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.encoder = encoder
}

// first returns the first events of the stream.
func (p *responseRun) first() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.encoder.begin()
}

// run runs the turn, hands the events of the stream to send while they happen,
// and stores the end before it returns its events. The failure is what a client
// is told that waits for the whole, nil if there is something to show.
func (p *responseRun) run(ctx context.Context, send func(events []byte, flush bool) error) (last []byte, f *failure) {
	p.ran = true
	result, err := p.runGuarded(ctx, func(event agent.Event) error {
		if _, ok := event.(agent.ToolStarted); ok {
			p.acted = true
		}
		events, more := p.encode(event)
		if p.request.Background && isTool(event) {
			p.save(ctx)
		}
		if len(events) == 0 && more {
			return nil
		}
		return p.tell(events, !more, send)
	})
	last, f = p.end(ctx, result, err)
	if p.log != nil {
		p.log.add(last, true)
	}
	return last, f
}

func isTool(event agent.Event) bool {
	switch event.(type) {
	case agent.ToolStarted, agent.ToolFinished:
		return true
	default:
		return false
	}
}

// runGuarded runs the turn and makes an error of its panic: the response ends like
// any other that has failed, and in the background the process goes on.
func (p *responseRun) runGuarded(ctx context.Context, emit func(agent.Event) error) (result agent.Result, err error) {
	defer func() {
		if thrown := recover(); thrown != nil {
			p.s.opts.Log.Error("panic in a turn", "request_id", p.turn.RequestID, "run_id", p.turn.RunID,
				"panic", fmt.Sprint(thrown), "stack", string(debug.Stack()))
			result, err = agent.Result{}, internal(nil)
		}
	}()
	return p.runTurn(ctx, p.turn, emit)
}

// encode returns the events of the stream that an event of the turn makes.
func (p *responseRun) encode(event agent.Event) (events []byte, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.encoder.event(event)
}

// tell hands events to those who follow and to the client that asked.
func (p *responseRun) tell(events []byte, flush bool, send func([]byte, bool) error) error {
	if p.log != nil && len(events) > 0 {
		p.log.add(events, false)
	}
	err := send(events, flush)
	if p.detached {
		return nil
	}
	return err
}

// snapshot is the response as it stands.
func (p *responseRun) snapshot() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.encoder.object()
}
