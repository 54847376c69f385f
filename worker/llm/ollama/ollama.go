// Package ollama asks models of an Ollama server over its own API
// (https://github.com/ollama/ollama/blob/main/docs/api.md). Its OpenAI-compatible
// API cannot be told how long a context the model is to be loaded with, and the
// default of 4,096 tokens drops the beginning of nearly every request of an
// agent without a word; the own API takes num_ctx.
package ollama

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

// Options says where a model is. BaseURL is the server's address, with or
// without /v1 or /api at its end. Without a model the one that was changed last
// is used.
type Options = upstream.Options

// Client is an llm.Client. It may be used by many goroutines at once.
type Client struct {
	server    *upstream.Server
	streaming bool
	context   int // as it was set
	lookup    *upstream.Lookup

	model atomic.Pointer[string] // nil until it is known
	ctx   atomic.Int64           // what the model's author has set as num_ctx
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
		for _, end := range []string{"/chat/completions", "/v1", "/api/chat", "/api"} {
			base.Path = strings.TrimSuffix(base.Path, end)
		}
	}
	if opts.Model != "" {
		c.model.Store(&opts.Model)
	}
	// Asked until it answers: without the length of its context a model would be
	// loaded with the default.
	c.lookup = upstream.NewLookup(c.server.Now, 0, c.look)
	return c
}

// Close gives up the connections that are idle. The Client stays usable.
func (c *Client) Close() { c.server.Close() }

// Stream asks the model. See llm.Client. When ctx ends, the connection is closed
// at once, which stops the model, and the error wraps ctx's cause.
func (c *Client) Stream(ctx context.Context, req llm.Request, emit func(llm.Event) error) (llm.Message, error) {
	if c.server.Invalid != nil {
		return llm.Message{}, c.server.Invalid
	}
	model, err := c.resolve(ctx)
	if err != nil {
		return llm.Message{}, upstream.Plainly(err)
	}
	can := c.Capabilities(ctx)
	t := task{Request: req, model: model, origin: c.server.Name + "/" + model, thinks: can.Reasoning, context: c.window(can), streaming: c.streaming}
	body, err := t.encode()
	if err != nil {
		return llm.Message{}, err
	}
	post, err := c.request(ctx, http.MethodPost, "/api/chat", bytes.NewReader(body))
	if err != nil {
		return llm.Message{}, err
	}
	a := &answer{origin: t.origin}
	a.Emit = emit
	if err := c.server.Do(post, func(body io.Reader) error { return c.receive(a, body) }); err != nil {
		return a.partial(), c.explained(model, err)
	}
	return a.message()
}

// request makes an HTTP request of a path of the API. A key is for servers
// behind a proxy, and for Ollama's own cloud.
func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := c.server.NewRequest(ctx, method, path, body)
	if err == nil && c.server.Key != "" {
		req.Header.Set("Authorization", "Bearer "+c.server.Key)
	}
	return req, err
}

// explained says what to do about a model that is not there.
func (c *Client) explained(model string, err error) error {
	refused, ok := errors.AsType[*upstream.RefusedError](err)
	if !ok {
		return err
	}
	failed := refused.Err
	words := strings.ToLower(failed.Message)
	if failed.Status == http.StatusNotFound && strings.Contains(words, "model") && strings.Contains(words, "not found") {
		failed.Class = llm.NoModel
		failed.Message = upstream.OneLine("Ollama at " + c.server.Host() + " has no model " + model + "; get it with: ollama pull " + model)
	}
	return failed
}
