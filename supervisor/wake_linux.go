package supervisor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// waker waits for connections to profiles that sleep, without accepting them: they
// are for the worker. One goroutine and one descriptor serve any number of them,
// and nothing runs before a connection comes.
type waker struct {
	woken func(*member)
	epoll *os.File // pollable itself, so that the runtime waits for it
	done  chan struct{}

	mu      sync.Mutex // guards what follows
	last    int32
	waiting map[int32]*member
	tokens  map[*member]token
}

// token is how the kernel names a listener that is waited for.
type token struct {
	number   int32
	listener *net.TCPListener
}

// newWaker returns a waker that calls woken, from a goroutine of its own, once for
// each await that meets a connection.
func newWaker(woken func(*member)) (*waker, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		err = unix.SetNonblock(fd, true) // or the runtime would not wait for it
	}
	if err != nil {
		return nil, fmt.Errorf("wait for connections: %w", os.NewSyscallError("epoll_create", err))
	}
	w := &waker{
		woken: woken, epoll: os.NewFile(uintptr(fd), "epoll"), done: make(chan struct{}),
		waiting: map[int32]*member{}, tokens: map[*member]token{},
	}
	go w.run()
	return w, nil
}

// close ends the waiting.
func (w *waker) close() {
	_ = w.epoll.Close()
	<-w.done
}

// await has woken called when a connection waits at ln. It is a call for one.
func (w *waker) await(m *member, ln *net.TCPListener) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last++
	t := token{w.last, ln}
	w.waiting[t.number], w.tokens[m] = m, t
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: t.number}
	if w.control(unix.EPOLL_CTL_ADD, t, &event) != nil { // it would sleep for ever
		delete(w.waiting, t.number)
		go w.woken(m)
	}
}

// forget ends an await. It comes before the listener is closed: the kernel would
// go on as long as a worker has a copy.
func (w *waker) forget(m *member) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, found := w.tokens[m]
	if !found {
		return
	}
	delete(w.waiting, t.number)
	delete(w.tokens, m)
	_ = w.control(unix.EPOLL_CTL_DEL, t, nil)
}

func (w *waker) control(op int, t token, event *unix.EpollEvent) error {
	epoll, err := w.epoll.SyscallConn()
	if err != nil {
		return err
	}
	listener, err := t.listener.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = epoll.Control(func(epfd uintptr) {
		failed = errors.Join(failed, listener.Control(func(fd uintptr) {
			failed = unix.EpollCtl(int(epfd), op, int(fd), event)
		}))
	})
	return errors.Join(err, failed)
}

func (w *waker) run() {
	defer close(w.done)
	epoll, err := w.epoll.SyscallConn()
	if err != nil {
		return
	}
	events := make([]unix.EpollEvent, 64)
	for {
		n := 0
		err := epoll.Read(func(fd uintptr) bool {
			var err error
			n, err = unix.EpollWait(int(fd), events, 0)
			return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
		})
		if err != nil {
			return
		}
		for _, event := range events[:max(n, 0)] {
			w.mu.Lock()
			m := w.waiting[event.Fd]
			delete(w.waiting, event.Fd)
			w.mu.Unlock()
			if m != nil {
				w.woken(m)
			}
		}
	}
}
