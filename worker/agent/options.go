package agent

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"hermes/worker/llm"
	"hermes/worker/tools"
)

// DefaultMaxIterations is how many times a turn asks the model at most, unless
// the options say otherwise.
const DefaultMaxIterations = 90

// toolset is what the loop needs of a tools.Set.
type toolset interface {
	Specs() []llm.ToolSpec
	// SessionSpecs are the Specs for the turns of one session, always the same.
	SessionSpecs(ctx context.Context, sessionID string) []llm.ToolSpec
	// Run answers every call: what is wrong with it is told to the model in the
	// result. An error ends the turn.
	Run(ctx context.Context, call llm.ToolCall) (tools.Result, error)
	Describe(ctx context.Context, call llm.ToolCall) (emoji, label string)
	Concurrent(name string) bool
}

var _ toolset = noTools{}

// Options say what an Agent works with. Client and Recorder are needed.
type Options struct {
	Client   llm.Client
	Recorder Recorder
	// Tools are what the model may call, a *tools.Set. Nil means none.
	Tools toolset
	// Prompt is the agent's own part of the system prompt. Nil leaves only what
	// the client sends.
	Prompt *Prompt
	// Prompts keeps Prompt for each session as its first turn had it. Nil makes it
	// anew for each turn.
	Prompts Prompts
	// Compactions keeps how the transcript of each session was made short. Nil makes
	// it short anew in each turn.
	Compactions Compactions
	// Tasks keeps what the model has set itself to do, so that it can be told again
	// of what a compaction has taken out of its sight. Nil if there is no such list.
	Tasks tools.TaskKeeper
	// MaxIterations is how many times a turn asks the model at most. In the
	// last of them no tools are offered. 0 means DefaultMaxIterations.
	MaxIterations int
	// Model is the name of the model, for the record.
	Model string
	// Redact takes secrets out of what is shown: labels, tool calls and their
	// output in events, and errors. Nil leaves all as it is.
	Redact func(string) string
	Log    *slog.Logger

	Now   func() time.Time // time.Now if nil
	NewID func() string    // makes ids of runs and calls; UUIDs if nil
}

// Agent runs turns. It holds nothing of them but what they taught it about its model,
// so many may run at once.
type Agent struct {
	opts  Options
	known *learned // shared with the agents of children, which have the same model
}

// New makes an Agent.
func New(opts Options) *Agent {
	if opts.Tools == nil {
		opts.Tools = noTools{}
	}
	if opts.MaxIterations <= 0 {
		opts.MaxIterations = DefaultMaxIterations
	}
	if opts.Redact == nil {
		opts.Redact = func(text string) string { return text }
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.NewID == nil {
		opts.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	return &Agent{opts: opts, known: &learned{}}
}

// noTools is the toolset of an agent that can only talk.
type noTools struct{}

func (noTools) Specs() []llm.ToolSpec { return nil }

func (noTools) SessionSpecs(context.Context, string) []llm.ToolSpec { return nil }

func (noTools) Run(_ context.Context, call llm.ToolCall) (tools.Result, error) {
	return tools.Failure("There is no tool " + call.Name + ": this agent has no tools."), nil
}

func (noTools) Describe(_ context.Context, call llm.ToolCall) (emoji, label string) {
	return "⚡", call.Name
}

func (noTools) Concurrent(string) bool { return false }
