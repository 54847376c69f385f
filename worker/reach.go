package worker

import (
	"context"
	"net"
	"net/http"
	"os"
	"time"

	outside "hermes/supervisor/egress/wire"
	"hermes/supervisor/handoff"
	"hermes/worker/llm/upstream"
)

// giveLimit is how long a command's connection waits for an egress process.
const giveLimit = 10 * time.Second

// reach is how this worker reaches the outside.
type reach struct {
	// upstream is the way to a server that the settings name, by the name that egress
	// knows it by.
	upstream func(name string) http.RoundTripper
	// dial connects to a host of the web; nil: worker/web does, and decides what may be
	// dialled.
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	// keyless says that the keys are with whoever is asked.
	keyless bool
	// give hands a connection of a command over; nil: nobody takes it.
	give  func(ctx context.Context, conn *net.TCPConn) error
	close func()
}

// newReach is the way over the egress process, or, for a worker that has none, a
// connection of its own.
func newReach(start handoff.Start, child *handoff.Child) reach {
	if start.Egress {
		door := outside.NewDoor(child.Egress())
		return reach{upstream: door.Upstream, dial: door.DialContext, keyless: true, close: door.Close}.giving(door)
	}
	direct := upstream.NewHTTP()
	return reach{upstream: func(string) http.RoundTripper { return direct.Transport }, close: direct.CloseIdleConnections}
}

// giving is the same, with somebody who takes the connections of commands.
func (r reach) giving(door *outside.Door) reach {
	r.give = func(ctx context.Context, conn *net.TCPConn) error { return door.Give(ctx, outside.Tool, conn) }
	return r
}

// proxy serves the proxy of a command until it is stopped, nil if commands are not to
// have one.
func (r reach) proxy() func(*os.File) (stop func(), err error) {
	if r.give == nil {
		return nil
	}
	return func(listener *os.File) (func(), error) {
		ln, err := net.FileListener(listener)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.accept(ctx, ln)
		}()
		return func() {
			cancel()
			_ = ln.Close()
			<-done
		}, nil
	}
}

// accept gives every connection away.
func (r reach) accept(ctx context.Context, ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			ctx, cancel := context.WithTimeout(ctx, giveLimit)
			_ = r.give(ctx, tcp) // the command sees that it is closed
			cancel()
		}
		_ = conn.Close()
	}
}

// client is the HTTP client for an upstream.
func (r reach) client(name string) *http.Client { return &http.Client{Transport: r.upstream(name)} }

// service is the way to a search service, nil if it is asked with a key that is here.
func (r reach) service() func(name string) http.RoundTripper {
	if !r.keyless {
		return nil
	}
	return func(name string) http.RoundTripper { return r.upstream(handoff.SearchWay(name)) }
}

// server is the way to an MCP server with an address, nil if it is asked with
// headers that are here.
func (r reach) server(name string) http.RoundTripper {
	if !r.keyless {
		return nil
	}
	return r.upstream(handoff.MCPWay(name))
}

// local is the way to servers on this machine, by their addresses.
func (r reach) local() http.RoundTripper {
	if !r.keyless {
		return nil
	}
	return localServers{r}
}

type localServers struct{ reach reach }

// RoundTrip sends a request.
func (l localServers) RoundTrip(req *http.Request) (*http.Response, error) {
	return l.reach.upstream(handoff.LocalWay(req.URL.Host)).RoundTrip(req)
}
