package configs

import "time"

// Config is everything a profile is told, resolved and checked. Its fields are
// named like the keys of config.yaml; the table in keys.go says what they mean.
type Config struct {
	APIServer      APIServer `mapstructure:"api_server" json:"api_server"`
	Model          Model     `mapstructure:"model" json:"model"`
	FallbackModels []Model   `mapstructure:"fallback_models" json:"fallback_models"`
	// MCPServers are sorted by name.
	MCPServers []MCPServer `mapstructure:"mcp_servers" json:"mcp_servers"`
	Agent      Agent       `mapstructure:"agent" json:"agent"`
	Memory     Memory      `mapstructure:"memory" json:"memory"`
	Terminal   Terminal    `mapstructure:"terminal" json:"terminal"`
	Isolation  Isolation   `mapstructure:"isolation" json:"isolation"`
	Web        Web         `mapstructure:"web" json:"web"`
	Display    Display     `mapstructure:"display" json:"display"`
	Limits     Limits      `mapstructure:"limits" json:"limits"`
	// Supervisor is about the profile's worker, and in the home's own settings about
	// all of them.
	Supervisor Supervisor `mapstructure:"supervisor" json:"supervisor"`
}

// APIServer is how the profile is served.
type APIServer struct {
	Enabled bool   `mapstructure:"enabled" json:"enabled"`
	Port    int    `mapstructure:"port" json:"port"`
	Host    string `mapstructure:"host" json:"host"` // an IP address without brackets, or a host name
	Key     Secret `mapstructure:"key" json:"key"`
	// CORSOrigins are exact origins in the form in which browsers send them.
	CORSOrigins []string `mapstructure:"cors_origins" json:"cors_origins"`
	// ModelName is never empty: it falls back to the profile's name.
	ModelName         string        `mapstructure:"model_name" json:"model_name"`
	MaxConcurrentRuns int           `mapstructure:"max_concurrent_runs" json:"max_concurrent_runs"`
	MaxBodyBytes      int64         `mapstructure:"max_body_bytes" json:"max_body_bytes"`
	StoredResponses   int           `mapstructure:"stored_responses" json:"stored_responses"`
	ToolItems         string        `mapstructure:"tool_items" json:"tool_items"`
	OnDisconnect      string        `mapstructure:"on_disconnect" json:"on_disconnect"`
	DrainTimeout      time.Duration `mapstructure:"drain_timeout" json:"drain_timeout"`
}

// Model is one model endpoint as it is written down. Loaded.Upstreams says what
// becomes of it.
type Model struct {
	Provider      string `mapstructure:"provider" json:"provider"`
	Default       string `mapstructure:"default" json:"default"`
	BaseURL       string `mapstructure:"base_url" json:"base_url"` // without a slash at the end
	APIKeyEnv     string `mapstructure:"api_key_env" json:"api_key_env"`
	ContextLength int    `mapstructure:"context_length" json:"context_length"` // tokens; 0 is unknown
	Streaming     bool   `mapstructure:"streaming" json:"streaming"`
}

// Agent is what the agent's loop is told.
type Agent struct {
	MaxIterations int      `mapstructure:"max_iterations" json:"max_iterations"`
	Tools         []string `mapstructure:"tools" json:"tools"` // names, or the one word all
	Approvals     string   `mapstructure:"approvals" json:"approvals"`
	// Allow and Deny are rules about commands.
	Allow []string `mapstructure:"allow" json:"allow"`
	Deny  []string `mapstructure:"deny" json:"deny"`
}

// Memory is how long the files of the agent's memory may be, in characters.
type Memory struct {
	Limit     int `mapstructure:"limit" json:"limit"`
	UserLimit int `mapstructure:"user_limit" json:"user_limit"`
}

