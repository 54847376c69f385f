package handoff

import (
	"log/slog"
	"strconv"
	"time"
)

// Version is the version of the messages in this package. Both sides are the
// same binary, but an upgraded supervisor may find workers of the old one.
const Version = 2

// ControlFD is the descriptor that a child is born with, beside stdin, stdout and
// stderr: a Unix stream socket that carries the messages. All else comes with its
// Start, see Belongings.
const ControlFD = 3

// ExitConfig is the exit code of a child that cannot work with the settings it
// was given. It is not restarted before they change. The number is EX_CONFIG of
// sysexits.h.
const ExitConfig = 78

// Start is the first message to a child: everything that it needs to know. Before
// it, a child is nobody's, and knows nothing of any profile. A child reads no settings file and no environment variable. It holds secrets in
// plain text, which is why it travels over a socket pair and never through
// argv, the environment or a file; it must not be logged.
type Start struct {
	Version int    `json:"version"`
	Profile string `json:"profile"`
	// Generation counts the workers that the supervisor started for the profile.
	Generation int   `json:"generation"`
	Paths      Paths `json:"paths"`

	API       API       `json:"api"`
	Model     Model     `json:"model"`
	Fallback  []Model   `json:"fallback,omitempty"`
	Agent     Agent     `json:"agent"`
	Memory    Memory    `json:"memory"`
	Terminal  Terminal  `json:"terminal"`
	Isolation Isolation `json:"isolation"`
	Web       Web       `json:"web"`
	Limits    Limits    `json:"limits"`
	Resources Resources `json:"resources"`
	// Egress says that the child reaches the outside over Child.Egress and in no other
	// way.
	// It is told no keys then: those of Model, Fallback and Web, and the headers of
	// MCPServers.
	Egress bool `json:"egress,omitempty"`
	// MCPServers are sorted by name.
	MCPServers []MCPServer `json:"mcp_servers,omitempty"`
	// ToolProgress is display.tool_progress: auto, inline, event, both or off.
	ToolProgress string `json:"tool_progress"`
	// Redact lists values that must never appear in labels, logs and errors.
	Redact []string `json:"redact,omitempty"`
	// OrphanGrace is how long the child serves on when its parent has died, and Orphan
	// how it is found meanwhile.
	OrphanGrace time.Duration `json:"orphan_grace,omitempty"`
	Orphan      Orphan        `json:"orphan"`
}

// Paths are the places of a profile, absolute.
type Paths struct {
	Profile   string `json:"profile"`
	Database  string `json:"database"`
	Workspace string `json:"workspace"`
	// Home is HOME of the profile's tool commands.
	Home     string `json:"home"`
	Memories string `json:"memories"`
	Skills   string `json:"skills"`
	Soul     string `json:"soul"` // SOUL.md
}

// API is what the worker's HTTP server is told.
type API struct {
	// Address is what the listener is bound to, host:port.
	Address   string `json:"address"`
	ModelName string `json:"model_name"`
	// KeySHA256 is the hex digest of the bearer key; empty means that no key is
	// set and that only loopback requests may pass.
	KeySHA256         string        `json:"key_sha256"`
	CORSOrigins       []string      `json:"cors_origins,omitempty"`
	MaxBodyBytes      int64         `json:"max_body_bytes"`
	MaxConcurrentRuns int           `json:"max_concurrent_runs"`
	StoredResponses   int           `json:"stored_responses"`
	ToolItems         string        `json:"tool_items"`    // auto, function_call or mcp_call
	OnDisconnect      string        `json:"on_disconnect"` // cancel or detach
	DrainTimeout      time.Duration `json:"drain_timeout"`
}

// Model is one upstream, with everything resolved that the files can tell.
type Model struct {
	// Provider is auto, openai, anthropic, ollama, openai-compatible or demo. It is
	// auto only when neither a setting nor a key decides, and the worker has to
	// look for a local server.
	Provider      string `json:"provider"`
	Model         string `json:"model"`
	BaseURL       string `json:"base_url"`
	APIKey        string `json:"api_key,omitempty"`
	ContextLength int    `json:"context_length"`
	Streaming     bool   `json:"streaming"`
	// Source says in a few words why this upstream was chosen.
	Source string `json:"source"`
}

// Agent is what the loop is told.
type Agent struct {
	MaxIterations int      `json:"max_iterations"`
	Tools         []string `json:"tools"` // names, or the one word all
	// Approvals is deny or allow; Allow and Deny are rules about commands.
	Approvals string   `json:"approvals"`
	Allow     []string `json:"allow,omitempty"`
	Deny      []string `json:"deny,omitempty"`
}

