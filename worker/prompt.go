package worker

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"syscall"

	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox"
	"hermes/supervisor/sandbox/wall"
	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/memory"
	"hermes/worker/skills"
	"hermes/worker/tools"
)

// bytesPerToken is about how many bytes of English or JSON make a token. What a
// model truly counts, only its provider knows.
const bytesPerToken = 4

// Prompt is what a model is sent of an agent before anybody has said a word.
type Prompt struct {
	System string         `json:"system"`
	Tools  []llm.ToolSpec `json:"tools"`
}

// SystemTokens estimates the tokens of the system prompt.
func (p Prompt) SystemTokens() int { return len(p.System) / bytesPerToken }

// ToolTokens estimates the tokens of one tool.
func ToolTokens(tool llm.ToolSpec) int {
	return (len(tool.Name) + len(tool.Description) + len(tool.Parameters)) / bytesPerToken
}

// ToolsTokens estimates the tokens of all tools.
func (p Prompt) ToolsTokens() int {
	sum := 0
	for _, tool := range p.Tools {
		sum += ToolTokens(tool)
	}
	return sum
}

// NewPrompt puts together what the worker of those settings would send with the
// first message of a conversation, as far as it is known of MCP servers without
// asking them. It opens no database and changes no file of the profile.
func NewPrompt(start handoff.Start) (prompt Prompt, err error) {
	w := &worker{opts: Options{Start: start, Log: slog.New(slog.DiscardHandler)}, sandbox: sandbox.New(sandbox.Options{})}
	w.reach = newReach(start, nil)
	defer w.reach.close()
	w.models = newModels(start, w.reach, "", w.opts.Log)
	if w.mcp = w.newMCP(nil); w.mcp != nil {
		defer w.mcp.Close()
	}
	remembered, library := w.kept()
	opts := w.toolOptions(remembered, library, newRedactor(start.Redact).text)
	// The tools make their directories, and the jobs would be read.
	dir, err := os.MkdirTemp("", "hermes-prompt-")
	if err != nil {
		return Prompt{}, fmt.Errorf("make workspace: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	opts.Workspace, opts.Home, opts.Jobs = dir, dir, nil
	if w.tools, err = tools.NewSet(opts); err != nil {
		return Prompt{}, &ConfigError{fmt.Errorf("tools: %w", err)}
	}
	defer w.tools.Close()
	return Prompt{System: w.prompt(remembered, library).Text(""), Tools: w.tools.Specs()}, nil
}

// prompt is the agent's system prompt. An index of skills that no tool can read
// would be of no use.
func (w *worker) prompt(remembered *memory.Memory, library *skills.Library) *agent.Prompt {
	paths := w.opts.Start.Paths
	opts := agent.PromptOptions{SoulPath: paths.Soul, WorkspacePath: paths.Workspace, Memory: remembered.Snapshot, Log: w.opts.Log}
	switch {
	case w.opts.shim != nil:
		opts.OpenSoul = w.opts.shim.OpenSoul
	case wall.Level(w.opts.Start.Isolation.Room) == wall.Reduced && paths.Soul != "":
		// Not by its directory, which is not to be read. Landlock knows files, not names.
		opts.OpenSoul = func() (*os.File, error) { return os.OpenFile(paths.Soul, os.O_RDONLY|syscall.O_NONBLOCK, 0) }
	}
	if slices.Contains(toolNames(w.tools), "skill_view") {
		opts.Skills = library.Index
	}
	return agent.NewPrompt(opts)
}
