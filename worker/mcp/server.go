package mcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// How a server that has died is connected to again.
const (
	firstPause = time.Second
	lastPause  = time.Minute
	// steadyAfter is how long a connection has to hold for the next pause to be the
	// first one again.
	steadyAfter = time.Minute
	// patience is how much of a pause a call waits out.
	patience = 3 * time.Second
)

// server is one server, connected or not. It is connected to by whoever needs it
// first; others wait for the same attempt.
type server struct {
	config  Config
	owner   *Servers
	ctx     context.Context //nolint:containedctx // it lives as long as the owner: a connection outlives the turn that wanted it
	log     *slog.Logger
	refresh chan struct{} // has room for one: the tools have changed

	mu       sync.Mutex // guards what follows
	conn     *connection
	attempt  chan struct{} // closed when the attempt that runs has ended; nil if none does
	tried    bool          // an attempt has ended
	failures int           // in a row
	retryAt  time.Time
	err      error // why it is not connected, nil if it never was
	closed   bool
	known    bool // what follows is true of the last connection, whenever that was
	tools    []Tool
	asked    time.Time
}

// connection is one life of a server.
type connection struct {
	session *sdk.ClientSession
	process *process // nil for HTTP
	since   time.Time
	// over is closed when the server is known to be gone, and reason says why then.
	over   chan struct{}
	reason error
}

// errClosed is what a server says that is not to be used any more.
var errClosed = errors.New("the agent stops")

func newServer(ctx context.Context, config Config, owner *Servers) *server {
	return &server{
		config: config, owner: owner, ctx: ctx, log: owner.opts.Log.With("mcp_server", config.Name),
		refresh: make(chan struct{}, 1),
	}
}

func (s *server) isKnown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known
}

// begin begins an attempt to connect, unless one runs, or it is connected, or the
// pause after a failure is not over.
func (s *server) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil && s.attempt == nil && !s.owner.opts.Now().Before(s.retryAt) {
		s.try()
	}
}

// try begins an attempt. The caller holds mu.
func (s *server) try() {
	if s.closed {
		return
	}
	done := make(chan struct{})
	s.attempt = done
	s.owner.wg.Go(func() {
		defer close(done)
		s.connect()
	})
}

// awaitFirst waits for the first attempt at a server that nobody knows.
func (s *server) awaitFirst(ctx context.Context) {
	s.mu.Lock()
	attempt := s.attempt
	skip := s.known || s.tried
	s.mu.Unlock()
	if skip || attempt == nil {
		return
	}
	timer := time.NewTimer(firstWait)
	defer timer.Stop()
	select {
	case <-attempt:
	case <-timer.C:
		s.mu.Lock()
		s.tried = true // no turn waits for it again
		s.mu.Unlock()
	case <-ctx.Done():
	}
}

// connect is one attempt.
func (s *server) connect() {
	ctx, cancel := context.WithTimeout(s.ctx, s.config.ConnectTimeout)
	defer cancel()
	conn, tools, err := s.open(ctx)
	if err != nil && s.ctx.Err() == nil && ctx.Err() != nil {
		err = fmt.Errorf("it gave no answer within %s (connect_timeout)%s", s.config.ConnectTimeout, conn.lastWords())
	}
	s.mu.Lock()
	s.attempt, s.tried = nil, true
	if err == nil && s.closed {
		err = errClosed
	}
	if err != nil {
		s.fail(err)
		s.mu.Unlock()
		conn.close()
		if s.ctx.Err() == nil {
			s.log.Warn("MCP server cannot be used", "error", s.explain(err))
		}
		return
	}
	s.conn, s.err = conn, nil
	s.owner.wg.Go(func() { s.watch(conn) })
	s.mu.Unlock()
	s.log.Info("MCP server is connected", "tools", len(tools))
	s.learn(tools)
}

// fail notes a failure, and when to try again. The caller holds mu.
func (s *server) fail(err error) {
	s.err = err
	s.failures++
	s.retryAt = s.owner.opts.Now().Add(min(lastPause, firstPause<<min(s.failures-1, 10)))
}

// watch waits for the end of a connection, and looks after its tools until then.
func (s *server) watch(conn *connection) {
	ended := make(chan error, 1)
	s.owner.wg.Go(func() { ended <- conn.session.Wait() })
	for {
		select {
		case <-s.refresh:
			s.relist(conn)
		case err := <-ended:
			if err == nil {
				err = errors.New("it ended the connection")
			}
			s.drop(conn, err)
			return
		}
	}
}

