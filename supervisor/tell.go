package supervisor

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"
)

// tellerRoom is how many things may wait to be told.
const tellerRoom = 1024

// teller speaks to people for goroutines that may not wait. A terminal that was
// stopped with Ctrl-S, or a pipe whose reader sleeps, holds up the teller and
// nobody else; what does not fit is dropped and counted.
type teller struct {
	queue   chan func()
	done    chan struct{} // closed when everything has been told
	dropped atomic.Int64
}

// newTeller returns a teller and starts its goroutine, which close ends.
func newTeller() *teller {
	t := &teller{queue: make(chan func(), tellerRoom), done: make(chan struct{})}
	go func() {
		defer close(t.done)
		for tell := range t.queue {
			if tell == nil { // from close
				return
			}
			tell()
		}
	}()
	return t
}

// tell has fn called, after everything that was told before.
func (t *teller) tell(fn func()) {
	select {
	case t.queue <- fn:
	default:
		t.dropped.Add(1)
	}
}

// flush waits until what was told so far has been said, but at most limit.
func (t *teller) flush(limit time.Duration) {
	said := make(chan struct{})
	t.tell(func() { close(said) })
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-said:
	case <-timer.C:
	}
}

// close waits until everything has been told, but at most limit. What is told
// later is lost.
func (t *teller) close(limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case t.queue <- nil:
	case <-timer.C:
		return
	}
	select {
	case <-t.done:
	case <-timer.C:
	}
}

// logger returns a logger that writes what log would, through the teller.
func (t *teller) logger(log *slog.Logger) *slog.Logger {
	return slog.New(tellerHandler{t, log.Handler()})
}

type tellerHandler struct {
	teller *teller
	next   slog.Handler
}

func (h tellerHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h tellerHandler) Handle(ctx context.Context, r slog.Record) error {
	r, ctx = r.Clone(), context.WithoutCancel(ctx)
	if n := h.teller.dropped.Swap(0); n > 0 {
		r.AddAttrs(slog.String("before_this", fmt.Sprintf("%d messages dropped", n)))
	}
	h.teller.tell(func() {
		_ = h.next.Handle(ctx, r) // a log that cannot be written has nowhere to say so
	})
	return nil
}

func (h tellerHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return tellerHandler{h.teller, h.next.WithAttrs(attrs)}
}

func (h tellerHandler) WithGroup(name string) slog.Handler {
	return tellerHandler{h.teller, h.next.WithGroup(name)}
}

// writer returns a function that writes lines to w, through the teller.
func (t *teller) writer(w io.Writer) func(string) {
	return func(line string) {
		t.tell(func() { _, _ = io.WriteString(w, line) }) // nobody reads, nobody misses it
	}
}
