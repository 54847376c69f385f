package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"syscall"
	"time"

	"hermes/worker/llm"
)

// errSilent is the cause when a server has said nothing for too long.
var errSilent = errors.New("the model server is silent")

// ErrEarly is the error of an answer that stops before its end.
var ErrEarly = errors.New("the model's answer ended early")

// EmitError marks an error of emit, which is handed back as it is.
type EmitError struct{ Err error }

func (e *EmitError) Error() string { return e.Err.Error() }

func (e *EmitError) Unwrap() error { return e.Err }

// watch cancels a request whose server is silent for longer than its limit.
type watch struct {
	limit  time.Duration
	timer  *time.Timer
	cancel context.CancelFunc
	silent atomic.Bool // the limit was reached
}

func newWatch(ctx context.Context, limit time.Duration) (context.Context, *watch) {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{limit: limit, cancel: cancel}
	w.timer = time.AfterFunc(limit, func() {
		w.silent.Store(true)
		cancel()
	})
	return ctx, w
}

func (w *watch) stop() {
	w.timer.Stop()
	w.cancel()
}

// watchedBody is a body whose reads are watched. While nobody reads, the server
// cannot be blamed.
type watchedBody struct {
	io.Reader
	watch *watch
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.watch.timer.Reset(b.watch.limit)
	defer b.watch.timer.Stop()
	return b.Reader.Read(p)
}

// broken makes the error of a request that failed on its way. What had been
// classified already, and what emit returned, stays as it is.
func broken(ctx context.Context, w *watch, err error, what string) error {
	if emitted, ok := errors.AsType[*EmitError](err); ok {
		return emitted.Err
	}
	if _, ok := errors.AsType[*llm.Error](err); ok {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("ask model: %w", context.Cause(ctx))
	}
	if w.silent.Load() {
		return &llm.Error{Class: llm.Network, Message: fmt.Sprintf("%s: no sign of life for %s", what, w.limit), Err: errSilent}
	}
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err // the outer error repeats the whole URL
	}
	return &llm.Error{Class: llm.Network, Message: OneLine(what + ": " + reason(err)), Err: err}
}

// reason says in a few words why a connection failed.
func reason(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return "no such host"
		}
		return "cannot look up the host: " + dns.Err
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if verify, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate is not trusted: " + verify.Err.Error()
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "timed out"
	}
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return "the server speaks no TLS; use http:// in model.base_url"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed"
	default:
		return err.Error()
	}
}

// Early says that a body ended before the answer did. Other errors stay.
func Early(err error) error {
	if Ended(err) {
		return ErrEarly
	}
	return err
}

// Ended reports whether a read failed because there is no more.
func Ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
