package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"hermes/worker/llm"
	"hermes/worker/tools"
)

// maxEmpty is how many empty answers in a row are asked about again.
const maxEmpty = 2

// What the model is told beside the transcript. These notes are not recorded.
const (
	emptyNote = "Your last reply was empty. Answer the person, or call a tool."
	lastNote  = "This turn has reached its limit of %d steps, and tools are no longer available. " +
		"Tell the person now what is done, what is not, and how to go on."
)

// phase is one state of the loop. It returns the next one, or nil at the end.
type phase func(ctx context.Context) (phase, error)

// loop is one turn on its way.
type loop struct {
	agent   *Agent
	params  Params
	specs   []llm.ToolSpec // the agent's tools, and those of the client
	choice  string         // see Turn.ToolChoice
	client  clientTools
	emit    func(Event) error
	emitErr error // what emit failed with; it is not called again after that

	talk       conversation // the transcript, and what the model is sent of it
	session    string
	toolTokens int    // the estimate of specs
	summaries  int    // that were made or tried
	note       string // said to the model once, after the transcript
	lead       string // shown, and the beginning of the model's next message
	toldToCall bool   // see askToCall
	parted     bool   // see part
	asked      []llm.ToolCall
	left       []llm.ToolCall  // to the client
	callIDs    map[string]bool // every call id of the transcript
	iteration  int
	toolCalls  int // that were run
	// What tools have shown: see toolMessage.
	images, imageBytes int
	maxCalls           int // see Turn.MaxToolCalls
	empty              int // empty answers in a row
	guard              guard
	mistakes           mistakes
	question           string       // a tool's, which ends the turn
	awaiting           bool         // the turn ended with it
	final              *llm.Message // what ends the turn, recorded together with its end
	result             Result
}

// Run runs one turn. Events go out through emit, one at a time and from this
// goroutine; when emit fails, or ctx ends, the model and all tools are stopped
// at once. The error of emit comes back as it is, that of the model is an
// *llm.Error. Everything that the turn started has ended when Run returns.
func (a *Agent) Run(ctx context.Context, turn Turn, emit func(Event) error) (Result, error) {
	if len(turn.History) == 0 {
		return Result{}, errors.New("the turn has no message to answer")
	}
	if ctx.Err() != nil {
		return Result{}, cancelled(ctx)
	}
	// The file tools compare what a turn changes with what it has read.
	ctx = tools.WithReadLog(ctx)
	if turn.SessionID == "" {
		turn.SessionID = a.opts.NewID()
	}
	l := a.newLoop(ctx, turn, emit)
	ctx = tools.WithTurn(ctx, tools.Turn{SessionID: turn.SessionID, RunID: l.result.RunID})
	turn.RunID = l.result.RunID
	handed := a.children(turn)
	ctx = handed.with(ctx)
	if err := l.begin(ctx, turn); err != nil {
		return l.result, l.redacted(err)
	}
	ended := false
	defer func() {
		if !ended { // a panic passes through here
			_ = l.end(ctx, errors.New("the turn broke off"))
		}
	}()
	err := l.run(ctx)
	ended = true
	if endErr := l.end(ctx, err); err == nil {
		err = endErr
	}
	if err != nil {
		l.takeBack(ctx)
	}
	l.result.Usage, l.result.Iterations = l.result.Usage.Add(handed.used()), l.iteration
	return l.result, l.redacted(err)
}

func (a *Agent) newLoop(ctx context.Context, turn Turn, emit func(Event) error) *loop {
	system := turn.System
	if a.opts.Prompt != nil {
		system = a.prompt(ctx, turn)
	}
	l := a.newBareLoop(turn, system, emit)
	if l.result.RunID = turn.RunID; l.result.RunID == "" {
		l.result.RunID = a.opts.NewID()
	}
	l.specs = slices.Concat(a.opts.Tools.SessionSpecs(ctx, turn.SessionID), l.specs)
	l.toolTokens = tokensOfTools(l.specs)
	l.recall(ctx, turn.SessionID)
	return l
}

