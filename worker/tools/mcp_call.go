package tools

import (
	"context"
	"encoding/json"
	"fmt"

	"hermes/worker/llm"
)

// mcpCall is the tool that runs tools which are not in the requests.
type mcpCall struct {
	spec llm.ToolSpec
	more *moreTools
}

func newMCPCall(m *moreTools) *mcpCall { return &mcpCall{mustSpec("mcp_call"), m} }

func (t *mcpCall) Spec() llm.ToolSpec { return t.spec }

func (t *mcpCall) Emoji() string { return "⚡" }

// mcpCallArguments are the arguments of mcp_call.
type mcpCallArguments struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

func (t *mcpCall) Label(input json.RawMessage) string {
	arguments, err := decode[mcpCallArguments](input)
	if err != nil {
		return ""
	}
	if entry := t.find(arguments.Name); entry != nil {
		return entry.tool.Label(arguments.Arguments)
	}
	return arguments.Name
}

// find returns the tool of a name, but not one that is called by itself.
func (t *mcpCall) find(name string) *entry {
	entry := t.more.find(name)
	if entry == nil || entry.tool == Tool(t) || entry.tool == Tool(t.more.search) {
		return nil
	}
	return entry
}

func (t *mcpCall) Run(ctx context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[mcpCallArguments](input)
	if err != nil {
		return Result{}, err
	}
	entry := t.find(arguments.Name)
	if entry == nil {
		t.more.refresh(ctx)
		entry = t.find(arguments.Name)
	}
	if entry == nil {
		return Failure(fmt.Sprintf("There is no tool %s of an MCP server. tool_search finds those that there are.", shorten(arguments.Name))), nil
	}
	prepared, err := entry.schema.prepare(string(arguments.Arguments))
	if err != nil {
		spec := entry.tool.Spec()
		return Result{Text: fmt.Sprintf("%s was not run: %s\nThe schema of its arguments: %s", spec.Name, err, spec.Parameters), Failed: true, Misused: t.spec.Name}, nil
	}
	return entry.tool.Run(ctx, prepared)
}
