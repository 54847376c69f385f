package web

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loopback are the ranges that tests allow to reach their own servers.
func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// newClient makes a client that is closed at the end of the test.
func newClient(t *testing.T, opts Options) *Client {
	t.Helper()
	c, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// serve answers on loopback.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// honeypot listens on loopback, over IPv4 and IPv6 at the same port, and counts
// who comes.
type honeypot struct {
	port     uint16
	contacts atomic.Int32
}

func newHoneypot(t *testing.T) *honeypot {
	t.Helper()
	h := &honeypot{}
	config := &net.ListenConfig{}
	four, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.port = four.Addr().(*net.TCPAddr).AddrPort().Port()
	listeners := []net.Listener{four}
	if six, err := config.Listen(t.Context(), "tcp6", netip.AddrPortFrom(netip.IPv6Loopback(), h.port).String()); err == nil {
		listeners = append(listeners, six)
	}
	var group sync.WaitGroup
	for _, listener := range listeners {
		group.Go(func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				h.contacts.Add(1)
				_ = conn.Close()
			}
		})
	}
	t.Cleanup(func() {
		for _, listener := range listeners {
			_ = listener.Close()
		}
		group.Wait()
	})
	return h
}

// newResolver is a resolver that asks a DNS server of the test: answer gets the
// name and how often it has been asked for, and returns its addresses.
func newResolver(t *testing.T, answer func(name string, nth int) []string) *net.Resolver {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		asked := map[string]int{}
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil || n < 12 {
				continue
			}
			_, _ = conn.WriteTo(reply(buffer[:n], asked, answer), from)
		}
	})
	t.Cleanup(func() { _ = conn.Close(); group.Wait() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp4", conn.LocalAddr().String())
	}}
}

// reply makes the answer to a question of DNS (RFC 1035).
func reply(question []byte, asked map[string]int, answer func(string, int) []string) []byte {
	var labels []string
	at := 12
	for at < len(question) && question[at] != 0 {
		end := at + 1 + int(question[at])
		labels = append(labels, string(question[at+1:end]))
		at = end
	}
	kind := binary.BigEndian.Uint16(question[at+1:])
	name := strings.Join(labels, ".")
	question = question[:at+5]
	const typeA, typeAAAA = 1, 28
	var records [][]byte
	if kind == typeA || kind == typeAAAA {
		if kind == typeA {
			asked[name]++
		}
		for _, text := range answer(name, max(asked[name], 1)) {
			addr := netip.MustParseAddr(text)
			if addr.Is4() == (kind == typeA) {
				records = append(records, addr.AsSlice())
			}
		}
	}
	out := append([]byte(nil), question...)
	out[2], out[3] = 0x84, 0 // an answer, with authority
	binary.BigEndian.PutUint16(out[4:], 1)
	binary.BigEndian.PutUint16(out[6:], uint16(len(records)))
	binary.BigEndian.PutUint32(out[8:], 0)
	for _, record := range records {
		out = append(out, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(record))) // no time to live
		out = append(out, record...)
	}
	return out
}
