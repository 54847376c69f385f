package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"hermes/worker/llm"
	"hermes/worker/tools"
)

// maxConcurrent is how many calls of one step run beside each other.
const maxConcurrent = 4

// circlesNote is added to a result that the model has got several times.
const circlesNote = "\n\n[You have made this call before, with the same result. Try something else, or tell the person what stands in the way.]"

// beginning is when a tool call began, and as what it is shown, from then on: what
// it does may change how it would be described.
type beginning struct {
	at           time.Time
	emoji, label string
}

// ending is a tool call that has ended.
type ending struct {
	index  int
	result tools.Result
	err    error
}

// tools answers the calls of the last message: neighbours that only read run
// beside each other, all others one by one, in order. The results follow in the
// order of the calls, whichever ended first. Each call gets an answer, even if
// the turn ends here: upstreams refuse a transcript with an open call. Only calls
// that are left to the client stay open, and then the turn ends well.
func (l *loop) tools(ctx context.Context) (phase, error) {
	l.guard.step()
	own, left := l.client.split(l.asked)
	own, beyond := l.withinLimit(own)
	results, err := l.runAll(ctx, own)
	l.mistakes.saw(results)
	for i, call := range own {
		if results[i] == nil {
			results[i] = l.skip(ctx, call)
		}
		l.add(l.toolMessage(call, *results[i]))
		if results[i].Question != "" {
			l.question = strings.TrimSpace(l.question + "\n\n" + results[i].Question)
		}
	}
	if err != nil {
		for _, call := range slices.Concat(beyond, left) {
			l.add(l.toolMessage(call, *l.skip(ctx, call)))
		}
		return nil, err
	}
	for _, call := range beyond {
		note := fmt.Sprintf("not run: this turn may make %d tool calls, and has made them. Answer with what you have.", l.maxCalls)
		if err := l.refuse(ctx, call, note); err != nil {
			return nil, err
		}
	}
	if l.question != "" { // the client cannot answer for the person
		for _, call := range left {
			if err := l.refuse(ctx, call, "not run: a question was put to the person first"); err != nil {
				return nil, err
			}
		}
		return l.putQuestion, nil
	}
	switch {
	case len(left) > 0:
		return nil, l.leave(ctx, left)
	case l.guard.stuck != nil:
		return l.stuck, nil
	default:
		return l.model, nil
	}
}

// runAll runs the calls and returns their results, nil for those that did not
// run. Its error ends the turn.
func (l *loop) runAll(ctx context.Context, calls []llm.ToolCall) (results []*tools.Result, err error) {
	results = make([]*tools.Result, len(calls))
	for from := 0; from < len(calls) && err == nil; {
		to := from + 1
		if l.agent.opts.Tools.Concurrent(calls[from].Name) {
			for to < len(calls) && l.agent.opts.Tools.Concurrent(calls[to].Name) {
				to++
			}
		}
		err = l.runBatch(ctx, calls[from:to], results[from:to])
		from = to
	}
	if err == nil && ctx.Err() != nil {
		err = cancelled(ctx)
	}
	return results, err
}

// runBatch runs calls beside each other, a single one too. Tools run in
// goroutines of their own; records and events are made in this one. The first
// failure stops all of them. It returns when none runs any more.
func (l *loop) runBatch(ctx context.Context, calls []llm.ToolCall, results []*tools.Result) error {
	toolCtx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait() // also when emit panics
	defer stop()
	ended := make(chan ending, len(calls))
	begun := make([]beginning, len(calls))
	next, open := 0, 0
	var failed error
	for {
		for toolCtx.Err() == nil && next < len(calls) && open < maxConcurrent {
			index, call := next, calls[next]
			next++
			if begun[index], failed = l.start(ctx, call); failed != nil {
				stop()
				break
			}
			open++
			running.Go(func() {
				result, err := l.agent.opts.Tools.Run(toolCtx, call)
				ended <- ending{index, result, err}
			})
		}
		if open == 0 {
			return failed
		}
		end := <-ended
		open--
		if end.err != nil && toolCtx.Err() != nil { // it was told to stop
			end.result, end.err = tools.Failure(l.stopReason(ctx)+" while it ran; its effects are unknown"), nil
		}
		result, err := l.finish(ctx, calls[end.index], end, begun[end.index])
		results[end.index] = &result
		if err != nil {
			stop()
		}
		if failed == nil {
			failed = err
		}
	}
}

