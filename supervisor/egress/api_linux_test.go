package egress

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func dup(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3) }

// What a worker says of key, host and address counts for nothing.
func TestKeyHostAndAddressAreNotTheWorkers(t *testing.T) {
	t.Parallel()
	up := provider(t, ok)
	s := serve(t, model(up.URL), Options{})
	status, _, text, err := s.send(http.MethodPost, "/v1/chat/completions?key=mine&api_base=http://evil.example", `{"a":1}`, http.Header{
		"Authorization": {"Bearer mine"}, "X-Api-Key": {"mine"}, "Api-Key": {"mine"}, "Cookie": {"a=mine"}, "X-Forwarded-For": {"mine"},
		"Proxy-Authorization": {"mine"}, "X-Goog-Api-Key": {"mine"}, "Content-Type": {"application/json"}, "Accept": {"text/event-stream"},
		"Forwarded": {"for=mine"}, "Connection": {"Authorization"}, "Upgrade": {"mine"},
	})
	if err != nil || status != http.StatusOK || text != "fine" {
		t.Fatalf("answer is %d %q, %v", status, text, err)
	}
	got, body := up.request()
	if got.Header.Get("Authorization") != "Bearer "+canary || got.Host != strings.TrimPrefix(up.URL, "http://") || body != `{"a":1}` {
		t.Errorf("the provider was asked with %v at %s: %s", got.Header, got.Host, body)
	}
	if all := fmt.Sprint(got.Header, got.URL); strings.Contains(all, "mine") || strings.Contains(all, "Hermes") {
		t.Errorf("the provider got %s", all)
	}
	if got.Header.Get("Accept") != "text/event-stream" || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("headers that the client needs were dropped: %v", got.Header)
	}
}

func TestOnlyWhatTheClientsAskFor(t *testing.T) {
	t.Parallel()
	up := provider(t, ok)
	s := serve(t, model(up.URL), Options{})
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{"POST", "/v1/chat/completions", 200},
		{"GET", "/v1/models", 200},
		{"GET", "/v1/models/gpt-5", 200},
		{"GET", "/v1/models/a:b@c", 200},
		{"GET", "/v1/chat/completions", 403},
		{"DELETE", "/v1/models/gpt-5", 403},
		{"POST", "/v1/files", 403},
		{"GET", "/v1/models/", 403},
		{"GET", "/v1/models/../files", 403},
		{"GET", "/v1/models/..", 403},
		{"GET", "/v1/models/%2e%2e%2ffiles", 403},
		{"GET", "/v1/models/a/b", 403},
		{"GET", "/v1/models/a%2Fb", 403},
		{"GET", "/v1/models/a%5cb", 403},
		{"POST", "/v1//chat/completions", 403},
		{"POST", "/V1/chat/completions", 403},
		{"POST", "/v1/chat/completions/", 403},
		{"POST", "/v1/organization/api_keys", 403},
		{"GET", "/", 403},
		{"PUT", "/v1/models", 403},
	} {
		before := up.n.Load()
		status, _, text, err := s.send(test.method, test.path, "", nil)
		if err != nil || status != test.want {
			t.Errorf("%s %s: %d %q, %v", test.method, test.path, status, text, err)
		}
		if asked := up.n.Load() > before; asked != (test.want == 200) {
			t.Errorf("%s %s: the provider was asked: %v", test.method, test.path, asked)
		}
	}
	resp, err := s.client("model/7").Get("http://x/v1/models")
	if err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("an upstream that is not there: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
}

