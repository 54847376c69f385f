package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Whatever a model writes, nothing that is not public is connected to. The
// resolver takes every name for loopback, as a hostile one would, and as some take
// odd spellings of numbers. %d stands for the port of the honeypot.
func TestNothingPrivateIsEverContacted(t *testing.T) {
	t.Parallel()
	pot := newHoneypot(t)
	resolver := newResolver(t, func(string, int) []string { return []string{"127.0.0.1", "::1"} })
	c := newClient(t, Options{Ports: []uint16{80, 443, pot.port}, resolver: resolver, timeout: 5 * time.Second})
	addresses := []string{
		// loopback, spelled in many ways
		"http://127.0.0.1:%d/", "http://127.0.0.1.:%d/", "http://127.1:%d/", "http://127.0.1:%d/", "http://2130706433:%d/",
		"http://017700000001:%d/", "http://0x7f000001:%d/", "http://0x7f.0.0.1:%d/", "http://0177.0.0.1:%d/", "http://0x7F.1:%d/",
		"http://127.0.0.1%%00:%d/", "http://127.8.9.10:%d/", "http://①②⑦.⓪.⓪.①:%d/", "http://127。0。0。1:%d/",
		"http://0:%d/", "http://0.0.0.0:%d/", "http://00.0.0.0:%d/", "http://localhost:%d/", "http://LOCALHOST:%d/", "http://localhost.:%d/",
		"http://localhost..:%d/", "http://a.localhost:%d/", "http://ip6-localhost:%d/", "http://localtest.me:%d/", "http://127.0.0.1.nip.io:%d/",
		"http://ⓛocalhost:%d/", "https://localhost:%d/", "localhost:%d", "127.0.0.1:%d/x", "http://localhost.localdomain:%d",
		// IPv6, and IPv4 inside of it
		"http://[::1]:%d/", "http://[::]:%d/", "http://[0:0:0:0:0:0:0:1]:%d/", "http://[::ffff:127.0.0.1]:%d/", "http://[::ffff:7f00:1]:%d/",
		"http://[::ffff:0:127.0.0.1]:%d/", "http://[::127.0.0.1]:%d/", "http://[64:ff9b::7f00:1]:%d/", "http://[64:ff9b:1::7f00:1]:%d/",
		"http://[2002:7f00:1::]:%d/", "http://[2002:7f00:0001::1]:%d/", "http://[2001:0:7f00:1::]:%d/", "http://[fe80::1]:%d/",
		"http://[fe80::1%%25lo]:%d/", "http://[::1%%25lo]:%d/", "http://[fc00::1]:%d/", "http://[fd00:ec2::254]:%d/", "http://[fec0::1]:%d/",
		"http://[ff02::1]:%d/", "http://[100::1]:%d/", "http://[2001:db8::1]:%d/", "http://[3fff::1]:%d/", "http://[5f00::1]:%d/",
		// other ranges, and the addresses of metadata
		"http://10.0.0.1:%d/", "http://172.16.0.1:%d/", "http://192.168.1.1:%d/", "http://100.64.0.1:%d/", "http://169.254.1.1:%d/",
		"http://169.254.169.254/latest/meta-data/", "http://169.254.170.2/v2", "http://100.100.100.200/", "http://192.0.0.192/", "http://2852039166/",
		"http://metadata.google.internal/", "http://[fd00:ec2::254]/", "http://198.18.0.1:%d/", "http://192.0.2.1:%d/", "http://224.0.0.1:%d/",
		"http://255.255.255.255:%d/", "http://240.0.0.1:%d/", "http://0.1.2.3:%d/",
		// a host that is not what it looks like
		"http://example.com@127.0.0.1:%d/", "http://example.com:80@127.0.0.1:%d/", "http://127.0.0.1:%d@example.com/", "http://a:b@localhost:%d/",
		"http://127.0.0.1:%d\\@example.com/", "http://example.com\\@127.0.0.1:%d/", "http://127.0.0.1:%d#@example.com/", "http://[127.0.0.1]:%d/",
		"http://127.0.0.1:%d\t/", "http://127.0.0.1 :%d/", "http:\\\\127.0.0.1:%d/", "http:/127.0.0.1:%d/", "http:127.0.0.1:%d/", "http:///127.0.0.1:%d/",
		"//127.0.0.1:%d/", "http://%%31%%32%%37.0.0.1:%d/", "http://127.0.0.1:%d/?url=http://example.com", "http://evil.example:%d/",
		// other schemes
		"ftp://127.0.0.1:%d/", "gopher://127.0.0.1:%d/_x", "file:///etc/passwd", "file://127.0.0.1:%d/x", "ws://127.0.0.1:%d/", "dict://127.0.0.1:%d/",
		"unix:///run/docker.sock", "javascript:fetch('http://127.0.0.1:%d')", "data:text/html,x", "HTTP+unix://127.0.0.1:%d/", "jar:http://127.0.0.1:%d!/",
		"", " ", "http://", "https://:%d/", "http://:80", "?", "#", "http://?x", "mailto:a@127.0.0.1",
	}
	for _, address := range addresses {
		if strings.Contains(address, "%") {
			address = strings.ReplaceAll(fmt.Sprintf(address, pot.port), "%!(EXTRA uint16="+fmt.Sprint(pot.port)+")", "")
		}
		page, err := c.Read(t.Context(), address)
		if err == nil {
			t.Errorf("%q was read: %+v", address, page)
		} else if text := err.Error(); strings.Contains(text, "refused the connection") || strings.Contains(text, "broke the connection") {
			t.Errorf("%q was dialled: %s", address, text)
		}
	}
	if got := pot.contacts.Load(); got != 0 {
		t.Errorf("the honeypot had %d contacts", got)
	}
}

