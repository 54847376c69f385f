package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/openai"
)

// maxUpstreamMessage is how many characters of a failed upstream's words are
// passed on.
const maxUpstreamMessage = 2000

// chat answers POST /v1/chat/completions.
func (s *Server) chat(c echo.Context) error {
	r := c.Request()
	body, err := s.readJSON(r)
	if err != nil {
		return err
	}
	request, err := openai.DecodeChatRequest(body)
	if err != nil {
		return err
	}
	openWebUI := fromOpenWebUI(r.Header)
	turn, err := s.chatTurn(r.Context(), request, openWebUI)
	if err != nil {
		return err
	}
	turn.RequestID = requestID(c)
	turn.SessionID = sessionOf(r.Header)
	opts := chatOptions{
		id:       "chatcmpl-" + s.opts.NewID(),
		created:  s.opts.Now().Unix(),
		model:    request.Model,
		progress: progressOf(s.now.Load().ToolProgress, openWebUI),
		usage:    request.StreamOptions != nil && request.StreamOptions.IncludeUsage,
		whole:    !s.opts.Streaming,
		lastOnly: turn.Params.ResponseFormat != nil,
	}
	opts.progress.inline = opts.progress.inline && !opts.lastOnly
	if opts.model == "" {
		opts.model = s.opts.ModelName
	}

	if task := taskOf(r.Header, request); task != "" {
		asTask(&turn, task)
		return s.task(r.Context(), func(ctx context.Context, cancel context.CancelCauseFunc) error {
			return s.answerChat(ctx, cancel, c.Response(), chatRun{turn: turn, opts: opts, run: s.opts.Agent.Complete, stream: request.Stream})
		})
	}

	claim, err := s.wanted(r, body)
	if err != nil {
		return err
	}
	if claim != nil {
		turn.RunID = prefixRun + s.opts.NewID()
	}
	var ran string
	run := chatRun{
		turn: turn, opts: opts, run: s.remembering(opts, request.Stream, &ran), stream: request.Stream, claim: claim,
		detached: s.now.Load().OnDisconnect == Detach || claim.keyed(),
	}
	var replay replayFunc
	if request.Stream {
		replay = replayCompletion(opts)
	}
	return s.once(c, claim, turn.RunID, "", replay, func() error {
		defer func() { s.heard(r.Context(), ran) }()
		return s.chatTurnOf(c, run)
	})
}

// chatTurnOf waits until the turn may run, runs it and answers.
func (s *Server) chatTurnOf(c echo.Context, run chatRun) error {
	client := c.Request().Context()
	leave, err := s.enter(client)
	if err != nil {
		return err
	}
	defer leave()
	if run.detached {
		client = context.WithoutCancel(client)
	}
	ctx, cancel, done := s.turns.begin(client)
	defer done()
	return s.answerChat(ctx, cancel, c.Response(), run)
}

// chatRun is a request on its way to an answer.
type chatRun struct {
	turn agent.Turn
	opts chatOptions
	// run makes the answer: a turn of the agent, or a task's single call.
	run    runFunc
	stream bool
	// detached lets the run go on without its client.
	detached bool
	// claim makes the request safe to repeat, nil if nobody asks for that.
	claim *claim
}

// answerChat runs and answers in the form that was asked for. Cancel ends ctx.
func (s *Server) answerChat(ctx context.Context, cancel context.CancelCauseFunc, w http.ResponseWriter, run chatRun) error {
	if run.stream {
		return s.streamChat(ctx, cancel, w, run)
	}
	return s.completeChat(ctx, w, run)
}

// completeChat runs a turn and answers with one JSON object.
func (s *Server) completeChat(ctx context.Context, w http.ResponseWriter, run chatRun) error {
	acted := false
	result, err := run.run(ctx, run.turn, func(event agent.Event) error {
		if _, ok := event.(agent.ToolStarted); ok {
			acted = true
		}
		return nil
	})
	if err != nil {
		return s.turnFailure(ctx, run.turn, err, acted)
	}
	body := run.completion(result)
	s.keepAnswer(ctx, run, body)
	writeBody(w, http.StatusOK, body)
	return nil
}

// completion is the whole answer of a turn, encoded.
func (run chatRun) completion(result agent.Result) []byte {
	return encodeBody(openai.Completion{
		ID: run.opts.id, Object: openai.ObjectCompletion, Created: openai.Number(run.opts.created), Model: run.opts.model,
		Choices: []openai.Choice{{
			Message: openai.Answer{
				Role:             openai.RoleAssistant,
				Content:          answerContent(result, run.opts.lastOnly),
				ReasoningContent: reasoning(result),
				ToolCalls:        answerCalls(result.ClientCalls),
			},
			FinishReason: finishReason(result.Finish),
		}},
		Usage: chatUsage(result.Usage),
	})
}

