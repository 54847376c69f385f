package egress

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hermes/supervisor/egress/guard"
	"hermes/supervisor/egress/wire"
)

// tunnelIdle is how long a direction of a tunnel may be silent.
const tunnelIdle = 30 * time.Minute

// reach is where this exchange may lead to.
func (x *exchange) reach() *reach {
	if x.visitor.kind == wire.Tool {
		return x.rules.tools
	}
	return x.rules.pages
}

// allowed looks at host and port, and answers if they may not be reached.
func (x *exchange) allowed(host, port string) bool {
	x.entry.Host, x.entry.Port = host, port
	if why := x.reach().permits(host, port); why != "" {
		x.refuse(http.StatusForbidden, wire.Forbidden, "hermes does not connect to "+clip(net.JoinHostPort(host, port))+": "+why)
		return false
	}
	return true
}

// tunnel connects the worker, or its command, with a host.
func (x *exchange) tunnel() {
	host, port, err := net.SplitHostPort(x.r.Host)
	if err != nil {
		x.entry.Host = x.r.Host
		x.refuse(http.StatusBadRequest, wire.Forbidden, "the address has no host or no port")
		return
	}
	host = guard.PlainHost(host)
	if !x.allowed(host, port) {
		return
	}
	server, err := x.reach().dial(x.r.Context(), host, port)
	if err != nil {
		x.fail(err, false, nil)
		return
	}
	defer server.Close()
	client, begun, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		x.entry.Verdict, x.entry.Reason = verdictFailed, "the connection cannot be taken over"
		return
	}
	defer client.Close()
	_ = client.SetDeadline(time.Time{})
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var in atomic.Int64
	spend := func(sum *atomic.Int64) func(int) bool {
		return func(n int) bool {
			sum.Add(int64(n))
			return x.visitor.way.budget.spend(int64(n))
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { x.pump(server, begunReader{begun, client}, client, server, spend(&x.sent)) })
	x.pump(client, server, server, client, spend(&in))
	wg.Wait()
	x.entry.In = in.Load()
}

// begunReader reads a connection of which some has been read already.
type begunReader struct {
	begun io.Reader
	conn  net.Conn
}

func (b begunReader) Read(p []byte) (int, error) { return b.begun.Read(p) }

// pump carries one direction. When it ends, the other side is told; when it fails,
// both connections end.
func (x *exchange) pump(to net.Conn, from io.Reader, source, other net.Conn, spend func(int) bool) {
	buffer, _ := x.server.buffers.Get().(*[32 << 10]byte)
	defer x.server.buffers.Put(buffer)
	for {
		_ = source.SetReadDeadline(time.Now().Add(tunnelIdle))
		n, err := from.Read(buffer[:])
		if n > 0 {
			_ = to.SetWriteDeadline(time.Now().Add(tunnelIdle))
			if _, failed := to.Write(buffer[:n]); failed != nil || !spend(n) {
				_, _ = source.Close(), other.Close()
				return
			}
		}
		if errors.Is(err, io.EOF) {
			if half, ok := to.(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			}
			return
		}
		if err != nil {
			_, _ = source.Close(), other.Close()
			return
		}
	}
}

// CloseWrite tells the worker that nothing more comes.
func (v *visitor) CloseWrite() error {
	if half, ok := v.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return v.Close()
}

// forward sends a request of a command that has its whole address in it.
func (x *exchange) forward() {
	u := x.r.URL
	if u.Scheme != "http" || u.Host == "" {
		x.refuse(http.StatusBadRequest, wire.Forbidden, "this is a proxy: it takes CONNECT, and requests with a whole http address")
		return
	}
	host, port := guard.PlainHost(u.Hostname()), portOf(u)
	if !x.allowed(host, port) {
		return
	}
	out := x.r.Clone(x.r.Context())
	out.RequestURI, out.Close = "", false
	out.URL.Host, out.URL.User, out.Host = net.JoinHostPort(host, port), nil, u.Host
	if port == "80" {
		out.Host = strings.TrimSuffix(u.Host, ":80")
	}
	for name := range x.r.Header {
		if hops(x.r.Header, name) || strings.HasPrefix(name, "Hermes-") {
			delete(out.Header, name)
		}
	}
	if _, set := out.Header["User-Agent"]; !set {
		out.Header["User-Agent"] = nil
	}
	if x.r.ContentLength == 0 {
		out.Body = http.NoBody
	} else {
		out.Body = counted{x.r.Body, &x.sent}
	}
	resp, err := x.reach().http.RoundTrip(out)
	if err != nil {
		x.fail(err, false, nil)
		return
	}
	defer resp.Body.Close()
	defer func() { x.visitor.way.budget.spend(x.sent.Load() + x.entry.In) }()
	x.entry.Status = resp.StatusCode
	for name, values := range resp.Header {
		if !hops(resp.Header, name) && !strings.HasPrefix(name, "Hermes-") {
			x.w.Header()[name] = values
		}
	}
	x.w.WriteHeader(resp.StatusCode)
	if err := x.copy(resp.Body, nil, true); err != nil {
		x.entry.Verdict, x.entry.Reason = verdictFailed, "the answer broke off"
		panic(http.ErrAbortHandler)
	}
}
