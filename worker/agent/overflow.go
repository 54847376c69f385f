package agent

import (
	"context"
	"errors"

	"hermes/worker/llm"
)

// maxRefits is how often a request that was refused as too long is made shorter.
const maxRefits = 1 + levels

// ask asks the model for the next message, with a transcript that fits into its
// window as far as that is known. What the model refuses as too long all the same
// teaches how long the window is, and is asked again, shorter.
func (l *loop) ask(ctx context.Context, last bool) (llm.Message, error) {
	if err := l.fit(ctx); err != nil {
		return llm.Message{}, err
	}
	note, choice := l.takeNote(last), l.toolChoice(last)
	for refits := 0; ; refits++ {
		request := l.request(last, note, choice)
		message, err := l.agent.opts.Client.Stream(ctx, request, l.relay)
		if ctx.Err() == nil && l.unpinned(&request, message, err) {
			choice = ""
			message, err = l.agent.opts.Client.Stream(ctx, request, l.relay)
		}
		if err == nil {
			l.measured(message, last)
			return message, nil
		}
		if llm.ClassOf(err) != llm.Overflow || message.Text() != "" || ctx.Err() != nil || refits == maxRefits {
			return message, err
		}
		shorter, fitErr := l.refit(ctx, err, refits)
		if fitErr != nil {
			return message, fitErr
		}
		if !shorter {
			return message, err
		}
	}
}

// measured learns from what a provider has counted.
func (l *loop) measured(message llm.Message, last bool) {
	estimated := l.talk.tokens
	if !last { // the last step offers no tools
		estimated += l.toolTokens
	}
	if l.agent.known.answered(message.Origin, message.Usage.Input, estimated) {
		l.talk.answered(message)
	}
}

// refit learns from a refusal and makes the transcript shorter. It is false if that
// cannot be done.
func (l *loop) refit(ctx context.Context, refusal error, refits int) (bool, error) {
	before := l.talk.tokens
	l.learn(ctx, refusal, refits)
	upstream := refusedBy(refusal)
	l.agent.opts.Log.Info("context was too long for the model", "run_id", l.result.RunID, "tokens_estimated", before,
		"upstream", upstream, "window", l.agent.known.window(upstream, l.agent.opts.Now()), "attempt", refits+1)
	if refits == 0 {
		if err := l.fit(ctx); err != nil {
			return false, err
		}
	}
	r, known := l.room(ctx)
	if !known {
		return false, nil
	}
	for level := max(refits-1, 0); level < levels && l.talk.tokens >= before; level++ {
		l.drop(ctx, r, level)
	}
	return l.talk.tokens < before, nil
}

// learn takes note of how long the window is. A provider may say so, and how long
// the request was. Where it does not, a length that was known before is believed
// once more, and the estimate corrected; after that the request counts.
func (l *loop) learn(ctx context.Context, refusal error, refits int) {
	estimated := l.talk.tokens + l.toolTokens
	size := l.size()
	r, known := l.room(ctx)
	limit, counted := 0, 0
	if failed, ok := errors.AsType[*llm.Error](refusal); ok {
		limit, counted = failed.Limit, failed.Sent
	}
	if limit == 0 && known && refits == 0 {
		limit = r.usable + r.reply
	}
	if limit == 0 {
		limit = size
	}
	l.talk.counted = 0 // what was counted was not the whole story
	l.agent.known.refused(refusedBy(refusal), limit, max(counted, limit), estimated, l.agent.opts.Now())
}

// refusedBy names the upstream that refused a request, "" if there is only one. Of
// several that failed it is the last.
func refusedBy(refusal error) string {
	failed, ok := errors.AsType[*llm.Error](refusal)
	if ok && failed.Upstream == "" {
		if last, several := errors.AsType[*llm.Error](failed.Err); several {
			return last.Upstream
		}
	}
	if !ok {
		return ""
	}
	return failed.Upstream
}
