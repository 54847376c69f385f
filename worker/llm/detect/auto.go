package detect

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
	"syscall"
	"time"

	"hermes/worker/llm"
	"hermes/worker/llm/demo"
	"hermes/worker/llm/ollama"
	"hermes/worker/llm/openaichat"
	"hermes/worker/llm/upstream"
)

// again is how long it is taken for granted that no server is there, or that
// one which is gone will come back.
const again = 30 * time.Second

// AutoOptions says what an Auto works with.
type AutoOptions struct {
	// Where to look.
	Where Options
	// Profile is whom the demo answers, when it has to.
	Profile string
	// Streaming, ContextLength and Version are for the client of a server that was
	// found; see upstream.Options. So is HTTP, which may be nil.
	Streaming     bool
	ContextLength int
	Version       string
	HTTP          *http.Client
	// Now is the clock, time.Now if nil.
	Now func() time.Time
}

// Auto is the llm.Client of provider auto without any provider's key. It uses a
// model server of this machine while there is one, and the demo while there is
// none. It looks when it is first used, keeps what it has found, and looks again
// when that is gone. It may be used by many goroutines at once.
type Auto struct {
	opts AutoOptions
	demo llm.Client
	http *http.Client
	// looking holds one token, which the one that looks has taken.
	looking chan struct{}

	mu    sync.Mutex // guards what follows
	using *using
	// looked is when the last look that found nothing ended.
	looked time.Time
	// lost is when a server that had been used was found to be gone, and gone
	// is the error that said so.
	lost time.Time
	gone error
}

// using is a server that was found, with its client.
type using struct {
	found  Found
	client llm.Client
}

var (
	_ llm.Client  = (*Auto)(nil)
	_ llm.Capable = (*Auto)(nil)
)

// NewAuto makes an Auto. It does not look yet.
func NewAuto(opts AutoOptions) *Auto {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.HTTP == nil {
		opts.HTTP = upstream.NewHTTP()
	}
	return &Auto{
		opts: opts, demo: demo.New(demo.Options{Profile: opts.Profile}), http: opts.HTTP,
		looking: make(chan struct{}, 1),
	}
}

// Close gives up the connections that are idle. The Auto stays usable.
func (a *Auto) Close() { a.http.CloseIdleConnections() }

// Stream asks the server that is there, or the demo. A server that refuses the
// connection is forgotten and looked for again; when it is gone for good, the
// demo takes over after half a minute, and until then the error says what is
// wrong.
func (a *Auto) Stream(ctx context.Context, req llm.Request, emit func(llm.Event) error) (llm.Message, error) {
	for try := 0; ; try++ {
		u, err := a.resolve(ctx)
		if err != nil {
			return llm.Message{}, err
		}
		if u == nil {
			return a.demo.Stream(ctx, req, emit)
		}
		message, err := u.client.Stream(ctx, req, emit)
		if !isGone(err) {
			return message, err
		}
		a.forget(u, err)
		if try > 0 {
			return message, err
		}
	}
}

// isGone reports whether an error says that the server, or its model, is not
// there any more. Both come before anything was emitted.
func isGone(err error) bool {
	failed, ok := errors.AsType[*llm.Error](err)
	return ok && (errors.Is(err, syscall.ECONNREFUSED) || failed.Status == http.StatusNotFound)
}

// Description says what an Auto uses at present.
type Description struct {
	Provider string `json:"provider"`
	Model    string `json:"model"`
	Source   string `json:"source"`
	// Degraded says that no language model answers.
	Degraded bool `json:"degraded"`
}

// Describe says what the next request would be answered by, and looks if that
// is not known. It does not ask whether a server that was found is still there.
func (a *Auto) Describe(ctx context.Context) Description {
	u, err := a.resolve(ctx)
	switch {
	case err != nil:
		return Description{Provider: "auto", Source: err.Error(), Degraded: true}
	case u == nil:
		return Description{Provider: demo.Model, Model: demo.Model, Source: "no model is configured, and no model server was found on this machine", Degraded: true}
	default:
		return Description{Provider: u.found.Provider, Model: u.found.Model, Source: u.found.Source}
	}
}

// Found returns the server that is used at present, without looking.
func (a *Auto) Found() (Found, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.using == nil {
		return Found{}, false
	}
	return a.using.found, true
}

// resolve returns the server to use, nil for the demo. At most one look is under
// way at any time; whoever comes meanwhile waits for its outcome.
func (a *Auto) resolve(ctx context.Context) (*using, error) {
	if u, known, err := a.known(); known {
		return u, err
	}
	select {
	case a.looking <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-a.looking }()
	if u, known, err := a.known(); known {
		return u, err
	}
	found, ok, err := Local(ctx, a.opts.Where)
	if err != nil {
		return nil, err
	}
	return a.keep(found, ok)
}

// known returns what is known without looking.
func (a *Auto) known() (*using, bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.using != nil {
		return a.using, true, nil
	}
	fresh := !a.looked.IsZero() && a.opts.Now().Sub(a.looked) < again
	return nil, fresh, nil
}

// keep takes in the outcome of a look.
func (a *Auto) keep(found Found, ok bool) (*using, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ok {
		a.using = &using{found, a.client(found)}
		a.looked, a.lost, a.gone = time.Time{}, time.Time{}, nil
		return a.using, nil
	}
	if a.gone != nil && a.opts.Now().Sub(a.lost) < again {
		return nil, a.gone // it may be starting anew; look at every request
	}
	a.looked = a.opts.Now()
	a.lost, a.gone = time.Time{}, nil
	return nil, nil
}

// client makes the client of a server that was found. Ollama decides by itself
// how much of a model's context is worth its memory; of the others what they say
// counts.
func (a *Auto) client(found Found) llm.Client {
	opts := upstream.Options{
		BaseURL: found.BaseURL, Model: found.Model, Name: found.Provider, ContextLength: a.opts.ContextLength,
		Streaming: a.opts.Streaming, Version: a.opts.Version, HTTP: a.opts.HTTP,
	}
	if found.Provider == ollamaProvider {
		return ollama.New(opts)
	}
	opts.ContextLength = cmp.Or(opts.ContextLength, found.ContextLength)
	return openaichat.New(opts)
}

// Capabilities are those of the server that is used, which is looked for if that
// is not known. See llm.Capable.
func (a *Auto) Capabilities(ctx context.Context) llm.Capabilities {
	u, err := a.resolve(ctx)
	if err != nil || u == nil {
		return llm.Capabilities{}
	}
	can := llm.CapabilitiesOf(ctx, u.client)
	if u.found.Tools {
		can = can.Or(llm.Capabilities{Tools: llm.Supported})
	}
	return can
}

// forget lets go of a server that is gone, unless another has taken its place.
func (a *Auto) forget(u *using, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.using == u {
		a.using = nil
		a.lost, a.gone = a.opts.Now(), err
	}
}
