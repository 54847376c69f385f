// Package worker is the child: everything that runs inside the process of one
// profile. It opens the profile's database, builds the model client, the tools
// and the agent, serves the API on the listener that it inherited, and leaves
// when the supervisor says so or is gone.
//
// Its subpackages: api (HTTP), agent (a turn), llm (models), tools (what an
// agent can do), mcp (servers that have more of it), memory and skills (what it keeps), store (SQLite), openai (wire
// types), pdf and office (documents), web (search and pages). Nothing below this package can see
// a second profile.
package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/run"

	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox"
	"hermes/supervisor/sandbox/wall"
	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/mcp"
	"hermes/worker/memory"
	"hermes/worker/office"
	"hermes/worker/pdf"
	"hermes/worker/skills"
	"hermes/worker/store"
	"hermes/worker/tools"
	"hermes/worker/web"
)

// Options is what a worker is made from.
type Options struct {
	Child    *handoff.Child
	Start    handoff.Start
	Listener net.Listener
	Log      *slog.Logger
	// Exe is this binary, which reads a PDF document in a process of its own. PDFs
	// are refused if it is empty.
	Exe string
	// Version of the binary, sent to upstreams as part of the user agent.
	Version string
	// onCommit is store.Options.OnCommit, for tests.
	onCommit func(done bool)
	// shim starts commands, nil where the worker does that itself.
	shim *wall.Shim
}

// ConfigError says that the worker cannot work with the settings that it was
// given. Starting it again without changing them is of no use.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }

func (e *ConfigError) Unwrap() error { return e.Err }

// ExitCode is the exit code of a worker process whose Run returned err.
func ExitCode(err error) int {
	var config *ConfigError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &config):
		return handoff.ExitConfig
	case errors.Is(err, errOutOfMemory):
		return handoff.ExitMemory
	default:
		return 1
	}
}

// Run serves the profile until the supervisor asks for a drain, or is gone, and
// what was running has ended. It returns nil after a drain.
func Run(ctx context.Context, opts Options) error {
	if err := sandbox.BecomeSubreaper(); err != nil {
		opts.Log.Warn("stray processes of tools cannot be adopted", "error", err)
	}
	var err error
	if opts.shim, err = enterRoom(opts); err != nil {
		return err
	}
	if opts.shim != nil && opts.Exe != "" {
		opts.Exe = "/proc/self/exe" // its name may not be visible any more
	}
	w, err := build(opts) //nolint:contextcheck // what it makes lives until close
	if err != nil {
		return err
	}
	defer w.close()
	opts.Child.Apply(w.apply)

	var group run.Group
	{ // The control socket: beats, and the supervisor's wishes.
		ctx, cancel := context.WithCancel(ctx)
		group.Add(func() error {
			if err := opts.Child.Run(ctx); err != nil && ctx.Err() == nil {
				opts.Log.Warn("supervisor is gone", "error", err)
			}
			// The end of the socket is told through Draining; the server decides
			// when the process ends.
			<-ctx.Done()
			return nil
		}, func(error) { cancel() })
	}
	{ // The limits of memory and processes.
		ctx, cancel := context.WithCancel(ctx)
		group.Add(func() error { return w.limits.run(ctx) }, func(error) { cancel() })
	}
	{ // The server: serves until the drain, then finishes what runs.
		ctx, cancel := context.WithCancel(ctx)
		group.Add(func() error { return w.serve(ctx) }, func(error) { cancel() })
	}
	abandoned := w.store.Abandoned()
	if abandoned {
		w.server.ExpectAdoption()
	}
	if err := opts.Child.Ready(); err != nil {
		opts.Log.Warn("ready was not heard", "error", err)
	}
	w.idle.busy(0) //nolint:contextcheck // many workers are woken and then wait: what the start left goes too
	if abandoned { // the database is opened when it is needed; now it is
		w.adopt(context.WithoutCancel(ctx))
	}
	if w.mcp != nil {
		w.mcp.Prepare() //nolint:contextcheck // connections live until close
	}
	return group.Run()
}

// adopt goes on with what a dead process was making in the background.
func (w *worker) adopt(ctx context.Context) { w.adopting.Go(func() { w.server.Adopt(ctx) }) }