// keepAnswer stores the answer of a request that may be repeated. If that goes
// wrong the client gets its answer all the same.
func (s *Server) keepAnswer(ctx context.Context, run chatRun, body []byte) {
	if err := run.claim.end(ctx, run.claim.finish(http.StatusOK, body)); err != nil {
		s.opts.Log.Warn("answer was not kept for a repeated request", "request_id", run.turn.RequestID, "error", err)
	}
}

// streamChat runs a turn and sends its events while they happen.
func (s *Server) streamChat(ctx context.Context, cancel context.CancelCauseFunc, w http.ResponseWriter, run chatRun) error {
	out := openStream(w, func(error) {
		if !run.detached {
			cancel(errGone)
		}
	})
	defer out.close()
	encoder := newChatEncoder(run.opts)
	acted := false
	err := out.send(encoder.begin(), true)
	var result agent.Result
	if err == nil || run.detached {
		result, err = run.run(ctx, run.turn, func(event agent.Event) error {
			if _, ok := event.(agent.ToolStarted); ok {
				acted = true
			}
			chunks, more := encoder.event(event)
			if len(chunks) == 0 && more {
				return nil
			}
			err := out.send(chunks, !more)
			if run.detached {
				return nil
			}
			return err
		})
	}
	if err == nil {
		if run.claim != nil {
			s.keepAnswer(ctx, run, run.completion(result))
		}
		err = out.send(encoder.end(result), true)
		if err != nil {
			return errGone
		}
		return nil
	}
	err = s.turnFailure(ctx, run.turn, err, acted)
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return errGone
	}
	run.claim.failed(f)
	if out.send(encoder.fail(f.body), true) != nil {
		return errGone
	}
	return nil
}

// turnFailure says what becomes of a turn that ended with an error. It returns
// errGone when nobody is there to hear it.
func (s *Server) turnFailure(ctx context.Context, turn agent.Turn, err error, acted bool) error {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errShutdown):
		f := shuttingDown()
		f.final = acted
		return f
	case errors.Is(cause, errTaskTime):
		return taskTooSlow()
	case cause != nil:
		return errGone
	}
	upstream, ok := errors.AsType[*llm.Error](err)
	if !ok {
		s.opts.Log.Error("turn failed", "request_id", turn.RequestID, "error", err)
		f := internal(nil)
		f.final = acted
		return f
	}
	s.opts.Log.Warn("model failed", "request_id", turn.RequestID, "class", upstream.Class, "error", err)
	message := shorten(upstream.Error(), maxUpstreamMessage)
	if refusesImages(turn, upstream) {
		f := invalid("messages", codeContentType, "The model that this agent works with takes no images. It says: %s", message)
		f.final = true
		return f
	}
	if upstream.Class == llm.Quota {
		return s.limits.usedUp()
	}
	if upstream.Class == llm.NoModel {
		f := refused(http.StatusServiceUnavailable, openai.TypeServer, codeNoModel, "%s", message)
		f.retryAfter = time.Minute
		f.final = acted
		return f
	}
	f := refused(http.StatusBadGateway, openai.TypeUpstream, upstreamCode(upstream.Class), "%s", message)
	f.retryAfter = upstream.RetryAfter
	// An SDK that tries again would run the tools again, or fail the same way.
	f.final = acted || !upstream.Temporary()
	return f
}

// refusesImages reports whether a model has refused a turn because it cannot see.
// Then it is the client who can mend the request.
func refusesImages(turn agent.Turn, upstream *llm.Error) bool {
	if upstream.Class != llm.BadRequest {
		return false
	}
	words := strings.ToLower(upstream.Message)
	if !strings.Contains(words, "image") && !strings.Contains(words, "vision") && !strings.Contains(words, "multimodal") {
		return false
	}
	return slices.ContainsFunc(turn.History, func(message llm.Message) bool {
		return slices.ContainsFunc(message.Parts, func(part llm.Part) bool { return part.ImageURL != "" })
	})
}

// upstreamCode names the failure of a model as far as clients know a name.
func upstreamCode(class llm.Class) string {
	switch class {
	case llm.RateLimit:
		return codeRateLimit
	case llm.Overflow:
		return codeOverflow
	case llm.ContentFilter:
		return "content_filter"
	case llm.Auth, llm.Billing, llm.Quota, llm.Overloaded, llm.Network, llm.BadRequest, llm.Empty, llm.NoModel, llm.Malformed:
		return "upstream_" + string(class)
	default:
		return "upstream_error"
	}
}

// answerContent is the text of a JSON answer, or of its last message only. It is
// null when there is nothing but calls.
func answerContent(result agent.Result, lastOnly bool) openai.Content {
	text := result.Text()
	if lastOnly {
		text = result.Message.Text()
	}
	if text == "" && len(result.ClientCalls) > 0 {
		return openai.Content{}
	}
	return openai.TextContent(text)
}

// reasoning joins what the model thought aloud in all messages of a turn.
func reasoning(result agent.Result) string {
	var thoughts []string
	for _, message := range result.Messages {
		if message.Reasoning != "" {
			thoughts = append(thoughts, message.Reasoning)
		}
	}
	return strings.Join(thoughts, "\n\n")
}
