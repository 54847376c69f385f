package agent

import (
	"time"

	"hermes/worker/llm"
	"hermes/worker/tools"
)

// Event is something that happens in a turn, in the order in which a client
// should see it.
//
//sumtype:decl
type Event interface{ agentEvent() }

// Text is a piece of what the model says. JSON is a JSON string literal, valid
// only during the call of emit; More says that another event follows at once,
// so that a flush can wait. See llm.Text.
type Text struct {
	JSON []byte
	More bool
}

// Reasoning is a piece of the model's visible thinking, shaped like Text.
type Reasoning struct {
	JSON []byte
	More bool
}

// ToolStarted says that the server begins to run a tool.
type ToolStarted struct {
	Call  llm.ToolCall
	Emoji string
	Label string // secrets are taken out already
}

// ToolFinished says how a call begun by ToolStarted ended.
type ToolFinished struct {
	Call     llm.ToolCall
	Emoji    string
	Label    string
	Output   string
	Failed   bool
	Duration time.Duration
	// Tasks is what the agent has set itself to do, as the call left it; nil if the
	// call was not about that.
	Tasks []tools.Task
}

func (Text) agentEvent()         {}
func (Reasoning) agentEvent()    {}
func (ToolStarted) agentEvent()  {}
func (ToolFinished) agentEvent() {}
