package configs

import (
	"slices"
	"strings"
	"time"
)

// Key is one row of the table of settings.
type Key struct {
	// Key is the dotted name, which is also the place in config.yaml.
	Key string
	// Env is the variable's name in .env and in the environment, or "".
	Env  string
	Kind Kind
	// Default is the built-in value, written as a user would write it.
	Default string
	// Secret rows are masked wherever they are shown, and `config set` puts them
	// into .env only.
	Secret bool
	// Shared rows of the home pass to named profiles.
	Shared bool
	// Home rows count in the home's settings alone: they are about all profiles.
	Home bool
	// Unused rows are known and checked, but nothing reads them yet: setting one
	// gives a warning.
	Unused bool
	// Help says in a sentence what the setting does.
	Help string
	// Allowed lists the words that an Enum or Words row takes.
	Allowed []string
	// Min and Max bound Int, Port, Size (bytes) and Duration (nanoseconds) rows.
	Min, Max int64
}

// Section is the part of Key before the dot; a key without a dot has none.
func (k Key) Section() string {
	section, _, found := strings.Cut(k.Key, ".")
	if !found {
		return ""
	}
	return section
}

// Leaf is the part of Key after the dot.
func (k Key) Leaf() string { return k.Key[strings.LastIndexByte(k.Key, '.')+1:] }

// Name is what a user writes to set it: the variable if there is one, else the
// dotted name.
func (k Key) Name() string {
	if k.Env != "" {
		return k.Env
	}
	return k.Key
}

const (
	mebibyte = 1 << 20
	gibibyte = 1 << 30
	// maxPort is the last TCP port.
	maxPort = 65535
	// DefaultPort is the default profile's port.
	DefaultPort = 8642
)

// Keys returns the table of all settings: one row per setting, in the order in
// which they are documented. Everything else in this package follows from it.
func Keys() []Key {
	return slices.Concat(serverKeys(), modelKeys(), agentKeys(), webKeys(), mcpKeys(), displayKeys(), limitKeys(), supervisorKeys())
}

func serverKeys() []Key {
	return []Key{
		{
			Key: "api_server.enabled", Env: "API_SERVER_ENABLED", Kind: Bool, Default: "false",
			Help: "Whether the profile is served.",
		},
		{
			Key: "api_server.port", Env: "API_SERVER_PORT", Kind: Port, Default: "8642", Min: 1, Max: maxPort,
			Help: "Port to listen on; `profile create` gives each named profile its own.",
		},
		{
			Key: "api_server.host", Env: "API_SERVER_HOST", Kind: Host, Default: "127.0.0.1",
			Help: "Address to listen on; anything but loopback needs a key.",
		},
		{
			Key: "api_server.key", Env: "API_SERVER_KEY", Kind: Token, Secret: true,
			Help: "Bearer key that clients must send.",
		},
		{
			Key: "api_server.cors_origins", Env: "API_SERVER_CORS_ORIGINS", Kind: Origins,
			Help: "Browser origins that may call the API, comma-separated, each exact.",
		},
		{
			Key: "api_server.model_name", Env: "API_SERVER_MODEL_NAME", Kind: ModelName,
			Help: "Model id on /v1/models; the profile's name if unset, `hermes-agent` for the default profile.",
		},
		{
			Key: "api_server.max_concurrent_runs", Kind: Int, Default: "10", Min: 1, Max: 1000,
			Help: "How many turns may run at once; further ones wait a little, then get 429.",
		},
		{
			Key: "api_server.max_body_bytes", Kind: Size, Default: "10000000", Min: 1024, Max: gibibyte,
			Help: "Largest request body.",
		},
		{
			Key: "api_server.stored_responses", Kind: Int, Default: "100", Min: 1, Max: 100_000,
			Help: "How many responses are kept for later turns; the least recently used go first.",
		},
		{
			Key: "api_server.tool_items", Kind: Enum, Default: "auto", Allowed: []string{"auto", "function_call", "mcp_call"},
			Help: "Which items of a response show a tool that the agent ran; `auto` is `mcp_call` for SDKs that would run a function_call themselves, `function_call` for all others.",
		},
		{
			Key: "api_server.on_disconnect", Kind: Enum, Default: "cancel", Allowed: []string{"cancel", "detach"},
			Help: "What becomes of a turn whose client has gone: stop it, or let it finish.",
		},
		{
			Key: "api_server.drain_timeout", Kind: Duration, Default: "60s", Max: int64(time.Hour),
			Help: "How long running turns may take to finish when the gateway stops.",
		},
	}
}