// worker is one profile's parts, put together.
type worker struct {
	opts    Options
	store   *store.Store
	tools   *tools.Set
	web     *web.Client
	reach   reach
	mcp     *mcp.Servers // nil without any
	models  models
	server  *api.Server
	sandbox *sandbox.Sandbox
	wall    *wall.Wall             // nil if nothing could build it
	level   atomic.Pointer[string] // of it, nil before it was found
	office  *office.Reader
	limits  *limits
	idle    *idle
	walling sync.Once // the wall was tried
	// adopting are the calls of adopt and tryWall that have not ended.
	adopting sync.WaitGroup
	redact   *redactor
	load     load
	drain    atomic.Int64 // the drain timeout, nanoseconds
	// broken is closed when the database cannot be used any more.
	broken chan struct{}
}

func build(opts Options) (*worker, error) {
	start := opts.Start
	w := &worker{opts: opts, office: office.New(), broken: make(chan struct{})}
	w.redact, w.reach = newRedactor(start.Redact), newReach(start, opts.Child)
	w.drain.Store(int64(start.API.DrainTimeout))
	w.load.tell = w.busy
	redact := w.redact.text
	w.store = store.Open(start.Paths.Database, store.Options{
		Log: opts.Log, Recover: true,
		SettleResponse: api.SettleResponse(redact, time.Now), SettleAnswer: api.SettleAnswer,
		OnBroken: sync.OnceFunc(func() { close(w.broken) }), OnCommit: opts.onCommit,
		OnAdopt: func() { w.adopt(context.Background()) },
	})
	w.idle = newIdle(w.store.Checkpoint, opts.Log)
	w.limits = newLimits(start.Resources, opts.shim != nil, opts.Log)
	w.sandbox = w.newSandbox()

	remembered, library := w.kept()
	var err error
	w.web, err = web.New(web.Options{
		Search: start.Web.Search, SearXNG: start.Web.SearXNGURL, Keys: start.Web.Keys,
		AllowPrivate: start.Web.AllowPrivate, Ports: start.Web.Ports, Dial: w.reach.dial, Service: w.reach.service(),
		PDF: w.pdfReader(), Document: w.readDocument, Version: opts.Version, Log: opts.Log,
	})
	if err != nil {
		return nil, &ConfigError{fmt.Errorf("web: %w", err)}
	}
	w.mcp = w.newMCP(redact)
	w.tools, err = tools.NewSet(w.toolOptions(remembered, library, redact))
	if err != nil {
		return nil, &ConfigError{fmt.Errorf("tools: %w", err)}
	}
	w.models = newModels(start, w.reach, opts.Version, opts.Log)
	w.server = api.New(w.apiOptions(w.agent(w.prompt(remembered, library), redact), redact))
	return w, nil
}

// agent makes what runs turns.
func (w *worker) agent(prompt *agent.Prompt, redact func(string) string) *agent.Agent {
	return agent.New(agent.Options{
		Client:        w.models.client,
		Tools:         w.tools,
		Recorder:      recorder{store: w.store, level: w.levels},
		Prompt:        prompt,
		Prompts:       prompts{w.store},
		Compactions:   compactions{w.store},
		Tasks:         w.store,
		MaxIterations: w.opts.Start.Agent.MaxIterations,
		Model:         w.models.name,
		Redact:        redact,
		Log:           w.opts.Log,
	})
}

// apiOptions is what the API works with.
func (w *worker) apiOptions(turns *agent.Agent, redact func(string) string) api.Options {
	start := w.opts.Start
	return api.Options{
		Settings:        settingsOf(start.Live()),
		Agent:           turns,
		ModelName:       start.API.ModelName,
		Address:         start.API.Address,
		MaxBodyBytes:    start.API.MaxBodyBytes,
		Ledger:          w.store,
		Transcripts:     transcripts{w.store},
		Store:           w.store,
		StoredResponses: start.API.StoredResponses,
		ToolItems:       start.API.ToolItems,
		ReadPDF:         w.pdfReader(),
		ReadDocument:    w.readDocument,
		Streaming:       start.Model.Streaming,
		Tools:           toolNames(w.tools),
		CurrentTools:    func() []string { return toolNames(w.tools) },
		Version:         w.opts.Version,
		Health:          w.health,
		Redact:          redact,
		OnBusy:          w.load.setTurns,
		OnClosed:        w.opts.Child.Closed,
		Log:             w.opts.Log,
	}
}

