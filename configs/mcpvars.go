package configs

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// mcpReference is a variable in a value of mcp_servers. Other programs write
// ${env:NAME}.
var mcpReference = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)\}`)
})

// MCPServers returns the servers of mcp_servers that are enabled, sorted by name,
// with the variables filled in. URL and Args may hold secrets in plain text then:
// they must not be shown. Redact lists what of all that is a secret.
func (l Loaded) MCPServers() (servers []MCPServer, redact []Secret) {
	return slices.Clone(l.mcp.servers), slices.Clone(l.mcp.secrets)
}

// mcpServers is mcp_servers with the variables filled in.
type mcpServers struct {
	servers []MCPServer
	secrets []Secret
}

// fillMCP fills the variables in, and says of those that are not set where they
// are wanted.
func (l *loader) fillMCP(config Config) mcpServers {
	var all mcpServers
	for _, server := range config.MCPServers {
		if !server.Enabled {
			continue
		}
		f := mcpFiller{loader: l, place: "mcp_servers." + server.Name, line: server.line}
		server.URL = f.fill("url", server.URL)
		if problem := checkMCPURL(server.URL); server.URL != "" && problem != "" && !f.failed {
			f.fail("url", "with its variables filled in: "+problem)
		}
		server.Args = slices.Clone(server.Args)
		for i, arg := range server.Args {
			server.Args[i] = f.fill("args", arg)
		}
		server.Env = f.fillAll("env", server.Env, likelySecret)
		server.Headers = f.fillAll("headers", server.Headers, func(string, string) bool { return true })
		all.servers = append(all.servers, server)
		all.secrets = append(all.secrets, f.secrets...)
	}
	return all
}

// mcpFiller fills in the variables of one server.
type mcpFiller struct {
	loader  *loader
	place   string
	line    int
	secrets []Secret
	failed  bool
}

func (f *mcpFiller) fail(key, text string) {
	f.failed = true
	f.loader.problem(Problem{File: f.loader.chosen["mcp_servers"].file, Line: f.line, Key: f.place + "." + key, Text: text})
}

// fill replaces the references in a value. What they stand for is a secret.
func (f *mcpFiller) fill(key, text string) string {
	return mcpReference().ReplaceAllStringFunc(text, func(reference string) string {
		name := mcpReference().FindStringSubmatch(reference)[1]
		variable, set := f.loader.env[name]
		switch {
		case strings.HasPrefix(name, serverPrefix):
			f.fail(key, name+" is a setting of this server and must not be sent to another; name another variable")
		case !set || variable.value.IsZero() || variable.shared:
			f.fail(key, fmt.Sprintf("%s is not set in the .env of this profile; set it there first: %s=…", name, name))
		}
		f.secrets = append(f.secrets, variable.value)
		return variable.value.Reveal()
	})
}

// fillAll fills in the values of a map.
func (f *mcpFiller) fillAll(key string, values map[string]Secret, secret func(name, value string) bool) map[string]Secret {
	filled := make(map[string]Secret, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		text := f.fill(key+"."+name, values[name].Reveal())
		filled[name] = NewSecret(text)
		if secret(name, text) {
			f.secrets = append(f.secrets, NewSecret(text))
			if _, token, found := strings.Cut(text, " "); found { // Bearer and the like
				f.secrets = append(f.secrets, NewSecret(token))
			}
		}
	}
	return filled
}

// likelySecret says whether a variable for a program is to be taken out of logs
// and answers. Paths and plain words are not: they would blank ordinary text.
func likelySecret(name, value string) bool {
	if secretPattern().MatchString(strings.ToUpper(name)) {
		return true
	}
	const shortest = 16
	digits := strings.ContainsAny(value, "0123456789")
	return len(value) >= shortest && digits && !strings.ContainsAny(value, "/ ") || strings.Contains(value, "://") && strings.Contains(value, "@")
}
