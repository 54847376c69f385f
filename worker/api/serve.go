package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// maxHeaderBytes bounds a request's header.
	maxHeaderBytes = 64 << 10
	// headerTimeout is how long a client may take for a request's header.
	headerTimeout = 10 * time.Second
	// idleTimeout is how long a connection is kept for the next request. The
	// pools of the usual clients keep theirs for less, so that they close first.
	idleTimeout = 150 * time.Second
	// writeTimeout is how long one write may take. There is no limit for the
	// whole answer: a stream may take hours.
	writeTimeout = 30 * time.Second

	// settleTimeout is how long a drain waits for connections that were accepted
	// but have not sent a request. One that has been read takes microseconds;
	// the others are of clients that connect in advance.
	settleTimeout = time.Second
	// keptTimeout is how long a drain leaves connections open that were kept for a
	// next request. Whoever asks often has sent it by then, and is told with the
	// answer to connect anew; a close would have crossed it on its way.
	keptTimeout = 300 * time.Millisecond
	// cutTimeout is how long cancelled turns get to end their answers.
	cutTimeout = 3 * time.Second
)

// errShutdown is the cause with which a drain cancels turns.
var errShutdown = errors.New("the server is shutting down")

// Serve answers requests that come in on l until a drain is over. When ctx ends
// it drains by itself, without waiting for turns. It owns l and returns nil
// after a drain. A Server serves once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
		ConnState:         s.conns.track,
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
	s.mu.Lock()
	s.http, s.listener = server, l
	s.mu.Unlock()
	if s.draining.Load() {
		s.closeListener()
	}

	var watching sync.WaitGroup
	served := make(chan struct{})
	watching.Go(func() {
		select {
		case <-ctx.Done():
			_ = s.Drain(ctx) // whoever drains too gets the error
		case <-served:
		}
	})
	defer watching.Wait()
	defer close(served)

	err := server.Serve(listener{l, s.opts.NewID})
	close(s.accepted)
	if !s.draining.Load() { // the listener broke
		return errors.Join(fmt.Errorf("accept connections: %w", err), server.Close())
	}
	<-s.drained
	return nil
}

// Drain ends a Server without losing an answer: it accepts no more connections,
// answers what was accepted, and waits for running turns. When ctx ends it
// cancels those that still run; their streams get a proper last event, their
// other requests a 503. It returns an error if an answer could not be ended
// properly even so. Calls after the first wait for the same drain and can only
// hurry it.
//
// http.Server.Shutdown alone would not do: it drops requests that were read but
// not yet handed to the handler.
func (s *Server) Drain(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.hurry)
	defer stop()
	if !s.draining.CompareAndSwap(false, true) {
		<-s.drained
		return s.drainErr
	}
	s.drainErr = s.drain()
	close(s.drained)
	return s.drainErr
}

// hurry says that a drain has no time left.
func (s *Server) hurry() { s.hurryOnce.Do(func() { close(s.hurried) }) }

func (s *Server) drain() error {
	server := s.closeListener()
	if server == nil {
		return nil // it never served
	}
	<-s.accepted
	if s.opts.OnClosed != nil {
		s.opts.OnClosed()
	}
	s.conns.wait(s.hurried, time.After(settleTimeout), http.StateNew)
	// Only then the turns: a request can begin one in the background.
	quiet := s.quiet()
	if quiet { // none is idle any more when the last of them has a request, too
		s.conns.wait(s.hurried, time.After(keptTimeout), http.StateIdle)
		quiet = s.quiet()
	}
	if !quiet {
		cut := s.turns.end(errShutdown)
		s.opts.Log.Info("turns cut short by the drain", "turns", cut)
		limit := time.After(cutTimeout)
		quiet = s.conns.wait(nil, limit, http.StateActive) && s.turns.wait(nil, limit)
	}
	if quiet {
		s.working.Wait()
	}
	// What is left are connections that wait for a next request, or for a first.
	if err := server.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close connections: %w", err)
	}
	if !quiet {
		return errors.New("close connections: some clients did not take the end of their answer in time")
	}
	return nil
}

// quiet waits until nothing is being answered and no turn runs, and returns false
// when it is to be hurried before.
func (s *Server) quiet() bool {
	return s.conns.wait(s.hurried, nil, http.StateActive) && s.turns.wait(s.hurried, nil)
}

// closeListener stops accepting, on this copy of the listener only: the
// supervisor's own keeps the port. It returns nil if Serve was not called.
func (s *Server) closeListener() *http.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		_ = s.listener.Close() // a second close is no harm
	}
	return s.http
}
