// Package openaichat asks models behind an OpenAI-compatible chat completions
// API: OpenAI itself, most other providers, and the local servers Ollama,
// llama.cpp, LM Studio and vLLM.
//
// Two things shape it. Text passes through undecoded: the JSON string literal
// of an ordinary chunk is cut out of the upstream's bytes and handed on as it
// is; only chunks with anything else in them are decoded. And compatible
// servers differ in many small ways; each that is known has a row in
// quirks_test.go.
package openaichat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hermes/worker/llm"
	"hermes/worker/llm/sse"
)

const (
	// headerTimeout is how long a server may take until it begins to answer.
	// Local models first read the whole prompt, which takes minutes on a slow
	// machine.
	headerTimeout = 10 * time.Minute
	// idleTimeout is how long an answer may pause.
	idleTimeout = 5 * time.Minute
	// drainTimeout is how long the end of a stream is waited for, so that its
	// connection can be used again.
	drainTimeout = 50 * time.Millisecond
	// maxLessons bounds how often a refused request is sent anew.
	maxLessons = 3
)

// Options says where a model is.
type Options struct {
	// BaseURL is the address of the API, which most often ends in /v1. When it
	// is a host alone, /v1 is tried first.
	BaseURL string
	// Model is the model's id. When it is empty, the first one that the server
	// lists is used.
	Model  string
	APIKey string // sent as a bearer token; empty sends none
	// Streaming asks for the answer in pieces.
	Streaming bool
	// Name of the provider. Together with Model it says to whom provider
	// fields of a message may be sent back. Default: the host.
	Name string
	// Version of hermes, part of the user agent.
	Version string
	// HTTP is the client to use, NewHTTP() if nil. Its redirect policy is
	// replaced.
	HTTP *http.Client
	// HeaderTimeout and IdleTimeout bound how long a server may be silent
	// before and within its answer. Default: 10 and 5 minutes.
	HeaderTimeout, IdleTimeout time.Duration
	// Now is the clock, time.Now if nil.
	Now func() time.Time
}

// Client is an llm.Client. It may be used by many goroutines at once.
type Client struct {
	name, key, agent string
	address          *url.URL // of chat completions
	bare             *url.URL // the same without the guessed /v1
	invalid          error    // what is wrong with the base URL
	streaming        bool
	guessedPath      bool // see barePath
	http             *http.Client
	headerTimeout    time.Duration
	idleTimeout      time.Duration
	now              func() time.Time

	target  atomic.Pointer[target] // nil until the model is known
	quirks  atomic.Uint32          // what has been learned
	readers sync.Pool              // of *sse.Reader
}

var _ llm.Client = (*Client)(nil)

// New makes a Client. It opens no connection; a base URL that is none shows when
// the Client is used.
func New(opts Options) *Client {
	c := &Client{
		name: opts.Name, key: opts.APIKey, agent: "hermes", streaming: opts.Streaming,
		headerTimeout: headerTimeout, idleTimeout: idleTimeout, now: time.Now,
	}
	if opts.Version != "" {
		c.agent = "hermes/" + opts.Version
	}
	if opts.HeaderTimeout > 0 {
		c.headerTimeout = opts.HeaderTimeout
	}
	if opts.IdleTimeout > 0 {
		c.idleTimeout = opts.IdleTimeout
	}
	if opts.Now != nil {
		c.now = opts.Now
	}
	base := opts.HTTP
	if base == nil {
		base = NewHTTP()
	}
	client := *base
	client.CheckRedirect = sameHost
	c.http = &client
	c.locate(opts.BaseURL)
	if c.name == "" && c.address != nil {
		c.name = c.address.Host
	}
	if opts.Model != "" && c.address != nil {
		c.target.Store(c.aim(opts.Model))
	}
	c.readers.New = func() any { return sse.NewReader(nil) }
	return c
}

// NewHTTP makes the HTTP client that a Client uses when it is given none. It has
// a pool of connections of its own, so several Clients may share one.
func NewHTTP() *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Client{Transport: &http.Transport{
		DialContext:         dialer.DialContext,
		ForceAttemptHTTP2:   true,
		DisableCompression:  true, // a compressor in between holds back what should flow
		MaxIdleConns:        64,
		MaxIdleConnsPerHost: 32,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
	}}
}

