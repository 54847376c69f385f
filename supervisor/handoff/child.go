package handoff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// acceptLimit is how long the first message may take from its first byte on.
	acceptLimit = 30 * time.Second
	// writeLimit is how long a message may wait for a parent that does not read.
	// The parent may be stopped in a debugger; its children work on.
	writeLimit = time.Second
)

// ErrNoParent is returned by Accept in a process that no supervisor started.
var ErrNoParent = errors.New("a worker is started by a gateway and by nothing else; run: hermes gateway")

// ErrUnused is returned by Accept when the supervisor has gone, or has no use for
// this process, before it belonged to a profile.
var ErrUnused = errors.New("the gateway had no use for this worker")

// Child is the child's side of the control socket. Its methods may be called
// from several goroutines.
type Child struct {
	conn     net.Conn
	messages *Decoder
	every    time.Duration

	writing sync.Mutex // held while a message is written

	listener net.Listener
	// lock is the descriptor of Belongings.Lock. It must end with this process, so it is
	// no *os.File, which would be closed when it is collected.
	lock      int
	egress    int                   // the socket to the egress process, 0 if there is none
	tree, run *os.File              // see Belongings; nil once they were taken
	told      atomic.Pointer[Start] // what the child was told, live settings included

	busy    atomic.Pointer[load]
	walls   atomic.Pointer[Walls] // nil until they were found
	ready   atomic.Bool
	closed  atomic.Bool
	parents atomic.Int32  // counts them
	changed chan struct{} // has room for one: busy or closed was stored
	gone    atomic.Bool   // the parent cannot be reached any more

	draining, hasty, hurry             chan struct{}
	drainingOnce, hastyOnce, hurryOnce sync.Once

	limit atomic.Int64 // of the drain, nanoseconds
	apply func(Live)
	// waits is how it listens for another parent, if it cannot by itself.
	waits Waits
}

// load is how much work there is.
type load struct{ turns, jobs int }

// Accept waits until the parent gives this process to a profile, and takes over what
// it gives: a Start, the listener, the lock. It must be called once, before anything
// else opens a descriptor or starts a process. It returns
// ErrNoParent in a process that was started by hand, and ErrUnused in one that was
// given to nobody. The working directory is the profile's from then on.
//
// Accept also keeps SIGPIPE from ending the process: stdout and stderr are pipes
// to the parent, and a child must be able to finish its turns after the parent
// was killed. The signal is caught, not ignored, since the tools that the worker
// starts would inherit that.
func Accept() (*Child, Start, net.Listener, error) {
	// Looked at before it is wrapped: in a process that was not given this
	// descriptor it may belong to the runtime, which must not lose it.
	if !isSocket(ControlFD) {
		return nil, Start{}, nil, ErrNoParent
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	conn, err := unixConn(os.NewFile(ControlFD, "control"))
	if err != nil {
		return nil, Start{}, nil, ErrNoParent
	}
	c, start, ln, err := accept(conn)
	if err != nil {
		return nil, Start{}, nil, err
	}
	if start.Isolation.Room != "" {
		return c, start, ln, nil // it enters that directory with its room
	}
	if err := os.Chdir(start.Paths.Profile); err != nil { //nolint:forbidigo // the process is one profile's from here on
		return nil, Start{}, nil, errors.Join(fmt.Errorf("enter the profile's directory: %w", err), ln.Close(), c.Close())
	}
	return c, start, ln, nil
}

// accept does the work of Accept. It takes the connection over.
func accept(conn *net.UnixConn) (*Child, Start, net.Listener, error) {
	m, messages, found, err := begin(conn)
	if err != nil {
		return nil, Start{}, nil, errors.Join(err, conn.Close())
	}
	byName, err := m.sorted(found)
	if err != nil {
		found.close()
		return nil, Start{}, nil, errors.Join(fmt.Errorf("read start message: %w", err), conn.Close())
	}
	listener := os.NewFile(uintptr(byName["listener"]), "listener")
	ln, err := net.FileListener(listener)
	if err := errors.Join(err, listener.Close()); err != nil {
		_ = unix.Close(byName["lock"])
		if fd, ok := byName["egress"]; ok {
			_ = unix.Close(fd)
		}
		return nil, Start{}, nil, errors.Join(fmt.Errorf("open listener: %w", err), conn.Close())
	}
	c := newChild(conn, BeatEvery)
	c.messages, c.listener, c.lock = messages, ln, byName["lock"]
	c.egress = byName["egress"]
	for name, to := range map[string]**os.File{"tree": &c.tree, "run": &c.run} {
		if fd, ok := byName[name]; ok {
			*to = os.NewFile(uintptr(fd), name)
		}
	}
	c.told.Store(m.Start)
	return c, *m.Start, ln, nil
}

// begin waits for the first message. The descriptors are the caller's.
func begin(conn *net.UnixConn) (m Message, messages *Decoder, found descriptors, err error) {
	first, found, err := receiveFiles(conn, mostDescriptors)
	defer func() {
		if err != nil {
			found.close()
			err = fmt.Errorf("read start message: %w", err)
		}
	}()
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return m, nil, nil, ErrUnused
	}
	if err == nil {
		err = conn.SetReadDeadline(time.Now().Add(acceptLimit))
	}
	if err != nil {
		return m, nil, found, err
	}
	messages = NewDecoder(io.MultiReader(bytes.NewReader(first), conn))
	m, err = messages.Decode()
	switch {
	case err != nil:
		return m, nil, found, err
	case m.Kind != KindStart:
		return m, nil, found, fmt.Errorf("got a %q message first", m.Kind)
	case m.Start.Version != Version:
		return m, nil, found, fmt.Errorf("the supervisor speaks version %d and this worker version %d; restart the gateway", m.Start.Version, Version)
	}
	return m, messages, found, conn.SetReadDeadline(time.Time{})
}

