package api

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"hermes/worker/agent"
	"hermes/worker/store"
)

const (
	// defaultBodyBytes is the body limit when none is set: enough for some
	// photographs, which frontends send inline.
	defaultBodyBytes = 10_000_000
	// defaultRuns is how many turns run at once when no limit is set.
	defaultRuns = 10
)

// Detach is the value of Options.OnDisconnect that lets a turn finish whose
// client has gone.
const Detach = "detach"

// Runner runs a turn. It calls emit for one event after the other, stops as
// soon as emit fails or ctx ends, and has ended everything that it began when
// it returns. Complete does the same with a single call of the model, without
// tools, memory or record.
type Runner interface {
	Run(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error)
	Complete(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error)
	// HasTool reports whether the agent has a tool of its own of that name.
	HasTool(name string) bool
}

// Options is what a Server is made from. Only Agent, ModelName and Log are
// required.
type Options struct {
	Settings

	Agent Runner
	// ModelName is the id of the one model on /v1/models.
	ModelName string
	// Address is what the listener is bound to, host:port, to be shown to people.
	Address string
	// MaxBodyBytes is the largest body of a request; 0 is 10,000,000.
	MaxBodyBytes int64
	// Ledger knows which tokens were used before this server began. Nil means none.
	Ledger Ledger
	// Streaming hands text out as it comes; without it the whole text of a turn
	// is one piece at its end.
	Streaming bool
	// Tools are the names of the agent's tools. CurrentTools are those that there are
	// now, where some come and go; nil means Tools.
	Tools        []string
	CurrentTools func() []string
	// Version is the one of the binary.
	Version string
	// Transcripts gives chats their tool calls back that clients do not send. Nil
	// leaves histories as they come.
	Transcripts Transcripts
	// Store keeps responses, and what makes requests safe to repeat.
	Store Store
	// StoredResponses is how many responses are kept; 0 is 100.
	StoredResponses int
	// ToolItems says which items of a response show a tool that the agent ran:
	// auto (or empty), function_call or mcp_call.
	ToolItems string
	// ReadPDF returns the text of a PDF document that a client has sent, at most
	// limit bytes of it. Nil means that such files are refused.
	ReadPDF func(ctx context.Context, data []byte, limit int) (string, error)
	// ReadDocument does the same for Office documents and notebooks, if the data is
	// one. The error says the rest of a sentence that begins with the name.
	ReadDocument func(ctx context.Context, name string, data []byte, limit int) (text string, found bool, err error)
	// Health reports the parts of GET /health/detailed; nil means none.
	Health func(ctx context.Context) Health
	// OnBusy is told how many turns run whenever that changes, one call at a
	// time, the last one with the latest number.
	OnBusy func(turns int)
	// OnClosed is called when a drain has come so far that no connection is accepted
	// any more.
	OnClosed func()
	Log      *slog.Logger
	// Redact takes secrets out of what is made of records. Nil leaves all as it is.
	Redact func(string) string
	// Now and NewID are replaced in tests.
	Now   func() time.Time
	NewID func() string
}

// Server serves one profile's API. It is made by New, serves in Serve and ends
// by Drain. As an http.Handler it can be used without either.
type Server struct {
	opts    Options
	now     atomic.Pointer[settings] // what is in effect
	created int64                    // of the model, Unix seconds
	gate    *gate
	limits  *limits
	metrics *metrics
	turns   *turns
	// Of the Responses API.
	conversations conversations
	live          live
	working       sync.WaitGroup // turns in the background
	naming        namings
	endpoints     func() ([]operation, error) // read by the first who asks
	adoption      chan struct{}               // see ExpectAdoption; nil if there is none
	adoptionOnce  sync.Once                   // closes it
	adopting      sync.Mutex                  // held by Adopt
	flights       flights
	tasks         chan struct{} // holds one for each task that runs
	handler       http.Handler

	// Of Serve and Drain.
	mu        sync.Mutex // guards http and listener
	http      *http.Server
	listener  io.Closer
	conns     connections
	draining  atomic.Bool
	hurried   chan struct{} // closed when a drain has no time left
	hurryOnce sync.Once
	accepted  chan struct{} // closed when no connection will be accepted any more
	drained   chan struct{} // closed when the drain is over
	drainErr  error         // to be read after drained
}

// New makes a Server. It starts nothing.
func New(opts Options) *Server {
	if opts.MaxBodyBytes <= 0 {
		opts.MaxBodyBytes = defaultBodyBytes
	}
	if opts.StoredResponses <= 0 {
		opts.StoredResponses = store.DefaultKeep
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Redact == nil {
		opts.Redact = func(text string) string { return text }
	}
	if opts.NewID == nil {
		opts.NewID = func() string { return strings.ToLower(rand.Text()) }
	}
	s := &Server{
		opts:     opts,
		created:  opts.Now().Unix(),
		gate:     newGate(defaultRuns, opts.OnBusy),
		limits:   newLimits(opts.Limits, opts.Ledger, opts.Now),
		turns:    &turns{open: map[*turn]bool{}},
		tasks:    make(chan struct{}, maxTasks),
		hurried:  make(chan struct{}),
		accepted: make(chan struct{}),
		drained:  make(chan struct{}),
	}
	s.conversations = conversations{room: s.gate.room, open: map[string][]chan struct{}{}}
	s.flights.open = map[string]*flight{}
	s.live.runs = map[string]*responseRun{}
	s.conns.changed = make(chan struct{}, 1)
	s.metrics = newMetrics(opts.Tools, opts.Now)
	s.endpoints = sync.OnceValues(operations)
	s.opts.Agent = watched{opts.Agent, s.metrics, s.limits}
	s.Apply(opts.Settings)
	s.handler = s.routes()
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// routes lists every endpoint, without the /v1 in front: canonical takes it
// away.
func (s *Server) routes() http.Handler {
	e := echo.New()
	e.HideBanner = true
	e.Logger.SetOutput(io.Discard) // everything worth a line is logged by observe
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = s.answerError
	e.Pre(s.observe, s.admit, s.crossOrigin, canonical)

	read := []string{http.MethodGet, http.MethodHead}
	e.Match(read, "/", s.about)
	e.Match(read, "/health", s.health)
	e.Match(read, "/health/detailed", s.healthDetailed, s.authorize)
	e.Match(read, "/openapi.json", s.showOpenAPI)
	e.Match(read, "/capabilities", s.showCapabilities, s.authorize)
	e.Match(read, "/metrics", s.showMetrics, s.authorize)
	e.Match(read, "/models", s.listModels, s.authorize)
	e.Match(read, "/models/*", s.showModel, s.authorize)
	e.POST("/chat/completions", s.chat, s.authorize)
	e.POST("/responses", s.createResponse, s.authorize, s.afterAdoption)
	e.Match(read, "/responses/:id", s.showResponse, s.authorize, s.afterAdoption)
	e.DELETE("/responses/:id", s.deleteResponse, s.authorize, s.afterAdoption)
	e.POST("/responses/:id/cancel", s.cancelResponse, s.authorize, s.afterAdoption)
	e.Match(read, "/responses/:id/input_items", s.listInputItems, s.authorize)
	s.metrics.routes = e.Routes()
	return e
}
