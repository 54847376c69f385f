package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"hermes/worker/llm"
)

// maxFound is how many tools one search shows.
const maxFound = 20

// toolSearch is the tool that finds tools which are not in the requests.
type toolSearch struct {
	spec llm.ToolSpec
	more *moreTools
}

func newToolSearch(m *moreTools) *toolSearch {
	spec := mustSpec("tool_search")
	if servers := m.source.Servers(); len(servers) > 0 {
		spec.Description += "\n\nThe servers: " + strings.Join(servers, ", ") + "."
	}
	return &toolSearch{spec, m}
}

func (t *toolSearch) Spec() llm.ToolSpec { return t.spec }

func (t *toolSearch) Emoji() string { return "🔎" }

func (t *toolSearch) Concurrent() bool { return true }

// toolSearchArguments are the arguments of tool_search.
type toolSearchArguments struct {
	Query string `json:"query"`
	Limit int    `json:"limit"`
}

func (t *toolSearch) Label(input json.RawMessage) string {
	arguments, err := decode[toolSearchArguments](input)
	if err != nil {
		return ""
	}
	return arguments.Query
}

func (t *toolSearch) Run(ctx context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[toolSearchArguments](input)
	if err != nil {
		return Result{}, err
	}
	specs := t.more.refresh(ctx).more
	if len(specs) == 0 {
		return Failure("No MCP server has any tool now."), nil
	}
	found := rankTools(specs, arguments.Query)
	if len(found) == 0 {
		return Result{Text: fmt.Sprintf("No tool fits these words. There are %d:\n%s", len(specs), nameList(specs))}, nil
	}
	limit := min(max(arguments.Limit, 1), maxFound)
	var b strings.Builder
	for _, spec := range found[:min(limit, len(found))] {
		fmt.Fprintf(&b, "## %s\n%s\nSchema of its arguments: %s\n\n", spec.Name, spec.Description, spec.Parameters)
	}
	if rest := found[min(limit, len(found)):]; len(rest) > 0 {
		fmt.Fprintf(&b, "[%d more fit: %s]\n", len(rest), nameList(rest))
	}
	b.WriteString("[mcp_call runs one of them]\n")
	return Result{Text: b.String()}, nil
}

// nameList names tools, as many as may be of use.
func nameList(specs []llm.ToolSpec) string {
	const most = 100
	var names []string
	for _, spec := range specs[:min(len(specs), most)] {
		names = append(names, spec.Name)
	}
	text := strings.Join(names, ", ")
	if len(specs) > most {
		text += fmt.Sprintf(" and %d more", len(specs)-most)
	}
	return text
}
