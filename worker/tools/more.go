package tools

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"hermes/worker/llm"
)

// More are tools beside those of this package, which come and go while a worker
// runs, such as those of MCP servers. It may be used by many goroutines at once.
type More interface {
	// Tools lists those that there are now, sorted by name. It may wait for them a
	// little, if nobody has asked for them before.
	Tools(ctx context.Context) []Tool
	// Known is Tools without waiting.
	Known() []Tool
	// Servers names those who have such tools.
	Servers() []string
}

const (
	// unknownWindow is taken for the size of a model's window that nobody knows, in
	// tokens.
	unknownWindow = 32_768
	// maxShare is which part of the window the schemas of these tools may take: one
	// in so many. When they are more, they are looked for with tool_search instead.
	maxShare = 10
	// pinnedSessions is for how many sessions it is known what their first turn saw.
	pinnedSessions = 1000
)

// moreTools are the tools of a More as a Set has them. What a session is offered
// is what there was at its first turn, because the tools are a part of what an
// upstream caches; in the memory of this process only, so after a restart it is
// what there is then.
type moreTools struct {
	source More
	window func(ctx context.Context) int // of the model, in tokens; 0 if nobody knows
	own    []llm.ToolSpec                // the tools of this package
	log    *slog.Logger
	search *toolSearch
	call   *mcpCall

	mu       sync.Mutex        // guards what follows
	entries  map[string]*entry // every one that was there since the beginning
	offers   map[string]*offer // by session
	sessions []string          // the keys of offers, the oldest first
	newest   *offer
}

// offer is what a request says of all tools.
type offer struct {
	specs    []llm.ToolSpec // sorted by name
	more     []llm.ToolSpec // of the source
	deferred bool           // more is not among specs
	asked    bool           // the provider could be asked for the window
}

func newMoreTools(opts Options, own []llm.ToolSpec) *moreTools {
	m := &moreTools{
		source: opts.More, window: opts.Window, own: own, log: opts.Log,
		entries: map[string]*entry{}, offers: map[string]*offer{}, newest: &offer{specs: own},
	}
	m.search, m.call = newToolSearch(m), newMCPCall(m)
	for _, tool := range []Tool{m.search, m.call} {
		spec := tool.Spec()
		m.entries[spec.Name] = &entry{tool: tool, schema: newLateSchema(spec), long: true}
	}
	return m
}

// beside returns the same tools for a set with fewer tools of this package.
func (m *moreTools) beside(own []llm.ToolSpec) *moreTools {
	m.mu.Lock()
	defer m.mu.Unlock()
	other := &moreTools{
		source: m.source, window: m.window, own: own, log: m.log,
		entries: map[string]*entry{}, offers: map[string]*offer{}, newest: &offer{specs: own},
	}
	other.search, other.call = newToolSearch(other), newMCPCall(other)
	for _, tool := range []Tool{other.search, other.call} {
		name := tool.Spec().Name
		other.entries[name] = &entry{tool: tool, schema: m.entries[name].schema, long: true}
	}
	return other
}

// specs is what a session is offered. A session that is not named is offered what
// there is now.
func (m *moreTools) specs(ctx context.Context, session string) []llm.ToolSpec {
	m.mu.Lock()
	pinned := m.offers[session]
	m.mu.Unlock()
	if pinned != nil {
		return pinned.specs
	}
	o := m.offer(ctx, m.source.Tools(ctx), true)
	m.mu.Lock()
	defer m.mu.Unlock()
	if session == "" {
		return o.specs
	}
	if pinned := m.offers[session]; pinned != nil { // another turn of it was faster
		return pinned.specs
	}
	if len(m.sessions) == pinnedSessions {
		delete(m.offers, m.sessions[0])
		m.sessions = slices.Delete(m.sessions, 0, 1)
	}
	m.offers[session] = o
	m.sessions = append(m.sessions, session)
	return o.specs
}

// offer takes a list of tools in, and returns what requests say of it. The same
// list is the same offer, whatever else has become known; only what was decided
// before anybody could be asked for the window is decided again.
func (m *moreTools) offer(ctx context.Context, list []Tool, ask bool) *offer {
	specs := make([]llm.ToolSpec, 0, len(list))
	for _, tool := range list {
		specs = append(specs, tool.Spec())
	}
	m.mu.Lock()
	newest := m.newest
	m.mu.Unlock()
	if sameSpecs(newest.more, specs) && (newest.asked || !ask) {
		return newest
	}
	if !ask {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		cancel()
	}
	o := &offer{more: specs, asked: ask}
	o.deferred = tokens(specs) > cmp.Or(m.window(ctx), unknownWindow)/maxShare // may ask the provider
	if o.deferred {
		specs = []llm.ToolSpec{m.search.Spec(), m.call.Spec()}
		m.log.Info("tools of MCP servers are not in the requests, but found by tool_search", "tools", len(o.more), "tokens", tokens(o.more))
	}
	o.specs = slices.Concat(m.own, specs)
	slices.SortStableFunc(o.specs, func(a, b llm.ToolSpec) int { return cmp.Compare(a.Name, b.Name) })
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.newest != newest && sameSpecs(m.newest.more, o.more) && (m.newest.asked || !ask) {
		return m.newest // somebody was faster
	}
	for _, tool := range list {
		if known := m.entries[tool.Spec().Name]; known == nil || !sameSpecs([]llm.ToolSpec{known.tool.Spec()}, []llm.ToolSpec{tool.Spec()}) {
			m.entries[tool.Spec().Name] = &entry{tool: tool, schema: parseForeignSchema(tool.Spec().Parameters), long: true}
		}
	}
	m.newest = o
	return o
}

// refresh takes in what is known now, without waiting for anybody.
func (m *moreTools) refresh(ctx context.Context) *offer { return m.offer(ctx, m.source.Known(), false) }

// find returns the tool that a model means by name, or nil.
func (m *moreTools) find(name string) *entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	if entry := m.entries[name]; entry != nil {
		return entry
	}
	var found *entry
	for known, entry := range m.entries {
		if plainName(known) != plainName(name) {
			continue
		}
		if found != nil {
			return nil // two are as near
		}
		found = entry
	}
	return found
}

// tokens estimates what specs take of a request.
func tokens(specs []llm.ToolSpec) int {
	bytes := 0
	for _, spec := range specs {
		bytes += len(spec.Name) + len(spec.Description) + len(spec.Parameters)
	}
	return bytes / 4
}

func sameSpecs(a, b []llm.ToolSpec) bool {
	return slices.EqualFunc(a, b, func(a, b llm.ToolSpec) bool {
		return a.Name == b.Name && a.Description == b.Description && bytes.Equal(a.Parameters, b.Parameters)
	})
}

// bounded is a result that a model can read: what is long is shortened, and kept
// whole in a file of the workspace.
func (s *spills) bounded(result Result) Result {
	if len(result.Text) <= maxCommandOutput {
		return result
	}
	o := newOutput("mcp_"+strings.TrimPrefix(newJobID(), "job_"), s)
	_, _ = o.Write([]byte(result.Text)) // it never fails
	result.Text, _ = o.digest()
	o.close()
	return result
}
