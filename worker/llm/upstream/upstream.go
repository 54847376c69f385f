// Package upstream is what the clients of all model servers have in common:
// how a server is reached and its silence noticed, what its failures mean, that
// no key gets into an error, and how an answer is handed out while it comes in.
// It knows no server's API.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"hermes/worker/llm"
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
)

// Options says where a model is.
type Options struct {
	// BaseURL is the address of the API, as a person writes it down.
	BaseURL string
	// Model is the model's id. When it is empty, the first one that the server
	// lists is used.
	Model  string
	APIKey string // empty sends none
	// Streaming asks for the answer in pieces.
	Streaming bool
	// Name of the provider. Together with Model it says to whom provider
	// fields of a message may be sent back. Default: the host.
	Name string
	// ContextLength is the size of the model's context in tokens as it was set,
	// 0 when the server has to be asked.
	ContextLength int
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

// Server is one model server, as a client reaches it. It may be used by many
// goroutines at once.
type Server struct {
	// Name is Options.Name, or the host.
	Name string
	// Base is the base URL without a slash at its end, nil when Invalid is set.
	Base *url.URL
	// Invalid is what is wrong with the base URL.
	Invalid error
	// IdleTimeout is how long an answer may pause; short questions get no longer
	// for all.
	IdleTimeout time.Duration
	Key         string
	Now         func() time.Time

	agent         string
	headerTimeout time.Duration
	http          *http.Client
}

// NewServer makes a Server. It opens no connection; a base URL that is none
// shows in Invalid.
func NewServer(opts Options) *Server {
	s := &Server{
		Name: opts.Name, Key: opts.APIKey, agent: "hermes",
		headerTimeout: headerTimeout, IdleTimeout: idleTimeout, Now: time.Now,
	}
	if opts.Version != "" {
		s.agent = "hermes/" + opts.Version
	}
	if opts.HeaderTimeout > 0 {
		s.headerTimeout = opts.HeaderTimeout
	}
	if opts.IdleTimeout > 0 {
		s.IdleTimeout = opts.IdleTimeout
	}
	if opts.Now != nil {
		s.Now = opts.Now
	}
	base := opts.HTTP
	if base == nil {
		base = NewHTTP()
	}
	client := *base
	client.CheckRedirect = sameHost
	s.http = &client
	s.locate(opts.BaseURL)
	if s.Name == "" && s.Base != nil {
		s.Name = s.Base.Host
	}
	return s
}

// NewHTTP makes the HTTP client that a Server uses when it is given none. It has
// a pool of connections of its own, so several may share one.
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

// Close gives up the connections that are idle. The Server stays usable.
func (s *Server) Close() { s.http.CloseIdleConnections() }

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
func (s *Server) locate(base string) {
	u, err := url.Parse(strings.TrimSpace(base))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		s.Invalid = &llm.Error{Class: llm.BadRequest, Message: "model.base_url is no address of the form https://host/v1"}
		return
	}
	u.Fragment = ""
	s.Base = WithPath(u, strings.TrimRight(u.Path, "/"))
}

// WithPath returns the address with another path.
func WithPath(u *url.URL, path string) *url.URL {
	moved := *u
	moved.Path, moved.RawPath = path, ""
	return &moved
}

// Host is the server's address as messages show it: without path, user and query.
func (s *Server) Host() string { return s.Base.Scheme + "://" + s.Base.Host }

// Do sends a request and hands the body of its answer to read. The end of the
// request's context closes the connection at once, and the error then wraps its
// cause. A refusal is a *RefusedError; every other error is an *llm.Error without the
// key in it, or what emit returned.
func (s *Server) Do(req *http.Request, read func(body io.Reader) error) error {
	return s.redacted(s.do(req, s.headerTimeout, read))
}

// Ask is Do for a short question: the server may take no longer than within an
// answer.
func (s *Server) Ask(req *http.Request, read func(body io.Reader) error) error {
	return s.redacted(s.do(req, s.IdleTimeout, read))
}

func (s *Server) do(req *http.Request, patience time.Duration, read func(io.Reader) error) error {
	ctx := req.Context()
	watched, watch := newWatch(ctx, patience)
	defer watch.stop()
	s.identify(req)
	resp, err := s.http.Do(req.WithContext(watched)) //nolint:gosec // the operator says where the model is
	if err != nil {
		return broken(ctx, watch, err, "cannot reach "+s.Host())
	}
	defer resp.Body.Close()
	watch.limit = s.IdleTimeout
	body := &watchedBody{Reader: resp.Body, watch: watch}
	if resp.StatusCode/100 != 2 {
		return s.refused(resp, body)
	}
	if err := read(body); err != nil {
		return broken(ctx, watch, err, "the answer of "+s.Host()+" broke off")
	}
	watch.limit = drainTimeout
	_, _ = io.CopyN(io.Discard, body, 4<<10)
	return nil
}

// identify sets the headers that all requests have.
func (s *Server) identify(req *http.Request) {
	req.Header.Set("User-Agent", s.agent)
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	// An empty list is not sent, but lets the transport try again when a kept
	// connection turns out to be dead before anything was answered.
	req.Header["Idempotency-Key"] = nil
}

// redacted takes the key out of an error. What is no *llm.Error is the caller's
// own: its emit's, or its context's.
func (s *Server) redacted(err error) error {
	if failed, ok := errors.AsType[*llm.Error](err); ok {
		failed.Message, failed.Code = redact(failed.Message, s.Key), redact(failed.Code, s.Key)
		failed.RequestID = redact(failed.RequestID, s.Key)
	}
	return err
}

// RefusedError is the error of a request that was answered with a status of failure,
// and so before anything was emitted.
type RefusedError struct{ Err *llm.Error }

func (r *RefusedError) Error() string { return r.Err.Error() }

func (r *RefusedError) Unwrap() error { return r.Err }

// Plainly returns the *llm.Error of a refusal, and every other error as it is.
func Plainly(err error) error {
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return refused.Err
	}
	return err
}

// refused makes an error of an answer whose status is not one of success.
func (s *Server) refused(resp *http.Response, body io.Reader) error {
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		target := "elsewhere"
		if location, err := resp.Location(); err == nil {
			target = "to " + location.Scheme + "://" + location.Host + location.Path
		}
		return &RefusedError{&llm.Error{
			Class: llm.BadRequest, Status: resp.StatusCode,
			Message: OneLine(s.Host() + " redirects " + target + ", which is not followed with a key; set model.base_url to the right address"),
		}}
	}
	raw, err := io.ReadAll(io.LimitReader(body, maxFailure))
	if err != nil {
		raw = nil // the status says enough
	}
	return &RefusedError{Failure(resp.StatusCode, resp.Header, raw, s.Now())}
}

// Page is the error of an answer that is an HTML page instead of one of an API.
func (s *Server) Page(body io.Reader) error {
	page, err := io.ReadAll(io.LimitReader(body, maxFailure))
	if err != nil {
		return err
	}
	return &llm.Error{
		Class:   llm.Malformed,
		Message: fmt.Sprintf("%s answered with %s; model.base_url must be the address of an API", s.Host(), read(page).message),
	}
}

// Malformed is the error of an event or answer that is not what it should be.
func Malformed(data []byte) error {
	const shown = 100
	data = data[:min(len(data), shown)]
	return &llm.Error{Class: llm.Malformed, Message: "the model server broke its protocol: " + OneLine(string(data))}
}

// NewRequest makes a request of an address below the base URL.
func (s *Server) NewRequest(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, WithPath(s.Base, s.Base.Path+path).String(), body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if body != nil && body != http.NoBody {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}
