package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/openai"
	"hermes/worker/store"
)

// end makes the last events of the stream and stores the response. If that goes
// wrong the response has failed, whatever the turn was.
func (p *responseRun) end(ctx context.Context, result agent.Result, err error) ([]byte, *failure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	result.Usage = p.before.Add(result.Usage)
	var last []byte
	var f *failure
	cause := context.Cause(ctx)
	switch {
	case err == nil:
		last = p.encoder.finish(result)
	case cause != nil && !told(cause):
		f = p.stopped()
		last = p.encoder.cancel(result.Usage)
		if p.ran && len(result.Messages) == 0 && p.record.Conversation != "" {
			// The person's words stay in the conversation, and roles alternate.
			result.Messages = []llm.Message{llm.TextMessage(llm.Assistant, stoppedNote)}
		}
	default:
		f = p.failureOf(ctx, err)
		last = p.encoder.fail(responseError(f), result.Usage)
	}
	if storeErr := p.putEnd(ctx, result, err == nil || len(result.Messages) > 0, f); storeErr != nil {
		f = p.s.storeFailure(storeErr)
		f.final = p.acted
		last = p.encoder.retract(responseError(f))
		p.final = p.encoder.object()
		if p.put {
			p.record.Body, p.record.Outline, p.record.Status = p.final, p.encoder.outline, p.encoder.state.Status
			p.late = &store.Put{Keep: p.s.opts.StoredResponses, Update: true, Head: p.acted && p.record.Conversation != ""}
		}
	}
	return last, f
}

// stoppedNote stands for the answer of a turn of a conversation that was stopped before
// its first word. Only the model is told.
const stoppedNote = "(I was stopped before I could answer.)"

// told reports whether a client hears why its turn was ended from outside. In all
// other cases it has gone, or has stopped the turn itself.
func told(cause error) bool { return errors.Is(cause, errShutdown) || errors.Is(cause, errTaskTime) }

// stopped is what a client that waits for the whole is told of a response that
// was cancelled.
func (p *responseRun) stopped() *failure {
	f := refused(http.StatusConflict, openai.TypeInvalidRequest, codeCancelled, "The response was cancelled.")
	f.final = true
	return f
}

// failureOf says what went wrong in a turn.
func (p *responseRun) failureOf(ctx context.Context, err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if f, ok := errors.AsType[*failure](p.s.turnFailure(ctx, p.turn, err, p.acted)); ok {
		return f
	}
	return internal(err)
}

// putEnd stores how the response ended, what of the turn a later one has to know,
// and that it is the head of its conversation. The client's leaving does not
// matter here.
func (p *responseRun) putEnd(ctx context.Context, result agent.Result, head bool, f *failure) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	p.final = p.encoder.object()
	p.record.Body, p.record.Outline = p.final, p.encoder.outline
	p.record.Status, p.record.Input = p.encoder.state.Status, nil
	var err error
	if p.record.Transcript, err = json.Marshal(slices.Concat(p.added, result.Messages)); err != nil {
		return fmt.Errorf("encode transcript: %w", err)
	}
	// A failure that the client gets as an error is no answer to keep: see
	// claim.settle.
	var finish *store.Finish
	if f == nil || p.acted {
		finish = p.claim.finish(http.StatusOK, p.record.Body)
	}
	if !p.request.Stored() {
		return p.claim.end(ctx, finish)
	}
	put := store.Put{Keep: p.s.opts.StoredResponses, Update: true, Head: head && p.record.Conversation != "", Finish: finish}
	for {
		err := p.s.opts.Store.PutResponse(ctx, p.record, put)
		switch {
		case err == nil:
			if finish != nil {
				p.claim.land()
			}
			return nil
		case errors.Is(err, store.ErrNotFound): // deleted while it was made
			return p.claim.end(ctx, finish)
		case errors.Is(err, store.ErrConflict):
			// Another process of this profile, as there is while one takes over from
			// another, has gone on with the conversation. This turn follows it.
			if p.record.PreviousID, err = p.s.opts.Store.ConversationHead(ctx, p.record.Conversation); err == nil {
				continue
			}
			return err
		default:
			return err
		}
	}
}
