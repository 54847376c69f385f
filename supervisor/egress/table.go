package egress

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// Table is what one worker may reach, with the keys for it. It must not be logged.
type Table struct {
	Upstreams []Upstream `json:"upstreams,omitempty"`
	// Pages is for web pages, Tools for the proxy of commands.
	Pages  Reach  `json:"pages"`
	Tools  Reach  `json:"tools"`
	Budget Budget `json:"budget"`
	// Secrets are taken out of what servers say of failures.
	Secrets []string `json:"secrets,omitempty"`
}

// String says nothing of what is in it, so that it shows no secret.
func (t Table) String() string { return "table of egress" }

// GoString is String.
func (t Table) GoString() string { return t.String() }

// LogValue is String.
func (t Table) LogValue() slog.Value { return slog.StringValue(t.String()) }

// Upstream is a server that the settings name.
type Upstream struct {
	Name string `json:"name"`
	// Origin is scheme, host and port.
	Origin string `json:"origin"`
	// Headers are set on every request, keys among them.
	Headers map[string]string `json:"headers,omitempty"`
	// Endpoints are what may be asked there, and nothing else.
	Endpoints []Endpoint `json:"endpoints"`
	// Query is that of each request. PassQuery takes the worker's instead.
	Query     string `json:"query,omitempty"`
	PassQuery bool   `json:"pass_query,omitempty"`
	// Redirects says that an address of the same origin which the server redirects to
	// becomes an endpoint. The worker is told of it and asks again.
	Redirects bool `json:"redirects,omitempty"`
	// Home is the escaped path that / stands for, if that is to stay here too.
	Home string `json:"home,omitempty"`
}

// String is the name.
func (u Upstream) String() string { return u.Name }

// GoString is String.
func (u Upstream) GoString() string { return u.Name }

// Endpoint is a method and an escaped path. One that ends in /* stands for any one
// segment there.
type Endpoint struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	// Model says that a model answers there, which costs tokens.
	Model bool `json:"model,omitempty"`
}

// Reach is which hosts may be connected to.
type Reach struct {
	// Off refuses everything.
	Off bool `json:"off,omitempty"`
	// Hosts are the only ones, if there are any: names, and .name for
	// all below it.
	Hosts []string `json:"hosts,omitempty"`
	// AllowPrivate are places that are not public: ranges, hosts, hosts with a port.
	AllowPrivate []string `json:"allow_private,omitempty"`
	// Ports are those of public hosts; 80 and 443 if there are none.
	Ports []uint16 `json:"ports,omitempty"`
}

// Budget is what a profile may use over time. 0 is no limit.
type Budget struct {
	RequestsPerMinute int   `json:"requests_per_minute,omitempty"`
	BytesPerDay       int64 `json:"bytes_per_day,omitempty"`  // of UTC, in and out
	TokensPerDay      int64 `json:"tokens_per_day,omitempty"` // likewise, of models
}

// segment reports whether a text may stand for the star of an endpoint: one plain
// segment of a path, that means the same to whoever reads it.
func segment(text string) bool {
	low := strings.ToLower(text)
	return text != "" && text[0] != '.' && !strings.Contains(text, "..") &&
		!strings.Contains(low, "%2e") && !strings.Contains(low, "%2f") && !strings.Contains(low, "%5c") &&
		!strings.ContainsFunc(text, func(r rune) bool {
			plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
			return !plain && !strings.ContainsRune("._~:@%+=,-", r)
		})
}

// matches reports whether a request is for the endpoint.
func (e Endpoint) matches(method, path string) bool {
	if e.Method != method {
		return false
	}
	base, open := strings.CutSuffix(e.Path, "*")
	if !open {
		return path == e.Path
	}
	last, found := strings.CutPrefix(path, base)
	return found && segment(last)
}

// origin reads the origin of an upstream.
func (u Upstream) origin() (*url.URL, error) {
	o, err := url.Parse(u.Origin)
	if err != nil || o.Host == "" || o.Scheme != "http" && o.Scheme != "https" {
		return nil, fmt.Errorf("upstream %s has no valid address", u.Name)
	}
	return &url.URL{Scheme: o.Scheme, Host: o.Host}, nil
}