// relist asks for the tools anew.
func (s *server) relist(conn *connection) {
	ctx, cancel := context.WithTimeout(s.ctx, s.config.ConnectTimeout)
	defer cancel()
	tools, err := s.listTools(ctx, conn.session)
	if err != nil {
		if s.ctx.Err() == nil {
			s.log.Warn("tools of MCP server cannot be listed again", "error", s.explain(err))
		}
		return
	}
	s.learn(tools)
}

// learn takes the tools that the server has now.
func (s *server) learn(tools []Tool) {
	s.mu.Lock()
	same := s.known && sameTools(s.tools, tools)
	s.known, s.tools, s.asked = true, tools, s.owner.opts.Now()
	s.mu.Unlock()
	if !same {
		s.owner.changed()
	}
}

// drop gives a connection up that has ended. The next one who needs the server
// connects again.
func (s *server) drop(conn *connection, err error) {
	if conn.process != nil {
		if ended := conn.process.endedBy(); ended != nil {
			err = ended
		}
	}
	conn.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(conn.over)
	conn.reason = err
	if s.conn != conn {
		return
	}
	s.conn = nil
	if s.owner.opts.Now().Sub(conn.since) >= steadyAfter {
		s.failures = 0
	}
	if s.closed {
		return
	}
	s.fail(err)
	s.log.Warn("MCP server is gone", "error", s.explain(err))
}

// forget gives a connection up whose session the server has lost. The next one may
// follow at once.
func (s *server) forget(conn *connection) {
	s.mu.Lock()
	if s.conn == conn {
		s.conn = nil
	}
	s.mu.Unlock()
	conn.close()
}

// connected returns the connection that there is, or makes one.
func (s *server) connected(ctx context.Context) (*connection, error) {
	for waited := false; ; waited = true {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return nil, errClosed
		}
		if s.conn != nil {
			defer s.mu.Unlock()
			return s.conn, nil
		}
		if s.attempt == nil && waited {
			defer s.mu.Unlock()
			return nil, errors.New(s.explain(s.err))
		}
		pause := s.retryAt.Sub(s.owner.opts.Now())
		if s.attempt == nil && pause > patience {
			defer s.mu.Unlock()
			return nil, fmt.Errorf("%s; it is tried again in %d s", s.explain(s.err), int(pause.Seconds())+1)
		}
		if s.attempt == nil && pause > 0 {
			s.mu.Unlock()
			if err := sleep(ctx, pause); err != nil {
				return nil, err
			}
			s.mu.Lock()
		}
		if s.conn == nil && s.attempt == nil {
			s.try() //nolint:contextcheck // others may wait for it too
		}
		attempt := s.attempt
		s.mu.Unlock()
		if attempt == nil {
			continue
		}
		select {
		case <-attempt:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// wanted are the tools that the settings let through.
func (s *server) wanted() []Tool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var tools []Tool
	for _, tool := range s.tools {
		if s.config.wants(tool.Remote) {
			tool.Server = s.config.Name
			tools = append(tools, tool)
		}
	}
	return tools
}

// state says how the server is.
func (s *server) state() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := State{Name: s.config.Name, Kind: s.config.Kind(), Status: Idle, Asked: s.asked}
	switch {
	case s.conn != nil:
		state.Status = Connected
	case s.attempt != nil:
		state.Status = Connecting
	case s.err != nil:
		state.Status, state.Reason = Failed, s.explain(s.err)
	}
	return state
}

// close ends the connection for good.
func (s *server) close() {
	s.mu.Lock()
	s.closed = true
	conn := s.conn
	s.mu.Unlock()
	conn.close()
}

// close ends a connection, and its process with all that it has started. It may be
// called again, and on nil.
func (c *connection) close() {
	if c == nil {
		return
	}
	if c.session != nil {
		_ = c.session.Close() // what matters is that it is over
	}
	if c.process != nil {
		_ = c.process.Close()
	}
}

// lastWords is what the process of a connection said last, as a clause, or "".
func (c *connection) lastWords() string {
	if c == nil || c.process == nil {
		return ""
	}
	return c.process.lastWords()
}