func newChild(conn net.Conn, every time.Duration) *Child {
	c := &Child{
		conn:     conn,
		messages: NewDecoder(conn),
		every:    every,
		changed:  make(chan struct{}, 1),
		draining: make(chan struct{}),
		hasty:    make(chan struct{}),
		hurry:    make(chan struct{}),
		apply:    func(Live) {},
	}
	c.busy.Store(&load{})
	return c
}

// Egress is the descriptor of the socket to the egress process, 0 without one. Whoever
// uses it uses the number: another parent puts another socket in its place.
func (c *Child) Egress() int { return c.egress }

// Ready tells the parent that requests are being served.
func (c *Child) Ready() error {
	c.ready.Store(true)
	return c.send(Message{Kind: KindReady})
}

// Closed tells the parent that no connection is accepted any more. Like Busy it
// never waits.
func (c *Child) Closed() {
	c.closed.Store(true)
	c.wake()
}

// wake has Run send what has changed.
func (c *Child) wake() {
	select {
	case c.changed <- struct{}{}:
	default: // Run has yet to send, and will send what was just stored
	}
}

// Busy tells the parent how many turns are running, and how many background jobs.
// It never waits: the numbers are sent by Run, and of several that follow each
// other closely only the last may be. It returns an error when the parent is gone.
func (c *Child) Busy(turns, jobs int) error {
	c.busy.Store(&load{turns, jobs})
	c.wake()
	if c.gone.Load() {
		return fmt.Errorf("send busy message: %w", net.ErrClosed)
	}
	return nil
}

// Walls tells the parent what stands around commands. Like Busy it never waits.
func (c *Child) Walls(w Walls) {
	c.walls.Store(&w)
	c.wake()
}

// Draining is closed when the parent asks for a drain, asks for a stop, or is
// gone: take no new requests, finish those that run within the drain timeout,
// and leave.
func (c *Child) Draining() <-chan struct{} { return c.draining }

// DrainLimit is how long the drain may take that the parent has asked for, or 0
// when that is left to the child's own drain timeout.
func (c *Child) DrainLimit() time.Duration { return time.Duration(c.limit.Load()) }

// Apply sets what is called, in Run, with live settings that the parent sends. When
// it has returned, the parent is told so. It must be called before Run.
func (c *Child) Apply(apply func(Live)) { c.apply = apply }

// Hasty is closed when a drain is not to wait for background jobs, which is
// usual.
func (c *Child) Hasty() <-chan struct{} { return c.hasty }

