package agent

import (
	"context"
	"errors"
	"slices"

	"hermes/worker/llm"
)

// Complete asks the model once, beside all turns: without the agent's prompt,
// tools, memory or session, and without a record. It is for what frontends ask
// on their own account, such as the title of a chat. Of the turn, History,
// System, Params and what concerns the client's tools count. Events, results and
// errors are those of Run.
//
// A reasoning effort is a wish here: a model that refuses it is asked again
// without, and from then on at once.
func (a *Agent) Complete(ctx context.Context, turn Turn, emit func(Event) error) (Result, error) {
	if len(turn.History) == 0 {
		return Result{}, errors.New("the request has no message to answer")
	}
	l := a.newBareLoop(turn, turn.System, emit)
	err := l.complete(ctx)
	return l.result, l.redacted(err)
}

// complete asks the model once, or twice when it refuses a wish.
func (l *loop) complete(ctx context.Context) error {
	if l.agent.known.noEffort.Load() {
		l.params.ReasoningEffort = ""
	}
	message, err := l.askFitting(ctx)
	if l.params.ReasoningEffort != "" && llm.ClassOf(err) == llm.BadRequest && message.Text() == "" && ctx.Err() == nil {
		l.params.ReasoningEffort = ""
		if message, err = l.askFitting(ctx); err == nil {
			l.agent.known.noEffort.Store(true)
		}
	}
	_, message.ToolCalls = l.client.split(message.ToolCalls)
	message.Role, message.ToolCalls = llm.Assistant, l.identify(l.client.bounded(message.ToolCalls))
	message.Finish = finishOf(message)
	l.result.Message, l.result.Messages = message, []llm.Message{message}
	l.result.Usage, l.result.Finish = message.Usage, message.Finish
	for _, call := range message.ToolCalls {
		l.result.ClientCalls = append(l.result.ClientCalls, l.shown(call))
	}
	switch {
	case err == nil:
		return nil
	case l.emitErr != nil:
		return l.emitErr
	case ctx.Err() != nil:
		return cancelled(ctx)
	default:
		return err
	}
}

// askFitting asks the model with messages that fit into its window, as far as that is
// known. A refusal teaches how long it is.
func (l *loop) askFitting(ctx context.Context) (llm.Message, error) {
	for refits := 0; ; refits++ {
		l.cutToFit(ctx)
		message, err := l.askPlainly(ctx)
		if llm.ClassOf(err) != llm.Overflow || message.Text() != "" || ctx.Err() != nil || refits == maxRefits {
			return message, err
		}
		before := l.talk.tokens
		l.learn(ctx, err, refits)
		if l.cutToFit(ctx); l.talk.tokens >= before {
			return message, err
		}
	}
}

// cutToFit takes the middle out of the longest messages if there is no room for them.
// What a frontend asks on its own account of a long chat is better answered from a
// part of it than not at all.
func (l *loop) cutToFit(ctx context.Context) {
	r, known := l.room(ctx)
	if !known || l.fill(r) < dropAt {
		return
	}
	longest := 0
	for _, m := range l.talk.all {
		longest = max(longest, len(m.Text()))
	}
	for most := longest * 3 / 4; most >= leastCap && l.fill(r) >= dropAt; most = most * 3 / 4 {
		l.talk.view = slices.Clone(l.talk.system)
		for _, m := range l.talk.all {
			if len(m.Text()) > most {
				m = headOf(m, most)
			}
			l.talk.view = append(l.talk.view, m)
		}
		l.talk.tokens = tokensOfAll(l.talk.view)
	}
}

// askPlainly asks the model with nothing but what the client sent.
func (l *loop) askPlainly(ctx context.Context) (llm.Message, error) {
	if ctx.Err() != nil {
		return llm.Message{}, cancelled(ctx)
	}
	req := l.sampled(slices.Clip(l.talk.view))
	req.Tools, req.ToolChoice = l.specs, l.choice
	return l.agent.opts.Client.Stream(ctx, req, l.relay)
}
