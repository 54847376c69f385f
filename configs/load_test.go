package configs

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dirs is a home with one named profile, to be filled with files.
type dirs struct{ home, alice string }

func newDirs(t *testing.T, files map[string]string) dirs {
	t.Helper()
	home := t.TempDir()
	d := dirs{home: home, alice: filepath.Join(home, "profiles", "alice")}
	if err := os.MkdirAll(d.alice, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// The files of dirs.
const (
	homeEnv   = ".env"
	homeYAML  = "config.yaml"
	aliceEnv  = "profiles/alice/.env"
	aliceYAML = "profiles/alice/config.yaml"
)

func (d dirs) aliceSources() Sources {
	return Sources{Profile: "alice", Dir: d.alice, HomeDir: d.home}
}

func (d dirs) defaultSources() Sources {
	return Sources{Profile: DefaultProfile, Dir: d.home, HomeDir: d.home}
}

func mustLoad(t *testing.T, sources Sources) Loaded {
	t.Helper()
	loaded, err := Load(sources)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func lookup(t *testing.T, loaded Loaded, key string) Value {
	t.Helper()
	value, err := Lookup(loaded, key)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	d := newDirs(t, nil)
	want := Config{
		APIServer: APIServer{
			Port: 8642, Host: "127.0.0.1", CORSOrigins: []string{}, ModelName: "hermes-agent", MaxConcurrentRuns: 10,
			MaxBodyBytes: 10000000, StoredResponses: 100, ToolItems: "auto", OnDisconnect: "cancel", DrainTimeout: time.Minute,
		},
		Model:          Model{Provider: "auto", Streaming: true},
		FallbackModels: []Model{},
		MCPServers:     []MCPServer{},
		Memory:         Memory{Limit: 4000, UserLimit: 2000},
		Agent:          Agent{MaxIterations: 90, Tools: []string{"all"}, Approvals: "deny", Allow: []string{}, Deny: []string{}},
		Terminal:       Terminal{Timeout: 3 * time.Minute, Network: "proxy", Hosts: []string{}, AllowPrivate: []string{}, Ports: []string{"80", "443"}}, Isolation: Isolation{Tools: "auto", Accept: "nothing", Worker: "auto"},
		Web:     Web{Search: "auto", AllowPrivate: []string{}, Ports: []string{"80", "443"}},
		Display: Display{ToolProgress: "auto"},
		Limits:  Limits{Memory: 512 << 20, Processes: 256},
		Supervisor: Supervisor{
			Start: "auto", StartTimeout: 30 * time.Second, Spares: 1, BackoffBase: 500 * time.Millisecond, BackoffCap: time.Minute,
			BackoffReset: time.Minute, HeartbeatTimeout: 30 * time.Second, DumpTimeout: 5 * time.Second, ReloadDrain: 15 * time.Minute,
			MinFreeMemory: 5, LogSize: 10 << 20, LogFiles: 5, LogRate: 1 << 20, OrphanGrace: time.Minute,
		},
	}
	loaded := mustLoad(t, d.defaultSources())
	if !reflect.DeepEqual(loaded.Config, want) {
		t.Errorf("got %+v\nwant %+v", loaded.Config, want)
	}
	for _, value := range loaded.Values {
		if value.Source != "default" {
			t.Errorf("%s comes from %s", value.Key, value.Source)
		}
	}
	want.APIServer.ModelName = "alice"
	if loaded := mustLoad(t, d.aliceSources()); !reflect.DeepEqual(loaded.Config, want) {
		t.Errorf("alice: got %+v\nwant %+v", loaded.Config, want)
	}
}

// TestTemplateChangesNothing loads a new profile's config.yaml: everything in it
// is the default.
func TestTemplateChangesNothing(t *testing.T) {
	t.Parallel()
	empty := mustLoad(t, newDirs(t, nil).defaultSources())
	filled := mustLoad(t, newDirs(t, map[string]string{homeYAML: string(ConfigTemplate())}).defaultSources())
	if !reflect.DeepEqual(empty, filled) {
		t.Errorf("the template gives %+v", filled)
	}
	// With every example taken in, too.
	var all strings.Builder
	for line := range strings.Lines(string(ConfigTemplate())) {
		if rest, isLine := strings.CutPrefix(line, "  # "); isLine && strings.Contains(rest, ": ") && !strings.Contains(rest, ".") {
			line = "  " + rest
		}
		all.WriteString(line)
	}
	taken := mustLoad(t, newDirs(t, map[string]string{homeYAML: all.String()}).defaultSources())
	if !reflect.DeepEqual(empty.Config, taken.Config) {
		t.Errorf("the examples give %+v\n%s", taken.Config, all.String())
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	const port = "API_SERVER_PORT"
	flag := map[string]string{"api_server.port": "1001"}
	environ := []string{"API_SERVER_PORT=1002"}
	env := "# hello\nAPI_SERVER_PORT=1003\n"
	yaml := "api_server:\n  port: 1004\n"
	alias := "platforms:\n  api_server:\n    port: 1004\n"
	tests := []struct {
		name    string
		profile string
		files   map[string]string
		environ []string
		flags   map[string]string
		key     string
		value   string
		source  string // with HOME for the home's directory
	}{
		{"flag first", "default", map[string]string{homeEnv: env, homeYAML: yaml}, environ, flag, port, "1001", "flag"},
		{"then the environment", "default", map[string]string{homeEnv: env, homeYAML: yaml}, environ, nil, port, "1002", "environment"},
		{"then .env", "default", map[string]string{homeEnv: env, homeYAML: yaml}, nil, nil, port, "1003", "HOME/.env:2"},
		{"then config.yaml", "default", map[string]string{homeYAML: yaml}, nil, nil, port, "1004", "HOME/config.yaml:2"},
		{"or its alias", "default", map[string]string{homeYAML: alias}, nil, nil, port, "1004", "HOME/config.yaml:3"},
		{"or both with one value", "default", map[string]string{homeYAML: yaml + alias}, nil, nil, port, "1004", "HOME/config.yaml:2"},
		{"then the default", "default", nil, nil, nil, port, "8642", "default"},
		{"an empty variable is not set", "default", map[string]string{homeEnv: env}, []string{"API_SERVER_PORT="}, nil, port, "1003", "HOME/.env:2"},
		{"an empty line is not set", "default", map[string]string{homeEnv: "API_SERVER_PORT=\n", homeYAML: yaml}, nil, nil, port, "1004", "HOME/config.yaml:2"},
		{"the last line counts", "default", map[string]string{homeEnv: "API_SERVER_PORT=1\nAPI_SERVER_PORT=2\n"}, nil, nil, port, "2", "HOME/.env:2"},
		{"a flag by its variable", "default", nil, environ, map[string]string{port: "1009"}, port, "1009", "flag"},

		{"flag for alice", "alice", map[string]string{aliceEnv: env}, environ, flag, port, "1001", "flag"},
		{"no environment for alice", "alice", map[string]string{aliceEnv: env}, environ, nil, port, "1003", "HOME/profiles/alice/.env:2"},
		{"not even without files", "alice", nil, environ, nil, port, "8642", "default"},
		{"config.yaml of alice", "alice", map[string]string{aliceYAML: yaml}, environ, nil, port, "1004", "HOME/profiles/alice/config.yaml:2"},
		{"no API_SERVER of the home", "alice", map[string]string{homeEnv: env, homeYAML: yaml}, environ, nil, port, "8642", "default"},

		{"model of the home", "alice", map[string]string{homeYAML: "model:\n  default: shared\n"}, nil, nil, "model.default", "shared", "home HOME/config.yaml:2"},
		{"model of alice", "alice", map[string]string{homeYAML: "model:\n  default: shared\n", aliceYAML: "model:\n  default: mine\n"}, nil, nil, "model.default", "mine", "HOME/profiles/alice/config.yaml:2"},
		{"streaming of the home", "alice", map[string]string{homeYAML: "model:\n  streaming: off\n"}, nil, nil, "model.streaming", "off", "home HOME/config.yaml:2"},
		{"agent of the home is the home's", "alice", map[string]string{homeYAML: "agent:\n  max_iterations: 3\n"}, nil, nil, "agent.max_iterations", "90", "default"},
		{"limits of the home are the home's", "alice", map[string]string{homeYAML: "limits:\n  memory: 64MiB\n"}, nil, nil, "limits.memory", "512MiB", "default"},

		{"provider key of the home", "alice", map[string]string{homeEnv: "OPENAI_API_KEY=sk-1\n"}, nil, nil, "OPENAI_API_KEY", "[redacted]", "home HOME/.env:1"},
		{"provider key of alice", "alice", map[string]string{homeEnv: "OPENAI_API_KEY=sk-1\n", aliceEnv: "\nOPENAI_API_KEY=sk-2\n"}, nil, nil, "OPENAI_API_KEY", "[redacted]", "HOME/profiles/alice/.env:2"},
		{"provider key of the environment", "default", map[string]string{homeEnv: "OPENAI_API_KEY=sk-1\n"}, []string{"OPENAI_API_KEY=sk-3"}, nil, "OPENAI_API_KEY", "[redacted]", "environment"},
		{"model name of alice", "alice", nil, []string{"API_SERVER_MODEL_NAME=x"}, nil, "API_SERVER_MODEL_NAME", "alice", "default"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := newDirs(t, test.files)
			sources := d.defaultSources()
			if test.profile == "alice" {
				sources = d.aliceSources()
			}
			sources.Environ, sources.Overrides = test.environ, test.flags
			value := lookup(t, mustLoad(t, sources), test.key)
			source := strings.ReplaceAll(value.Source, d.home, "HOME")
			if value.Value != test.value || source != test.source {
				t.Errorf("got %s from %s, want %s from %s", value.Value, source, test.value, test.source)
			}
		})
	}
}

// TestNothingLeaksIntoNamedProfiles gives alice a process environment and a home
// full of things that are not hers.
func TestNothingLeaksIntoNamedProfiles(t *testing.T) {
	t.Parallel()
	d := newDirs(t, map[string]string{
		homeEnv:  "API_SERVER_KEY=hk-of-the-home-0123456789\nAPI_SERVER_HOST=0.0.0.0\nGITHUB_TOKEN=ghp\nGROQ_API_KEY=gsk\nMINE_KEY=m\n",
		homeYAML: "api_server:\n  enabled: true\n  cors_origins: ['https://x.example']\nmodel:\n  api_key_env: MINE_KEY\n",
	})
	sources := d.aliceSources()
	sources.Environ = []string{"API_SERVER_ENABLED=true", "API_SERVER_KEY=hk-environment", "OPENAI_API_KEY=sk-environment", "MINE_KEY=environment"}
	loaded := mustLoad(t, sources)
	server := loaded.Config.APIServer
	if server.Enabled || !server.Key.IsZero() || server.Host != "127.0.0.1" || len(server.CORSOrigins) > 0 {
		t.Errorf("alice got %+v", server)
	}
	names := map[string]string{}
	for name, secret := range loaded.Env {
		names[name] = secret.Reveal()
	}
	if want := map[string]string{"GROQ_API_KEY": "gsk", "MINE_KEY": "m"}; !reflect.DeepEqual(names, want) {
		t.Errorf("alice got the variables %v, want %v", names, want)
	}
}

func TestLoadReportsAllProblems(t *testing.T) {
	t.Parallel()
	d := newDirs(t, map[string]string{
		aliceEnv:  "API_SERVER_PORT=abc\n???\nAPI_SERVER_PROT=1\nAPI_SERVER_MAX_CONCURRENT_RUNS=2\nMY_VAR=fine\n",
		aliceYAML: "model:\n  provider: opnai\nagnet:\n",
		homeYAML:  "model:\n  base_url: x\napi_server:\n  port: bad\ntypo: 1\n",
	})
	sources := d.aliceSources()
	sources.Overrides = map[string]string{"api_server.host": "*", "what": "x"}
	loaded, err := Load(sources)
	if _, ok := errors.AsType[*Problems](err); !ok {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(err.Error(), d.home, "HOME")
	want := `HOME/config.yaml:2: model.base_url: "x" is no URL; write it like https://api.openai.com/v1
HOME/profiles/alice/.env:1: API_SERVER_PORT: "abc" is no port; use 1 to 65535
HOME/profiles/alice/.env:2: the line is not of the form NAME=value; comments begin with #
HOME/profiles/alice/.env:3: unknown setting API_SERVER_PROT; did you mean API_SERVER_PORT or API_SERVER_HOST?
HOME/profiles/alice/.env:4: API_SERVER_MAX_CONCURRENT_RUNS is set in config.yaml; use ` + "`hermes config set api_server.max_concurrent_runs …`" + `
HOME/profiles/alice/config.yaml:2: model.provider: "opnai" is not among the values; use auto, demo, openai-compatible, openai, anthropic, openrouter, gemini, groq, mistral, deepseek or ollama
HOME/profiles/alice/config.yaml:3: unknown key "agnet"; ` + "`hermes config list`" + ` shows all settings
command line: API_SERVER_HOST: "*" is no address; for all networks write 0.0.0.0, or :: for IPv6 too
command line: unknown key "what"; ` + "`hermes config list`" + ` shows all settings`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if loaded.Env["MY_VAR"].Reveal() != "fine" {
		t.Errorf("what is right is not read: %v", loaded.Env)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	d := newDirs(t, nil)
	if err := os.Mkdir(filepath.Join(d.alice, ".env"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(d.alice, "config.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(d.aliceSources())
	if err == nil || strings.Count(err.Error(), "no regular file") != 2 {
		t.Errorf("got %v", err)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	d := newDirs(t, map[string]string{
		homeEnv:  "API_SERVER_PORT=1\nAPI_SERVER_PORT=2\n",
		homeYAML: "api_server:\n  key: hk-in-the-wrong-place\nmodel:\n  provider: openai\n",
	})
	if err := os.Chmod(filepath.Join(d.home, ".env"), 0o644); err != nil {
		t.Fatal(err)
	}
	sources := d.defaultSources()
	sources.Environ = []string{"API_SERVER_PROT=1", "API_SERVER_SERVICE_HOST=10.0.0.1", "API_SERVER_PORT_8642_TCP=tcp://10.0.0.1:8642"}
	loaded := mustLoad(t, sources)
	all := strings.Join(loaded.Warnings, "\n")
	for _, want := range []string{
		".env: mode 0644 lets other users", "set in line 1 and again in line 2", "config.yaml:2: api_server.key is a secret",
		"unknown variable API_SERVER_PROT", "OPENAI_API_KEY is not set",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no warning says %q:\n%s", want, all)
		}
	}
	if strings.Contains(all, "SERVICE_HOST") || strings.Contains(all, "hk-in") || len(loaded.Warnings) != 5 {
		t.Errorf("too much is said:\n%s", all)
	}
}

func TestHomeThatIsBrokenElsewhereServesNamedProfiles(t *testing.T) {
	t.Parallel()
	d := newDirs(t, map[string]string{
		homeEnv:  "this is no line\nAPI_SERVER_PORT=abc\nGROQ_API_KEY=gsk\n",
		homeYAML: "api_server:\n  port: abc\nwhat: 1\nmodel:\n  default: shared\n",
	})
	loaded := mustLoad(t, d.aliceSources())
	if loaded.Config.Model.Default != "shared" || loaded.Env["GROQ_API_KEY"].IsZero() {
		t.Errorf("alice got %+v, %v", loaded.Config.Model, loaded.Env)
	}
	if _, err := Load(d.defaultSources()); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("the default profile: %v", err)
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	d := newDirs(t, map[string]string{homeEnv: "API_SERVER_KEY=hk-1\nOTHER=x\n"})
	loaded := mustLoad(t, d.defaultSources())
	for _, key := range []string{"API_SERVER_KEY", "api_server.key", "platforms.api_server.key"} {
		if v := lookup(t, loaded, key); v.Value != "[redacted]" || v.Raw.Reveal() != "hk-1" || !v.Secret {
			t.Errorf("%s is %+v", key, v)
		}
	}
	if v := lookup(t, loaded, "OTHER"); v.Raw.Reveal() != "x" || !strings.HasSuffix(v.Source, ".env:2") {
		t.Errorf("OTHER is %+v", v)
	}
	for key, want := range map[string]string{
		"API_SERVER_PROT": "did you mean API_SERVER_PORT", "OPENAI_API_KEY": "not set", "model.x": "no such setting", "": "no such setting",
	} {
		var input *InputError
		if _, err := Lookup(loaded, key); !errors.As(err, &input) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", key, err, want)
		}
	}
}
