package egress

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"hermes/supervisor/egress/guard"
)

const (
	dialLimit = 10 * time.Second
	// maxLearned is how many endpoints an upstream may add by redirecting.
	maxLearned = 4
)

// rules are a Table, read.
type rules struct {
	upstreams    map[string]*target
	secrets      []string
	hidden       mask // of the secrets
	pages, tools *reach
	// http reaches upstreams. Each worker has connections of its own: none can keep
	// another's busy.
	http *http.Transport
}

// target is an upstream.
type target struct {
	Upstream

	at, home *url.URL

	mu      sync.Mutex // guards learned
	learned []Endpoint
}

// reach is where tunnels may lead.
type reach struct {
	Reach

	guard *guard.Guard
	http  *http.Transport // of plain requests to the proxy
}

func (s *Server) newRules(t Table) (*rules, error) {
	dialer := &net.Dialer{Timeout: dialLimit, KeepAlive: 30 * time.Second, Resolver: s.opts.Resolver}
	r := &rules{upstreams: map[string]*target{}, secrets: t.Secrets, hidden: newMask(t.Secrets), http: &http.Transport{
		DialContext:            dialer.DialContext, // an admin named them: they may be anywhere
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // a compressor in between holds back what should flow
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    dialLimit,
		MaxResponseHeaderBytes: 256 << 10,
	}}
	for _, up := range t.Upstreams {
		at, err := up.origin()
		if err != nil {
			return nil, err
		}
		home, err := url.Parse(up.Home)
		if err != nil {
			return nil, fmt.Errorf("upstream %s has no valid path", up.Name)
		}
		r.upstreams[up.Name] = &target{Upstream: up, at: at, home: home}
	}
	var err error
	if r.pages, err = s.newReach(t.Pages); err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	if r.tools, err = s.newReach(t.Tools); err != nil {
		return nil, fmt.Errorf("commands: %w", err)
	}
	return r, nil
}

func (s *Server) newReach(r Reach) (*reach, error) {
	g, err := guard.New(guard.Options{Ports: r.Ports, Allowed: r.AllowPrivate, Resolver: s.opts.Resolver, Private: s.opts.Private})
	if err != nil {
		return nil, err
	}
	return &reach{Reach: r, guard: g, http: &http.Transport{
		DialContext: g.DialContext, DisableCompression: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
	}}, nil
}

// close gives back connections that are idle.
func (r *rules) close() {
	r.http.CloseIdleConnections()
	r.pages.http.CloseIdleConnections()
	r.tools.http.CloseIdleConnections()
}

// allows reports whether a request is for one of the endpoints, and for which.
func (t *target) allows(method, path string) (Endpoint, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, all := range [][]Endpoint{t.Endpoints, t.learned} {
		if i := slices.IndexFunc(all, func(e Endpoint) bool { return e.matches(method, path) }); i >= 0 {
			return all[i], true
		}
	}
	return Endpoint{}, false
}

// learn makes an endpoint of what the server redirects one of its to, if it is of its
// own.
func (t *target) learn(from Endpoint, to *url.URL) {
	if !t.Redirects || to.Scheme != t.at.Scheme || !strings.EqualFold(withPort(to), withPort(t.at)) || strings.HasSuffix(to.Path, "*") {
		return
	}
	e := Endpoint{Method: from.Method, Path: to.EscapedPath(), Model: from.Model}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.learned) < maxLearned && !slices.Contains(t.learned, e) {
		t.learned = append(t.learned, e)
	}
}

// withPort is host and port of an address.
func withPort(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// permits says why a host may not be connected to, empty if it may. What its
// addresses are is looked at when it is dialled.
func (r *reach) permits(host, port string) string {
	number, err := strconv.ParseUint(port, 10, 16)
	_, hostless := strings.CutPrefix(host, ".")
	switch {
	case r.Off:
		return "the network is not for this"
	case err != nil || number == 0:
		return "the address has no valid port"
	case host == "" || len(host) > 253 || hostless || strings.ContainsAny(host, "%@/\\ \t\r\n*"):
		return "the address has no valid host"
	case len(r.Hosts) > 0 && !slices.ContainsFunc(r.Hosts, func(pattern string) bool { return hostMatches(pattern, host) }):
		return host + " is not among the hosts that may be reached; terminal.hosts says which are"
	}
	return ""
}

// hostMatches reports whether a host is the one that a pattern names, or below it.
func hostMatches(pattern, host string) bool {
	pattern = guard.PlainHost(pattern)
	if strings.HasPrefix(pattern, ".") {
		return strings.HasSuffix(host, pattern)
	}
	return host == pattern
}

// dial connects to a host that is permitted.
func (r *reach) dial(ctx context.Context, host, port string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	return r.guard.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
}
