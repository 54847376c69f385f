package configs

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const mcpYAML = `mcp_servers:
  GitHub:
    command: npx
    args: [-y, server, "--token=${GH_TOKEN}"]
    env:
      GITHUB_Token: ${GH_TOKEN}
      Port: 3000
      CACHE_DIR: /var/cache/files-2026
    cwd: sub
    network: host
    timeout: 30
    connect_timeout: 5m
    tools: {include: [create_*], exclude: [create_pr]}
  remote:
    type: streamable-http
    url: https://mcp.example.com/mcp/?key=${KEY2}
    headers: {X-Api-Key: literal-secret-1, Authorization: "Bearer ${env:KEY2}"}
  off:
    command: x
    env: {A_KEY: "${NOWHERE}"}
    disabled: true
`

func TestMCPServersAreRead(t *testing.T) {
	t.Parallel()
	d := newDirs(t, map[string]string{homeYAML: mcpYAML, homeEnv: "GH_TOKEN=gh-secret-0123\nKEY2=key-two-456789\n"})
	loaded := mustLoad(t, d.defaultSources())
	written := loaded.Config.MCPServers
	if len(written) != 3 || written[0].Name != "GitHub" || written[1].Name != "off" || written[1].Enabled || written[2].URL != "https://mcp.example.com/mcp/?key=${KEY2}" {
		t.Fatalf("got %+v", written)
	}
	servers, secrets := loaded.MCPServers()
	if len(servers) != 2 {
		t.Fatalf("got %+v", servers)
	}
	github, remote := servers[0], servers[1]
	if github.Command != "npx" || !slices.Equal(github.Args, []string{"-y", "server", "--token=gh-secret-0123"}) || github.Cwd != "sub" || github.Network != MCPHost ||
		github.Timeout != 30*time.Second || github.ConnectTimeout != 5*time.Minute ||
		!slices.Equal(github.Include, []string{"create_*"}) || !slices.Equal(github.Exclude, []string{"create_pr"}) {
		t.Errorf("got %+v", github)
	}
	env := map[string]string{}
	for name, value := range github.Env {
		env[name] = value.Reveal()
	}
	if want := (map[string]string{"GITHUB_Token": "gh-secret-0123", "Port": "3000", "CACHE_DIR": "/var/cache/files-2026"}); !reflect.DeepEqual(env, want) {
		t.Errorf("the environment is %q, want %q", env, want)
	}
	if remote.URL != "https://mcp.example.com/mcp/?key=key-two-456789" || remote.Headers["Authorization"].Reveal() != "Bearer key-two-456789" ||
		remote.Timeout != 2*time.Minute || remote.ConnectTimeout != time.Minute {
		t.Errorf("got %+v", remote)
	}
	var redact []string
	for _, secret := range secrets {
		redact = append(redact, secret.Reveal())
	}
	for _, want := range []string{"gh-secret-0123", "key-two-456789", "literal-secret-1", "Bearer key-two-456789"} {
		if !slices.Contains(redact, want) {
			t.Errorf("%q is not among what is taken out: %q", want, redact)
		}
	}
	if slices.Contains(redact, "/var/cache/files-2026") {
		t.Error("a path would be blanked wherever it stands")
	}
	shown, err := json.Marshal(loaded.Config)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%+v %#v %s", written, written, shown); strings.Contains(text, "literal-secret") {
		t.Errorf("a secret is printed: %s", text)
	}
	if value, err := Lookup(loaded, "mcp_servers"); err != nil || value.Value != "3 servers" || !strings.HasSuffix(value.Source, "config.yaml:2") {
		t.Errorf("got %+v, %v", value, err)
	}
}

// What belongs to the home is not a named profile's: neither its servers nor its
// variables.
func TestMCPServersAreTheProfilesOwn(t *testing.T) {
	t.Parallel()
	d := newDirs(t, map[string]string{homeYAML: mcpYAML, homeEnv: "OPENAI_API_KEY=sk-home-0123456789\n"})
	loaded := mustLoad(t, d.aliceSources())
	if servers, _ := loaded.MCPServers(); len(servers) != 0 {
		t.Errorf("alice has %+v", servers)
	}
	d = newDirs(t, map[string]string{
		aliceYAML: "mcp_servers: {x: {command: y, env: {K: '${OPENAI_API_KEY}'}}}\n", homeEnv: "OPENAI_API_KEY=sk-home-0123456789\n",
	})
	if _, err := Load(d.aliceSources()); err == nil || !strings.Contains(err.Error(), "OPENAI_API_KEY is not set in the .env of this profile") {
		t.Errorf("got %v", err)
	}
}

