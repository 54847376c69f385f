package wire

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	// maxWords bounds what egress says of a failure.
	maxWords = 4 << 10
	// connectLimit is how long egress may take to connect somewhere, with the time
	// in which it may have to be started anew.
	connectLimit = 30 * time.Second
)

// Door is a worker's side of the way to egress. It may be used by many goroutines
// at once.
type Door struct {
	fd   int // of the SEQPACKET socket; not owned
	http *http.Transport
}

// NewDoor makes a Door of the descriptor that a worker was given. The descriptor has
// to stay open as long as the Door is used.
func NewDoor(fd int) *Door {
	d := &Door{fd: fd}
	d.http = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.dial(ctx, API) },
		// A generation of egress that is to leave closes those that are kept; a request
		// that meets such an end is sent anew, see copy.
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}
	return d
}

// Upstream is the way to an upstream that the supervisor has named. Of the address
// of a request only path and query count; where that leads, and with which key,
// egress knows.
func (d *Door) Upstream(name string) http.RoundTripper { return upstream{d, name} }

type upstream struct {
	door *Door
	name string
}

// maxStale is how often a request is sent anew because the server had closed the
// connection on which it went out.
const maxStale = 3

// RoundTrip sends a request. A failure to reach the server is the error that it
// would be without egress.
func (u upstream) RoundTrip(req *http.Request) (*http.Response, error) {
	for stale := 0; ; stale++ {
		sent, err := u.copy(req, stale > 0)
		if err != nil {
			return nil, err
		}
		resp, err := u.door.http.RoundTrip(sent)
		if err != nil {
			return nil, err
		}
		code := Code(resp.Header.Get(Verdict))
		if code == "" {
			resp.Request = req
			return resp, nil
		}
		err = refusal(resp, req.URL.Hostname())
		_ = resp.Body.Close()
		replay := req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
		if code != Stale || !replay || stale == maxStale {
			return nil, err
		}
	}
}

// copy is a request as egress gets it.
func (u upstream) copy(req *http.Request, again bool) (*http.Request, error) {
	sent := req.Clone(req.Context())
	sent.URL.Scheme, sent.URL.Host, sent.URL.User = "http", "egress", nil
	sent.Host = ""
	sent.Header.Set(Upstream, u.name)
	// An empty list is not sent, but lets the transport try again when a kept
	// connection turns out to be dead before anything was answered.
	sent.Header["Idempotency-Key"] = nil
	if !again || req.GetBody == nil {
		return sent, nil
	}
	var err error
	sent.Body, err = req.GetBody()
	return sent, err
}

// refusal makes an error of what egress says.
func refusal(resp *http.Response, host string) error {
	words, err := io.ReadAll(io.LimitReader(resp.Body, maxWords))
	if err != nil {
		words = nil // the code says enough
	}
	refused := &RefusalError{Code: Code(resp.Header.Get(Verdict)), Text: strings.TrimSpace(string(words)), host: host}
	switch refused.Code {
	case Refused, Unreachable, NoHost, NoLookup, Timeout:
		return &net.OpError{Op: "dial", Net: "tcp", Err: refused}
	default:
		return refused
	}
}

// DialContext connects to host:port by way of egress, which looks the name up and
// decides whether the address may be dialled.
func (d *Door) DialContext(ctx context.Context, _, address string) (_ net.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	conn, err := d.dial(ctx, Page)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() && err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			_ = conn.Close()
			err = cmp.Or(context.Cause(ctx), err)
		}
	}()
	if strings.ContainsAny(address, " \r\n") {
		return nil, errors.New("the address cannot be read")
	}
	if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", address); err != nil {
		return nil, fmt.Errorf("reach egress: %w", err)
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, fmt.Errorf("reach egress: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		host, _, _ := net.SplitHostPort(address)
		return nil, refusal(resp, host)
	}
	if r.Buffered() > 0 {
		return &begunConn{Conn: conn, r: r}, nil
	}
	return conn, nil
}

// begunConn is a connection of which something has been read already.
type begunConn struct {
	net.Conn

	r *bufio.Reader
}

func (c *begunConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// CloseWrite tells the other side that nothing more comes.
func (c *begunConn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// Close gives up what the Door holds; the descriptor is the caller's.
func (d *Door) Close() { d.http.CloseIdleConnections() }
