package mcp

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// remote is a server that is reached by HTTP.
type remote struct {
	*httptest.Server

	sessions *sdk.Server
	greeted  atomic.Int32 // sessions that were begun
	key      string       // that requests must have
	foreign  atomic.Int32 // requests without it
}

func newRemote(t *testing.T, key string) *remote {
	t.Helper()
	r := &remote{key: key}
	r.sessions = newTestServer("plain")
	handler := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return r.sessions }, nil)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if key != "" && req.Header.Get("Authorization") != key {
			r.foreign.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if req.Method == http.MethodPost && req.Header.Get("Mcp-Session-Id") == "" {
			r.greeted.Add(1)
		}
		handler.ServeHTTP(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

// restart makes the server forget its sessions.
func (r *remote) restart() {
	for session := range r.sessions.Sessions() {
		_ = session.Close()
	}
}

func httpConfig(url, key string) Config {
	c := Config{Name: "test", URL: url, Timeout: 20 * time.Second, ConnectTimeout: 20 * time.Second}
	if key != "" {
		c.Headers = map[string]string{"Authorization": key}
	}
	return c
}

func TestServerThatIsAnAddress(t *testing.T) {
	t.Parallel()
	r := newRemote(t, "Bearer canary-key-of-the-server")
	s, _ := newServers(t, httpConfig(r.URL+"/mcp?token=x", r.key))
	if tools := s.Tools(t.Context()); len(tools) < 7 {
		t.Fatalf("it has %q; %+v", names(tools), s.States())
	}
	if got := call(t, s, "echo", `{"text":"hello"}`); got.Text != "hello" {
		t.Errorf("got %+v", got)
	}
	if state := s.States()[0]; state.Kind != "http" || state.Status != Connected {
		t.Errorf("it is %+v", state)
	}
	if n := r.foreign.Load(); n > 0 {
		t.Errorf("%d requests lacked the header", n)
	}
	s.Close()
}

// A server that has lost the session, as after a restart, gets a new one, and the
// call that found out is made again, once.
func TestLostSessionIsBegunAnew(t *testing.T) {
	t.Parallel()
	r := newRemote(t, "")
	s, _ := newServers(t, httpConfig(r.URL, ""))
	s.Tools(t.Context())
	before := r.greeted.Load()
	r.restart()
	if got := call(t, s, "echo", `{"text":"again"}`); got.Text != "again" || got.Failed {
		t.Errorf("got %+v", got)
	}
	if got := r.greeted.Load() - before; got != 1 {
		t.Errorf("%d sessions were begun", got)
	}
	s.Close()
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	r := newRemote(t, "Bearer right")
	s, _ := newServers(t, httpConfig(r.URL, "Bearer canary-key-of-the-server"))
	s.Tools(t.Context())
	if state := s.States()[0]; state.Status != Failed || !strings.Contains(state.Reason, "Unauthorized; look at its headers in mcp_servers.test") {
		t.Errorf("it is %+v", state)
	}
}

func TestHeadersDoNotFollowARedirectElsewhere(t *testing.T) {
	t.Parallel()
	var got atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got.Add(1) }))
	defer elsewhere.Close()
	r := newRemote(t, "Bearer key")
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/away":
			http.Redirect(w, req, elsewhere.URL, http.StatusTemporaryRedirect)
		case "/home":
			http.Redirect(w, req, "/mcp", http.StatusTemporaryRedirect)
		default:
			r.Config.Handler.ServeHTTP(w, req)
		}
	}))
	defer front.Close()
	s, _ := newServers(t, httpConfig(front.URL+"/away", "Bearer key"))
	s.Tools(t.Context())
	if state := s.States()[0]; state.Status != Failed || !strings.Contains(state.Reason, "it redirects to another origin") || got.Load() != 0 {
		t.Errorf("it is %+v, and %d requests came elsewhere", state, got.Load())
	}
	s, _ = newServers(t, httpConfig(front.URL+"/home", "Bearer key"))
	if tools := s.Tools(t.Context()); len(tools) == 0 {
		t.Errorf("a redirect on the same origin is not followed: %+v", s.States()[0])
	}
	s.Close()
}

func TestAddressesThatAreNoServers(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"closed", nil, "no connection to its address"},
		{"not found", http.NotFound, "Not Found"},
		{"a page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>")
		}, "text/html"},
		{"no JSON", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "{nonsense")
		}, ""},
		{"endless", func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			line := []byte(strings.Repeat(" ", 1<<20))
			for req.Context().Err() == nil {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}, "16 MiB"},
		{"silent", func(_ http.ResponseWriter, req *http.Request) {
			_, _ = io.Copy(io.Discard, req.Body) // only then it is noticed that the client has left
			<-req.Context().Done()
		}, "it gave no answer within 1s (connect_timeout)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			url := closed.URL
			if test.handler != nil {
				server := httptest.NewServer(test.handler)
				defer server.Close()
				url = server.URL
			}
			config := httpConfig(url+"/mcp?key=hidden", "")
			if test.name == "silent" {
				config.ConnectTimeout = time.Second
			}
			s, _ := newServers(t, config)
			s.Tools(t.Context())
			if state := s.States()[0]; state.Status != Failed || !strings.Contains(state.Reason, test.want) || strings.Contains(state.Reason, "hidden") {
				t.Errorf("it is %+v, want %q", state, test.want)
			}
			s.Close()
		})
	}
}
