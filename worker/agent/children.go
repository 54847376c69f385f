package agent

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"

	"hermes/worker/llm"
	"hermes/worker/tools"
)

// childPrompt is who a child is.
//
//go:embed child.md
var childPrompt string

const (
	// childIterations is how many times a child asks the model at most.
	childIterations = 50
	// prefixChild begins the names of the sessions of children.
	prefixChild = "task_"
	// sourceChild is what the record says of who asked.
	sourceChild = "delegate_task"
)

// children runs the tasks that a turn hands on. They are turns of their own, with
// sessions of their own; the turn waits for them, and ends them with it.
type children struct {
	agent  *Agent
	parent Turn // with the names of its session and its run

	mu    sync.Mutex // guards usage
	usage llm.Usage  // of all that have ended
}

// children returns what runs the tasks of a turn: nil in a child, as what was handed
// on is not handed on again.
func (a *Agent) children(turn Turn) *children {
	if turn.ParentRunID != "" {
		return nil
	}
	return &children{agent: a, parent: turn}
}

// with makes the context in which calls find what runs tasks.
func (c *children) with(ctx context.Context) context.Context {
	if c == nil {
		return tools.WithChildren(ctx, nil)
	}
	return tools.WithChildren(ctx, c)
}

// used is what they have used together.
func (c *children) used() llm.Usage {
	if c == nil {
		return llm.Usage{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.usage
}

// Delegate runs one child for each assignment; how many that may be, the tool says.
func (c *children) Delegate(ctx context.Context, assignments []tools.Assignment, sets []*tools.Set) ([]tools.Report, error) {
	reports := make([]tools.Report, len(assignments))
	var running sync.WaitGroup
	for i := range assignments {
		running.Go(func() { reports[i] = c.guarded(ctx, assignments[i], sets[i]) })
	}
	running.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return reports, nil
}

// guarded makes a report of a panic, which would end the process from here.
func (c *children) guarded(ctx context.Context, assignment tools.Assignment, set *tools.Set) (report tools.Report) {
	session := prefixChild + c.agent.opts.NewID()
	defer func() {
		if thrown := recover(); thrown != nil {
			c.agent.opts.Log.Error("panic in a child", "run_id", c.parent.RunID, "session_id", session, "panic", fmt.Sprint(thrown), "stack", string(debug.Stack()))
			report = tools.Report{SessionID: session, Ending: "failed: the helper broke, which is a bug of the agent", Failed: true}
		}
	}()
	return c.run(ctx, session, assignment, set)
}

// run runs one child to its end.
func (c *children) run(ctx context.Context, session string, assignment tools.Assignment, set *tools.Set) tools.Report {
	opts := c.agent.opts
	opts.Tools, opts.MaxIterations = set, min(childIterations, opts.MaxIterations)
	system := strings.TrimSpace(childPrompt)
	if opts.Prompt != nil {
		system += "\n\n" + opts.Prompt.environment()
	}
	opts.Prompt, opts.Prompts = nil, nil
	task := "Your task: " + strings.TrimSpace(assignment.Goal)
	if about := strings.TrimSpace(assignment.Context); about != "" {
		task += "\n\nWhat you need to know:\n" + about
	}
	child := New(opts)
	child.known = c.agent.known
	result, err := child.Run(ctx, Turn{
		History: []llm.Message{llm.TextMessage(llm.User, task)}, System: system,
		Params:    Params{ReasoningEffort: c.parent.Params.ReasoningEffort},
		SessionID: session, ParentSessionID: c.parent.SessionID, ParentRunID: c.parent.RunID,
		Source: sourceChild, RequestID: c.parent.RequestID,
	}, func(Event) error { return nil })
	c.mu.Lock()
	c.usage = c.usage.Add(result.Usage)
	c.mu.Unlock()
	return tools.Report{
		Text: result.Message.Text(), Ending: endingOf(result, err, opts), Failed: err != nil, SessionID: session,
		Steps: result.Iterations, Tokens: result.Usage.Input + result.Usage.Output,
	}
}

// endingOf says how a child ended.
func endingOf(result Result, err error, opts Options) string {
	switch {
	case err != nil:
		text := opts.Redact(err.Error())
		if model, ok := errors.AsType[*llm.Error](err); ok {
			text = opts.Redact(model.Error())
		}
		return "failed: " + strings.TrimSuffix(text, ".")
	case result.Cut && result.Iterations >= opts.MaxIterations:
		return fmt.Sprintf("not finished: stopped at its limit of %d steps", opts.MaxIterations)
	case result.Cut:
		return "not finished: stopped because it went round in circles"
	case result.Finish == llm.FinishLength, result.Finish == llm.FinishContentFilter:
		return "not finished: the report was cut off by the model"
	default:
		return "done"
	}
}
