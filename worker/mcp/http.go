package mcp

import (
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxMessage bounds one message of a server, in bytes, as the SDK does for those
// that come as events or over a pipe.
const maxMessage = 16 << 20

// maxRedirects is how many redirects of a request are followed.
const maxRedirects = 5

var (
	errRedirected = errors.New("it redirects to another origin, which is not followed, since its headers may hold keys; write the new address into url")
	errTooLarge   = errors.New("it sent a message of more than 16 MiB")
)

// newHTTPTransport makes the transport of a server with a URL. An admin named it,
// so it may lie in a private network; but what it redirects to may not be
// elsewhere.
func newHTTPTransport(config Config) sdk.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	own := &ownHeaders{headers: config.Headers, url: config.URL, base: config.Transport}
	if own.base == nil {
		own.base = &http.Transport{
			Proxy:       nil, // the environment says nothing to a worker
			DialContext: dialer.DialContext, TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true,
		}
	}
	client := &http.Client{Transport: own, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) >= maxRedirects {
			return errors.New("it redirects again and again")
		}
		if !sameOrigin(req.URL, via[0].URL) {
			return errRedirected
		}
		return nil
	}}
	return &sdk.StreamableClientTransport{Endpoint: config.URL, HTTPClient: client, MaxEventSize: maxMessage}
}

// ownHeaders adds the headers of a server to requests that go there, and bounds
// the answers.
type ownHeaders struct {
	headers map[string]string
	url     string
	base    http.RoundTripper
}

// RoundTrip sends a request.
func (o *ownHeaders) RoundTrip(req *http.Request) (*http.Response, error) {
	home, err := url.Parse(o.url)
	if err != nil || !sameOrigin(req.URL, home) {
		return nil, errRedirected
	}
	req = req.Clone(req.Context())
	for name := range maps.Keys(o.headers) {
		req.Header.Set(name, o.headers[name])
		if strings.EqualFold(name, "Host") {
			req.Host = o.headers[name]
		}
	}
	resp, err := o.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxMessage}
	}
	return resp, nil
}

// sameOrigin compares scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		switch {
		case u.Port() != "":
			return u.Port()
		case u.Scheme == "https":
			return "443"
		default:
			return "80"
		}
	}
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// boundedBody is an answer that fails when it gets too long.
type boundedBody struct {
	io.ReadCloser

	left int
}

// Read reads on.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}