// Close gives up the connections that are idle. The Client stays usable.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// sameHost follows a redirect only to the scheme and host that the key was meant
// for, and only if the request stays what it is.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > 3 || req.Method != first.Method || req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

// locate reads the base URL.
func (c *Client) locate(base string) {
	u, err := url.Parse(strings.TrimSpace(base))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		c.invalid = &llm.Error{Class: llm.BadRequest, Message: "model.base_url is no address of the form https://host/v1"}
		return
	}
	u.Fragment = ""
	path := strings.TrimRight(u.Path, "/")
	path = strings.TrimSuffix(path, "/chat/completions")
	c.bare = withPath(u, path+"/chat/completions")
	c.address = c.bare
	if path == "" {
		c.guessedPath = true
		c.address = withPath(u, "/v1/chat/completions")
	}
}

func withPath(u *url.URL, path string) *url.URL {
	moved := *u
	moved.Path, moved.RawPath = path, ""
	return &moved
}

// Stream asks the model. See llm.Client. When ctx ends, the upstream's
// connection is closed at once and the error wraps ctx's cause.
func (c *Client) Stream(ctx context.Context, req llm.Request, emit func(llm.Event) error) (llm.Message, error) {
	if c.invalid != nil {
		return llm.Message{}, c.invalid
	}
	to, err := c.resolve(ctx)
	if err != nil {
		return llm.Message{}, err
	}
	known := quirks(c.quirks.Load())
	for lessons := 0; ; lessons++ {
		message, err := c.attempt(ctx, to, req, known, emit)
		if err == nil {
			c.quirks.Or(uint32(known))
			return message, nil
		}
		if refused, ok := errors.AsType[*refusal](err); ok && lessons < maxLessons {
			if learned := c.learn(known, req, refused.err); learned != known {
				known = learned
				continue
			}
		}
		return message, c.redacted(err)
	}
}

// redacted takes the key out of an error. What is no *llm.Error is the caller's
// own: its emit's, or its context's.
func (c *Client) redacted(err error) error {
	failed, ok := errors.AsType[*llm.Error](err)
	if !ok {
		return err
	}
	failed.Message, failed.Code = redact(failed.Message, c.key), redact(failed.Code, c.key)
	return failed
}

// attempt sends the request once.
func (c *Client) attempt(ctx context.Context, to *target, req llm.Request, known quirks, emit func(llm.Event) error) (llm.Message, error) {
	watched, watch := newWatch(ctx, c.headerTimeout)
	defer watch.stop()
	post, err := c.post(watched, c.encode(to, req, known), known)
	if err != nil {
		return llm.Message{}, fmt.Errorf("make request: %w", err)
	}
	resp, err := c.http.Do(post)
	if err != nil {
		return llm.Message{}, c.broken(ctx, watch, err, "cannot reach "+c.host())
	}
	defer resp.Body.Close()
	watch.limit = c.idleTimeout
	body := &watchedBody{Reader: resp.Body, watch: watch}
	if resp.StatusCode/100 != 2 {
		return llm.Message{}, c.refused(resp, body)
	}
	a := &answer{origin: to.origin, emit: emit, buffered: func() bool { return false }}
	if err := c.receive(a, body); err != nil {
		return a.partial(), c.broken(ctx, watch, err, "the answer of "+c.host()+" broke off")
	}
	watch.limit = drainTimeout
	_, _ = io.CopyN(io.Discard, body, 4<<10)
	return a.message()
}

// post makes the HTTP request.
func (c *Client) post(ctx context.Context, body []byte, known quirks) (*http.Request, error) {
	address := c.address
	if known&barePath != 0 {
		address = c.bare
	}
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	c.sign(post)
	post.Header.Set("Content-Type", "application/json")
	if c.streaming {
		post.Header.Set("Accept", "text/event-stream")
	}
	// An empty list is not sent, but lets the transport try again when a kept
	// connection turns out to be dead before anything was answered.
	post.Header["Idempotency-Key"] = nil
	return post, nil
}

// sign sets the headers that all requests have.
func (c *Client) sign(req *http.Request) {
	req.Header.Set("User-Agent", c.agent)
	req.Header.Set("Accept", "application/json")
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
}

// host is the server's address as messages show it: without path, user and query.
func (c *Client) host() string { return c.address.Scheme + "://" + c.address.Host }
