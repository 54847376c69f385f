//go:build !linux

package supervisor

import (
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// wakeLook is how long one look for a connection waits.
const wakeLook = 500 * time.Millisecond

// waker waits for connections to profiles that sleep, without accepting them: they
// are for the worker. Each costs a goroutine here.
type waker struct {
	woken func(*member)
	work  sync.WaitGroup

	mu    sync.Mutex // guards stops
	stops map[*member]chan struct{}
}

// newWaker returns a waker that calls woken, from a goroutine of its own, once for
// each await that meets a connection.
func newWaker(woken func(*member)) (*waker, error) {
	return &waker{woken: woken, stops: map[*member]chan struct{}{}}, nil
}

// close ends the waiting.
func (w *waker) close() {
	w.mu.Lock()
	for m, stop := range w.stops {
		close(stop)
		delete(w.stops, m)
	}
	w.mu.Unlock()
	w.work.Wait()
}

// await has woken called when a connection waits at ln. It is a call for one.
func (w *waker) await(m *member, ln *net.TCPListener) {
	w.mu.Lock()
	defer w.mu.Unlock()
	stop := make(chan struct{})
	w.stops[m] = stop
	w.work.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if readable(ln) {
				w.woken(m)
				return
			}
		}
	})
}

// readable waits a moment for a connection. What cannot be waited for counts as
// one: a profile must not sleep for ever.
func readable(ln *net.TCPListener) bool {
	raw, err := ln.SyscallConn()
	if err != nil {
		return true
	}
	n := 0
	control := raw.Control(func(fd uintptr) {
		n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(wakeLook.Milliseconds()))
	})
	return n > 0 || control != nil || err != nil && !errors.Is(err, unix.EINTR)
}

// forget ends an await.
func (w *waker) forget(m *member) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if stop, found := w.stops[m]; found {
		close(stop)
		delete(w.stops, m)
	}
}
