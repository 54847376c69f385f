package supervisor

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"hermes/configs"
	"hermes/supervisor/egress"
	"hermes/supervisor/handoff"
)

// LocalServers are the addresses at which a worker whose model nobody named looks
// for a server on this machine.
func LocalServers() []string {
	return []string{"127.0.0.1:11434", "127.0.0.1:8080", "127.0.0.1:1234", "127.0.0.1:8000"}
}

// newTable is what a worker with these settings may reach of the outside, and with
// which keys. Its clients know paths; where they lead, only the table does.
func newTable(loaded configs.Loaded) egress.Table {
	c := loaded.Config
	t := egress.Table{
		Pages:   egress.Reach{AllowPrivate: c.Web.AllowPrivate, Ports: portsOf(c.Web.Ports)},
		Tools:   egress.Reach{Off: c.Terminal.Network != "proxy", Hosts: c.Terminal.Hosts, AllowPrivate: c.Terminal.AllowPrivate, Ports: portsOf(c.Terminal.Ports)},
		Budget:  egress.Budget{RequestsPerMinute: c.Limits.RequestsPerMinute, BytesPerDay: c.Limits.BytesPerDay, TokensPerDay: c.Limits.TokensPerDay},
		Secrets: secretsOf(loaded),
	}
	for i, upstream := range loaded.Upstreams() {
		if upstream.Provider == configs.Auto {
			for _, at := range LocalServers() {
				t.Upstreams = append(t.Upstreams, localServer(at))
			}
			continue
		}
		if up, ok := modelServer(handoff.ModelWay(i), upstream); ok {
			t.Upstreams = append(t.Upstreams, up)
		}
	}
	t.Upstreams = append(t.Upstreams, searchServices(loaded)...)
	servers, _ := loaded.MCPServers()
	for _, s := range servers {
		if up, ok := mcpServer(s); ok {
			t.Upstreams = append(t.Upstreams, up)
		}
	}
	return t
}

// portsOf reads ports, which have been checked.
func portsOf(texts []string) []uint16 {
	var ports []uint16
	for _, text := range texts {
		if n, err := strconv.ParseUint(text, 10, 16); err == nil {
			ports = append(ports, uint16(n))
		}
	}
	return ports
}

// at is an upstream at the origin of an address, and the path of it.
func at(name, address string) (up egress.Upstream, path string, ok bool) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" {
		return up, "", false
	}
	return egress.Upstream{Name: name, Origin: u.Scheme + "://" + u.Host, Headers: map[string]string{}, Redirects: true}, strings.TrimRight(u.EscapedPath(), "/"), true
}

// posting and getting are endpoints.
func posting(path string) egress.Endpoint {
	return egress.Endpoint{Method: http.MethodPost, Path: path}
}

// asking is posting to a model.
func asking(path string) egress.Endpoint {
	return egress.Endpoint{Method: http.MethodPost, Path: path, Model: true}
}

func getting(path string) egress.Endpoint { return egress.Endpoint{Method: http.MethodGet, Path: path} }

// modelServer is what the client of an upstream asks: worker/llm/openaichat,
// anthropic or ollama.
func modelServer(name string, upstream configs.Upstream) (egress.Upstream, bool) {
	up, path, ok := at(name, upstream.BaseURL)
	if !ok {
		return up, false
	}
	key := upstream.APIKey.Reveal()
	if key != "" {
		up.Headers["Authorization"] = "Bearer " + key
	}
	switch upstream.Provider {
	case configs.Anthropic:
		path = strings.TrimSuffix(strings.TrimSuffix(path, "/messages"), "/v1")
		up.Endpoints = []egress.Endpoint{asking(path + "/v1/messages"), getting(path + "/v1/models"), getting(path + "/v1/models/*")}
		if key != "" {
			up.Headers["X-Api-Key"] = key
		}
		if host, _ := url.Parse(up.Origin); host.Hostname() == "api.anthropic.com" { // servers that imitate it differ in where they look
			delete(up.Headers, "Authorization")
		}
	case configs.Ollama:
		for _, end := range []string{"/chat/completions", "/v1", "/api/chat", "/api"} {
			path = strings.TrimSuffix(path, end)
		}
		up.Endpoints = []egress.Endpoint{asking(path + "/api/chat"), getting(path + "/api/tags"), posting(path + "/api/show")}
	default:
		path = strings.TrimSuffix(path, "/chat/completions")
		up.Endpoints = []egress.Endpoint{asking(path + "/chat/completions"), getting(path + "/models")}
		if path == "" { // which is a guess, so both are tried
			up.Endpoints = append(up.Endpoints, asking("/v1/chat/completions"), getting("/v1/models"))
		}
	}
	return up, true
}