// prompt is the system prompt of a turn: that of its session, and the client's
// instructions.
func (a *Agent) prompt(ctx context.Context, turn Turn) string {
	if a.opts.Prompts == nil {
		return a.opts.Prompt.Text(turn.System)
	}
	text, err := a.opts.Prompts.SessionPrompt(ctx, turn.SessionID, a.opts.Prompt.own)
	if err != nil {
		// The record of the turn meets the same database, and decides.
		a.opts.Log.Warn("prompt of the session is not kept", "session_id", turn.SessionID, "error", err)
		return a.opts.Prompt.Text(turn.System)
	}
	return withInstructions(text, turn.System)
}

// newBareLoop makes a loop without anything of the agent.
func (a *Agent) newBareLoop(turn Turn, system string, emit func(Event) error) *loop {
	l := &loop{
		agent: a, params: turn.Params, emit: emit, callIDs: map[string]bool{},
		specs: turn.ClientTools, choice: turn.ToolChoice, client: newClientTools(turn),
		maxCalls: turn.MaxToolCalls, talk: newConversation(system, turn.History),
	}
	for _, message := range turn.History {
		for _, call := range message.ToolCalls {
			l.callIDs[call.ID] = true
		}
	}
	return l
}

// run goes from phase to phase: model, tools, model, …, done.
func (l *loop) run(ctx context.Context) error {
	for next := phase(l.model); next != nil; {
		var err error
		if next, err = next(ctx); err != nil {
			return err
		}
	}
	return nil
}

// model asks the model for the next message and decides what follows from it.
func (l *loop) model(ctx context.Context) (phase, error) {
	if ctx.Err() != nil {
		return nil, cancelled(ctx)
	}
	l.iteration++
	last := l.iteration >= l.agent.opts.MaxIterations
	message, err := l.ask(ctx, last)
	l.result.Usage = l.result.Usage.Add(message.Usage)
	message = l.led(message)
	message.Role = llm.Assistant
	if err != nil {
		return nil, l.brokenOff(ctx, message, err)
	}
	uncalled := len(message.ToolCalls) > 0 && (last || message.Finish == llm.FinishContentFilter)
	if uncalled { // calls that were not allowed, or that are not all there
		message.ToolCalls = nil
	}
	if len(message.ToolCalls) == 0 && strings.TrimSpace(message.Text()) == "" {
		switch {
		case last && (uncalled || l.iteration > 1):
			return l.outOfSteps, nil
		case message.Finish != llm.FinishContentFilter && message.Finish != llm.FinishLength:
			return l.askAgain(message)
		}
	}
	l.empty = 0
	if l.wroteCall(message, last) {
		return l.askToCall(message), nil
	}
	message.ToolCalls = l.identify(l.client.bounded(message.ToolCalls))
	message.Finish = finishOf(message)
	if err := l.keep(ctx, message); err != nil {
		return nil, err
	}
	if len(message.ToolCalls) > 0 {
		l.asked = message.ToolCalls
		return l.tools, nil
	}
	l.result.Cut = last && (uncalled || l.iteration > 1)
	return l.done, nil
}

// done names the last message as the answer.
func (l *loop) done(context.Context) (phase, error) {
	l.result.Message = l.result.Messages[len(l.result.Messages)-1]
	l.result.Finish = l.result.Message.Finish
	if l.result.Cut {
		l.result.Finish = llm.FinishLength
	}
	return nil, nil
}

// takeNote returns what the model is told beside the transcript this time.
func (l *loop) takeNote(last bool) string {
	note := l.note
	l.note = ""
	if last && l.iteration > 1 {
		note = fmt.Sprintf(lastNote, l.agent.opts.MaxIterations)
	}
	return note
}

// toolChoice is which tools the model must call this time.
func (l *loop) toolChoice(last bool) string {
	if last || l.choice != "" {
		return l.choice
	}
	if !slices.ContainsFunc(l.specs, func(spec llm.ToolSpec) bool { return spec.Name == l.mistakes.tool }) {
		return "" // it is called by a name that requests do not hold
	}
	return l.mistakes.pin()
}

// request is what the model is asked now.
func (l *loop) request(last bool, note, choice string) llm.Request {
	req := l.sampled(l.talk.view)
	if l.lead != "" {
		req.Messages = append(slices.Clip(req.Messages), llm.TextMessage(llm.Assistant, l.lead))
	}
	if !last {
		req.Tools, req.ToolChoice = l.specs, choice
	}
	if note != "" {
		req.Messages = append(slices.Clip(req.Messages), llm.TextMessage(llm.User, note))
	}
	return req
}