func TestMCPServersThatAreWrong(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text string
		line       int
		key, want  string
	}{
		{"a list", "mcp_servers: [a]\n", 1, "mcp_servers", "this is a list"},
		{"bad name", "mcp_servers:\n  a b: {command: x}\n", 2, "mcp_servers", "is no name for a server"},
		{"text", "mcp_servers:\n  a: npx\n", 2, "mcp_servers.a", "this is text"},
		{"nothing", "mcp_servers:\n  a: {}\n", 2, "mcp_servers.a", "neither a command nor a url"},
		{"both", "mcp_servers:\n  a:\n    command: x\n    url: http://y/mcp\n", 2, "mcp_servers.a", "keep the one"},
		{"env of a url", "mcp_servers:\n  a:\n    url: http://y/mcp\n    env: {A: b}\n", 2, "mcp_servers.a", "takes headers"},
		{"headers of a command", "mcp_servers:\n  a:\n    command: x\n    headers: {A: b}\n", 2, "mcp_servers.a", "takes env"},
		{"unknown key", "mcp_servers:\n  a:\n    command: x\n    argz: [y]\n", 4, "mcp_servers.a", `unknown key "argz"`},
		{"unknown key of tools", "mcp_servers:\n  a:\n    command: x\n    tools: {only: [y]}\n", 4, "mcp_servers.a.tools", `unknown key "only"`},
		{"args as text", "mcp_servers:\n  a:\n    command: x\n    args: -y\n", 4, "mcp_servers.a.args", "write a list"},
		{"bad variable", "mcp_servers:\n  a:\n    command: x\n    env:\n      A-B: c\n", 5, "mcp_servers.a.env", "no name of a variable"},
		{"bad header", "mcp_servers:\n  a:\n    url: http://y\n    headers: {'A:': c}\n", 4, "mcp_servers.a.headers", "no name of a header"},
		{"value is a list", "mcp_servers:\n  a:\n    command: x\n    env:\n      A: [secret]\n", 5, "mcp_servers.a.env.A", "this is a list"},
		{"duration", "mcp_servers:\n  a:\n    command: x\n    timeout: soon\n", 4, "mcp_servers.a.timeout", "is no duration"},
		{"long duration", "mcp_servers:\n  a:\n    command: x\n    timeout: 2h\n", 4, "mcp_servers.a.timeout", "1s to 1h"},
		{"sse", "mcp_servers:\n  a:\n    url: http://y/sse\n    type: sse\n", 4, "mcp_servers.a.type", "the old transport SSE"},
		{"transport", "mcp_servers:\n  a:\n    url: http://y/\n    transport: pigeon\n", 4, "mcp_servers.a.transport", "is no transport"},
		{"network", "mcp_servers:\n  a:\n    command: x\n    network: full\n", 4, "mcp_servers.a.network", "use host, or commands"},
		{"network of a url", "mcp_servers:\n  a:\n    url: http://y/mcp\n    network: host\n", 2, "mcp_servers.a", "network are for a command"},
		{"truth", "mcp_servers:\n  a:\n    command: x\n    enabled: perhaps\n", 4, "mcp_servers.a.enabled", "neither true nor false"},
		{"home", "mcp_servers:\n  a:\n    command: ~/x\n", 2, "mcp_servers.a", "write the path in full"},
		{"scheme", "mcp_servers:\n  a:\n    url: ftp://y\n", 2, "mcp_servers.a.url", "http:// or https://"},
		{"credentials", "mcp_servers:\n  a:\n    url: http://me:secret@y\n", 2, "mcp_servers.a.url", "credentials"},
		{"no host", "mcp_servers:\n  a:\n    url: /mcp\n", 2, "mcp_servers.a.url", "no URL"},
		{"unset variable", "mcp_servers:\n  a:\n    command: x\n    env: {T: '${GONE}'}\n", 2, "mcp_servers.a.env.T", "GONE is not set"},
		{"own key", "mcp_servers:\n  a:\n    url: http://y\n    headers: {T: '${API_SERVER_KEY}'}\n", 2, "mcp_servers.a.headers.T", "must not be sent"},
		{"mark", "mcp_servers:\n  a:\n    command: x\n    env: {HERMES_TOOL_CALL: x}\n", 4, "mcp_servers.a.env", "set by hermes itself"},
		{"other spelling", "mcpServers: {}\n", 1, "", "did you mean mcp_servers?"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := newDirs(t, map[string]string{homeYAML: test.text})
			_, err := Load(d.defaultSources())
			problems := listOf(err)
			if len(problems) == 0 {
				t.Fatal("nothing is wrong with it")
			}
			p := problems[0]
			if p.Line != test.line || p.Key != test.key || !strings.Contains(p.Text, test.want) || !strings.HasSuffix(p.File, "config.yaml") {
				t.Errorf("got %v, want line %d, %s: %q", p, test.line, test.key, test.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the problem quotes a value: %v", err)
			}
		})
	}
}

func FuzzMCPServers(f *testing.F) {
	f.Add(mcpYAML)
	f.Add("mcp_servers: {a: {command: x, args: [1, ~], tools: {include: }}}")
	f.Fuzz(func(t *testing.T, text string) {
		values, problems := readYAML("/x/config.yaml", []byte(text))
		for _, p := range problems {
			if p.File == "" || p.Text == "" {
				t.Errorf("a problem without a place or a text: %+v", p)
			}
		}
		servers, _ := values["mcp_servers"].value.([]MCPServer)
		for _, s := range servers {
			if len(problems) == 0 && (s.Command == "") == (s.URL == "") {
				t.Errorf("got %+v of %q", s, text)
			}
		}
	})
}