// A redirect is told to the worker, and is worth a key at the same origin only.
func TestRedirectsNeverCarryKeys(t *testing.T) {
	t.Parallel()
	elsewhere := provider(t, ok)
	var target string
	up := provider(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/models" {
			ok(w, r)
			return
		}
		w.Header().Set("Location", target)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	s := serve(t, model(up.URL), Options{})
	for _, target = range []string{elsewhere.URL + "/v1/models", strings.Replace(up.URL, "http:", "https:", 1) + "/v3/models", "//evil.example/x", "file:///etc/passwd"} {
		status, header, _, err := s.send(http.MethodGet, "/v1/models", "", nil)
		if err != nil || status != http.StatusTemporaryRedirect || header.Get("Location") == "" {
			t.Errorf("to %s: %d %v, %v", target, status, header, err)
		}
	}
	if elsewhere.n.Load() != 0 {
		t.Error("a redirect was followed")
	}
	for _, path := range []string{"/v3/models", "/x", "/etc/passwd", "/v2/models"} {
		if status, _, _, err := s.send(http.MethodGet, path, "", nil); status != http.StatusForbidden {
			t.Errorf("%s: %d, %v", path, status, err)
		}
	}
	target = "/v2/models?secret=" + canary
	_, header, _, _ := s.send(http.MethodGet, "/v1/models", "", nil)
	if got := header.Get("Location"); got != up.URL+"/v2/models" {
		t.Errorf("location is %q", got)
	}
	if status, _, text, err := s.send(http.MethodGet, "/v2/models", "", nil); status != http.StatusOK || text != "fine" {
		t.Errorf("the server's own new address: %d %q, %v", status, text, err)
	}
	if status, _, _, _ := s.send(http.MethodPost, "/v2/models", "", nil); status != http.StatusForbidden {
		t.Errorf("another method there: %d", status)
	}
}

// Providers repeat the key that they refuse.
func TestFailuresComeThroughWithoutTheKey(t *testing.T) {
	t.Parallel()
	up := provider(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.Header().Set("X-Request-Id", "req_1")
		w.Header().Set("X-Echo", "Bearer "+canary)
		w.Header().Set("Set-Cookie", "a=b")
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprintf(w, `{"error":{"message":"Incorrect key %s, that is %s***"}}`, canary, canary[:12])
	})
	s := serve(t, model(up.URL), Options{})
	status, header, text, err := s.send(http.MethodGet, "/v1/models", "", nil)
	if err != nil || status != http.StatusTooManyRequests || header.Get("Retry-After") != "7" || header.Get("X-Request-Id") != "req_1" {
		t.Errorf("answer is %d %v, %v", status, header, err)
	}
	if strings.Contains(fmt.Sprint(header, text), canary[:8]) || !strings.Contains(text, "Incorrect key [redacted], that is [redacted]***") {
		t.Errorf("answer is %v %s", header, text)
	}
	if header.Get("Set-Cookie") != "" {
		t.Error("a cookie came through")
	}
}

// Each piece of a stream goes on when it comes, and a client that leaves ends it at
// once.
func TestStreamsFlowAndEnd(t *testing.T) {
	t.Parallel()
	step, gone := make(chan string), make(chan struct{})
	up := provider(t, func(w http.ResponseWriter, r *http.Request) {
		flush := http.NewResponseController(w)
		for {
			select {
			case text := <-step:
				fmt.Fprint(w, text)
				_ = flush.Flush()
			case <-r.Context().Done():
				close(gone)
				return
			}
		}
	})
	s := serve(t, model(up.URL), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://x/v1/chat/completions", strings.NewReader("{}"))
	answered := make(chan *http.Response, 1)
	go func() {
		resp, err := s.client("model/0").Do(req)
		if err != nil {
			t.Error(err)
			close(answered)
			return
		}
		answered <- resp
	}()
	step <- "one\n"
	resp := <-answered
	if resp == nil {
		return
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for _, want := range []string{"one\n", "two\n", "three\n"} {
		if want != "one\n" {
			step <- want
		}
		if got, err := lines.ReadString('\n'); got != want {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
	cancel()
	select {
	case <-gone:
	case <-time.After(patience):
		t.Error("the provider still works for nobody")
	}
}

// Half an answer must not look whole.
func TestAnswersThatBreakOff(t *testing.T) {
	t.Parallel()
	for _, chunked := range []bool{false, true} {
		up := provider(t, func(w http.ResponseWriter, _ *http.Request) {
			if !chunked {
				w.Header().Set("Content-Length", "1000")
			}
			fmt.Fprint(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})
		s := serve(t, model(up.URL), Options{})
		if _, _, text, err := s.send(http.MethodGet, "/v1/models", "", nil); !errors.Is(err, io.ErrUnexpectedEOF) || text != "half" {
			t.Errorf("got %q, %v", text, err)
		}
		eventually(t, "the audit says so", func() bool { return strings.Contains(s.audit.String(), "broke off") })
	}
}

// What keeps a server from being reached is told as if the worker had dialled.
func TestFailuresToReachAServer(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := "http://" + ln.Addr().String()
	ln.Close()
	s := serve(t, model(dead), Options{})
	if _, _, _, err := s.send(http.MethodGet, "/v1/models", "", nil); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a dead server: %v", err)
	}
	plain := provider(t, ok)
	s = serve(t, model(strings.Replace(plain.URL, "http:", "https:", 1)), Options{})
	if _, _, _, err := s.send(http.MethodGet, "/v1/models", "", nil); err == nil || !strings.Contains(err.Error(), "speaks no TLS") {
		t.Errorf("a server without TLS: %v", err)
	}
	s = serve(t, model("http://no-such-host.invalid"), Options{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, syscall.ECONNREFUSED
	}}})
	var dns *net.DNSError
	if _, _, _, err := s.send(http.MethodGet, "/v1/models", "", nil); !errors.As(err, &dns) {
		t.Errorf("a host that is not there: %v", err)
	}
}

// A kept connection that the server closes meanwhile costs nobody an answer.
func TestStaleConnectionsAreNotNoticed(t *testing.T) {
	t.Parallel()
	up := provider(t, func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil { // answered as if it were kept, and then reset
			_ = conn.(*net.TCPConn).SetLinger(0)
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")
			go func() {
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 1)) // of the next request
			}()
		}
	})
	s := serve(t, model(up.URL), Options{})
	for i := range 10 {
		if status, _, text, err := s.send(http.MethodPost, "/v1/chat/completions", "{}", nil); err != nil || status != http.StatusOK || text != "fine" {
			t.Fatalf("request %d: %d %q, %v", i, status, text, err)
		}
	}
}