// Hurry is closed when the parent wants it over at once.
func (c *Child) Hurry() <-chan struct{} { return c.hurry }

// remember keeps live settings for the next parent.
func (c *Child) remember(l Live) {
	if start := c.told.Load(); start != nil {
		now := start.With(l)
		c.told.Store(&now)
	}
}

// drains reports whether a drain was asked for.
func (c *Child) drains() bool {
	select {
	case <-c.draining:
		return true
	default:
		return false
	}
}

// join makes another process the parent. It is told again what it may have missed.
func (c *Child) join(a adopter) {
	c.writing.Lock()
	_ = c.conn.Close()
	c.conn = a.conn
	c.messages = NewDecoder(io.MultiReader(bytes.NewReader(a.rest), a.conn))
	c.writing.Unlock()
	c.parents.Add(1)
	if c.ready.Load() {
		_ = c.send(Message{Kind: KindReady}) // one that has died as well is noticed soon
	}
	c.wake()
}

// Run reads messages and sends signs of life. When the parent has died, it waits for
// another one as long as the settings say. It returns nil when the parent is
// gone or ctx has ended, and an error when the parent sends what cannot be
// understood; Draining is closed before it returns for any reason but ctx.
func (c *Child) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		c.writing.Lock()
		defer c.writing.Unlock()
		_ = c.conn.SetReadDeadline(time.Unix(1, 0))
	})
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel() // before the wait
	wg.Go(func() { c.beat(ctx) })

	for {
		m, err := c.messages.Decode()
		if err != nil {
			if ctx.Err() != nil {
				return nil // the deadline above is how ctx ends the reading
			}
			if c.orphaned(ctx) {
				continue
			}
			if ctx.Err() != nil {
				return nil
			}
			c.gone.Store(true)
			c.drain(true)
			if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
				return nil
			}
			return fmt.Errorf("read from supervisor: %w", err)
		}
		switch m.Kind {
		case KindSettings:
			c.apply(*m.Live)
			c.remember(*m.Live)
			_ = c.send(Message{Kind: KindApplied, Revision: m.Revision}) // a parent that is gone needs no answer
		case KindDrain:
			c.limit.Store(int64(m.Limit))
			c.drain(!m.Patient)
		case KindStop:
			c.drain(true)
			c.hurryOnce.Do(func() { close(c.hurry) })
		default: // of a newer supervisor
		}
	}
}

// Close closes the control socket. A worker need not call it: the end of the
// process does the same.
func (c *Child) Close() error { return c.conn.Close() }

// beat sends a sign of life every c.every, and the number of turns when it has
// changed. What cannot be sent is dropped: a parent that is gone is noticed by
// Run, and one that does not read must not stop its child.
func (c *Child) beat(ctx context.Context) {
	ticker := time.NewTicker(c.every)
	defer ticker.Stop()
	var told load
	var walls *Walls
	closed, parents := false, int32(0)
	for {
		beat := false
		select {
		case <-ctx.Done():
			return
		case <-c.changed:
		case <-ticker.C:
			beat = true
		}
		if now := c.parents.Load(); now != parents { // it does not know what was told
			parents, closed, told, walls = now, false, load{-1, -1}, nil
		}
		if now := *c.busy.Load(); now != told {
			if c.send(Message{Kind: KindBusy, Busy: now.turns, Jobs: now.jobs}) == nil {
				told = now
			}
		}
		if now := c.walls.Load(); now != walls && c.send(Message{Kind: KindWalls, Walls: now}) == nil {
			walls = now
		}
		if !closed && c.closed.Load() {
			closed = c.send(Message{Kind: KindClosed}) == nil
		}
		if beat {
			_ = c.send(Message{Kind: KindBeat})
		}
	}
}

func (c *Child) drain(hasty bool) {
	c.drainingOnce.Do(func() { close(c.draining) })
	if hasty {
		c.hastyOnce.Do(func() { close(c.hasty) })
	}
}

// send writes one message. Messages of a child are far smaller than the socket's
// buffer, so a write that hits the deadline has written nothing.
func (c *Child) send(m Message) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return fmt.Errorf("send %s message: %w", m.Kind, err)
	}
	return Encode(c.conn, m)
}
