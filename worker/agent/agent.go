// Package agent runs a turn: it asks the model, runs the tools that the model
// calls, hands their results back, and goes on until the model has answered.
// It knows neither HTTP nor SQL: events go out through a function, records
// through the Recorder.
package agent

import (
	"context"
	"time"

	"hermes/worker/llm"
	"hermes/worker/tools"
)

// Turn is one request's run of the agent.
type Turn struct {
	// History is the transcript so far, without system messages, oldest first.
	// Its last message is what the agent answers.
	History []llm.Message
	// System holds the client's own instructions, layered last in the prompt.
	System string
	// Params are the client's wishes for sampling; the loop fills in the rest.
	Params Params
	// SessionID groups turns of one chat; empty makes a new session.
	SessionID string
	// Source names the endpoint or command that asked, for the record.
	Source string
	// RequestID is the id under which logs and client know this request.
	RequestID string
}

// Params are the sampling wishes that a client may send, passed on to the
// model. Zero values leave the choice to the upstream.
type Params struct {
	Temperature     *float64
	TopP            *float64
	MaxTokens       int
	Stop            []string
	ReasoningEffort string
	ResponseFormat  []byte
}

// Result is a finished turn.
type Result struct {
	RunID string
	// Message is the final answer.
	Message llm.Message
	// Messages is everything that the turn added after Turn.History: assistant
	// messages, tool results, and Message as the last.
	Messages []llm.Message
	// Usage is summed over all calls of the model.
	Usage llm.Usage
	// Finish is why the answer ended.
	Finish llm.Finish
	// Cut says that the iteration limit ended the work before the model did.
	Cut bool
}

// Recorder writes a turn down while it happens, in the order that lets a crash
// lose nothing: the run and the user's message before the first call of the
// model, the assistant's message before any of its tools starts, each result as
// it ends, and the end of the run last. Its methods return once the record is
// committed.
type Recorder interface {
	Begin(ctx context.Context, run Run) error
	Assistant(ctx context.Context, runID string, message llm.Message) error
	ToolStarted(ctx context.Context, runID, callID string, at time.Time) error
	ToolFinished(ctx context.Context, runID, callID string, result tools.Result, at time.Time) error
	End(ctx context.Context, runID string, end End) error
}

// Run is the record that a turn begins with.
type Run struct {
	ID        string
	SessionID string
	Source    string
	RequestID string
	Model     string
	// Input is the message that the turn answers.
	Input llm.Message
	Began time.Time
}

// End is the record that a turn ends with.
type End struct {
	// Status is done, failed or cancelled.
	Status     string
	Error      string
	Usage      llm.Usage
	Iterations int
	Ended      time.Time
}
