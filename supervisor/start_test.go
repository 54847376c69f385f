package supervisor

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hermes/supervisor/handoff"
)

func TestStartTellsAWorkerEverything(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "")
	h.write("alice", ".env", `API_SERVER_ENABLED=true
API_SERVER_PORT=8643
API_SERVER_KEY=canary-0123456789abcdef
API_SERVER_CORS_ORIGINS=https://chat.example.org
OPENAI_API_KEY=sk-canary-of-openai
BRAVE_API_KEY=canary-of-brave
SERVICE_PASSWORD=canary-password
SHORT_KEY=abc
MCP_TOKEN=canary-of-an-mcp-server
EDITOR=/usr/bin/vim
`)
	h.write("alice", "config.yaml", `model: {provider: openai, default: gpt-5-mini, context_length: 1000}
fallback_models: [{provider: demo}]
agent: {max_iterations: 7, tools: [terminal], approvals: allow, allow: [apt update], deny: ["docker *"]}
terminal: {timeout: 30s}
web: {search: brave, searxng_url: "http://127.0.0.1:8888", allow_private: [10.1.0.0/16], ports: [80, 8443]}
display: {tool_progress: event}
limits: {memory: 1GiB, processes: 99, turns_per_minute: 20, tokens_per_day: 5000000000}
mcp_servers:
  a: {command: x, args: [y], env: {TOKEN: "${MCP_TOKEN}"}, cwd: z, timeout: 5, connect_timeout: 6, tools: {include: [i], exclude: [e]}}
  b: {url: "https://b.example/mcp", headers: {X-Key: canary-of-a-header}}
api_server: {max_concurrent_runs: 3, max_body_bytes: 4000, stored_responses: 7, tool_items: mcp_call, on_disconnect: detach, drain_timeout: 9s}
`)
	p, err := h.open().Get("alice")
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := p.Load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	start := newStart(p, loaded, 4, "127.0.0.1:8643")
	sum := sha256.Sum256([]byte("canary-0123456789abcdef"))
	dir := h.profile("alice")
	checks := []struct {
		what      string
		got, want any
	}{
		{"version", start.Version, handoff.Version},
		{"profile", start.Profile, "alice"},
		{"generation", start.Generation, 4},
		{"paths", start.Paths, handoff.Paths{
			Profile: dir, Database: filepath.Join(dir, "data/state.db"), Workspace: filepath.Join(dir, "workspace"),
			Home: filepath.Join(dir, "home"), Memories: filepath.Join(dir, "memories"),
			Skills: filepath.Join(dir, "skills"), Soul: filepath.Join(dir, "SOUL.md"),
		}},
		{"key", start.API.KeySHA256, hex.EncodeToString(sum[:])},
		{"address", start.API.Address, "127.0.0.1:8643"},
		{"model name", start.API.ModelName, "alice"},
		{"origins", start.API.CORSOrigins, []string{"https://chat.example.org"}},
		{"limits", []any{start.API.MaxBodyBytes, start.API.MaxConcurrentRuns}, []any{int64(4000), 3}},
		{"disconnect", start.API.OnDisconnect, "detach"},
		{"responses", []any{start.API.StoredResponses, start.API.ToolItems}, []any{7, "mcp_call"}},
		{"drain", start.API.DrainTimeout, 9 * time.Second},
		{"model", []any{start.Model.Provider, start.Model.Model, start.Model.APIKey, start.Model.ContextLength}, []any{"openai", "gpt-5-mini", "sk-canary-of-openai", 1000}},
		{"fallback", len(start.Fallback), 1},
		{"agent", start.Agent, handoff.Agent{MaxIterations: 7, Tools: []string{"terminal"}, Approvals: "allow", Allow: []string{"apt update"}, Deny: []string{"docker *"}}},
		{"terminal", start.Terminal.Timeout, 30 * time.Second},
		{"web", start.Web, handoff.Web{
			Search: "brave", SearXNGURL: "http://127.0.0.1:8888", Keys: map[string]string{"brave": "canary-of-brave"},
			AllowPrivate: []string{"10.1.0.0/16"}, Ports: []uint16{80, 8443},
		}},
		{"resources", start.Resources, handoff.Resources{Memory: 1 << 30, Processes: 99}},
		{"limits of use", start.Limits, handoff.Limits{TurnsPerMinute: 20, TokensPerDay: 5_000_000_000}},
		{"progress", start.ToolProgress, "event"},
		{"MCP servers", start.MCPServers, []handoff.MCPServer{
			{
				Name: "a", Command: "x", Args: []string{"y"}, Env: map[string]string{"TOKEN": "canary-of-an-mcp-server"}, Cwd: "z",
				Timeout: 5 * time.Second, ConnectTimeout: 6 * time.Second, Include: []string{"i"}, Exclude: []string{"e"},
			},
			{Name: "b", URL: "https://b.example/mcp", Headers: map[string]string{"X-Key": "canary-of-a-header"}, Identity: start.MCPServers[1].Identity, Timeout: 2 * time.Minute, ConnectTimeout: time.Minute},
		}},
	}
	for _, check := range checks {
		if got, want := fmt.Sprintf("%v", check.got), fmt.Sprintf("%v", check.want); got != want {
			t.Errorf("%s is %s, want %s", check.what, got, want)
		}
	}
	want := []string{"canary-0123456789abcdef", "canary-of-an-mcp-server", "sk-canary-of-openai", "canary-of-a-header", "canary-of-brave", "canary-password"}
	if !slices.Equal(start.Redact, want) {
		t.Errorf("values to redact are %q, want %q", start.Redact, want)
	}
	if strings.Contains(fmt.Sprintf("%+v", start), "canary") {
		t.Error("a start can be printed")
	}
}

func TestClaimsThatCannotBothBeBound(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		a, b claim
		want bool
	}{
		{"same", claim{"127.0.0.1", 8642}, claim{"127.0.0.1", 8642}, true},
		{"other port", claim{"127.0.0.1", 8642}, claim{"127.0.0.1", 8643}, false},
		{"other address", claim{"127.0.0.1", 8642}, claim{"192.0.2.1", 8642}, false},
		{"all addresses", claim{"127.0.0.1", 8642}, claim{"0.0.0.0", 8642}, true},
		{"all IPv6 addresses", claim{"::", 8642}, claim{"127.0.0.1", 8642}, true},
	}
	for _, test := range tests {
		if got := test.a.meets(test.b); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
		if got := test.b.meets(test.a); got != test.want {
			t.Errorf("%s, turned round: %v", test.name, got)
		}
	}
}

func TestBindTakesTheAddressAndNoMore(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{"127.0.0.1": "127.0.0.1", "0.0.0.0": "0.0.0.0", "localhost": "127.0.0.1"} {
		ln, err := bind(t.Context(), claim{host, 0}, address{})
		if err != nil {
			t.Fatal(err)
		}
		if got := ln.Addr().(*net.TCPAddr).IP.String(); got != want {
			t.Errorf("%s is bound to %s, want %s", host, got, want)
		}
		ln.Close()
	}
}
