package agent

import (
	"context"

	"hermes/worker/llm"
)

// ask asks the model for the next message. If the transcript is too long for it,
// and the client has allowed that, the older half of the history goes, again and
// again until the rest fits or nothing but the message to answer is left.
func (l *loop) ask(ctx context.Context, last bool) (llm.Message, error) {
	request := l.request(last)
	for {
		message, err := l.agent.opts.Client.Stream(ctx, request, l.relay)
		if ctx.Err() == nil && l.unpinned(&request, message, err) {
			continue
		}
		if !l.truncate || llm.ClassOf(err) != llm.Overflow || ctx.Err() != nil {
			return message, err
		}
		before := len(l.transcript)
		if !l.dropOldest() {
			return message, err
		}
		dropped := before - len(l.transcript)
		l.agent.opts.Log.Info("history was truncated", "run_id", l.result.RunID, "messages", dropped)
		system := 0
		if request.Messages[0].Role == llm.System {
			system = 1
		}
		request.Messages = append(request.Messages[:system:system], request.Messages[system+dropped:]...)
	}
}

// dropOldest takes the older half of the history before the message that the turn
// answers out of the transcript, and is false when there is nothing to take. It
// cuts before a message of the user, so that no result loses its call.
func (l *loop) dropOldest() bool {
	first := 0
	if l.transcript[0].Role == llm.System {
		first = 1
	}
	for at := first + (l.answered-first+1)/2; at > first && at <= l.answered; at++ {
		if l.transcript[at].Role == llm.User {
			l.transcript = append(l.transcript[:first:first], l.transcript[at:]...)
			l.answered -= at - first
			return true
		}
	}
	return false
}
