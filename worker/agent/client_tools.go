package agent

import (
	"context"
	"slices"

	"hermes/worker/llm"
	"hermes/worker/tools"
)

// leftToClient is what the record says of a call that the client runs. What the
// client made of it stands in the input of a later run.
const leftToClient = "left to the client"

// HasTool reports whether the agent has a tool of its own of that name.
func (a *Agent) HasTool(name string) bool {
	return slices.ContainsFunc(a.opts.Tools.Specs(), func(spec llm.ToolSpec) bool { return spec.Name == name })
}

// clientTools knows which calls are the client's to run.
type clientTools struct {
	names   map[string]bool
	oneCall bool
}

func newClientTools(turn Turn) clientTools {
	c := clientTools{names: make(map[string]bool, len(turn.ClientTools)), oneCall: turn.OneCall}
	for _, spec := range turn.ClientTools {
		c.names[spec.Name] = true
	}
	return c
}

// bounded drops the client's calls behind the first one if it takes one at a
// time. The model asks again for what it still wants.
func (c clientTools) bounded(calls []llm.ToolCall) []llm.ToolCall {
	if !c.oneCall {
		return calls
	}
	left := 0
	return slices.DeleteFunc(slices.Clone(calls), func(call llm.ToolCall) bool {
		if c.names[call.Name] {
			left++
		}
		return c.names[call.Name] && left > 1
	})
}

// split sorts calls by who runs them, in their order.
func (c clientTools) split(calls []llm.ToolCall) (own, left []llm.ToolCall) {
	for _, call := range calls {
		if c.names[call.Name] {
			left = append(left, call)
		} else {
			own = append(own, call)
		}
	}
	return own, left
}

// leave ends the turn with calls that the client is to run.
func (l *loop) leave(ctx context.Context, calls []llm.ToolCall) error {
	l.left = calls
	for _, call := range calls {
		if err := l.recordResult(ctx, call, tools.Result{Text: leftToClient}, l.agent.opts.Now()); err != nil {
			return err
		}
		l.result.ClientCalls = append(l.result.ClientCalls, l.shown(call))
	}
	for _, message := range slices.Backward(l.result.Messages) {
		if message.Role == llm.Assistant {
			l.result.Message = message
			break
		}
	}
	l.result.Finish = llm.FinishToolCalls
	return nil
}

// takeBack leaves nothing to the client of a turn that has failed after all: it
// will not be told of the calls.
func (l *loop) takeBack(ctx context.Context) {
	for _, call := range l.left {
		l.add(l.toolMessage(call, tools.Failure(l.stopReason(ctx)+" before it began")))
	}
	l.left, l.result.ClientCalls = nil, nil
}