// localServer is what worker/llm/detect asks a server, and then the client of it.
func localServer(address string) egress.Upstream {
	return egress.Upstream{
		Name: handoff.LocalWay(address), Origin: "http://" + address,
		Endpoints: []egress.Endpoint{
			getting("/api/version"), getting("/api/tags"), posting("/api/show"), asking("/api/chat"), getting("/props"), getting("/api/v1/models"),
			getting("/api/v0/models"), getting("/v1/models"), asking("/v1/chat/completions"),
		},
	}
}

// searchServices are the search services with a key, and SearXNG: what worker/web
// asks of them. A redirect is not followed.
func searchServices(loaded configs.Loaded) []egress.Upstream {
	keys := loaded.SearchKeys()
	var all []egress.Upstream
	for _, s := range []struct{ name, method, address, header, prefix string }{
		{"brave", http.MethodGet, "https://api.search.brave.com/res/v1/web/search", "X-Subscription-Token", ""},
		{"tavily", http.MethodPost, "https://api.tavily.com/search", "Authorization", "Bearer "},
		{"exa", http.MethodPost, "https://api.exa.ai/search", "X-Api-Key", ""},
		{"firecrawl", http.MethodPost, "https://api.firecrawl.dev/v2/search", "Authorization", "Bearer "},
	} {
		key := keys[s.name].Reveal()
		up, path, ok := at(handoff.SearchWay(s.name), s.address)
		if key == "" || !ok {
			continue
		}
		up.Redirects, up.PassQuery, up.Headers[s.header] = false, s.method == http.MethodGet, s.prefix+key
		up.Endpoints = []egress.Endpoint{{Method: s.method, Path: path}}
		all = append(all, up)
	}
	if up, path, ok := at(handoff.SearchWay("searxng"), loaded.Config.Web.SearXNGURL); ok {
		up.Redirects, up.PassQuery, up.Endpoints = false, true, []egress.Endpoint{getting(path + "/search")}
		all = append(all, up)
	}
	return all
}

// mcpServer is an MCP server with an address. All of that but its origin may be
// secret: the worker asks for / instead.
func mcpServer(s configs.MCPServer) (egress.Upstream, bool) {
	u, err := url.Parse(s.URL)
	if err != nil || s.URL == "" || u.Host == "" {
		return egress.Upstream{}, false
	}
	up := egress.Upstream{
		Name: handoff.MCPWay(s.Name), Origin: u.Scheme + "://" + u.Host, Home: u.EscapedPath(), Query: u.RawQuery, Headers: revealed(s.Headers), Redirects: true,
		Endpoints: []egress.Endpoint{posting("/"), getting("/"), {Method: http.MethodDelete, Path: "/"}},
	}
	if password, ok := u.User.Password(); ok && up.Headers["Authorization"] == "" {
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(u.User.Username(), password)
		up.Headers["Authorization"] = r.Header.Get("Authorization")
	}
	return up, true
}

// withoutKeys is a Start for a worker that reaches the outside by way of egress: it
// is told that keys exist, and none of them.
func withoutKeys(start handoff.Start) handoff.Start {
	start.Egress = true
	start.Model.APIKey = ""
	start.Fallback = slices.Clone(start.Fallback)
	for i := range start.Fallback {
		start.Fallback[i].APIKey = ""
	}
	start.Web.Keys = maps.Clone(start.Web.Keys)
	for name := range start.Web.Keys {
		start.Web.Keys[name] = handoff.KeyElsewhere
	}
	start.MCPServers = slices.Clone(start.MCPServers)
	start.Redact = nil
	for i, s := range start.MCPServers {
		if u, err := url.Parse(s.URL); err == nil && s.URL != "" {
			start.MCPServers[i].URL, start.MCPServers[i].Headers = u.Scheme+"://"+u.Host+"/", nil
			continue
		}
		start.Redact = append(start.Redact, slices.Collect(maps.Values(s.Env))...) // which it passes on
	}
	start.Redact = slices.DeleteFunc(start.Redact, func(value string) bool { return len(value) < shortestSecret })
	slices.Sort(start.Redact)
	return start
}