func modelKeys() []Key {
	return []Key{
		{
			Key: "model.provider", Kind: Enum, Default: Auto, Shared: true, Allowed: providerNames(),
			Help: "Who serves the model; `auto` takes a provider key that is set, else a server on this machine, else the demo model.",
		},
		{
			Key: "model.default", Kind: Text, Shared: true,
			Help: "Model id sent to the provider, such as gpt-5-mini; the provider's usual one if unset.",
		},
		{
			Key: "model.base_url", Kind: URL, Shared: true,
			Help: "Base URL of the model's API, such as https://api.openai.com/v1; the provider's own if unset.",
		},
		{
			Key: "model.api_key_env", Kind: EnvName, Shared: true,
			Help: "Name of the variable in .env that holds the provider's key, such as OPENAI_API_KEY.",
		},
		{
			Key: "model.context_length", Kind: Int, Default: "0", Max: 100_000_000, Shared: true,
			Help: "Size of the model's context in tokens; 0 asks the provider.",
		},
		{
			Key: "model.streaming", Kind: Bool, Default: "true", Shared: true,
			Help: "Whether answers are fetched as a stream.",
		},
		{
			Key: "fallback_models", Kind: Models, Shared: true,
			Help: "Models tried in this order when the first one fails; each entry has the keys of `model`.",
		},
	}
}

func agentKeys() []Key {
	return []Key{
		{
			Key: "agent.max_iterations", Kind: Int, Default: "90", Min: 1, Max: 10_000,
			Help: "How often the model may be asked within one turn.",
		},
		{
			Key: "agent.tools", Kind: Words, Default: "all",
			Allowed: []string{"all", "terminal", "process", "read_file", "write_file", "patch", "search_files", "web_search", "web_extract", "memory", "skills_list", "skill_view", "skill_manage", "session_search", "todo", "delegate_task", "clarify"},
			Help:    "Which tools the agent has; [] is none.",
		},
		{
			Key: "agent.approvals", Kind: Enum, Default: "deny", Allowed: []string{"deny", "allow"},
			Help: "What happens to a command that a person would have to consent to, as nobody is there to be asked; what is never run stays so.",
		},
		{
			Key: "agent.allow", Kind: Rules,
			Help: "Rules for commands that run all the same: words like `apt install *`, or `class:packages`; a rule is about the whole command.",
		},
		{
			Key: "agent.deny", Kind: Rules,
			Help: "Rules for commands that never run, like `docker *` or `git push --force*`, also with other words between; they beat `agent.allow`.",
		},
		{
			Key: "memory.limit", Kind: Int, Default: "4000", Min: 200, Max: 100_000,
			Help: "Characters of memories/MEMORY.md; the oldest entries beyond go to ARCHIVE.jsonl.",
		},
		{
			Key: "memory.user_limit", Kind: Int, Default: "2000", Min: 200, Max: 100_000,
			Help: "Characters of memories/USER.md, what the agent knows of the person.",
		},
		{
			Key: "terminal.timeout", Kind: Duration, Default: "180s", Min: int64(time.Second), Max: int64(24 * time.Hour),
			Help: "How long the agent waits for a command before it goes on in the background, unless the model asks for another time.",
		},
		{
			Key: "terminal.network", Kind: Enum, Default: "proxy", Allowed: []string{"proxy", "none", "host"},
			Help: "What commands reach of the network: with `proxy` public hosts over HTTP and HTTPS, through a proxy that is named to them (without namespaces, as `host`); with `none` only themselves; with `host` all that the machine reaches. MCP servers that are commands have the same, unless their `network` is `host`.",
		},
		{
			Key: "terminal.hosts", Kind: Hosts,
			Help: "The only hosts that commands reach through the proxy, such as pypi.org or .github.com for all below it; unset is every public one.",
		},
		{
			Key: "terminal.allow_private", Kind: Places,
			Help: "Private places that commands reach through the proxy too: ranges such as 10.1.0.0/16, hosts, or hosts with a port.",
		},
		{
			Key: "terminal.ports", Kind: Ports, Default: "80,443",
			Help: "Ports of public hosts that commands reach through the proxy.",
		},
		{
			Key: "isolation.tools", Kind: Enum, Default: Auto, Allowed: []string{Auto, Off},
			Help: "Whether commands and MCP servers run behind walls of the kernel, which show them the workspace and the programs of the machine; `off` is for tools that need the whole machine, and lets a command read what the gateway's user can read.",
		},
		{
			Key: "isolation.accept", Kind: Enum, Default: AcceptNothing, Allowed: []string{AcceptNothing, AcceptReading}, Shared: true, Home: true,
			Help: "Where commands of one profile could read the files of another (levels WEAK and NONE), only one profile is served unless this says that you accept it; it counts in the home's settings alone.",
		},
		{
			Key: "isolation.worker", Kind: Enum, Default: Auto, Allowed: []string{Auto, "off"},
			Help: "Whether the profile's own process runs behind walls of the kernel, which show it its data and nothing of another profile. Without walls around commands there are none around it either.",
		},
	}
}

