package agent

import (
	"hermes/worker/llm"
	"hermes/worker/tools"
)

// pinAfter is how many steps in a row a tool may be called with arguments that it
// does not take, before the model is made to call it: a server that must give a
// certain call holds the model to the schema while it writes.
const pinAfter = 2

// mistakes counts the steps in which a model called a tool wrongly.
type mistakes struct {
	tool   string
	steps  int
	pinned bool // once in a turn: the model may have reasons of its own
}

// saw takes note of the results of a step.
func (m *mistakes) saw(results []*tools.Result) {
	tool := ""
	for i, result := range results {
		if result == nil || result.Misused == "" || i > 0 && result.Misused != tool {
			m.tool, m.steps = "", 0
			return
		}
		tool = result.Misused
	}
	if tool != m.tool {
		m.tool, m.steps = tool, 0
	}
	m.steps++
}

// pin returns the tool that the model has to call now, or "".
func (m *mistakes) pin() string {
	if m.tool == "" || m.steps < pinAfter || m.pinned {
		return ""
	}
	m.pinned = true
	return m.tool
}

// unpinned reports whether a request was refused that may pass without its pin:
// models that think before they answer often take none. It takes the pin off.
func (l *loop) unpinned(request *llm.Request, message llm.Message, err error) bool {
	pinned := l.choice == "" && request.ToolChoice != ""
	if !pinned || llm.ClassOf(err) != llm.BadRequest || message.Text() != "" {
		return false
	}
	request.ToolChoice = ""
	return true
}