// kept is what the agent keeps in files.
func (w *worker) kept() (*memory.Memory, *skills.Library) {
	start := w.opts.Start
	remembered := memory.New(memory.Options{
		Dir: start.Paths.Memories, Limit: start.Memory.Limit, UserLimit: start.Memory.UserLimit,
	})
	return remembered, skills.New(start.Paths.Skills)
}

// toolOptions is what the tools work with.
func (w *worker) toolOptions(remembered *memory.Memory, library *skills.Library, redact func(string) string) tools.Options {
	opts := tools.Options{
		Workspace:       w.opts.Start.Paths.Workspace,
		Home:            w.opts.Start.Paths.Home,
		Sandbox:         w.sandbox,
		Memory:          remembered,
		Skills:          library,
		TerminalTimeout: w.opts.Start.Terminal.Timeout,
		Web:             w.web,
		PDF:             w.pdfReader(),
		Office:          w.office,
		Enabled:         w.opts.Start.Agent.Tools,
		Sessions:        sessions{w.store},
		Tasks:           w.store,
		Jobs:            jobs{w.store},
		OnJobs:          w.load.setJobs,
		Policy:          PolicyOptions(w.opts.Start.Agent, w.opts.Start.Paths.Profile),
		Audit:           audit(w.store, redact),
		Profile:         adminName(w.opts.Start.Profile),
		Log:             w.opts.Log,
	}
	w.addMCP(&opts)
	return opts
}

// pdfReader is what reads PDF documents, nil if nothing can.
func (w *worker) pdfReader() func(ctx context.Context, data []byte, limit int) (string, error) {
	if w.opts.Exe == "" {
		return nil
	}
	return pdf.New(pdf.Options{Sandbox: w.sandbox, Exe: w.opts.Exe}).Text
}

// toolNames lists the tools of a set, sorted.
func toolNames(set *tools.Set) []string {
	var names []string
	for _, spec := range set.Specs() {
		names = append(names, spec.Name)
	}
	return names
}

// brokenDrain is how long a worker whose database is broken may take to end its
// answers, all of which fail.
const brokenDrain = 5 * time.Second

// errBroken is why such a worker ends. Its successor opens the file anew, looks
// through it, and settles what this one left in flight: whether the commit that
// went wrong was written is known only then.
var errBroken = errors.New("a commit to the database went wrong; the worker has to be started anew")

// serve answers requests until a drain is asked for, then finishes what runs
// within the time that there is, or at once when the supervisor is in a hurry.
func (w *worker) serve(ctx context.Context) error {
	serving, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(serving, w.opts.Listener) }()
	select {
	case err := <-served:
		return err
	case <-w.broken:
		deadline, cancel := context.WithTimeout(ctx, brokenDrain)
		defer cancel()
		return errors.Join(errBroken, w.server.Drain(deadline), <-served)
	case <-w.opts.Child.Draining():
	}
	timeout := cmp.Or(w.opts.Child.DrainLimit(), time.Duration(w.drain.Load()))
	w.opts.Log.Info("drain begins", "timeout", timeout.String())
	deadline, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	hurry, stop := endedBy(deadline, w.opts.Child.Hurry())
	defer stop()
	err := w.server.Drain(hurry)
	// Nothing new begins from here on. Jobs are waited for by a worker that was
	// replaced, not by one that is stopped.
	hasty, stop := endedBy(hurry, w.opts.Child.Hasty())
	defer stop()
	w.load.jobsDone(hasty)
	w.opts.Log.Info("drain ended")
	return errors.Join(err, <-served)
}

// endedBy returns a context that ends when over is closed, too. Stop gives back what
// it holds.
func endedBy(ctx context.Context, over <-chan struct{}) (limited context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-over:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel()
		<-ended
	}
}

// busy is told how much work there is, whenever that changes.
func (w *worker) busy(turns, jobs int) {
	if err := w.opts.Child.Busy(turns, jobs); err != nil {
		w.opts.Log.Debug("busy was not heard", "error", err)
	}
	w.idle.busy(turns)
	if turns > 0 {
		w.tryWall()
	}
}

// close gives back what build took, tools first, so that none of their
// processes stays behind.
func (w *worker) close() {
	w.idle.stop()
	w.adopting.Wait()
	w.tools.Close()
	if w.mcp != nil {
		w.mcp.Close()
	}
	w.web.Close()
	w.reach.close()
	if err := w.store.Close(); err != nil {
		w.opts.Log.Warn("close store", "error", err)
	}
}
