package egress

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"hermes/supervisor/egress/wire"
)

const (
	// maxConns is how many connections a worker may have at a time. What is over it is
	// answered and closed.
	maxConns = 512
	// maxToolConns is how many of them its commands may have: what they hold open must
	// not keep the worker from its model.
	maxToolConns = 384
	// maxHead bounds the head of a request.
	maxHead = 64 << 10
	// headLimit is how long a head may take.
	headLimit = 10 * time.Second
	// punishment is how long nothing is received from a worker that has sent what no
	// worker sends, or more than it may.
	punishment = 10 * time.Millisecond
)

// Options are what a Server is made from.
type Options struct {
	// Audit gets a line of JSON for each request and connection.
	Audit io.Writer
	// Now is the clock, time.Now if nil.
	Now func() time.Time
	// Resolver and Private take the place of the network in tests; see guard.Options.
	Resolver *net.Resolver
	Private  []netip.Prefix
}

// Server serves workers. Their connections come by way of receivers.
type Server struct {
	opts  Options
	audit *audit
	http  *http.Server
	// arrived are connections that have been received; Accept takes them.
	arrived chan net.Conn
	closing chan struct{}
	served  chan struct{} // closed when Serve of http has returned
	buffers sync.Pool
	// visitors counts connections, received and not closed yet.
	visitors sync.WaitGroup

	mu      sync.Mutex // guards the rest
	ways    map[int]*way
	budgets map[string]*budget
	gone    chan struct{} // has room for one: a way is gone
	drained bool
}

// receiver hands out what a worker sends; *wire.Receiver does.
type receiver interface {
	Receive() (wire.Kind, net.Conn, error)
	Close() error
}

// way is the way of one worker.
type way struct {
	server   *Server
	id       int
	profile  string
	receiver receiver
	rules    atomic.Pointer[rules]
	budget   *budget
	conns    atomic.Int32
	tools    atomic.Int32  // of those, the commands'
	over     chan struct{} // closed when nothing is received any more
	bad      atomic.Int64  // messages that no worker sends
}

// visitor is a connection of a worker.
type visitor struct {
	net.Conn

	way  *way
	kind wire.Kind
	once sync.Once
}

// Close closes the connection.
func (v *visitor) Close() error {
	err := net.ErrClosed
	v.once.Do(func() {
		err = v.Conn.Close()
		v.way.count(v.kind, -1)
		v.way.server.visitors.Done()
	})
	return err
}

type visitorKey struct{}

// NewServer makes a Server, which serves at once. Drain and Close end it.
func NewServer(opts Options) *Server {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Server{
		opts: opts, audit: newAudit(opts.Audit), arrived: make(chan net.Conn), closing: make(chan struct{}), served: make(chan struct{}),
		ways: map[int]*way{}, budgets: map[string]*budget{}, gone: make(chan struct{}, 1),
		buffers: sync.Pool{New: func() any { return new([32 << 10]byte) }},
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	s.http = &http.Server{
		Handler: http.HandlerFunc(s.handle), ReadHeaderTimeout: headLimit, IdleTimeout: time.Minute, MaxHeaderBytes: maxHead,
		Protocols: protocols, DisableGeneralOptionsHandler: true,
		ErrorLog: log.New(io.Discard, "", 0), // it tells of what workers do wrong, with their words
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, visitorKey{}, c)
		},
	}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(arrivals{s}) // always http.ErrServerClosed
	}()
	return s
}

// arrivals is the listener of http.
type arrivals struct{ server *Server }

// Accept waits for the next connection.
func (a arrivals) Accept() (net.Conn, error) {
	select {
	case conn := <-a.server.arrived:
		return conn, nil
	case <-a.server.closing:
		return nil, net.ErrClosed
	}
}

// Close does nothing: Drain ends Accept.
func (a arrivals) Close() error { return nil }

// Addr is nothing.
func (a arrivals) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// Serve begins to serve a worker. It takes the receiver over.
func (s *Server) Serve(id int, profile string, table Table, r receiver) error {
	rules, err := s.newRules(table)
	if err != nil {
		return errors.Join(err, r.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drained || s.ways[id] != nil {
		return errors.Join(errors.New("no such worker is expected"), r.Close())
	}
	w := &way{server: s, id: id, profile: profile, receiver: r, over: make(chan struct{}), budget: s.budget(profile)}
	w.budget.set(table.Budget)
	w.rules.Store(rules)
	s.ways[id] = w
	go w.receive()
	return nil
}

// budget is that of a profile. The caller holds mu.
func (s *Server) budget(profile string) *budget {
	if s.budgets[profile] == nil {
		s.budgets[profile] = newBudget(s.opts.Now)
	}
	return s.budgets[profile]
}

// Update replaces what a worker may reach. What runs goes on.
func (s *Server) Update(id int, table Table) error {
	s.mu.Lock()
	w := s.ways[id]
	s.mu.Unlock()
	if w == nil {
		return nil // it is gone already
	}
	rules, err := s.newRules(table)
	if err != nil {
		return err
	}
	w.budget.set(table.Budget)
	if old := w.rules.Swap(rules); old != nil {
		old.close()
	}
	return nil
}

// Forget receives nothing more from a worker.
func (s *Server) Forget(id int) {
	s.mu.Lock()
	w := s.ways[id]
	s.mu.Unlock()
	if w != nil {
		_ = w.receiver.Close()
		<-w.over
	}
}

// Left is how many workers are served, and told of each that goes on a channel.
func (s *Server) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ways)
}