// Terminal is what the terminal tool is told.
type Terminal struct {
	Timeout time.Duration `mapstructure:"timeout" json:"timeout"`
	Network string        `mapstructure:"network" json:"network"`

	// Hosts, AllowPrivate and Ports are for Network proxy.
	Hosts        []string `mapstructure:"hosts" json:"hosts"`
	AllowPrivate []string `mapstructure:"allow_private" json:"allow_private"`
	Ports        []string `mapstructure:"ports" json:"ports"`
}

// Isolation is how commands are kept from what is not theirs.
type Isolation struct {
	Tools  string `mapstructure:"tools" json:"tools"`   // auto or Off
	Accept string `mapstructure:"accept" json:"accept"` // AcceptNothing or AcceptReading
	Worker string `mapstructure:"worker" json:"worker"` // auto or off
}

// The words of Isolation.
const (
	Off           = "off"
	AcceptNothing = "nothing"
	AcceptReading = "profiles-can-read-each-other"
)

// Web is what the web tools are told.
type Web struct {
	Search       string   `mapstructure:"search" json:"search"`
	SearXNGURL   string   `mapstructure:"searxng_url" json:"searxng_url"`     // without a slash at the end
	AllowPrivate []string `mapstructure:"allow_private" json:"allow_private"` // CIDR ranges, hosts, hosts with a port
	Ports        []string `mapstructure:"ports" json:"ports"`
}

// Display is how the agent's work is shown to clients.
type Display struct {
	ToolProgress string `mapstructure:"tool_progress" json:"tool_progress"`
}

// Limits is what a profile may use.
type Limits struct {
	Memory         int64 `mapstructure:"memory" json:"memory"` // bytes
	Processes      int   `mapstructure:"processes" json:"processes"`
	TurnsPerMinute int   `mapstructure:"turns_per_minute" json:"turns_per_minute"` // 0 is no limit
	TokensPerDay   int64 `mapstructure:"tokens_per_day" json:"tokens_per_day"`     // 0 is no limit

	RequestsPerMinute int   `mapstructure:"requests_per_minute" json:"requests_per_minute"` // 0 is no limit
	BytesPerDay       int64 `mapstructure:"bytes_per_day" json:"bytes_per_day"`             // 0 is no limit
}

// Supervisor is when workers are started, and how long they are waited for.
type Supervisor struct {
	Start            string        `mapstructure:"start" json:"start"` // auto, always, on-demand or never
	IdleStop         time.Duration `mapstructure:"idle_stop" json:"idle_stop"`
	StartTimeout     time.Duration `mapstructure:"start_timeout" json:"start_timeout"`
	SpawnParallel    int           `mapstructure:"spawn_parallel" json:"spawn_parallel"` // 0 is two for each processor
	Spares           int           `mapstructure:"spares" json:"spares"`
	BackoffBase      time.Duration `mapstructure:"backoff_base" json:"backoff_base"`
	BackoffCap       time.Duration `mapstructure:"backoff_cap" json:"backoff_cap"`
	BackoffReset     time.Duration `mapstructure:"backoff_reset" json:"backoff_reset"`
	HeartbeatTimeout time.Duration `mapstructure:"heartbeat_timeout" json:"heartbeat_timeout"`
	DumpTimeout      time.Duration `mapstructure:"dump_timeout" json:"dump_timeout"`
	ReloadDrain      time.Duration `mapstructure:"reload_drain" json:"reload_drain"`
	MinFreeMemory    int           `mapstructure:"min_free_memory" json:"min_free_memory"` // percent; 0 is off
	LogSize          int64         `mapstructure:"log_size" json:"log_size"`               // bytes
	LogFiles         int           `mapstructure:"log_files" json:"log_files"`
	LogRate          int64         `mapstructure:"log_rate" json:"log_rate"`               // bytes in a second
	MetricsAddress   string        `mapstructure:"metrics_address" json:"metrics_address"` // host:port, empty is nowhere
	OrphanGrace      time.Duration `mapstructure:"orphan_grace" json:"orphan_grace"`
}
