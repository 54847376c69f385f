package egress

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hermes/supervisor/egress/guard"
	"hermes/supervisor/egress/wire"
)

// honeypot listens on loopback, over IPv4 and IPv6 at the same port, and counts who
// comes.
func honeypot(t *testing.T) (port uint16, contacts *atomic.Int32) {
	t.Helper()
	contacts = &atomic.Int32{}
	four, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = four.Addr().(*net.TCPAddr).AddrPort().Port()
	listeners := []net.Listener{four}
	if six, err := net.Listen("tcp6", fmt.Sprintf("[::1]:%d", port)); err == nil {
		listeners = append(listeners, six)
	}
	var wg sync.WaitGroup
	for _, ln := range listeners {
		wg.Go(func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				contacts.Add(1)
				conn.Close()
			}
		})
	}
	t.Cleanup(func() {
		for _, ln := range listeners {
			ln.Close()
		}
		wg.Wait()
	})
	return port, contacts
}

// hostile are addresses that a worker or a command may try; %d is the port of the
// honeypot.
func hostile() []string {
	return []string{
		"127.0.0.1:%d", "127.1:%d", "2130706433:%d", "017700000001:%d", "0x7f000001:%d", "0x7f.0.0.1:%d", "0177.0.0.1:%d", "127.8.9.10:%d", "0:%d", "0.0.0.0:%d",
		"localhost:%d", "LOCALHOST:%d", "localhost.:%d", "a.localhost:%d", "ip6-localhost:%d", "127.0.0.1.:%d", "127.0.0.1.nip.io:%d", "127。0。0。1:%d", "①②⑦.⓪.⓪.①:%d",
		"[::1]:%d", "[::]:%d", "[0:0:0:0:0:0:0:1]:%d", "[::ffff:127.0.0.1]:%d", "[::ffff:7f00:1]:%d", "[::ffff:0:127.0.0.1]:%d", "[::127.0.0.1]:%d", "[64:ff9b::7f00:1]:%d",
		"[64:ff9b:1::7f00:1]:%d", "[2002:7f00:1::]:%d", "[2001:0:7f00:1::]:%d", "[fe80::1]:%d", "[fe80::1%%25lo]:%d", "[::1%%25lo]:%d", "[fc00::1]:%d", "[fec0::1]:%d", "[ff02::1]:%d",
		"10.0.0.1:%d", "172.16.0.1:%d", "192.168.1.1:%d", "100.64.0.1:%d", "169.254.169.254:80", "[fd00:ec2::254]:80", "100.100.100.200:80", "192.0.0.192:80", "2852039166:80",
		"metadata.google.internal:80", "198.18.0.1:%d", "224.0.0.1:%d", "255.255.255.255:%d", "240.0.0.1:%d", "evil.example:%d", "example.com@127.0.0.1:%d", "127.0.0.1:%d@example.com",
		"127.0.0.1\\@example.com:%d", "[127.0.0.1]:%d", "127.0.0.1/:%d", "127.0.0.1#:%d", ":%d", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:99999", "127.0.0.1:-1", "127.0.0.1:http",
		"[::1", "::1:%d", "//127.0.0.1:%d", "unix:/run/docker.sock", "*:%d", ".:%d", "..:%d",
	}
}

// Whatever is asked for, nothing that is not public is connected to: by a worker for
// a page, or by a command over either form of proxy request.
func TestNothingPrivateIsEverContacted(t *testing.T) {
	t.Parallel()
	port, contacts := honeypot(t)
	lying := lyingResolver(t, func(string, int) []string { return []string{"127.0.0.1", "::1"} })
	open := Reach{Ports: []uint16{80, 443, port}}
	s := serve(t, Table{Pages: open, Tools: open}, Options{Resolver: lying})
	p := startReal(t, Table{Pages: open, Tools: open})
	for name, door := range map[string]*wire.Door{"lying resolver": s.door, "real process": p.door} {
		for _, address := range hostile() {
			if strings.Contains(address, "%d") {
				address = fmt.Sprintf(address, port)
			}
			if conn, err := door.DialContext(t.Context(), "tcp", address); err == nil {
				t.Errorf("%s: %s was connected to", name, address)
				conn.Close()
			}
			for _, request := range []string{"CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n\r\n", "GET http://" + address + "/ HTTP/1.1\r\nHost: a\r\n\r\n"} {
				conn := toolConn(t, door)
				if resp := speak(t, conn, request); resp.StatusCode < 400 {
					t.Errorf("%s: %q was answered %s", name, request, resp.Status)
				}
				conn.Close()
			}
		}
	}
	if n := contacts.Load(); n != 0 {
		t.Errorf("the honeypot had %d contacts", n)
	}
}

// toolConn is a connection as a command's to its proxy.
func toolConn(t *testing.T, door *wire.Door) net.Conn {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if err := door.Give(t.Context(), wire.Tool, server.(*net.TCPConn)); err != nil {
		t.Fatal(err)
	}
	return client
}

