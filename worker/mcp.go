package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	outside "hermes/supervisor/egress/wire"
	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox"
	"hermes/worker/api"
	"hermes/worker/llm"
	"hermes/worker/mcp"
	"hermes/worker/tools"
)

// newMCP makes the profile's MCP servers, nil if it has none. Nothing is opened
// yet.
func (w *worker) newMCP(redact func(string) string) *mcp.Servers {
	start := w.opts.Start
	if len(start.MCPServers) == 0 {
		return nil
	}
	opts := mcp.Options{
		Sandbox: w.sandbox, Workspace: start.Paths.Workspace, Environ: tools.Environment(os.Environ(), start.Paths.Home),
		CachePath: mcpCache(start), Version: w.opts.Version, Redact: redact, Log: w.opts.Log,
	}
	opts.Servers = mcpConfigs(start)
	for i := range opts.Servers {
		opts.Servers[i].Transport = w.reach.server(opts.Servers[i].Name)
	}
	return mcp.New(opts)
}

// mcpConfigs is the profile's MCP servers, without the way to those by address.
func mcpConfigs(start handoff.Start) []mcp.Config {
	var configs []mcp.Config
	for _, s := range start.MCPServers {
		configs = append(configs, mcp.Config{
			Identity: s.Identity,
			Name:     s.Name, Command: s.Command, Args: s.Args, Env: s.Env, Dir: s.Cwd, Online: s.Online, URL: s.URL, Headers: s.Headers,
			Timeout: s.Timeout, ConnectTimeout: s.ConnectTimeout, Include: s.Include, Exclude: s.Exclude,
		})
	}
	return configs
}

// mcpCache is the file that keeps what MCP servers have said of their tools.
func mcpCache(start handoff.Start) string {
	return filepath.Join(filepath.Dir(start.Paths.Database), "mcp-tools.json")
}

// addMCP gives the tools of MCP servers to the agent.
func (w *worker) addMCP(opts *tools.Options) {
	if w.mcp == nil {
		return
	}
	opts.More = mcpTools{w.mcp, w.opts.Start.MCPServers}
	opts.Window = func(ctx context.Context) int { return llm.CapabilitiesOf(ctx, w.models.client).ContextLength }
}

// mcpTools are the tools of MCP servers as the agent has them.
type mcpTools struct {
	servers *mcp.Servers
	configs []handoff.MCPServer
}

var _ tools.More = mcpTools{}

// Tools lists them, and connects to their servers if nobody has.
func (m mcpTools) Tools(ctx context.Context) []tools.Tool { return m.adapted(m.servers.Tools(ctx)) }

// Known is Tools without connecting to anybody.
func (m mcpTools) Known() []tools.Tool { return m.adapted(m.servers.Known()) }

// Servers names the servers, also those that have said nothing yet: the names are
// a part of what the model is sent, so they follow from the settings alone.
func (m mcpTools) Servers() []string {
	var names []string
	for _, config := range m.configs {
		names = append(names, config.Name)
	}
	return names
}

func (m mcpTools) adapted(list []mcp.Tool) []tools.Tool {
	adapted := make([]tools.Tool, 0, len(list))
	for _, tool := range list {
		adapted = append(adapted, mcpTool{m.servers, tool})
	}
	return adapted
}

// mcpTool is one of them.
type mcpTool struct {
	servers *mcp.Servers
	tool    mcp.Tool
}

// Spec is what the model is told.
func (t mcpTool) Spec() llm.ToolSpec { return mcpSpec(t.tool) }

func mcpSpec(tool mcp.Tool) llm.ToolSpec {
	return llm.ToolSpec{Name: tool.Name, Description: tool.Description, Parameters: tool.Schema}
}

// Run calls the tool.
func (t mcpTool) Run(ctx context.Context, input json.RawMessage) (tools.Result, error) {
	result, err := t.servers.Call(ctx, t.tool.Server, t.tool.Remote, input)
	given := tools.Result{Text: result.Text, Failed: result.Failed}
	for _, image := range result.Images {
		given.Images = append(given.Images, tools.Image{MIME: image.MIME, Data: image.Data})
	}
	return given, err
}