func webKeys() []Key {
	return []Key{
		{
			Key: "web.search", Kind: Enum, Default: Auto, Shared: true, Allowed: searchNames(),
			Help: "Which search service is asked; `auto` asks those with an address or a key first, then those that need none, until one answers.",
		},
		{
			Key: "web.searxng_url", Kind: URL, Shared: true,
			Help: "Base URL of a SearXNG server with `json` among its formats; it may be on this machine or in a private network.",
		},
		{
			Key: "web.allow_private", Kind: Places, Shared: true,
			Help: "Private places that pages may be read from: ranges such as 10.1.0.0/16, hosts, or hosts with a port.",
		},
		{
			Key: "web.ports", Kind: Ports, Default: "80,443", Shared: true,
			Help: "Ports that pages may be read from.",
		},
	}
}

func mcpKeys() []Key {
	return []Key{
		{
			Key: "mcp_servers", Kind: Servers,
			Help: "MCP servers whose tools the agent gets, by name: a `command` with `args`, `env`, `cwd` and `network`, or a `url` with `headers`.",
		},
	}
}

func displayKeys() []Key {
	return []Key{
		{
			Key: "display.tool_progress", Kind: Enum, Default: "auto", Allowed: []string{"auto", "inline", "event", "both", "off"},
			Help: "How clients see the tools at work; `auto` is `event` for Open WebUI and `inline` for all others.",
		},
	}
}

func limitKeys() []Key {
	return []Key{
		{
			Key: "limits.memory", Kind: Size, Default: "512MiB", Min: 64 * mebibyte, Max: 1024 * gibibyte,
			Help: "Memory of the profile's processes together; of what is over it, the commands of the agent are killed first.",
		},
		{
			Key: "limits.processes", Kind: Int, Default: "256", Min: 16, Max: 65536,
			Help: "How many processes and threads the commands of the agent may have together.",
		},
		{
			Key: "limits.turns_per_minute", Kind: Int, Default: "0", Max: 1_000_000,
			Help: "How many turns may begin in a minute, evenly or all at once; 0 is no limit.",
		},
		{
			Key: "limits.tokens_per_day", Kind: Int, Default: "0", Max: 1_000_000_000_000,
			Help: "How many tokens, in and out, may be used in a day of UTC: the answer of the model that runs is finished, and nothing is asked after it. 0 is no limit.",
		},
		{
			Key: "limits.requests_per_minute", Kind: Int, Default: "0", Max: 1_000_000,
			Help: "How many requests and connections to the outside may begin in a minute: to models, search services, MCP servers, and for pages and commands. 0 is no limit.",
		},
		{
			Key: "limits.bytes_per_day", Kind: Size, Default: "0", Max: 1024 * gibibyte,
			Help: "How much may be sent and received outside in a day of UTC; 0 is no limit.",
		},
	}
}

