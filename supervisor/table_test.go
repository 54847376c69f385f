package supervisor

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hermes/configs"
	"hermes/supervisor/egress"
)

func loadedOf(t *testing.T, env, config string) configs.Loaded {
	t.Helper()
	h := newHome(t)
	h.add("alice", "")
	h.write("alice", ".env", "API_SERVER_ENABLED=true\nAPI_SERVER_PORT=8643\n"+env)
	h.write("alice", "config.yaml", config)
	p, err := h.open().Get("alice")
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := p.Load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// A worker is told that there are keys, and none of them; what it passes on to
// programs is all that its log has to hide.
func TestWorkerIsToldNoKeys(t *testing.T) {
	t.Parallel()
	loaded := loadedOf(t, "API_SERVER_KEY=canary-0123456789abcdef\nOPENAI_API_KEY=canary-of-openai\nANTHROPIC_API_KEY=canary-of-anthropic\nBRAVE_API_KEY=canary-of-brave\nSOME_TOKEN=canary-of-nothing\nMCP_TOKEN=passed-on-to-a-program\n",
		`model: {provider: openai, default: gpt-5-mini}
fallback_models: [{provider: anthropic, default: claude}]
mcp_servers:
  near: {command: x, env: {TOKEN: "${MCP_TOKEN}"}}
  far: {url: "https://far.example/canary-in-a-path?key=canary-in-a-query", headers: {X-Key: canary-of-a-header}}
`)
	h := newHome(t)
	h.add("alice", "")
	p, err := h.open().Get("alice")
	if err != nil {
		t.Fatal(err)
	}
	start := withoutKeys(newStart(p, loaded, 1, "127.0.0.1:8643"))
	told, err := json.Marshal(start)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(told), "canary") {
		t.Errorf("a worker is told %s", told)
	}
	if !start.Egress || start.Web.Keys["brave"] == "" || len(start.MCPServers) != 2 {
		t.Errorf("a worker is not told what there is: %s", told)
	}
	if !slices.Equal(start.Redact, []string{"passed-on-to-a-program"}) {
		t.Errorf("it hides %q", start.Redact)
	}
	table := newTable(loaded)
	if err := table.Check(); err != nil {
		t.Error(err)
	}
	kept, err := json.Marshal(table)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"canary-of-openai", "canary-of-anthropic", "canary-of-brave", "canary-in-a-path", "canary-in-a-query", "canary-of-a-header"} {
		if !strings.Contains(string(kept), key) {
			t.Errorf("egress is not told %s", key)
		}
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", table, table, table, table); strings.Contains(shown, "canary") {
		t.Error("a table can be printed")
	}
}

// The endpoints are those that the clients of worker/llm make of a base URL.
func TestEndpointsOfModelServers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ provider, base, want string }{
		{"openai-compatible", "https://a.example/v1", "POST /v1/chat/completions, GET /v1/models"},
		{"openai-compatible", "https://a.example", "POST /chat/completions, GET /models, POST /v1/chat/completions, GET /v1/models"},
		{"openai-compatible", "http://a.example:8000/b/c", "POST /b/c/chat/completions, GET /b/c/models"},
		{"anthropic", "https://api.anthropic.com/v1", "POST /v1/messages, GET /v1/models, GET /v1/models/*"},
		{"anthropic", "https://a.example/x", "POST /x/v1/messages, GET /x/v1/models, GET /x/v1/models/*"},
		{"ollama", "http://127.0.0.1:11434/v1", "POST /api/chat, GET /api/tags, POST /api/show"},
	} {
		up, ok := modelServer("model/0", configs.Upstream{Provider: test.provider, BaseURL: test.base, APIKey: configs.NewSecret("k")})
		var got []string
		for _, e := range up.Endpoints {
			if asks := strings.HasSuffix(e.Path, "/chat/completions") || strings.HasSuffix(e.Path, "/messages") || strings.HasSuffix(e.Path, "/api/chat"); e.Model != asks {
				t.Errorf("%s: that a model answers at %s is %t", test.provider, e.Path, e.Model)
			}
			got = append(got, e.Method+" "+e.Path)
		}
		if text := strings.Join(got, ", "); !ok || text != test.want {
			t.Errorf("%s at %s: %s, want %s", test.provider, test.base, text, test.want)
		}
	}
	own, _ := modelServer("m", configs.Upstream{Provider: configs.Anthropic, BaseURL: "https://api.anthropic.com/v1", APIKey: configs.NewSecret("k")})
	other, _ := modelServer("m", configs.Upstream{Provider: configs.Anthropic, BaseURL: "https://a.example", APIKey: configs.NewSecret("k")})
	if fmt.Sprint(own.Headers) != "map[X-Api-Key:k]" || fmt.Sprint(other.Headers) != "map[Authorization:Bearer k X-Api-Key:k]" {
		t.Errorf("headers are %v and %v", own.Headers, other.Headers)
	}
}

// What is changed of keys alone is no reason for another worker.
func TestKeysAreNoPartOfWhatAWorkerIsTold(t *testing.T) {
	t.Parallel()
	const config = "model: {provider: openai, default: m}\nmcp_servers:\n  far: {url: \"https://far.example/\", headers: {X-Key: \"${HEADER_KEY}\"}}\n"
	h := newHome(t)
	h.add("alice", "")
	h.write("alice", "config.yaml", config)
	p, err := h.open().Get("alice")
	if err != nil {
		t.Fatal(err)
	}
	load := func(n string) configs.Loaded {
		h.write("alice", ".env", "API_SERVER_PORT=8643\nOPENAI_API_KEY="+n+"-0123456789\nBRAVE_API_KEY="+n+"-of-brave\nHEADER_KEY="+n+"-of-a-header\n")
		loaded, err := p.Load(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return loaded
	}
	one, two := load("one"), load("two")
	before, after := withoutKeys(newStart(p, one, 1, "a")), withoutKeys(newStart(p, two, 1, "a"))
	if !before.Alike(after) || !before.Live().Equal(after.Live()) {
		t.Error("other keys are other settings to a worker")
	}
	var tables [2]egress.Table
	tables[0], tables[1] = newTable(one), newTable(two)
	if reflect.DeepEqual(tables[0], tables[1]) {
		t.Error("egress is told the same")
	}
}