// Memory is how long the files of the agent's memory may be, in characters.
type Memory struct {
	Limit     int `json:"limit"`
	UserLimit int `json:"user_limit"`
}

// Terminal is what the terminal tool is told.
type Terminal struct {
	Timeout time.Duration `json:"timeout"`
}

// Isolation is what stands around commands, and around the worker itself.
type Isolation struct {
	Tools   string `json:"tools"`   // auto or off
	Worker  string `json:"worker"`  // auto or off
	Network string `json:"network"` // proxy, none or host
	// User and Group are who the worker has to become if it was started as root and there
	// are no namespaces; 0 is nobody to become. They are no setting.
	User  int `json:"user,omitempty"`
	Group int `json:"group,omitempty"`
	// Hidden are directories that commands see nothing of but the profile's own
	// workspace, home and skills.
	Hidden []string `json:"hidden"`
	// Room is the level of the wall that the worker has to build around itself before it
	// does anything, as it was found on this machine; empty is none. It is no setting.
	Room string `json:"room,omitempty"`
}

// Like is the same with what is no setting, but found on this machine, as another has it.
func (i Isolation) Like(other Isolation) Isolation {
	i.Room, i.User, i.Group = other.Room, other.User, other.Group
	return i
}

// Web is what the web tools are told.
type Web struct {
	Search       string            `json:"search"` // auto, or one service
	SearXNGURL   string            `json:"searxng_url,omitempty"`
	Keys         map[string]string `json:"keys,omitempty"`          // of search services, by service
	AllowPrivate []string          `json:"allow_private,omitempty"` // CIDR ranges, hosts, hosts with a port
	Ports        []uint16          `json:"ports"`
}

// MCPServer is a server that gives the agent tools: a command or a URL.
type MCPServer struct {
	Name           string            `json:"name"`
	Command        string            `json:"command,omitempty"`
	Args           []string          `json:"args,omitempty"`
	Env            map[string]string `json:"env,omitempty"`
	Cwd            string            `json:"cwd,omitempty"`
	Online         bool              `json:"online,omitempty"` // a command that has the machine's network
	URL            string            `json:"url,omitempty"`
	Headers        map[string]string `json:"headers,omitempty"`
	Identity       string            `json:"identity,omitempty"` // of URL and names of Headers, as the settings have them
	Timeout        time.Duration     `json:"timeout"`
	ConnectTimeout time.Duration     `json:"connect_timeout"`
	Include        []string          `json:"include,omitempty"`
	Exclude        []string          `json:"exclude,omitempty"`
}

// KeyElsewhere stands for a key that the egress process has.
const KeyElsewhere = "kept by egress"

// ModelWay is the name by which egress knows a model of the profile, the primary one
// being 0.
func ModelWay(i int) string { return "model/" + strconv.Itoa(i) }

// LocalWay is that of a model server on this machine.
func LocalWay(address string) string { return "local/" + address }

// SearchWay is that of a search service.
func SearchWay(service string) string { return "search/" + service }

// MCPWay is that of an MCP server.
func MCPWay(server string) string { return "mcp/" + server }

// ExitMemory is the exit code of a child that was over its memory limit by itself.
const ExitMemory = 79

// Resources is what the profile's processes may have at a time.
type Resources struct {
	Memory    int64 `json:"memory"` // bytes
	Processes int   `json:"processes"`
	// Mechanism is how these two are held: cgroup2, cgroup1, or watch, which the
	// child does itself.
	Mechanism string `json:"mechanism"`
	// MemoryEvents and ProcessesEvents are the files where the kernel counts how
	// often they were reached, empty without one.
	MemoryEvents    string `json:"memory_events,omitempty"`
	ProcessesEvents string `json:"processes_events,omitempty"`
}

// With returns the same way to hold limits, with the limits of another.
func (r Resources) With(limits Resources) Resources {
	r.Memory, r.Processes = limits.Memory, limits.Processes
	return r
}

// Limits is what the profile may use over time. 0 is no limit.
type Limits struct {
	TurnsPerMinute int   `json:"turns_per_minute"`
	TokensPerDay   int64 `json:"tokens_per_day"` // of UTC
}

// String names the profile and nothing more, so that a Start in a log line or an
// error shows no secret.
func (s Start) String() string { return "start of " + s.Profile }

// GoString is String.
func (s Start) GoString() string { return s.String() }

// LogValue is String.
func (s Start) LogValue() slog.Value { return slog.StringValue(s.String()) }
