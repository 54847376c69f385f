package agent

import (
	"context"
	"encoding/json"
	"fmt"

	"hermes/worker/llm"
)

// outOfSteps ends a turn whose model had nothing to say at its last chance.
func (l *loop) outOfSteps(ctx context.Context) (phase, error) {
	return l.cutShort(ctx, fmt.Sprintf("I stopped here: one turn may take %d steps, and this one has used them up. "+
		"What was done so far is kept. Tell me to go on if I should.", l.agent.opts.MaxIterations))
}

// stuck ends a turn that goes round in circles.
func (l *loop) stuck(ctx context.Context) (phase, error) {
	emoji, label := l.describe(ctx, *l.guard.stuck)
	return l.cutShort(ctx, fmt.Sprintf("I stopped here: I made the same call (%s %s) %d times and got the same result each time, "+
		"so going on would not have helped. Tell me what to try instead.", emoji, label, stopAfter+1))
}

// cutShort ends the turn with words of the agent's own.
func (l *loop) cutShort(ctx context.Context, text string) (phase, error) {
	l.result.Cut = true
	return l.say(ctx, text)
}

// putQuestion ends the turn with a question to the person. It is part of the transcript
// as a message of the model, so that the next message of the person answers it.
func (l *loop) putQuestion(ctx context.Context) (phase, error) {
	l.awaiting = true
	return l.say(ctx, l.question)
}

// say ends the turn with a text that the model did not send.
func (l *loop) say(ctx context.Context, text string) (phase, error) {
	message := llm.TextMessage(llm.Assistant, text)
	message.Finish = llm.FinishStop
	if err := l.keep(ctx, message); err != nil {
		return nil, err
	}
	literal, err := json.Marshal(text)
	if err != nil {
		return nil, fmt.Errorf("encode text: %w", err)
	}
	if err := l.send(Text{JSON: literal}); err != nil {
		return nil, err
	}
	return l.done, nil
}