// sampled is a request with the client's wishes.
func (l *loop) sampled(messages []llm.Message) llm.Request {
	return llm.Request{
		Messages:         messages,
		Temperature:      l.params.Temperature,
		TopP:             l.params.TopP,
		PresencePenalty:  l.params.PresencePenalty,
		FrequencyPenalty: l.params.FrequencyPenalty,
		MaxTokens:        l.params.MaxTokens,
		Stop:             l.params.Stop,
		ReasoningEffort:  l.params.ReasoningEffort,
		ResponseFormat:   l.params.ResponseFormat,
	}
}

// askAgain deals with an answer that says nothing.
func (l *loop) askAgain(message llm.Message) (phase, error) {
	if l.empty++; l.empty > maxEmpty {
		return nil, &llm.Error{
			Class:   llm.Empty,
			Message: fmt.Sprintf("The model gave an empty answer %d times in a row.", l.empty),
		}
	}
	l.agent.opts.Log.Debug("empty answer", "run_id", l.result.RunID, "finish", message.Finish)
	l.note = emptyNote
	return l.model, nil
}

// brokenOff keeps what was said of an answer that did not end properly and
// returns the error of the turn.
func (l *loop) brokenOff(ctx context.Context, message llm.Message, err error) error {
	if message.Text() != "" {
		message.ToolCalls, message.Finish = nil, ""
		if recordErr := l.keep(ctx, message); recordErr != nil {
			l.agent.opts.Log.Warn("half an answer was not kept", "run_id", l.result.RunID, "error", recordErr)
		}
	}
	switch {
	case l.emitErr != nil:
		return l.emitErr
	case ctx.Err() != nil:
		return cancelled(ctx)
	default:
		return err
	}
}

// relay hands on what the model says.
func (l *loop) relay(event llm.Event) error {
	switch event := event.(type) {
	case llm.Text:
		if err := l.part(event); err != nil {
			return err
		}
		return l.send(Text(event))
	case llm.Reasoning:
		return l.send(Reasoning(event))
	case llm.Retry:
		l.agent.opts.Log.Debug("model is asked again", "run_id", l.result.RunID, "attempt", event.Attempt,
			"error", l.agent.opts.Redact(event.Err.Error()))
	}
	return nil
}

// send emits an event. After a failure nothing is emitted any more.
func (l *loop) send(event Event) error {
	if l.emitErr == nil {
		l.emitErr = l.emit(event)
	}
	return l.emitErr
}

// keep makes a message of the model part of the turn. One that asks for tools is
// recorded before they start; one that does not ends the turn, and is recorded
// with its end in one transaction.
func (l *loop) keep(ctx context.Context, message llm.Message) error {
	if len(message.ToolCalls) == 0 {
		l.final = &message
		l.add(message)
		return nil
	}
	err := l.record(ctx, "answer", func(ctx context.Context) error {
		return l.agent.opts.Recorder.Assistant(ctx, l.result.RunID, message)
	})
	if err == nil {
		l.add(message)
	}
	return err
}

func (l *loop) add(message llm.Message) {
	l.talk.add(message)
	l.result.Messages = append(l.result.Messages, message)
}

// identify gives every call an id of its own. Some upstreams send none, and
// some count from 0 again in each answer.
func (l *loop) identify(calls []llm.ToolCall) []llm.ToolCall {
	calls = slices.Clone(calls)
	for i := range calls {
		for calls[i].ID == "" || l.callIDs[calls[i].ID] {
			calls[i].ID = "call_" + strings.ReplaceAll(l.agent.opts.NewID(), "-", "")
		}
		l.callIDs[calls[i].ID] = true
	}
	return calls
}

func (l *loop) describe(ctx context.Context, call llm.ToolCall) (emoji, label string) {
	emoji, label = l.agent.opts.Tools.Describe(ctx, call)
	return emoji, l.agent.opts.Redact(label)
}

// finishOf is why a whole message ended. Upstreams differ: calls may come with
// stop, and text with tool_calls or with nothing.
func finishOf(message llm.Message) llm.Finish {
	switch {
	case len(message.ToolCalls) > 0:
		return llm.FinishToolCalls
	case message.Finish == llm.FinishLength, message.Finish == llm.FinishContentFilter:
		return message.Finish
	default:
		return llm.FinishStop
	}
}
