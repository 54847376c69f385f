package api

import (
	"net/http"
	"sync"
	"time"
)

const (
	// keepAliveAfter is how long a stream may be silent before it sends a
	// comment. Proxies and clients cut connections that are silent for a minute.
	keepAliveAfter = 10 * time.Second
	keepAliveLine  = ": keepalive\n\n"
)

// stream sends server-sent events. Its methods may be called at the same time.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	// gone is called once, when the client can no longer be written to.
	gone func(error)

	mu       sync.Mutex // guards what follows, and w
	timer    *time.Timer
	sent     time.Time // when something was sent last
	deadline time.Time // of writes, as set last
	err      error     // of the first write that failed
	closed   bool
}

// openStream sends the headers at once, so that clients and proxies know that
// the answer has begun, however long the first word takes.
func openStream(w http.ResponseWriter, gone func(error)) *stream {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	st := &stream{w: w, control: http.NewResponseController(w), gone: gone, sent: time.Now()}
	st.timer = time.AfterFunc(time.Hour, st.keepAlive)
	st.timer.Reset(keepAliveAfter) // only now, as keepAlive uses st.timer
	return st
}

// send writes an event. Without flush it may stay in the buffer until the next
// one. The error is that of the first write that failed.
func (st *stream) send(event []byte, flush bool) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.write(event, flush)
}

func (st *stream) write(event []byte, flush bool) error {
	if st.err != nil {
		return st.err
	}
	now := time.Now()
	if len(event) > 0 {
		st.sent = now
	}
	if now.Add(writeTimeout - time.Second).After(st.deadline) { // at most once a second
		st.deadline = now.Add(writeTimeout)
		_ = st.control.SetWriteDeadline(st.deadline) // not every test's writer has one
	}
	_, err := st.w.Write(event)
	if err == nil && flush {
		err = st.control.Flush()
	}
	if err != nil {
		st.err = err
		st.gone(err)
	}
	return err
}

// keepAlive is called by the timer. It sends a comment if the stream was silent
// for long enough, and looks again later.
func (st *stream) keepAlive() {
	if !st.mu.TryLock() { // something is being sent, perhaps for long
		st.timer.Reset(keepAliveAfter)
		return
	}
	defer st.mu.Unlock()
	if st.closed || st.err != nil {
		return
	}
	wait := keepAliveAfter - time.Since(st.sent)
	if wait <= 0 {
		wait = keepAliveAfter
		if st.write([]byte(keepAliveLine), true) != nil {
			return
		}
	}
	st.timer.Reset(wait)
}

// close ends the stream's use of w. When it returns, nothing touches w any more.
func (st *stream) close() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.closed = true
	st.timer.Stop()
}

// failed reports whether the client can no longer be written to.
func (st *stream) failed() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.err != nil
}
