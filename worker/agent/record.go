package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"hermes/worker/llm"
	"hermes/worker/tools"
)

// recordTimeout bounds each write of the record. Records are written even when
// the turn is cancelled, because what happened must not be lost with it.
const recordTimeout = 5 * time.Second

// record makes one entry, whatever has become of ctx.
func (l *loop) record(ctx context.Context, what string, write func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err := write(ctx); err != nil {
		return fmt.Errorf("record %s: %w", what, err)
	}
	return nil
}

// begin records the run, before anything else happens.
func (l *loop) begin(ctx context.Context, turn Turn) error {
	return l.record(ctx, "run", func(ctx context.Context) error {
		return l.agent.opts.Recorder.Begin(ctx, Run{
			ID:        l.result.RunID,
			SessionID: turn.SessionID,
			Follows:   turn.Follows,

			ParentSessionID: turn.ParentSessionID, ParentRunID: turn.ParentRunID,

			Source:    turn.Source,
			RequestID: turn.RequestID,
			Model:     l.agent.opts.Model,
			Input:     turn.History[len(turn.History)-1],
			Began:     l.agent.opts.Now(),
		})
	})
}

func (l *loop) recordResult(ctx context.Context, call llm.ToolCall, result tools.Result, at time.Time) error {
	return l.record(ctx, "result of tool", func(ctx context.Context) error {
		return l.agent.opts.Recorder.ToolFinished(ctx, l.result.RunID, call.ID, result, at)
	})
}

// end records how the turn ended, after everything else. The error is that of
// the turn, nil if there is none.
func (l *loop) end(ctx context.Context, err error) error {
	end := End{
		Status:       StatusDone,
		Usage:        l.result.Usage,
		Iterations:   l.iteration,
		AwaitingUser: l.awaiting && err == nil,
		Final:        l.final,
		Ended:        l.agent.opts.Now(),
	}
	if err != nil {
		end.Status = StatusFailed
		if l.emitErr != nil || ctx.Err() != nil {
			end.Status = StatusCancelled
		}
		end.Error = l.agent.opts.Redact(err.Error())
		for _, message := range slices.Backward(l.result.Messages) {
			if message.Role == llm.Assistant {
				l.result.Message = message
				break
			}
		}
	}
	return l.record(ctx, "end of run", func(ctx context.Context) error {
		return l.agent.opts.Recorder.End(ctx, l.result.RunID, end)
	})
}

// cancelled is the error of a turn that was told to stop.
func cancelled(ctx context.Context) error {
	return fmt.Errorf("turn cancelled: %w", context.Cause(ctx))
}

// redacted returns err without secrets in its text. An *llm.Error stays one, and
// the error of emit, which is the caller's own, stays as it is.
func (l *loop) redacted(err error) error {
	redact := l.agent.opts.Redact
	if err == nil || l.emitErr != nil || redact(err.Error()) == err.Error() {
		return err
	}
	if model, ok := errors.AsType[*llm.Error](err); ok {
		clean := *model
		clean.Message = redact(model.Message)
		if model.Err != nil {
			clean.Err = &redactedError{redact(model.Err.Error()), model.Err}
		}
		return &clean
	}
	return &redactedError{redact(err.Error()), err}
}

// redactedError is an error whose text was cleaned. It can be compared to what
// it was made of, but not unwrapped: the original text must not come back.
type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }

// Is lets errors.Is see through to the original.
func (e *redactedError) Is(target error) bool { return errors.Is(e.err, target) }
