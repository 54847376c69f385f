package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hermes/configs"
	"hermes/profiles"
	"hermes/supervisor"
	"hermes/worker"
)

func newMCPCmd(a *app) *cobra.Command {
	return newGroup("mcp", "Look at the MCP servers of a profile, and try them", &cobra.Command{
		Long: `MCP servers give an agent further tools. They are written into config.yaml, below
mcp_servers; hermes config edit opens it.`,
		Example: `  hermes mcp list
  hermes -p alice mcp test github`,
	},
		newMCPListCmd(a),
		newMCPTestCmd(a),
	)
}

type mcpListOptions struct {
	*app
	json bool
}

func newMCPListCmd(a *app) *cobra.Command {
	opts := &mcpListOptions{app: a}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the MCP servers and what is known of their tools",
		Long: `List the MCP servers of a profile. None is asked: the tools are those that each
has named last, and the tokens are about what their schemas take of a request.`,
		Example: "  hermes mcp list\n  hermes -p alice mcp list --json",
		Args:    words(),
		Aliases: []string{"ls"},
		RunE:    func(*cobra.Command, []string) error { return mcpListRun(opts) },
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

// listedServer is an MCP server in the list.
type listedServer struct {
	worker.MCPServer

	Kind    string `json:"kind"` // stdio or http
	Enabled bool   `json:"enabled"`
	Target  string `json:"target"` // the command or the address, as they are written
}

func mcpListRun(opts *mcpListOptions) error {
	profile, err := opts.profile()
	if err != nil {
		return err
	}
	loaded, err := opts.load(profile)
	if err != nil {
		return err
	}
	list := []listedServer{}
	known := worker.MCPServers(supervisor.StartOf(profile, loaded))
	for _, config := range loaded.Config.MCPServers {
		listed := listedServer{MCPServer: worker.MCPServer{Name: config.Name, Tools: []worker.MCPTool{}}, Kind: "stdio", Enabled: config.Enabled}
		listed.Target = strings.Join(append([]string{config.Command}, config.Args...), " ")
		if config.URL != "" {
			listed.Kind, listed.Target = "http", config.URL
		}
		if i := slices.IndexFunc(known, func(s worker.MCPServer) bool { return s.Name == config.Name }); i >= 0 {
			listed.MCPServer = known[i]
		}
		list = append(list, listed)
	}
	switch {
	case opts.json:
		return opts.printJSON(list)
	case len(list) == 0:
		opts.eprintf("There is no MCP server. Write one below mcp_servers with: %s\n", opts.commandFor(profile.Name, "config", "edit"))
		return nil
	}
	t := &table{header: []string{"SERVER", "KIND", "STATE", "TOOLS", "TOKENS", "WHAT"}}
	for _, s := range list {
		row := cells(s.Name, s.Kind, s.state(), strconv.Itoa(len(s.Tools)), strconv.Itoa(s.Tokens), printable(s.Target))
		row[0].style = bold
		t.add(row...)
	}
	opts.printTable(t)
	return nil
}

// state says what is known of a server.
func (s listedServer) state() string {
	switch {
	case !s.Enabled:
		return "off"
	case s.Asked.IsZero():
		return "never asked"
	default:
		return "asked " + s.Asked.Local().Format(time.DateTime)
	}
}

type mcpTestOptions struct {
	*app
	name string
	json bool
}

func newMCPTestCmd(a *app) *cobra.Command {
	opts := &mcpTestOptions{app: a}
	cmd := &cobra.Command{
		Use:   "test NAME",
		Short: "Connect to an MCP server now, and list its tools",
		Long: `Connect to an MCP server as the profile's agent would, list the tools that it
gives the agent, and leave it again. If that does not work, say why; the exit
code is 1 then.`,
		Example: "  hermes mcp test github\n  hermes -p alice mcp test github --json",
		Args:    words("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.name = args[0]
			return mcpTestRun(cmd.Context(), opts)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			if profile, err := a.profile(); err == nil && len(args) == 0 {
				loaded, _ := a.load(profile) // what could be read is good enough
				names = serverNames(loaded, false)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

// serverNames lists the MCP servers of a profile, all or those that are enabled.
func serverNames(loaded configs.Loaded, all bool) []string {
	var names []string
	for _, s := range loaded.Config.MCPServers {
		if s.Enabled || all {
			names = append(names, s.Name)
		}
	}
	return names
}

// mcpTest connects to a server as the profile's worker would.
func mcpTest(ctx context.Context, opts *mcpTestOptions, profile profiles.Profile, loaded configs.Loaded) (worker.MCPServer, error) {
	exe, err := executable()
	if err != nil {
		return worker.MCPServer{}, err
	}
	reach, err := supervisor.OpenReach(exe, opts.environ, profile, loaded)
	if err != nil {
		return worker.MCPServer{}, err
	}
	var way *os.File
	if reach != nil {
		way = reach.File
	}
	server, err := worker.TestMCP(ctx, supervisor.StartOf(profile, loaded), way, opts.name, readBuild().Version, slog.New(slog.DiscardHandler))
	return server, errors.Join(err, reach.Close())
}

// networkHint says of a server that is a command what network it has, which may be why
// it cannot be used.
func networkHint(loaded configs.Loaded, name string) string {
	network := loaded.Config.Terminal.Network
	for _, s := range loaded.Config.MCPServers {
		if s.Name == name && s.Command != "" && s.Network != configs.MCPHost && network != configs.MCPHost {
			return fmt.Sprintf(" (it has the network of commands, terminal.network: %s; `network: host` in its settings gives it the machine's)", network)
		}
	}
	return ""
}

func mcpTestRun(ctx context.Context, opts *mcpTestOptions) error {
	profile, err := opts.profile()
	if err != nil {
		return err
	}
	loaded, err := opts.load(profile)
	if err != nil {
		return err
	}
	switch names := serverNames(loaded, true); {
	case !slices.Contains(names, opts.name) && len(names) == 0:
		return usagef("profile %s has no MCP server; write one below mcp_servers with: %s", profile.Name, opts.commandFor(profile.Name, "config", "edit"))
	case !slices.Contains(names, opts.name):
		return usagef("profile %s has no MCP server %q; it has %s", profile.Name, opts.name, strings.Join(names, ", "))
	case !slices.Contains(serverNames(loaded, false), opts.name):
		return usagef("the MCP server %s is not enabled; take that line away with: %s", opts.name, opts.commandFor(profile.Name, "config", "edit"))
	}
	end := opts.progress(ctx, func() string { return "connecting to " + opts.name })
	server, err := mcpTest(ctx, opts, profile, loaded)
	end()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("the MCP server %s cannot be used: %w%s", opts.name, err, networkHint(loaded, opts.name))
	}
	if opts.json {
		return opts.printJSON(server)
	}
	t := &table{header: []string{"TOOL", "TOKENS", "WHAT"}}
	for _, tool := range server.Tools {
		what, _, _ := strings.Cut(printable(tool.Description), "\n")
		row := cells(tool.Name, strconv.Itoa(tool.Tokens), what)
		row[0].style = bold
		t.add(row...)
	}
	opts.printTable(t)
	opts.printf("\n%d tools, about %d tokens.\n", len(server.Tools), server.Tokens)
	return nil
}
