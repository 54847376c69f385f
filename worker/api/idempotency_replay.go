package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/openai"
	"hermes/worker/store"
)

// once runs a request, unless one that is the same runs or has run before it: then
// that one's answer is given again, as a stream by way of replay if a stream is
// wanted. The ids are those of what would run.
func (s *Server) once(c echo.Context, claim *claim, runID, responseID string, replay replayFunc, run func() error) (err error) {
	if claim == nil {
		return run()
	}
	r, w := c.Request(), c.Response()
	ctx, _, done := s.turns.begin(r.Context())
	answer, err := claim.begin(ctx, runID, responseID)
	ended := ctx.Err() != nil
	done()
	switch {
	case err != nil && ended:
		return s.notAdmitted(r.Context(), err)
	case err != nil:
		return err
	case answer == nil:
		defer func() { claim.settle(r.Context(), err) }() // a panic passes through here too
		return run()
	}
	w.Header().Set(replayedHeader, "true")
	if answer.Status >= http.StatusBadRequest {
		w.Header().Set("X-Should-Retry", "false")
	}
	if replay == nil || answer.Status != http.StatusOK {
		writeBody(w, answer.Status, answer.Body)
		return nil
	}
	return s.repeat(w, *answer, replay)
}

// replayFunc makes a stream of the body of an answer.
type replayFunc func(body []byte, send func([]byte) error) error

// repeat sends an answer as a stream.
func (s *Server) repeat(w http.ResponseWriter, answer store.Answer, replay replayFunc) error {
	out := openStream(w, func(error) {})
	defer out.close()
	err := replay(answer.Body, func(events []byte) error { return out.send(events, true) })
	if out.failed() {
		return errGone
	}
	return err
}

// replayCompletion makes the stream of a chat completion that has ended. What was
// shown of tools while they ran is not in it.
func replayCompletion(opts chatOptions) replayFunc {
	return func(body []byte, send func([]byte) error) error {
		var completion openai.Completion
		if err := json.Unmarshal(body, &completion); err != nil || len(completion.Choices) != 1 {
			return fmt.Errorf("read stored completion: %w", err)
		}
		opts.id, opts.created, opts.model = completion.ID, int64(completion.Created), completion.Model
		opts.lastOnly = false // the text is that of the last message already
		answer := completion.Choices[0].Message
		result := agent.Result{Finish: llm.Finish(completion.Choices[0].FinishReason)}
		if completion.Usage != nil {
			result.Usage = usageOf(*completion.Usage)
		}
		for _, call := range answer.ToolCalls {
			result.ClientCalls = append(result.ClientCalls, llm.ToolCall{ID: call.ID, Name: call.Function.Name, Arguments: string(call.Function.Arguments)})
		}
		encoder := newChatEncoder(opts)
		if err := send(encoder.begin()); err != nil {
			return err
		}
		for _, event := range []agent.Event{
			agent.Reasoning{JSON: appendQuoted(nil, answer.ReasoningContent)}, agent.Text{JSON: appendQuoted(nil, answer.Content.String())},
		} {
			if events, _ := encoder.event(event); len(events) > 0 {
				if err := send(events); err != nil {
					return err
				}
			}
		}
		return send(encoder.end(result))
	}
}

// usageOf reads what chatUsage wrote.
func usageOf(u openai.Usage) llm.Usage {
	usage := llm.Usage{Input: int(u.PromptTokens), Output: int(u.CompletionTokens)}
	if u.PromptTokensDetails != nil {
		usage.Cached = int(u.PromptTokensDetails.CachedTokens)
	}
	if u.CompletionTokensDetails != nil {
		usage.Reasoning = int(u.CompletionTokensDetails.ReasoningTokens)
	}
	return usage
}

// replayAnswered makes the stream of a response that was the answer to a request,
// from what is stored of it by now: one in the background has gone on.
func (s *Server) replayAnswered(ctx context.Context) replayFunc {
	return func(body []byte, send func([]byte) error) error {
		var response openai.Response
		if err := json.Unmarshal(body, &response); err != nil {
			return fmt.Errorf("read stored response: %w", err)
		}
		if p := s.live.get(response.ID); p != nil && p.log != nil {
			return p.log.follow(ctx, 0, send)
		}
		stored, err := s.opts.Store.Response(ctx, response.ID)
		if err != nil { // it was deleted, or never stored: the answer is all there is
			return replayResponse(&response, nil, -1, send)
		}
		if err := json.Unmarshal(stored.Body, &response); err != nil {
			return fmt.Errorf("read stored response: %w", err)
		}
		return replayResponse(&response, stored.Outline, -1, send)
	}
}