// A name that is public when it is looked at and private when it is dialled gains
// nothing: what is looked at is what is dialled.
func TestRebinding(t *testing.T) {
	t.Parallel()
	pot := newHoneypot(t)
	resolver := newResolver(t, func(name string, nth int) []string {
		switch {
		case strings.HasPrefix(name, "both"): // a public one that does not answer, then a private one
			return []string{"127.0.0.1", "::1", "10.0.0.1"}
		case nth%2 == 1:
			return []string{"127.0.0.1"}
		default:
			return []string{"169.254.169.254", "::1"}
		}
	})
	c := newClient(t, Options{Ports: []uint16{pot.port}, resolver: resolver, timeout: 5 * time.Second})
	for _, host := range []string{"rebind.example", "both.example"} {
		for range 10 {
			if _, err := c.Read(t.Context(), fmt.Sprintf("http://%s:%d/", host, pot.port)); !errors.Is(err, errPrivate) {
				t.Errorf("%s: %v", host, err)
			}
		}
	}
	if got := pot.contacts.Load(); got != 0 {
		t.Errorf("the honeypot had %d contacts", got)
	}
}

// The first hop is allowed, the one that it redirects to is not.
func TestRedirectsAreCheckedHopByHop(t *testing.T) {
	t.Parallel()
	pot := newHoneypot(t)
	to := map[string]string{
		"/loopback": fmt.Sprintf("http://127.0.0.1:%d/", pot.port), "/six": fmt.Sprintf("http://[::1]:%d/", pot.port),
		"/name": fmt.Sprintf("http://localhost:%d/", pot.port), "/number": fmt.Sprintf("http://2130706433:%d/", pot.port),
		"/user": fmt.Sprintf("http://a@127.0.0.1:%d/", pot.port), "/scheme": "file:///etc/passwd", "/relative": fmt.Sprintf("//127.0.0.1:%d/", pot.port),
		"/metadata": "http://169.254.169.254/latest", "/twice": "/loopback", "/dot": fmt.Sprintf("http://127.0.0.1.:%d/", pot.port), "/round": "/round",
	}
	base := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to[r.URL.Path], http.StatusFound) })
	server, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	// The server of the test is allowed by its host and port, as an intranet is.
	c := newClient(t, Options{AllowPrivate: []string{server.Host}, Ports: []uint16{80, pot.port}, timeout: 5 * time.Second})
	for path := range to {
		if page, err := c.Read(t.Context(), base+path); err == nil {
			t.Errorf("%s was read: %+v", path, page)
		} else {
			t.Logf("%-10s %v", path, err)
		}
	}
	if got := pot.contacts.Load(); got != 0 {
		t.Errorf("the honeypot had %d contacts", got)
	}
}

