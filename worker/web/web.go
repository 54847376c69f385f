// Package web is how an agent reaches the web: it asks search services, and it
// reads pages as Markdown. What it fetches is named by a model, and so by whoever
// wrote the page that the model read last. Therefore every address is checked
// where its socket is dialled, after DNS and on each hop of a redirect, and all
// that comes back is bounded in size and time.
package web

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"hermes/supervisor/egress/guard"
)

// The limits of one fetch and of one search.
const (
	pageTimeout   = 30 * time.Second
	searchTimeout = 15 * time.Second // of each service
	// maxPage is how much of a page is read, after decompression, in bytes.
	maxPage = 10 << 20
	// maxAnswer is the same for the answer of a search service.
	maxAnswer    = 2 << 20
	maxRedirects = 5
)

// Options say how the web is reached. All may be left out.
type Options struct {
	// Search is the service to ask: Auto, or one of Services.
	Search string
	// SearXNG is the base URL of a SearXNG server. It may be on this machine or in
	// a private network: a search, and nothing else, reaches this host and port.
	SearXNG string
	// Keys are those of the services, by service.
	Keys map[string]string
	// AllowPrivate are private places that pages may be read from: CIDR ranges,
	// hosts, or hosts with a port.
	AllowPrivate []string
	// Ports are those that pages may be read from; 80 and 443 if there are none.
	Ports []uint16
	// PDF returns the text of a PDF document, limit bytes of it at most; PDFs are
	// refused if it is nil.
	PDF func(ctx context.Context, data []byte, limit int) (string, error)
	// Document does the same for Office documents and notebooks, if the data is one.
	// The error says the rest of a sentence that begins with the name.
	Document func(ctx context.Context, name string, data []byte, limit int) (text string, found bool, err error)
	// Dial connects to host:port for pages and for services without a key, if nil this
	// process does, and decides what may be dialled. Whoever dials instead does that too.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Service is the way to a service that has a key, or to SearXNG, if somebody else
	// keeps the keys; nil sends them from here.
	Service func(name string) http.RoundTripper
	// Version goes into the user agent.
	Version string
	Log     *slog.Logger // nil discards

	// What tests put in the place of the network.
	endpoints endpoints
	resolver  *net.Resolver
	private   []netip.Prefix // allowed, also for searches
	timeout   time.Duration
}

// Client reaches the web for one worker. Many turns may use it at once.
type Client struct {
	pages, services *http.Client
	guard           *guard.Guard // nil if somebody else dials
	chain           []service
	opts            Options
	agent           string
	// session tells Parallel's free tier which searches belong together, for its
	// limit of requests. It is made up anew by each worker.
	session string
}

// New makes a client. The error says which of the options is wrong. Close gives
// back what the client holds.
func New(opts Options) (*Client, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	opts.timeout = cmp.Or(opts.timeout, pageTimeout)
	pages, searches, err := opts.guards()
	if err != nil {
		return nil, err
	}
	c := &Client{guard: pages, opts: opts, agent: "Mozilla/5.0 (compatible; hermes/" + cmp.Or(opts.Version, "dev") + ")", session: sessionID()}
	c.opts.endpoints = opts.endpoints.orUsual()
	dialPages, dialSearches := opts.Dial, opts.Dial
	if opts.Dial == nil {
		dialPages, dialSearches = pages.DialContext, searches.DialContext
	}
	c.pages = &http.Client{Transport: transport(dialPages), CheckRedirect: c.redirect}
	c.services = &http.Client{
		Transport: c.routes(transport(dialSearches)),
		// A service that answers somewhere else must not take a key along.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if c.chain, err = c.order(); err != nil {
		return nil, err
	}
	return c, nil
}

// Close gives back idle connections. No call may run any more.
func (c *Client) Close() {
	c.pages.CloseIdleConnections()
	c.services.CloseIdleConnections()
}

// guards are what decides for pages and for searches, nil if somebody else does.
func (o Options) guards() (pages, searches *guard.Guard, err error) {
	var own []string
	if o.SearXNG != "" {
		at, err := hostPort(o.SearXNG)
		if err != nil {
			return nil, nil, fmt.Errorf("SearXNG: %w", err)
		}
		own = append(own, at)
	}
	pages, err = guard.New(guard.Options{Resolver: o.resolver, Ports: o.Ports, Allowed: o.AllowPrivate, Private: o.private})
	if err != nil {
		return nil, nil, err
	}
	searches, err = guard.New(guard.Options{Resolver: o.resolver, Ports: o.Ports, Allowed: own, Private: o.private})
	if err != nil || o.Dial == nil {
		return pages, searches, err
	}
	return nil, nil, nil
}

// routes sends the requests of services with keys the way that Options.Service says.
func (c *Client) routes(others *http.Transport) http.RoundTripper {
	if c.opts.Service == nil {
		return others
	}
	r := routes{others: others, byHost: map[string]http.RoundTripper{}}
	at := c.opts.endpoints
	for name, address := range map[string]string{SearXNG: c.opts.SearXNG, Brave: at.brave, Tavily: at.tavily, Exa: at.exa, Firecrawl: at.firecrawl} {
		u, err := url.Parse(address)
		if err == nil && u.Host != "" && (name == SearXNG || c.opts.Keys[name] != "") {
			r.byHost[u.Host] = c.opts.Service(name)
		}
	}
	return r
}

// routes are ways to services.
type routes struct {
	others *http.Transport
	byHost map[string]http.RoundTripper
}

// RoundTrip sends a request.
func (r routes) RoundTrip(req *http.Request) (*http.Response, error) {
	if way := r.byHost[req.URL.Host]; way != nil {
		return way.RoundTrip(req)
	}
	return r.others.RoundTrip(req)
}

// CloseIdleConnections is what http.Client looks for.
func (r routes) CloseIdleConnections() { r.others.CloseIdleConnections() }

// transport dials as it is told and in no other way. There is no proxy of the
// environment: behind one, only the proxy's address would be checked.
func transport(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            dial,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  20 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		MaxIdleConns:           8,
		IdleConnTimeout:        10 * time.Second,
	}
}
