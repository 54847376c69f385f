package api

import (
	"slices"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/openai"
)

// started shows that a call begins. In pairs the model's wish is an item of its
// own, and whole as soon as it is known.
func (e *responseEncoder) started(call llm.ToolCall, tool runningTool) {
	e.settle(openai.StatusCompleted)
	running := &runningCall{call: call, tool: tool}
	e.running = append(e.running, running)
	e.ride = e.statusLine(tool, "running")
	if e.opts.tools == toolMCPCalls {
		running.item = e.openMCPCall(e.newID(openai.ItemMCPCall), call)
	} else {
		e.functionCall(e.newID(openai.ItemFunctionCall), call)
	}
}

// finished shows how a call ended. One that was never started is shown as
// started first.
func (e *responseEncoder) finished(event agent.ToolFinished) {
	running := e.runningCall(event.Call.ID)
	if running == nil {
		e.started(event.Call, toolOf(event.Call, event.Emoji, event.Label))
		running = e.runningCall(event.Call.ID)
	}
	output := inside(appendQuoted(nil, event.Output))
	e.conclude(running, output, event.Failed, openai.StatusCompleted)
}

// interrupt shows that a call has no end.
func (e *responseEncoder) interrupt(running *runningCall) {
	e.conclude(running, []byte(interrupted), true, openai.StatusIncomplete)
}

// conclude takes a call off the list of those that run, and shows what came of
// it.
func (e *responseEncoder) conclude(running *runningCall, output []byte, failed bool, status string) {
	e.settle(openai.StatusCompleted)
	e.running = slices.DeleteFunc(e.running, func(r *runningCall) bool { return r == running })
	line := e.statusLine(running.tool, "completed")
	if failed {
		line = e.statusLine(running.tool, "failed")
	}
	if e.opts.tools != toolMCPCalls {
		item := e.newItem(openai.ItemFunctionOutput, e.newID(openai.ItemFunctionOutput))
		item.callID, item.text, item.list = running.call.ID, output, e.opts.tools == toolPairLists
		e.functionOutput(item, status, line)
		return
	}
	item := running.item
	if status == openai.StatusCompleted {
		item.ended, item.failed, item.text = true, failed, output
		if failed {
			status = openai.StatusFailed
		}
	}
	e.closeMCPCall(item, status, line)
}

func (e *responseEncoder) runningCall(id string) *runningCall {
	for _, running := range e.running {
		if running.call.ID == id {
			return running
		}
	}
	return nil
}

// functionCall shows the whole of a model's wish.
func (e *responseEncoder) functionCall(id string, call llm.ToolCall) {
	item := e.newItem(openai.ItemFunctionCall, id)
	item.setCall(call)
	if e.opts.openWebUI { // of an answer that is stopped it keeps calls that are whole
		item.begun, item.status = true, openai.StatusCompleted
	}
	e.itemEvent(openai.EventItemAdded, item)
	e.argumentEvents(item, openai.EventArgumentsDelta, openai.EventArgumentsDone)
	item.status = openai.StatusCompleted
	e.itemEvent(openai.EventItemDone, item)
}

// functionOutput shows an output. It is whole in both of its events: Open WebUI
// looks at the first only, unless the response is completed.
func (e *responseEncoder) functionOutput(item *responseItem, status string, line []byte) {
	e.itemEvent(openai.EventItemAdded, item)
	item.status = status
	e.ride = line
	e.itemEvent(openai.EventItemDone, item)
}

// openMCPCall shows the beginning of a call in one item.
func (e *responseEncoder) openMCPCall(id string, call llm.ToolCall) *responseItem {
	item := e.newItem(openai.ItemMCPCall, id)
	item.setCall(call)
	e.itemEvent(openai.EventItemAdded, item)
	e.stateEvent(openai.EventMCPInProgress, item)
	e.argumentEvents(item, openai.EventMCPArgumentsDelta, openai.EventMCPArgumentsDone)
	return item
}

// closeMCPCall shows the end of a call in one item.
func (e *responseEncoder) closeMCPCall(item *responseItem, status string, line []byte) {
	e.outline.end(item.index)
	item.status = status
	if status == openai.StatusCompleted {
		e.stateEvent(openai.EventMCPCompleted, item)
	} else {
		e.stateEvent(openai.EventMCPFailed, item)
	}
	e.ride = line
	e.itemEvent(openai.EventItemDone, item)
}

func (i *responseItem) setCall(call llm.ToolCall) {
	i.callID, i.name, i.arguments = call.ID, call.Name, call.Arguments
	i.quoted = inside(appendQuoted(nil, call.Arguments))
}

// argumentEvents shows the arguments of a call, as far as they are shown.
func (e *responseEncoder) argumentEvents(item *responseItem, delta, done string) {
	item.begun = true
	arguments := item.shownArguments(shown().tool)
	if len(arguments) > 0 { // never longer than what fits into one event
		e.beginEvent(delta)
		e.about(item)
		e.buf = append(e.buf, `,"delta":"`...)
		e.buf = append(e.buf, arguments...)
		e.buf = append(e.buf, '"')
		e.endEvent()
	}
	e.beginEvent(done)
	e.about(item)
	if done == openai.EventArgumentsDone {
		e.buf = append(e.buf, `,"name":`...)
		e.buf = appendQuoted(e.buf, item.name)
	}
	e.buf = append(e.buf, `,"arguments":"`...)
	e.buf = append(e.buf, arguments...)
	e.buf = append(e.buf, '"')
	e.endEvent()
}

// statusLine returns an event in Open WebUI's form about a tool, nil if none is wanted. It
// is built from the same closed list as that of the chat stream.
func (e *responseEncoder) statusLine(tool runningTool, status string) []byte {
	if !e.opts.status {
		return nil
	}
	description := tool.emoji + " " + tool.label
	if status == "failed" {
		description += " (failed)"
	}
	return appendJSON(nil, uiEvent{Type: "status", Data: uiStatus{Description: description, Done: len(e.running) == 0}})
}