// Another key counts from the next request on, and cuts nothing.
func TestAnotherKeyCutsNoStream(t *testing.T) {
	t.Parallel()
	finish := make(chan struct{})
	up := provider(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			fmt.Fprint(w, "begun ")
			_ = http.NewResponseController(w).Flush()
			<-finish
		}
		if key := r.Header.Get("Authorization"); key == "Bearer "+canary {
			fmt.Fprint(w, "with the key")
		} else {
			fmt.Fprint(w, key)
		}
	})
	s := serve(t, model(up.URL), Options{})
	resp, err := s.client("model/0").Post("http://x/v1/chat/completions", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	next := model(up.URL)
	next.Upstreams[0].Headers = map[string]string{"Authorization": "Bearer another"}
	if err := s.Update(1, next); err != nil {
		t.Fatal(err)
	}
	if _, _, text, err := s.send(http.MethodGet, "/v1/models", "", nil); text != "Bearer another" {
		t.Errorf("after the change: %q, %v", text, err)
	}
	close(finish)
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "begun with the key" {
		t.Errorf("the stream ended with %q, %v", text, err)
	}
}

// One line for each exchange, without a path, a query or a key.
func TestAuditSaysWhoAskedWhom(t *testing.T) {
	t.Parallel()
	up := provider(t, ok)
	s := serve(t, model(up.URL), Options{})
	_, _, _, _ = s.send(http.MethodPost, "/v1/chat/completions?key=hush-hush", "12345", nil)
	_, _, _, _ = s.send(http.MethodGet, "/v1/secret-place", "", nil)
	_, err := s.door.DialContext(t.Context(), "tcp", "169.254.169.254:80")
	if err == nil {
		t.Error("metadata were dialled")
	}
	eventually(t, "three lines are there", func() bool { return len(s.entries()) == 3 })
	all := s.entries()
	if e := all[0]; e.Profile != "alice" || e.Kind != "api" || e.Upstream != "model/0" || e.Host != "127.0.0.1" || e.Status != 200 || e.Out != 5 || e.In != 4 || e.Verdict != verdictOK {
		t.Errorf("the first line is %+v", e)
	}
	if e := all[1]; e.Verdict != verdictRefused || e.Status != 403 {
		t.Errorf("the second line is %+v", e)
	}
	if e := all[2]; e.Kind != "page" || e.Host != "169.254.169.254" || e.Port != "80" || e.Verdict != verdictRefused {
		t.Errorf("the third line is %+v", e)
	}
	if text := s.audit.String(); strings.Contains(text, canary) || strings.Contains(text, "hush") || strings.Contains(text, "completions") || strings.Contains(text, "secret-place") {
		t.Errorf("the audit tells too much:\n%s", text)
	}
}
