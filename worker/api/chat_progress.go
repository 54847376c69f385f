package api

import (
	"hermes/worker/agent"
	"hermes/worker/llm"
)

// uiEvent is what Open WebUI acts upon. It can make that frontend do much, up
// to running scripts in the user's page, so it is built here and nowhere else,
// from these types; what a model or tool says is only ever the Description, or the text of a task.
type uiEvent struct {
	Type string   `json:"type"` // "status"
	Data uiStatus `json:"data"`
}

// uiStatus is a line above the answer. While Done is false it shimmers.
type uiStatus struct {
	Description string `json:"description"`
	Done        bool   `json:"done"`
}

// toolChunk is what a chunk about a tool holds beside the usual. The fields
// behind Event are for clients that draw their own progress.
type toolChunk struct {
	Event      uiEvent `json:"event"`
	Tool       string  `json:"tool"`
	ToolCallID string  `json:"tool_call_id"`
	Emoji      string  `json:"emoji"`
	Label      string  `json:"label"`
	Status     string  `json:"status"` // running, completed or failed
}

// uiTasksEvent makes Open WebUI draw a list of tasks above the input. It is the
// other event of the closed list, built from what the tool has checked.
type uiTasksEvent struct {
	Type string  `json:"type"` // "chat:message:tasks"
	Data uiTasks `json:"data"`
}

type uiTasks struct {
	Tasks []uiTask `json:"tasks"`
}

type uiTask struct {
	ID      string `json:"id"`
	Content string `json:"content"`
	Status  string `json:"status"`
}

// tasksChunk is what a chunk about the tasks holds beside the usual.
type tasksChunk struct {
	Event uiTasksEvent `json:"event"`
}

// runningTool is what the last event of a tool repeats.
type runningTool struct{ name, id, emoji, label string }

// toolOf bounds what a model wrote.
func toolOf(call llm.ToolCall, emoji, label string) runningTool {
	return runningTool{oneLine(call.Name), oneLine(call.ID), emoji, oneLine(label)}
}

func (e *chatEncoder) started(event agent.ToolStarted) {
	e.acted = true
	if e.opts.progress.inline {
		line := "\n" + marker(event.Emoji, event.Label) + "\n"
		if e.last == someText {
			line = "\n" + line
		}
		e.last = someMarker
		quoted := appendQuoted(nil, line)
		e.pieces(e.content, "", inside(quoted))
	}
	tool := toolOf(event.Call, event.Emoji, event.Label)
	e.running = append(e.running, tool)
	if e.opts.progress.events {
		e.status(tool, "running")
	}
}

func (e *chatEncoder) finished(event agent.ToolFinished) {
	e.acted = true
	ended := toolOf(event.Call, event.Emoji, event.Label)
	for i, tool := range e.running {
		if tool.id == ended.id {
			e.running = append(e.running[:i], e.running[i+1:]...)
			break
		}
	}
	if !e.opts.progress.events {
		return
	}
	status := "completed"
	if event.Failed {
		status = "failed"
	}
	e.status(ended, status)
	if event.Tasks == nil {
		return
	}
	list := make([]uiTask, len(event.Tasks))
	for i, task := range event.Tasks {
		list[i] = uiTask{oneLine(task.ID), oneLine(task.Content), task.Status}
	}
	e.empty(appendJSON(nil, tasksChunk{Event: uiTasksEvent{Type: "chat:message:tasks", Data: uiTasks{list}}}))
}

// status appends a chunk with an empty delta that tells about a tool.
func (e *chatEncoder) status(tool runningTool, status string) {
	description := tool.emoji + " " + tool.label
	if status == "failed" {
		description += " (failed)"
	}
	e.empty(appendJSON(nil, toolChunk{
		Event: uiEvent{Type: "status", Data: uiStatus{Description: description, Done: len(e.running) == 0}},
		Tool:  tool.name, ToolCallID: tool.id, Emoji: tool.emoji, Label: tool.label, Status: status,
	}))
}

// empty appends a chunk with an empty delta and the fields of an object.
func (e *chatEncoder) empty(fields []byte) {
	e.buf = append(e.buf, e.frame...)
	e.buf = append(e.buf, `{"index":0,"delta":{},"finish_reason":null}],`...)
	e.buf = append(e.buf, fields[1:]...) // without its opening brace
	e.buf = append(e.buf, "\n\n"...)
}