// supervisorKeys are about when workers are started and how long they are waited
// for. All but the first two and the last are read from the home's own settings, when a gateway
// starts.
func supervisorKeys() []Key {
	return []Key{
		{
			Key: "supervisor.start", Kind: Enum, Default: Auto, Shared: true, Allowed: []string{Auto, "always", "on-demand", "never"},
			Help: "When the worker is started: with the gateway, by its first connection, or by a command only; `auto` is `on-demand` under `gateway --all`, else `always`.",
		},
		{
			Key: "supervisor.idle_stop", Kind: Duration, Default: "0s", Max: int64(30 * 24 * time.Hour), Shared: true,
			Help: "How long a worker that was started on demand may have nothing to do before it is stopped; 0 is for ever.",
		},
		{
			Key: "supervisor.start_timeout", Kind: Duration, Default: "30s", Min: int64(time.Second), Max: int64(time.Hour),
			Help: "How long a worker may take until it is ready.",
		},
		{
			Key: "supervisor.spawn_parallel", Kind: Int, Default: "0", Max: 1000,
			Help: "How many workers may be starting at once; 0 is two for each processor.",
		},
		{
			Key: "supervisor.spares", Kind: Int, Default: "1", Max: 16,
			Help: "How many processes wait to become workers, where a profile is started on demand: its first request is answered sooner. Each takes some MB.",
		},
		{
			Key: "supervisor.backoff_base", Kind: Duration, Default: "500ms", Min: int64(10 * time.Millisecond), Max: int64(time.Hour),
			Help: "Wait before the first restart of a worker that died; each further one doubles it.",
		},
		{
			Key: "supervisor.backoff_cap", Kind: Duration, Default: "60s", Min: int64(10 * time.Millisecond), Max: int64(24 * time.Hour),
			Help: "Longest wait before a restart.",
		},
		{
			Key: "supervisor.backoff_reset", Kind: Duration, Default: "60s", Min: int64(time.Second), Max: int64(24 * time.Hour),
			Help: "How long a worker has to serve for its earlier deaths to be forgotten.",
		},
		{
			Key: "supervisor.heartbeat_timeout", Kind: Duration, Default: "30s", Min: int64(10 * time.Second), Max: int64(time.Hour),
			Help: "How long a worker may give no sign of life, of which it gives one every 5 seconds, before it is replaced.",
		},
		{
			Key: "supervisor.dump_timeout", Kind: Duration, Default: "5s", Min: int64(100 * time.Millisecond), Max: int64(time.Hour),
			Help: "How long a worker that hangs gets to write its goroutines to its log before it is killed.",
		},
		{
			Key: "supervisor.reload_drain", Kind: Duration, Default: "15m", Min: int64(time.Second), Max: int64(24 * time.Hour),
			Help: "How long a worker that was replaced may take to finish what it has begun.",
		},
		{
			Key: "supervisor.min_free_memory", Kind: Int, Default: "5", Max: 90,
			Help: "No worker is started while less than this percentage of memory is free; 0 starts them whatever is free.",
		},
		{
			Key: "supervisor.log_size", Kind: Size, Default: "10MiB", Min: mebibyte, Max: gibibyte,
			Help: "How large a profile's `worker.log` may grow before it is set aside.",
		},
		{
			Key: "supervisor.log_files", Kind: Int, Default: "5", Min: 1, Max: 100,
			Help: "How many files of that log are kept, the current one included.",
		},
		{
			Key: "supervisor.log_rate", Kind: Size, Default: "1MiB", Min: mebibyte / 8, Max: 100 * mebibyte,
			Help: "How much a worker may log in a second; what is over it is dropped and counted.",
		},
		{
			Key: "supervisor.metrics_address", Kind: Address,
			Help: "Address and port, such as 127.0.0.1:9642, where the gateway answers `/metrics` over TCP; unset is nowhere. Scrapers send the token `SUPERVISOR_METRICS_TOKEN` of the home's `.env`, if there is one; anything but loopback needs it.",
		},
		{
			Key: "supervisor.orphan_grace", Kind: Duration, Default: "60s", Max: int64(24 * time.Hour), Shared: true,
			Help: "How long a worker serves on for the next gateway to take it over when its gateway was killed; 0 is not at all.",
		},
	}
}

// find returns the row of a dotted key or of a variable.
func find(name string) (Key, bool) {
	keys := Keys()
	i := slices.IndexFunc(keys, func(k Key) bool { return k.Key == name || (k.Env != "" && k.Env == name) })
	if i < 0 {
		return Key{}, false
	}
	return keys[i], true
}
