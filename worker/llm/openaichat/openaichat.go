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
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"hermes/worker/llm"
	"hermes/worker/llm/upstream"
)

// maxLessons bounds how often a refused request is sent anew.
const maxLessons = 3

// Options says where a model is. BaseURL most often ends in /v1; when it is a
// host alone, /v1 is tried first. The key is sent as a bearer token.
type Options = upstream.Options

// Client is an llm.Client. It may be used by many goroutines at once.
type Client struct {
	server *upstream.Server
	// path of the API below the server's address; chat completions and models are
	// below that. With guessed, it is a guess; see barePath.
	path      string
	guessed   bool
	streaming bool
	context   int // of the model, as it was set
	lookup    *upstream.Lookup

	target   atomic.Pointer[target] // nil until the model is known
	quirks   atomic.Uint32          // what has been learned
	receiver upstream.Receiver
}

var (
	_ llm.Client  = (*Client)(nil)
	_ llm.Capable = (*Client)(nil)
)

// New makes a Client. It opens no connection; a base URL that is none shows when
// the Client is used.
func New(opts Options) *Client {
	c := &Client{server: upstream.NewServer(opts), streaming: opts.Streaming, context: opts.ContextLength}
	if c.server.Base != nil {
		c.server.Base.Path = strings.TrimSuffix(c.server.Base.Path, "/chat/completions")
		if c.server.Base.Path == "" {
			c.guessed, c.path = true, "/v1"
		}
		if opts.Model != "" {
			c.target.Store(c.aim(opts.Model))
		}
	}
	c.lookup = upstream.NewLookup(c.server.Now, upstream.LookAgain, c.look)
	return c
}

// Close gives up the connections that are idle. The Client stays usable.
func (c *Client) Close() { c.server.Close() }

// Stream asks the model. See llm.Client. When ctx ends, the upstream's
// connection is closed at once and the error wraps ctx's cause.
func (c *Client) Stream(ctx context.Context, req llm.Request, emit func(llm.Event) error) (llm.Message, error) {
	if c.server.Invalid != nil {
		return llm.Message{}, c.server.Invalid
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
		if refused, ok := errors.AsType[*upstream.RefusedError](err); ok && lessons < maxLessons {
			if learned := c.learn(known, req, refused.Err); learned != known {
				known = learned
				continue
			}
		}
		return message, upstream.Plainly(err)
	}
}

// attempt sends the request once.
func (c *Client) attempt(ctx context.Context, to *target, req llm.Request, known quirks, emit func(llm.Event) error) (llm.Message, error) {
	post, err := c.request(ctx, http.MethodPost, "/chat/completions", bytes.NewReader(c.encode(to, req, known)), known)
	if err != nil {
		return llm.Message{}, err
	}
	if c.streaming {
		post.Header.Set("Accept", "text/event-stream")
	}
	a := &answer{origin: to.origin}
	a.Emit, a.Buffered = emit, func() bool { return false }
	if err := c.server.Do(post, func(body io.Reader) error { return c.receive(a, body) }); err != nil {
		return a.partial(), err
	}
	return a.message()
}

// request makes an HTTP request of a path of the API.
func (c *Client) request(ctx context.Context, method, path string, body io.Reader, known quirks) (*http.Request, error) {
	if known&barePath == 0 {
		path = c.path + path
	}
	req, err := c.server.NewRequest(ctx, method, path, body)
	if err == nil && c.server.Key != "" {
		req.Header.Set("Authorization", "Bearer "+c.server.Key)
	}
	return req, err
}
