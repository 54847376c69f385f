package configs

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// What holds for MCP servers that say nothing else.
const (
	mcpTimeout        = 2 * time.Minute
	mcpConnectTimeout = time.Minute
	// maxMCPServers bounds the map: each server is a process or a connection.
	maxMCPServers = 64
)

// What network says of a server that is a command.
const (
	MCPHost     = "host"     // the machine's
	mcpCommands = "commands" // as terminal.network says
)

// MCPServer is one server of mcp_servers, which gives the agent tools. Args, the
// values of Env and Headers, and URL may hold ${NAME}, a variable of the profile's
// .env; Loaded.MCPServers has them filled in.
type MCPServer struct {
	Name    string `json:"name"`
	Enabled bool   `json:"enabled"`
	// Command is started as a process that speaks over its standard input and
	// output. Either it or URL is set.
	Command string            `json:"command,omitempty"`
	Args    []string          `json:"args,omitempty"`
	Env     map[string]Secret `json:"env,omitempty"`
	Cwd     string            `json:"cwd,omitempty"` // the workspace if it is empty
	// Network is MCPHost where a command is granted the machine's network; else it has
	// that of the agent's commands, see terminal.network.
	Network string `json:"network,omitempty"`
	// URL is the address of a server that speaks streamable HTTP.
	URL     string            `json:"url,omitempty"`
	Headers map[string]Secret `json:"headers,omitempty"`
	// Timeout bounds a call, ConnectTimeout the start of a connection.
	Timeout        time.Duration `json:"timeout"`
	ConnectTimeout time.Duration `json:"connect_timeout"`
	// Include names the tools that the agent gets, all if it is empty; Exclude those
	// that it does not get. A star stands for any characters.
	Include []string `json:"include,omitempty"`
	Exclude []string `json:"exclude,omitempty"`

	line int // where it stands
}

var (
	mcpNamePattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	})
	mcpVarPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	})
	mcpHeaderPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	})
)

// mcpReader reads mcp_servers. The keys below env and headers keep their case,
// which viper would not do.
type mcpReader struct{ problems []Problem }

// parseMCPServers reads mcp_servers: a map from the name of a server to what is
// known of it. Its problems have a line and a key, but no file.
func parseMCPServers(node *yaml.Node) ([]MCPServer, []Problem) {
	r := &mcpReader{}
	const key = "mcp_servers"
	servers := []MCPServer{}
	r.entries(node, key, "write the name of a server with its keys below it", func(name string, at, value *yaml.Node) {
		place := key + "." + name
		if len(name) > 64 || !mcpNamePattern().MatchString(name) {
			r.fail(at, key, fmt.Sprintf("%s is no name for a server; use up to 64 letters, digits and . _ -, beginning with a letter or digit", quote(name)))
			return
		}
		server := MCPServer{Name: name, Enabled: true, Timeout: mcpTimeout, ConnectTimeout: mcpConnectTimeout, line: at.Line}
		found := len(r.problems)
		r.entries(value, place, "write `command:` or `url:` below it", func(leaf string, at, value *yaml.Node) {
			r.field(&server, place, leaf, at, value)
		})
		if len(r.problems) == found {
			r.whole(&server, place, at)
		}
		servers = append(servers, server)
	})
	if len(servers) > maxMCPServers {
		r.fail(node, key, fmt.Sprintf("there are %d servers; at most %d can be used", len(servers), maxMCPServers))
	}
	slices.SortFunc(servers, func(a, b MCPServer) int { return strings.Compare(a.Name, b.Name) })
	return servers, r.problems
}

func (r *mcpReader) fail(node *yaml.Node, key, text string) {
	r.problems = append(r.problems, Problem{Line: node.Line, Key: key, Text: text})
}

// entries hands out the entries of a mapping.
func (r *mcpReader) entries(node *yaml.Node, key, want string, each func(name string, at, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		r.fail(node, key, fmt.Sprintf("this is %s; %s", nodeName(node), want))
		return
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		each(node.Content[i].Value, node.Content[i], node.Content[i+1])
	}
}

// field reads one key of a server.
func (r *mcpReader) field(s *MCPServer, place, leaf string, at, value *yaml.Node) {
	key := place + "." + leaf
	if isNull(value) {
		return
	}
	switch leaf {
	case "command":
		s.Command = r.text(value, key)
	case "args":
		s.Args = r.list(value, key)
	case "env":
		s.Env = r.secrets(value, key, mcpVarPattern(), "variable")
	case "cwd":
		s.Cwd = r.text(value, key)
	case "network":
		if s.Network = r.text(value, key); s.Network != MCPHost && s.Network != mcpCommands {
			r.fail(value, key, fmt.Sprintf("%s is no network; use %s, or %s for what terminal.network gives commands", quote(s.Network), MCPHost, mcpCommands))
		}
	case "url":
		s.URL = r.text(value, key)
	case "headers":
		s.Headers = r.secrets(value, key, mcpHeaderPattern(), "header")
	case "enabled":
		s.Enabled = r.truth(value, key)
	case "disabled": // as other programs write it
		s.Enabled = !r.truth(value, key)
	case "type", "transport":
		r.transport(value, key)
	case "timeout":
		s.Timeout = r.duration(value, key, time.Hour)
	case "connect_timeout":
		s.ConnectTimeout = r.duration(value, key, 10*time.Minute)
	case "tools":
		r.entries(value, key, "write `include:` or `exclude:` below it", func(list string, at, value *yaml.Node) {
			switch list {
			case "include":
				s.Include = r.list(value, key+"."+list)
			case "exclude":
				s.Exclude = r.list(value, key+"."+list)
			default:
				r.fail(at, key, fmt.Sprintf("unknown key %s; use include or exclude", quote(list)))
			}
		})
	default:
		r.fail(at, place, fmt.Sprintf("unknown key %s; a server has command, args, env, cwd and network, or url and headers, "+
			"and enabled, timeout, connect_timeout, tools", quote(leaf)))
	}
}