// receive takes connections until the worker is gone.
func (w *way) receive() {
	defer w.remove()
	for {
		kind, conn, err := w.receiver.Receive()
		if bad, ok := errors.AsType[*wire.BadError](err); ok {
			if w.bad.Add(1) == 1 {
				w.server.audit.note("WARN", "profile "+w.profile+": "+clip(bad.Error()))
			}
			<-time.After(punishment)
			continue
		}
		if err != nil {
			return
		}
		w.server.visitors.Add(1)
		v := &visitor{Conn: conn, way: w, kind: kind}
		if !w.count(kind, 1) {
			v.turnAway()
			<-time.After(punishment)
			continue
		}
		w.server.arrived <- v
	}
}

// count takes in that a connection has come or gone, and reports whether there are no
// more than there may be.
func (w *way) count(kind wire.Kind, n int32) bool {
	all := w.conns.Add(n)
	if kind == wire.Tool && w.tools.Add(n) > maxToolConns {
		return false
	}
	return all <= maxConns
}

// turnAway answers without reading.
func (v *visitor) turnAway() {
	_ = v.SetWriteDeadline(time.Now().Add(punishment))
	_, _ = io.WriteString(v, "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"+
		wire.Verdict+": "+string(wire.Budget)+"\r\nContent-Length: 0\r\n\r\n")
	_ = v.Close()
}

// remove takes the way out of the server.
func (w *way) remove() {
	_ = w.receiver.Close()
	s := w.server
	s.mu.Lock()
	delete(s.ways, w.id)
	s.mu.Unlock()
	close(w.over)
	if rules := w.rules.Load(); rules != nil {
		rules.close()
	}
	select {
	case s.gone <- struct{}{}:
	default:
	}
}

// handle answers a request.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	v, ok := r.Context().Value(visitorKey{}).(*visitor)
	if !ok {
		return
	}
	x := &exchange{server: s, visitor: v, rules: v.way.rules.Load(), w: w, r: r, began: s.opts.Now(), entry: entry{
		Profile: v.way.profile, Kind: v.kind.String(), Method: r.Method, Verdict: verdictOK,
	}}
	defer x.record()
	if why, after := v.way.budget.admit(); why != "" {
		x.exhausted(why, after)
		return
	}
	switch {
	case v.kind == wire.API:
		x.api() //nolint:contextcheck // the request has it
	case r.Method == http.MethodConnect:
		x.tunnel() //nolint:contextcheck // the request has it
	case v.kind == wire.Tool:
		x.forward() //nolint:contextcheck // the request has it
	default:
		x.refuse(http.StatusBadRequest, wire.Forbidden, "only CONNECT is understood here")
	}
}

// Drain receives nothing more, waits until everything that was begun has ended, or
// ctx has, and ends the Server.
func (s *Server) Drain(ctx context.Context) {
	s.mu.Lock()
	s.drained = true
	var all []*way
	for _, w := range s.ways {
		all = append(all, w)
	}
	s.mu.Unlock()
	for _, w := range all {
		_ = w.receiver.Close()
	}
	for _, w := range all {
		<-w.over
	}
	// Not Shutdown yet: a request that it finds just read, it drops.
	s.http.SetKeepAlivesEnabled(false)
	over := make(chan struct{})
	go func() {
		s.visitors.Wait()
		close(over)
	}()
	select {
	case <-over:
	case <-ctx.Done(): // the end of the process is that of tunnels too
	}
	close(s.closing)
	_ = s.http.Close() // of listeners that are none, and of what is too late
	<-s.served
	s.audit.close(time.Second)
}

// Used is what each profile has used.
func (s *Server) Used() map[string]Used {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]Used, len(s.budgets))
	for profile, b := range s.budgets {
		all[profile] = b.used()
	}
	return all
}

// Resume goes on with what another generation has counted for a profile.
func (s *Server) Resume(profile string, used Used) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.budget(profile).resume(used)
}