// withinLimit sorts out the calls that the turn may not make any more.
func (l *loop) withinLimit(calls []llm.ToolCall) (within, beyond []llm.ToolCall) {
	if l.maxCalls > 0 {
		n := min(len(calls), max(0, l.maxCalls-l.toolCalls))
		calls, beyond = calls[:n], calls[n:]
	}
	l.toolCalls += len(calls)
	return calls, beyond
}

// refuse answers a call that the turn does not make. It is not shown to the
// client, as nothing happens.
func (l *loop) refuse(ctx context.Context, call llm.ToolCall, note string) error {
	result := tools.Failure(note)
	l.add(l.toolMessage(call, result))
	return l.recordResult(ctx, call, result, l.agent.opts.Now())
}

// start records and shows that a call begins.
func (l *loop) start(ctx context.Context, call llm.ToolCall) (beginning, error) {
	err := l.record(ctx, "start of tool", func(ctx context.Context) error {
		return l.agent.opts.Recorder.ToolStarted(ctx, l.result.RunID, call.ID, l.agent.opts.Now())
	})
	if err != nil {
		return beginning{}, err
	}
	b := beginning{}
	b.emoji, b.label = l.describe(ctx, call)
	err = l.send(ToolStarted{Call: l.shown(call), Emoji: b.emoji, Label: b.label})
	b.at = l.agent.opts.Now()
	return b, err
}

// finish records and shows how a call ended, and returns what the model is told
// of it. Its error ends the turn.
func (l *loop) finish(ctx context.Context, call llm.ToolCall, end ending, begun beginning) (tools.Result, error) {
	result, failed := end.result, error(nil)
	if end.err != nil {
		failed = fmt.Errorf("run tool %s: %w", call.Name, end.err)
		result = tools.Failure("The tool broke: " + l.agent.opts.Redact(end.err.Error()))
	} else if l.guard.saw(call, result) {
		result.Text = strings.TrimRight(result.Text, "\n") + circlesNote
	}
	now := l.agent.opts.Now()
	if err := l.recordResult(ctx, call, result, now); failed == nil {
		failed = err
	}
	err := l.send(ToolFinished{
		Call: l.shown(call), Emoji: begun.emoji, Label: begun.label,
		Output: l.agent.opts.Redact(result.Text), Failed: result.Failed, Duration: now.Sub(begun.at),
		Tasks: l.shownTasks(result.Tasks),
	})
	if failed == nil {
		failed = err
	}
	return result, failed
}

// skip answers a call that did not run because the turn ends.
func (l *loop) skip(ctx context.Context, call llm.ToolCall) *tools.Result {
	result := tools.Failure(l.stopReason(ctx) + " before it began")
	if err := l.recordResult(ctx, call, result, l.agent.opts.Now()); err != nil {
		// The turn ends with an error that came first. A call without a record
		// is closed when the database is opened the next time.
		l.agent.opts.Log.Warn("skipped call was not recorded", "run_id", l.result.RunID, "error", err)
	}
	return &result
}

// stopReason says, as the beginning of a sentence for the model, what ended a
// call early.
func (l *loop) stopReason(ctx context.Context) string {
	cause := context.Cause(ctx)
	switch {
	case cause == nil && l.emitErr == nil:
		return "stopped by an error of the agent"
	case cause == nil, cause == context.Canceled: //nolint:errorlint // the plain one has no story to tell
		return "cancelled by the user"
	default:
		return "cancelled (" + l.agent.opts.Redact(cause.Error()) + ")"
	}
}

// shownTasks is a list of tasks as a client may see it.
func (l *loop) shownTasks(tasks []tools.Task) []tools.Task {
	tasks = slices.Clone(tasks)
	for i := range tasks {
		tasks[i].Content = l.agent.opts.Redact(tasks[i].Content)
	}
	return tasks
}

// shown is a call as a client may see it.
func (l *loop) shown(call llm.ToolCall) llm.ToolCall {
	call.Arguments = l.agent.opts.Redact(call.Arguments)
	return call
}