// A name that is public when it is looked at and private when it is dialled gains
// nothing: what is looked at is what is dialled.
func TestRebinding(t *testing.T) {
	t.Parallel()
	port, contacts := honeypot(t)
	resolver := lyingResolver(t, func(_ string, nth int) []string {
		if nth%2 == 1 {
			return []string{"203.0.113.1"}
		}
		return []string{"127.0.0.1"}
	})
	s := serve(t, Table{Pages: Reach{Ports: []uint16{port}}}, Options{Resolver: resolver})
	for range 6 {
		if conn, err := s.door.DialContext(t.Context(), "tcp", fmt.Sprintf("rebind.example:%d", port)); err == nil {
			conn.Close()
			t.Error("it was connected to")
		} else if !guard.IsPrivate(err) {
			t.Errorf("refusal is %v", err)
		}
	}
	if n := contacts.Load(); n != 0 {
		t.Errorf("the honeypot had %d contacts", n)
	}
}

func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

// A command sees the web through its proxy: tunnels, plain requests, and in which
// words something is refused.
func TestProxyOfCommands(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s %q", r.Method, r.Host, r.URL, r.Header["Proxy-Authorization"])
	}))
	t.Cleanup(web.Close)
	secure := httptest.NewTLSServer(http.HandlerFunc(ok))
	t.Cleanup(secure.Close)
	at := strings.TrimPrefix(web.URL, "http://")
	s := serve(t, Table{Tools: Reach{AllowPrivate: []string{at, strings.TrimPrefix(secure.URL, "https://")}}}, Options{})
	proxied := func(base *http.Client, address string) (int, string, error) {
		transport := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy"}), DisableKeepAlives: true}
		if inner, ok := base.Transport.(*http.Transport); ok {
			transport.TLSClientConfig = inner.TLSClientConfig
		}
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return toolConn(t, s.door), nil } //nolint:contextcheck // that of the test
		resp, err := (&http.Client{Transport: transport}).Get(address)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text), err
	}
	if status, text, err := proxied(web.Client(), web.URL+"/a?b=c"); status != 200 || text != "GET "+at+" /a?b=c []" {
		t.Errorf("plain: %d %q, %v", status, text, err)
	}
	if status, text, err := proxied(secure.Client(), secure.URL); status != 200 || text != "fine" {
		t.Errorf("tunnel: %d %q, %v", status, text, err)
	}
	if status, text, err := proxied(web.Client(), "http://169.254.169.254/latest"); status != 403 || !strings.Contains(text, "not public") {
		t.Errorf("metadata: %d %q, %v", status, text, err)
	}
	conn := toolConn(t, s.door)
	defer conn.Close()
	if resp := speak(t, conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("what is no request to a proxy: %s", resp.Status)
	}
}

func TestHostsThatMayBeReached(t *testing.T) {
	t.Parallel()
	r := &reach{Reach: Reach{Hosts: []string{"go.dev", ".github.com", "Example.ORG."}}}
	for host, want := range map[string]bool{
		"go.dev": true, "x.go.dev": false, "api.github.com": true, "a.b.github.com": true, "github.com": false, "evilgithub.com": false,
		"github.com.evil.example": false, "example.org": true, "": false, "*.github.com": false, ".github.com": false, "go.dev@x": false,
	} {
		if got := r.permits(host, "443") == ""; got != want {
			t.Errorf("%q may be reached: %v", host, got)
		}
	}
	if (&reach{Reach: Reach{Off: true}}).permits("go.dev", "443") == "" {
		t.Error("what is off may be reached")
	}
}

// A tunnel carries what is sent first by either side, and the end of each direction
// by itself; the last of a budget ends it.
func TestTunnels(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprint(conn, "hello\n")
				text, _ := io.ReadAll(conn)
				fmt.Fprintf(conn, "%d\n", len(text))
			}()
		}
	}()
	port, _ := strconv.ParseUint(ln.Addr().String()[len("127.0.0.1:"):], 10, 16)
	table := Table{Pages: Reach{Ports: []uint16{uint16(port)}}}
	s := serve(t, table, Options{Private: loopback()})
	conn, err := s.door.DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(conn)
	if text, err := lines.ReadString('\n'); text != "hello\n" {
		t.Errorf("first came %q, %v", text, err)
	}
	if _, err := conn.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if text, err := lines.ReadString('\n'); text != "1048576\n" {
		t.Errorf("then came %q, %v", text, err)
	}
	conn.Close()
	table.Budget = Budget{BytesPerDay: 1<<20 + 1000}
	if err := s.Update(1, table); err != nil {
		t.Fatal(err)
	}
	conn, err = s.door.DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	for err == nil {
		_, err = conn.Write(make([]byte, 100))
	}
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // as it comes
		t.Error("a tunnel goes on without a budget")
	}
}

// FuzzHost: whatever host and port are asked for, what is permitted is a host and
// a port, and matches the list.
func FuzzHost(f *testing.F) {
	for _, seed := range hostile() {
		f.Add(seed)
	}
	f.Add("api.github.com:443")
	r := &reach{Reach: Reach{Hosts: []string{".github.com", "go.dev"}}}
	f.Fuzz(func(t *testing.T, address string) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return
		}
		host = guard.PlainHost(host)
		if r.permits(host, port) != "" {
			return
		}
		number, err := strconv.Atoi(port)
		if err != nil || number < 1 || number > 65535 {
			t.Errorf("%q has no port", address)
		}
		if host != "go.dev" && !strings.HasSuffix(host, ".github.com") || strings.ContainsAny(host, "@/\\ \r\n%") {
			t.Errorf("%q is %q", address, host)
		}
	})
}
