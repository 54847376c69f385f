package egress

import (
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hermes/supervisor/egress/wire"
)

// raw is a connection of a kind over which a test says what it likes.
func (s *served) raw(kind wire.Kind) net.Conn {
	s.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		s.Fatal(err)
	}
	if err := unix.Sendmsg(int(s.worker.Fd()), []byte{byte(kind)}, unix.UnixRights(pair[1]), nil, 0); err != nil {
		s.Fatal(err)
	}
	_ = unix.Close(pair[1])
	file := os.NewFile(uintptr(pair[0]), "raw")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		s.Fatal(err)
	}
	return conn
}

// strange says what is wrong with a request that reached the provider of the test, ""
// if nothing is.
func strange(r *http.Request) string {
	endpoint := r.Method == http.MethodPost && r.URL.Path == "/v1/chat/completions" || r.Method == http.MethodGet && r.URL.Path == "/v1/models" ||
		r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/models/") && !strings.Contains(r.URL.Path, "..")
	switch {
	case !endpoint || r.URL.RawQuery != "":
		return "no endpoint: " + r.Method + " " + r.URL.String()
	case len(r.Header["Authorization"]) != 1 || r.Header.Get("Authorization") != "Bearer "+canary:
		return "another key than the provider's"
	}
	for name := range r.Header {
		if !passes(name) && name != "Authorization" && name != "Content-Length" && name != "Accept-Encoding" {
			return "a header of the worker: " + name
		}
	}
	return ""
}

// FuzzHeads says anything on a connection of each kind. A provider sees only what it
// may be asked, with its own key; nothing that is not public is dialled; and the key
// comes back in no answer.
func FuzzHeads(f *testing.F) {
	for _, seed := range []string{
		"GET /v1/models HTTP/1.1\r\nHost: x\r\nHermes-Upstream: model/0\r\n\r\n",
		"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nHermes-Upstream: model/0\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nHermes-Upstream: model/0\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}GET /v1/models HTTP/1.1\r\n\r\n",
		"GET /v1/models/../../x HTTP/1.1\r\nHost: x\r\nHermes-Upstream: model/0\r\nAuthorization: mine\r\nX-Api-Key: mine\r\nCookie: a=b\r\n\r\n",
		"GET http://evil.example/v1/models?q=1 HTTP/1.1\r\nHost: evil.example\r\nHermes-Upstream: model/0\r\nConnection: Authorization\r\n\r\n",
		"GET /v1/models HTTP/1.1\r\nHost: x\r\nHermes-Upstream: model/0\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"CONNECT 127.0.0.1:443 HTTP/1.1\r\nHost: 127.0.0.1:443\r\n\r\nhello",
		"CONNECT evil.example:80 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\nProxy-Authorization: x\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "GET / HTTP/9.9\r\n\r\n", "\r\n\r\n\r\n", "",
	} {
		for _, kind := range []byte("apt") {
			f.Add(kind, seed)
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, says string) {
		if !wire.Kind(kind).Known() || len(says) > 8<<10 {
			return
		}
		up := provider(t, func(w http.ResponseWriter, r *http.Request) {
			if why := strange(r); why != "" {
				t.Errorf("%q leads to %s", says, why)
			}
			ok(w, r)
		})
		// The one host that is on the list may not be dialled, so that nothing goes out
		// there, and no name is looked up.
		reach := Reach{Hosts: []string{"127.0.0.1"}}
		table := model(up.URL)
		table.Pages, table.Tools = reach, reach
		s := serve(t, table, Options{})
		conn := s.raw(wire.Kind(kind))
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(conn, says); err == nil {
			_ = conn.(*net.UnixConn).CloseWrite()
		}
		answer, err := io.ReadAll(conn)
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // as it comes
			t.Errorf("%q has no end", says)
		}
		if strings.Contains(string(answer), canary) || strings.Contains(s.audit.String(), canary) {
			t.Errorf("%q brings the key back: %q", says, answer)
		}
		if strings.Contains(string(answer), " 200 Connection established") {
			t.Errorf("%q is connected with something", says)
		}
		for _, e := range s.entries() {
			if e.Verdict == verdictOK && e.Upstream == "" {
				t.Errorf("%q is allowed: %+v", says, e)
			}
		}
	})
}
