// Package anthropic asks Claude models over Anthropic's own Messages API
// (https://platform.claude.com/docs/en/api/messages): with its cache of prompts,
// with thinking that is kept and sent back, and with usage that tells what was
// cached. Servers that imitate that API are reached by their base URL.
//
// Models differ in what they take: how thinking is asked for, whether sampling
// may be set, whether a tool may be forced. What a model's version tells stands
// in traits.go; what a server teaches by refusing a request, in lessons.go.
package anthropic

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

const (
	// version of the API, see https://platform.claude.com/docs/en/api/versioning.
	version = "2023-06-01"
	// maxLessons bounds how often a refused request is sent anew.
	maxLessons = 4
)

// Options says where a model is. BaseURL is the API's address with or without
// /v1 at its end.
type Options = upstream.Options

// Client is an llm.Client. It may be used by many goroutines at once.
type Client struct {
	server    *upstream.Server
	streaming bool
	own       bool // the server is Anthropic's
	context   int  // as it was set
	lookup    *upstream.Lookup

	model    atomic.Pointer[string] // nil until it is known
	quirks   atomic.Uint32          // what has been learned
	limit    atomic.Int64           // of an answer's tokens, as a refusal told; 0 when none did
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
	if base := c.server.Base; base != nil {
		base.Path = strings.TrimSuffix(strings.TrimSuffix(base.Path, "/messages"), "/v1")
		c.own = base.Hostname() == "api.anthropic.com"
	}
	if opts.Model != "" {
		c.model.Store(&opts.Model)
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
	model, err := c.resolve(ctx)
	if err != nil {
		return llm.Message{}, upstream.Plainly(err)
	}
	t := task{
		Request: req, model: model, origin: c.server.Name + "/" + model, traits: traitsOf(model),
		quirks: quirks(c.quirks.Load()), limit: c.outputLimit(ctx), streaming: c.streaming,
	}
	for lessons := 0; ; lessons++ {
		message, err := c.attempt(ctx, t, emit)
		if err == nil {
			c.quirks.Or(uint32(t.quirks &^ noFormat)) // another schema may do
			return message, nil
		}
		refused, ok := errors.AsType[*upstream.RefusedError](err)
		if !ok || lessons == maxLessons {
			return message, upstream.Plainly(err)
		}
		learned, ok := c.learn(t, refused.Err)
		if !ok {
			return message, refused.Err
		}
		t = learned
	}
}

// attempt sends the request once.
func (c *Client) attempt(ctx context.Context, t task, emit func(llm.Event) error) (llm.Message, error) {
	post, err := c.request(ctx, http.MethodPost, "/messages", bytes.NewReader(t.encode()))
	if err != nil {
		return llm.Message{}, err
	}
	if c.streaming {
		post.Header.Set("Accept", "text/event-stream")
	}
	a := &answer{origin: t.origin}
	a.Emit, a.Buffered = emit, func() bool { return false }
	if err := c.server.Do(post, func(body io.Reader) error { return c.receive(a, body) }); err != nil {
		return a.partial(), err
	}
	return a.message()
}

// request makes an HTTP request of a path of the API.
func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := c.server.NewRequest(ctx, method, "/v1"+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Anthropic-Version", version)
	if c.server.Key != "" {
		req.Header.Set("X-Api-Key", c.server.Key)
		if !c.own { // servers that imitate the API differ in where they look
			req.Header.Set("Authorization", "Bearer "+c.server.Key)
		}
	}
	return req, nil
}
