package supervisor

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"

	"hermes/configs"
	"hermes/profiles"
	"hermes/supervisor/handoff"
)

// shortestSecret is the length in bytes below which a value is not redacted: it
// would be found in too much that is no secret.
const shortestSecret = 8

// StartOf is what a worker of the profile would be told now, without an address
// to listen on.
func StartOf(p profiles.Profile, loaded configs.Loaded) handoff.Start {
	return newStart(p, loaded, 0, "")
}

// newStart says in a message what a worker needs to know of its profile's
// settings. Address is what its listener is bound to.
func newStart(p profiles.Profile, loaded configs.Loaded, generation int, address string) handoff.Start {
	c := loaded.Config
	start := handoff.Start{
		Version:    handoff.Version,
		Profile:    string(p.Name),
		Generation: generation,
		Paths: handoff.Paths{
			Profile:   p.Dir,
			Database:  p.Database(),
			Workspace: p.Workspace(),
			Home:      p.ToolHome(),
			Memories:  p.Memories(),
			Skills:    p.Skills(),
			Soul:      p.Soul(),
		},
		API: handoff.API{
			Address:           address,
			ModelName:         c.APIServer.ModelName,
			CORSOrigins:       c.APIServer.CORSOrigins,
			MaxBodyBytes:      c.APIServer.MaxBodyBytes,
			MaxConcurrentRuns: c.APIServer.MaxConcurrentRuns,
			StoredResponses:   c.APIServer.StoredResponses,
			ToolItems:         c.APIServer.ToolItems,
			OnDisconnect:      c.APIServer.OnDisconnect,
			DrainTimeout:      c.APIServer.DrainTimeout,
		},
		Memory: handoff.Memory{Limit: c.Memory.Limit, UserLimit: c.Memory.UserLimit},
		Agent: handoff.Agent{
			MaxIterations: c.Agent.MaxIterations,
			Tools:         c.Agent.Tools,
			Approvals:     c.Agent.Approvals,
			Allow:         c.Agent.Allow,
			Deny:          c.Agent.Deny,
		},
		Terminal:     handoff.Terminal{Timeout: c.Terminal.Timeout},
		Isolation:    handoff.Isolation{Tools: c.Isolation.Tools, Worker: c.Isolation.Worker, Network: c.Terminal.Network, Hidden: p.Hidden()},
		Web:          newWeb(loaded),
		Resources:    handoff.Resources{Memory: c.Limits.Memory, Processes: c.Limits.Processes},
		Limits:       handoff.Limits{TurnsPerMinute: c.Limits.TurnsPerMinute, TokensPerDay: c.Limits.TokensPerDay},
		ToolProgress: c.Display.ToolProgress,
	}
	if key := c.APIServer.Key; !key.IsZero() {
		sum := sha256.Sum256([]byte(key.Reveal()))
		start.API.KeySHA256 = hex.EncodeToString(sum[:])
	}
	for i, upstream := range loaded.Upstreams() {
		model := handoff.Model{
			Provider:      upstream.Provider,
			Model:         upstream.Model,
			BaseURL:       upstream.BaseURL,
			APIKey:        upstream.APIKey.Reveal(),
			ContextLength: upstream.ContextLength,
			Streaming:     upstream.Streaming,
			Source:        upstream.Source,
		}
		if i == 0 {
			start.Model = model
			continue
		}
		start.Fallback = append(start.Fallback, model)
	}
	start.MCPServers = newMCPServers(loaded)
	start.Redact = secretsOf(loaded)
	start.OrphanGrace = c.Supervisor.OrphanGrace
	return start
}

// newWeb is what the web tools are told.
func newWeb(loaded configs.Loaded) handoff.Web {
	c := loaded.Config.Web
	web := handoff.Web{Search: c.Search, SearXNGURL: c.SearXNGURL, AllowPrivate: c.AllowPrivate, Keys: map[string]string{}}
	for name, key := range loaded.SearchKeys() {
		web.Keys[name] = key.Reveal()
	}
	for _, port := range c.Ports {
		if n, err := strconv.ParseUint(port, 10, 16); err == nil { // they have been checked
			web.Ports = append(web.Ports, uint16(n))
		}
	}
	return web
}

// newMCPServers is what the worker is told of MCP servers.
func newMCPServers(loaded configs.Loaded) []handoff.MCPServer {
	servers, _ := loaded.MCPServers()
	var told []handoff.MCPServer
	for _, s := range servers {
		identity := ""
		if s.URL != "" {
			sum := sha256.Sum256([]byte(strings.Join(append([]string{s.URL}, slices.Sorted(maps.Keys(s.Headers))...), "\x00")))
			identity = hex.EncodeToString(sum[:16])
		}
		told = append(told, handoff.MCPServer{
			Identity: identity,
			Name:     s.Name, Command: s.Command, Args: s.Args, Env: revealed(s.Env), Cwd: s.Cwd, Online: s.Network == configs.MCPHost, URL: s.URL, Headers: revealed(s.Headers),
			Timeout: s.Timeout, ConnectTimeout: s.ConnectTimeout, Include: s.Include, Exclude: s.Exclude,
		})
	}
	return told
}

func revealed(secrets map[string]configs.Secret) map[string]string {
	texts := make(map[string]string, len(secrets))
	for name, secret := range secrets {
		texts[name] = secret.Reveal()
	}
	return texts
}

// secretsOf lists every value that must not be shown: keys that are used, and
// those in the profile's files that nothing uses yet. Longer ones come first, so
// that a secret which holds another is taken out whole.
func secretsOf(loaded configs.Loaded) []string {
	found := []string{loaded.Config.APIServer.Key.Reveal()}
	for _, upstream := range loaded.Upstreams() {
		found = append(found, upstream.APIKey.Reveal())
	}
	_, secrets := loaded.MCPServers()
	for _, secret := range secrets {
		found = append(found, secret.Reveal())
	}
	for name, value := range loaded.Env {
		if secretName(name) {
			found = append(found, value.Reveal())
		}
	}
	found = slices.DeleteFunc(found, func(value string) bool { return len(value) < shortestSecret })
	slices.SortFunc(found, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(found)
}

// secretName reports whether a variable of that name holds a secret, by the rule
// that also decides which settings are kept in .env.
func secretName(name string) bool {
	for _, suffix := range []string{"_KEY", "_TOKEN", "_SECRET", "_PASSWORD"} {
		if strings.HasSuffix(strings.ToUpper(name), suffix) {
			return true
		}
	}
	return false
}