// text reads one line. Numbers are taken as they are written, since they stand
// where programs want text.
func (r *mcpReader) text(node *yaml.Node, key string) string {
	switch {
	case node.Kind != yaml.ScalarNode || isNull(node):
		r.fail(node, key, fmt.Sprintf("this is %s; write one text", nodeName(node)))
	case len(node.Value) > maxText:
		r.fail(node, key, fmt.Sprintf("the value is longer than %d bytes", maxText))
	case strings.ContainsFunc(node.Value, unicode.IsControl):
		r.fail(node, key, errControl.Error())
	default:
		return node.Value
	}
	return ""
}

func (r *mcpReader) list(node *yaml.Node, key string) []string {
	if node.Kind != yaml.SequenceNode {
		r.fail(node, key, fmt.Sprintf("this is %s; write a list like [a, b]", nodeName(node)))
		return nil
	}
	items := []string{}
	for _, item := range node.Content {
		items = append(items, r.text(item, key))
	}
	return items
}

// secrets reads a map whose values are not to be shown. Its problems do not quote
// them.
func (r *mcpReader) secrets(node *yaml.Node, key string, pattern *regexp.Regexp, what string) map[string]Secret {
	values := map[string]Secret{}
	r.entries(node, key, "write `NAME: value` lines below it", func(name string, at, value *yaml.Node) {
		switch {
		case !pattern.MatchString(name):
			r.fail(at, key, fmt.Sprintf("%s is no name of a %s", quote(name), what))
		case strings.EqualFold(name, envCall):
			r.fail(at, key, name+" is set by hermes itself; take it away")
		default:
			values[name] = NewSecret(r.text(value, key+"."+name))
		}
	})
	return values
}

// envCall is the variable that marks processes of tools, see supervisor/sandbox.
const envCall = "HERMES_TOOL_CALL"

func (r *mcpReader) truth(node *yaml.Node, key string) bool {
	value, err := parseBool(r.text(node, key))
	if err != nil {
		r.fail(node, key, err.Error())
		return true
	}
	return value == true
}

// transport takes what other programs write of it; here the keys say it.
func (r *mcpReader) transport(node *yaml.Node, key string) {
	switch text := r.text(node, key); strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(text)) {
	case "", "stdio", "http", "streamablehttp":
	case "sse":
		r.fail(node, key, "the old transport SSE is not spoken; give the server's address for streamable HTTP, often one that ends in /mcp")
	default:
		r.fail(node, key, quote(text)+" is no transport; leave the line out: `command` or `url` says it")
	}
}

// duration reads a number of seconds, or a number with a unit.
func (r *mcpReader) duration(node *yaml.Node, key string, most time.Duration) time.Duration {
	text := r.text(node, key)
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds >= 0 && seconds <= most.Seconds() {
		text = strconv.FormatFloat(seconds, 'f', -1, 64) + "s"
	}
	row := Key{Kind: Duration, Min: int64(time.Second), Max: int64(most)}
	value, err := row.parseDuration(text)
	if err != nil {
		r.fail(node, key, err.Error())
		return most
	}
	d, _ := value.(time.Duration)
	return d
}

// whole checks what the keys of a server say together.
func (r *mcpReader) whole(s *MCPServer, place string, at *yaml.Node) {
	switch {
	case s.Command != "" && s.URL != "":
		r.fail(at, place, "it has a command and a url; keep the one that the server is reached by")
	case s.Command == "" && s.URL == "":
		r.fail(at, place, "it has neither a command nor a url; write the program to start, or the address of the server")
	case s.URL != "" && (len(s.Args) > 0 || len(s.Env) > 0 || s.Cwd != "" || s.Network != ""):
		r.fail(at, place, "args, env, cwd and network are for a command; a server with a url takes headers")
	case s.Command != "" && len(s.Headers) > 0:
		r.fail(at, place, "headers are for a url; a command takes env")
	case strings.HasPrefix(s.Cwd, "~"), strings.HasPrefix(s.Command, "~"):
		r.fail(at, place, "~ is not known here; write the path in full")
	case s.URL != "":
		if problem := checkMCPURL(mcpReference().ReplaceAllString(s.URL, "x")); problem != "" {
			r.fail(at, place+".url", problem)
		}
	}
}

// checkMCPURL says what is wrong with the address of a server. It does not quote
// it, since it may hold a key.
func checkMCPURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || strings.ContainsAny(text, " \t"):
		return "this is no URL; write it like https://mcp.example.com/mcp"
	case u.Scheme != "http" && u.Scheme != "https":
		return "the URL does not begin with http:// or https://"
	case u.User != nil:
		return "the URL has credentials in it; send them in a header: headers: {Authorization: …}"
	case u.Fragment != "":
		return "the URL has a # part; leave it out"
	case !validPort(u):
		return fmt.Sprintf("the URL has no valid port; use 1 to %d", maxPort)
	}
	return ""
}