// Where SearXNG is, is for searches; no page is read from there. What is allowed
// for pages is not for the services.
func TestAllowedPlaces(t *testing.T) {
	t.Parallel()
	pot := newHoneypot(t)
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"results":[{"title":"A","url":"https://a.example/","content":"x"}]}`)
	})
	host := strings.TrimPrefix(base, "http://")
	port := host[strings.LastIndexByte(host, ':')+1:]
	resolver := newResolver(t, func(name string, _ int) []string {
		if name == "metadata.lan" {
			return []string{"169.254.169.254"}
		}
		return []string{"127.0.0.1"}
	})
	search := newClient(t, Options{Search: SearXNG, SearXNG: base, resolver: resolver})
	if found, err := search.Search(t.Context(), "x", 5); err != nil || len(found.Results) != 1 {
		t.Errorf("search: %+v, %v", found, err)
	}
	if _, err := search.Read(t.Context(), base); err == nil {
		t.Error("web_extract reached SearXNG")
	}
	tests := []struct {
		allow, address string
		read           bool
	}{
		{host, base, true},
		{host, "http://localhost:" + port, false},
		{"localhost:" + port, "http://LOCALHOST.:" + port, true},
		{"wiki.lan:" + port, "http://wiki.lan:" + port + "/x", true},
		{"wiki.lan:" + port, base, false},
		{"wiki.lan:" + port, "http://a.wiki.lan:" + port, false},
		{"wiki.lan:" + port, fmt.Sprintf("http://wiki.lan:%d/", pot.port), false},
		{"wiki.lan", "http://wiki.lan:" + port, false}, // at the usual ports only
		{"127.0.0.0/8", base, false},                   // the same
		{"metadata.lan:80", "http://metadata.lan/", false},
	}
	for _, test := range tests {
		c := newClient(t, Options{AllowPrivate: []string{test.allow}, resolver: resolver, timeout: 5 * time.Second})
		if _, err := c.Read(t.Context(), test.address); (err == nil) != test.read {
			t.Errorf("%s with %s allowed: %v", test.address, test.allow, err)
		}
	}
	// A range goes with the ports.
	number := netip.MustParseAddrPort(host).Port()
	c := newClient(t, Options{AllowPrivate: []string{"127.0.0.0/8"}, Ports: []uint16{number}})
	if _, err := c.Read(t.Context(), base); err != nil {
		t.Errorf("a range and a port: %v", err)
	}
	// An allowed page is not a place for searches.
	other := newClient(t, Options{Search: Brave, Keys: map[string]string{Brave: "k"}, AllowPrivate: []string{host}, endpoints: endpoints{brave: base}})
	if _, err := other.Search(t.Context(), "x", 5); err == nil || !strings.Contains(err.Error(), "not") {
		t.Errorf("a service at a private address: %v", err)
	}
	if got := pot.contacts.Load(); got != 0 {
		t.Errorf("the honeypot had %d contacts", got)
	}
	for _, bad := range []string{"", "http://x/", "x:0", "x:70000", "a b"} {
		if _, err := New(Options{AllowPrivate: []string{bad}}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	for _, bad := range []string{"ftp://x", "http://", "http://a@b", "::"} {
		if _, err := New(Options{SearXNG: bad}); err == nil {
			t.Errorf("SearXNG at %q was taken", bad)
		}
	}
	if _, err := New(Options{Search: "altavista"}); err == nil {
		t.Error("a service that does not exist was taken")
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"https://go.dev/doc?a=b#c", "https://go.dev/doc?a=b#c"},
		{" go.dev/doc\n", "https://go.dev/doc"},
		{"go.dev:8443/x", "https://go.dev:8443/x"},
		{"HTTP://Go.Dev./", "http://go.dev/"},
		{"https://[2606:4700::1111]/x", "https://[2606:4700::1111]/x"},
		{"https://bücher.example/", "https://b%C3%BCcher.example/"},
		{"mailto:a@b.example", errScheme.Error()},
		{"javascript:alert(1)", errScheme.Error()},
		{"ftp://go.dev", errScheme.Error()},
		{"https://me@go.dev", errUser.Error()},
		{"https://", errHost.Error()},
		{"https://1.2.3.4.5", errHost.Error()},
		{"https://go.dev:", errPort.Error()},
		{"https://go.dev:0", errPort.Error()},
		{"https://go.dev:65536", errPort.Error()},
		{"https://go.dev:http", "cannot be read"},
		{"https://" + strings.Repeat("a", 300), errHost.Error()},
		{"https://go.dev/" + strings.Repeat("a", maxURL), errLong.Error()},
	}
	for _, test := range tests {
		u, err := parse(test.in)
		got := fmt.Sprint(u)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, test.want) {
			t.Errorf("%q: %s, want %s", clip(test.in, 60), got, test.want)
		}
	}
}

// What the check lets through has a host that is no private address, in whatever
// spelling.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{
		"http://127.1/", "http://[::ffff:7f00:1]/", "http://a@b/", "2130706433", "http://0x7f.1", "https://go.dev:443/x?y#z", "http://１２７.0.0.1", "file:x", "http://[fe80::1%25lo]",
	} {
		f.Add(seed)
	}
	c, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(c.Close)
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parse(text)
		if err != nil {
			return
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Hostname() == "" {
			t.Fatalf("%q became %q", text, u)
		}
		again, err := url.Parse(u.String())
		if err != nil || again.Hostname() != u.Hostname() || again.Port() != u.Port() {
			t.Fatalf("%q became %q, whose host is %q when it is read again (%v)", text, u, again, err)
		}
		addr, err := netip.ParseAddr(u.Hostname())
		if c.check(u) == nil && err == nil {
			if addr = addr.Unmap(); addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsMulticast() || addr.IsUnspecified() {
				t.Fatalf("%q leads to %s", text, addr)
			}
		}
	})
}
