package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// The versions of the protocol that are asked for, in this order. The newest one
// begins with a message that older servers end at, so it comes second, for servers
// that refuse the first.
const (
	usualVersion  = "2025-11-25"
	newestVersion = "2026-07-28"
)

// open makes a connection and asks for the tools. Beside an error there may be a
// connection, which is to be closed.
func (s *server) open(ctx context.Context) (*connection, []Tool, error) {
	conn, err := s.greet(ctx, usualVersion)
	if refused := (*jsonrpc.Error)(nil); errors.As(err, &refused) && ctx.Err() == nil {
		conn.close()
		conn, err = s.greet(ctx, newestVersion)
	}
	if err != nil {
		return conn, nil, err
	}
	tools, err := s.listTools(ctx, conn.session)
	return conn, tools, err
}

// greet starts the process, or makes the HTTP client, and does the handshake.
func (s *server) greet(ctx context.Context, version string) (*connection, error) {
	conn := &connection{since: s.owner.opts.Now(), over: make(chan struct{})}
	var transport sdk.Transport
	if s.config.URL != "" {
		transport = newHTTPTransport(s.config)
	} else {
		process, err := s.start(ctx)
		if err != nil {
			return conn, err
		}
		conn.process = process
		transport = &sdk.IOTransport{Reader: process.reader(), Writer: process}
	}
	client := sdk.NewClient(&sdk.Implementation{Name: "hermes", Version: s.owner.opts.Version}, &sdk.ClientOptions{
		// Nothing that a server could ask of this side: no roots, no sampling.
		Capabilities:           &sdk.ClientCapabilities{},
		ToolListChangedHandler: func(context.Context, *sdk.ToolListChangedRequest) { s.changedTools() },
	})
	session, err := client.Connect(ctx, transport, &sdk.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		if conn.process != nil && ctx.Err() == nil && !noJSON(err) {
			if ended := conn.process.endedBy(); ended != nil {
				err = ended
			}
		}
		return conn, err
	}
	conn.session = session
	return conn, nil
}

// changedTools is told by the server that its tools are others now.
func (s *server) changedTools() {
	select {
	case s.refresh <- struct{}{}:
	default: // they will be asked for anyway
	}
}

// call calls a tool.
func (s *server) call(ctx context.Context, tool string, arguments json.RawMessage) (Result, error) {
	for again := false; ; again = true {
		conn, err := s.connected(ctx)
		if ctx.Err() != nil {
			return Result{}, context.Cause(ctx)
		}
		if err != nil {
			return Result{Text: fmt.Sprintf("The MCP server %s cannot be reached: %s.", s.config.Name, strings.TrimSuffix(err.Error(), ".")), Failed: true}, nil
		}
		limited, cancel := context.WithTimeout(ctx, s.config.Timeout)
		answer, err := conn.session.CallTool(limited, &sdk.CallToolParams{Name: tool, Arguments: arguments})
		expired := limited.Err() != nil
		cancel()
		switch {
		case err == nil:
			return render(answer), nil
		case ctx.Err() != nil:
			return Result{}, context.Cause(ctx)
		case errors.Is(err, sdk.ErrSessionMissing) && !again:
			s.forget(conn) // it has not run the call, since it knows no such session
			continue
		}
		return Result{Text: s.failure(conn, tool, err, expired), Failed: true}, nil
	}
}

// failure tells a model in a sentence why a call has no result.
func (s *server) failure(conn *connection, tool string, err error, expired bool) string {
	if expired {
		return fmt.Sprintf("The MCP server %s gave no answer to %s within %s; what it has done is unknown.", s.config.Name, tool, s.config.Timeout)
	}
	if refused := (*jsonrpc.Error)(nil); errors.As(err, &refused) {
		return fmt.Sprintf("The MCP server %s refused the call of %s: %s", s.config.Name, tool, s.owner.opts.Redact(cleanText(refused.Message, maxReason)))
	}
	// If the connection has ended with it, who watches that knows more in a moment,
	// and the next call must not find it.
	timer := time.NewTimer(2 * exitWait)
	defer timer.Stop()
	select {
	case <-conn.over:
		err = conn.reason
	case <-timer.C:
	}
	why := s.explain(err)
	return fmt.Sprintf("The MCP server %s broke off while it ran %s, so what it has done is unknown: %s.", s.config.Name, tool, strings.TrimSuffix(why, "."))
}

// maxReason bounds what of a server's words goes into a failure, in bytes.
const maxReason = 1000

// explain says what went wrong, without addresses that may hold keys, and without
// secrets.
func (s *server) explain(err error) string {
	if err == nil {
		return "it is not connected"
	}
	text := err.Error()
	var request *url.Error
	var network *net.OpError
	switch {
	case errors.Is(err, errRedirected):
		text = errRedirected.Error()
	case errors.Is(err, errTooLarge):
		text = errTooLarge.Error()
	case errors.As(err, &network) && network.Op == "dial":
		text = "no connection to its address: " + network.Err.Error()
	case errors.As(err, &request):
		text = request.Err.Error()
	case strings.HasSuffix(text, "Unauthorized"), strings.HasSuffix(text, "Forbidden"):
		text += "; look at its headers in mcp_servers." + s.config.Name
	case noJSON(err):
		text = "it sent what is no JSON: " + text
	}
	return s.owner.opts.Redact(cleanText(strings.Join(strings.Fields(text), " "), maxReason))
}

// noJSON reports whether a connection ended because the server sent what is no
// message. Its process may have ended then because it was left.
func noJSON(err error) bool {
	text := err.Error()
	return strings.Contains(text, "invalid character") || strings.Contains(text, "invalid trailing data")
}