// Label is the server's name for the tool.
func (t mcpTool) Label(json.RawMessage) string { return t.tool.Server + ": " + t.tool.Remote }

// Emoji is the same for all of them.
func (t mcpTool) Emoji() string { return "⚡" }

// Concurrent believes the server: what it says of its tool decides only whether
// two calls of it may meet.
func (t mcpTool) Concurrent() bool { return t.tool.ReadOnly }

// mcpHealth says how the servers are.
func (w *worker) mcpHealth(parts map[string]api.Part) {
	if w.mcp == nil {
		return
	}
	for _, state := range w.mcp.States() {
		part := api.Part{Status: api.StatusOK, Detail: fmt.Sprintf("%s, %d tools", state.Status, len(state.Tools))}
		if state.Status == mcp.Failed {
			part = api.Part{Status: api.StatusDegraded, Detail: state.Reason}
		}
		parts["mcp:"+state.Name] = part
	}
}

// MCPServer is what is known of an MCP server without asking it.
type MCPServer struct {
	Name string `json:"name"`
	// Asked is when it named its tools, zero if it never did.
	Asked time.Time `json:"asked,omitzero"`
	// Tools are those that the agent gets.
	Tools []MCPTool `json:"tools"`
	// Tokens is about what their schemas take of each request, unless they are looked
	// for with tool_search.
	Tokens int `json:"tokens"`
}

// MCPTool is a tool of an MCP server.
type MCPTool struct {
	Name        string `json:"name"`   // as the model knows it
	Remote      string `json:"remote"` // as the server knows it
	Description string `json:"description"`
	Tokens      int    `json:"tokens"`
}

// MCPServers says what is known of the MCP servers of those settings. It connects
// to none.
func MCPServers(start handoff.Start) []MCPServer {
	w := &worker{opts: Options{Start: start, Log: slog.New(slog.DiscardHandler)}, reach: newReach(start, nil), sandbox: sandbox.New(sandbox.Options{})}
	servers := w.newMCP(nil)
	if servers == nil {
		return nil
	}
	defer servers.Close()
	var known []MCPServer
	for _, state := range servers.States() {
		known = append(known, describeMCP(state))
	}
	return known
}

func describeMCP(state mcp.State) MCPServer {
	server := MCPServer{Name: state.Name, Asked: state.Asked, Tools: []MCPTool{}}
	for _, tool := range state.Tools {
		tokens := ToolTokens(mcpSpec(tool))
		server.Tools = append(server.Tools, MCPTool{tool.Name, tool.Remote, tool.Description, tokens})
		server.Tokens += tokens
	}
	return server
}

// TestMCP connects to one of the MCP servers of those settings, as a worker would,
// and leaves it again. Way leads to the egress process for commands, nil if there is
// none. Its error says in a clause why that does not work.
func TestMCP(ctx context.Context, start handoff.Start, way *os.File, name, version string, log *slog.Logger) (MCPServer, error) {
	if err := sandbox.BecomeSubreaper(); err != nil {
		log.Debug("stray processes of servers cannot be adopted", "error", err)
	}
	w := &worker{opts: Options{Start: start, Version: version, Log: log}, reach: newReach(start, nil)}
	if way != nil {
		w.reach = w.reach.giving(outside.NewDoor(int(way.Fd())))
	}
	defer w.reach.close()
	for _, dir := range []string{start.Paths.Workspace, start.Paths.Home} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return MCPServer{}, fmt.Errorf("make directory: %w", err)
		}
	}
	w.wall = newWall(start, w.reach, nil, nil, log) //nolint:contextcheck // connections of commands have limits of their own
	w.sandbox = sandbox.New(sandbox.Options{Wall: w.wall})
	servers := w.newMCP(newRedactor(start.Redact).text) //nolint:contextcheck // it lives until Close
	if servers == nil {
		return MCPServer{}, errors.New("there is no such server")
	}
	defer servers.Close()
	if _, err := servers.Test(ctx, name); err != nil {
		return MCPServer{}, err
	}
	for _, state := range servers.States() {
		if state.Name == name {
			return describeMCP(state), nil
		}
	}
	return MCPServer{}, errors.New("there is no such server")
}
