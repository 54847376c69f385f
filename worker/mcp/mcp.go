// Package mcp connects to MCP servers, lists their tools and calls them. A server
// is a process that speaks over its standard input and output, or an address that
// speaks streamable HTTP. What a server says is not trusted: names, descriptions,
// schemas and results are bounded and cleaned.
//
// A server is connected to when it is first needed, and again when it has died,
// with a growing pause. The tools that it had last are kept in a file, so that a
// server which is slow or dead delays no turn and the tools that a model is sent
// keep their bytes across restarts.
package mcp

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"hermes/supervisor/sandbox"
)

// firstWait is how long the first turn waits for servers whose tools nobody knows
// yet. What comes later is there for the next session.
const firstWait = 15 * time.Second

// Config is one server: a Command or a URL.
type Config struct {
	Name string

	Command string
	Args    []string
	Env     map[string]string // above the environment of all commands
	Dir     string            // below the workspace if it is relative
	Online  bool              // it has the machine's network, else that of commands

	URL     string
	Headers map[string]string // sent to that origin only
	// Identity is the same for settings that lead to the same server, where URL does not
	// say all; empty, that is found out from the others.
	Identity string
	// Transport sends the requests; nil dials.
	Transport http.RoundTripper

	// Timeout bounds a call, ConnectTimeout a connection with its list of tools.
	Timeout        time.Duration
	ConnectTimeout time.Duration
	// Include names the tools that are wanted, all if it is empty, and Exclude those
	// that are not. A star stands for any characters.
	Include, Exclude []string
}

// Kind is stdio or http.
func (c Config) Kind() string {
	if c.URL != "" {
		return "http"
	}
	return "stdio"
}

// Options say what Servers work with. Sandbox and Workspace are needed for servers
// that are commands.
type Options struct {
	Servers   []Config
	Sandbox   *sandbox.Sandbox
	Workspace string
	Environ   []string // of commands, the whole of it
	// CachePath is the file that keeps the tools; nothing is kept if it is empty.
	CachePath string
	// Version of the binary, which servers are told.
	Version string
	// Redact takes secrets out of what is logged and of failures. Nil leaves all.
	Redact func(string) string
	Log    *slog.Logger // nil discards
	Now    func() time.Time
}

// Servers are the servers of one profile. Many turns may use them at once.
type Servers struct {
	opts Options
	list []*server // sorted by name
	stop context.CancelFunc
	wg   sync.WaitGroup // attempts to connect, and those who watch connections

	begun  sync.Once
	saving sync.Mutex // one write of the file at a time

	mu    sync.Mutex // guards what follows
	tools []Tool     // of all servers, named
	stale bool       // a server has others
}

// New makes Servers. It opens nothing; it reads what the file knows.
func New(opts Options) *Servers {
	if opts.Redact == nil {
		opts.Redact = func(text string) string { return text }
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Servers{opts: opts, stop: stop, stale: true}
	kept := readCache(opts.CachePath, opts.Log)
	for _, config := range opts.Servers {
		server := newServer(ctx, config, s)
		if entry, found := kept[config.Name]; found && entry.Fingerprint == fingerprint(config) {
			server.known, server.asked, server.tools = true, entry.Asked, entry.Tools
		}
		s.list = append(s.list, server)
	}
	slices.SortFunc(s.list, func(a, b *server) int { return cmp.Compare(a.config.Name, b.config.Name) })
	return s
}

// Prepare begins to ask the servers whose tools nobody knows yet, so that the first
// turn need not wait for all of that. It returns at once.
func (s *Servers) Prepare() {
	for _, server := range s.list {
		if !server.isKnown() {
			server.begin()
		}
	}
}

// Tools lists the tools of all servers as they are known now, sorted by name. The
// first call begins to ask all servers, and waits a little for those that nobody
// knows; what they say beyond that is in the list of a later call. The caller must
// not change the list.
func (s *Servers) Tools(ctx context.Context) []Tool {
	s.begun.Do(func() { //nolint:contextcheck // a connection outlives the turn that wanted it
		for _, server := range s.list {
			server.begin()
		}
	})
	s.Prepare() //nolint:contextcheck // one that could not be reached until now is tried again
	for _, server := range s.list {
		server.awaitFirst(ctx)
	}
	return s.Known()
}

// Known is Tools without asking anybody.
func (s *Servers) Known() []Tool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stale {
		var all []Tool
		for _, server := range s.list {
			all = append(all, server.wanted()...)
		}
		s.tools, s.stale = named(all), false
	}
	return s.tools
}

// changed is told that a server has other tools than it had.
func (s *Servers) changed() {
	s.mu.Lock()
	s.stale = true
	s.mu.Unlock()
	s.save()
}

// Result is what came of a call.
type Result struct {
	Text   string
	Failed bool
	// Images are those that models take; the text names them.
	Images []Image
}

// Image is a picture in a result.
type Image struct {
	MIME string // image/png, image/jpeg, image/gif or image/webp
	Data []byte
}

// Call calls a tool of a server by the name that the server gives it. What goes
// wrong is told in the Result; an error means that ctx has ended, and that the
// server has been told so.
func (s *Servers) Call(ctx context.Context, name, tool string, arguments json.RawMessage) (Result, error) {
	i := slices.IndexFunc(s.list, func(server *server) bool { return server.config.Name == name })
	if i < 0 {
		return Result{Text: "There is no MCP server " + name + ".", Failed: true}, nil
	}
	return s.list[i].call(ctx, tool, arguments)
}

// What a server can be.
const (
	Idle       = "idle" // not connected, and nothing is wrong
	Connecting = "connecting"
	Connected  = "connected"
	Failed     = "failed"
)

// State is how a server is.
type State struct {
	Name   string
	Kind   string // stdio or http
	Status string
	// Reason says why it is Failed.
	Reason string
	// Tools are those that are known, Asked is when it named them, zero if never.
	Tools []Tool
	Asked time.Time
}

// States says how the servers are, sorted by name.
func (s *Servers) States() []State {
	tools := s.Known()
	states := make([]State, 0, len(s.list))
	for _, server := range s.list {
		state := server.state()
		for _, tool := range tools {
			if tool.Server == state.Name {
				state.Tools = append(state.Tools, tool)
			}
		}
		states = append(states, state)
	}
	return states
}

// Test connects to one server now, and says why that does not work.
func (s *Servers) Test(ctx context.Context, name string) ([]Tool, error) {
	for i, server := range s.list {
		if server.config.Name != name {
			continue
		}
		if _, err := server.connected(ctx); err != nil {
			return nil, err
		}
		return s.States()[i].Tools, nil
	}
	return nil, nil
}

// Close ends the connections and the processes. No call may run any more.
func (s *Servers) Close() {
	s.stop()
	var closing sync.WaitGroup
	for _, server := range s.list {
		closing.Go(server.close)
	}
	closing.Wait()
	s.wg.Wait()
}
