package egress

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"hermes/supervisor/egress/guard"
	"hermes/supervisor/egress/wire"
)

// exchange is one request of a worker, whatever it asks for.
type exchange struct {
	server  *Server
	visitor *visitor
	rules   *rules
	w       http.ResponseWriter
	r       *http.Request
	began   time.Time
	// sent counts what goes out; the transport may count on when it has an answer.
	sent  atomic.Int64
	tally *tally // of what a model is asked, else nil
	entry entry
}

// record writes the exchange down.
func (x *exchange) record() {
	x.entry.Time, x.entry.Out = x.began.UTC(), x.sent.Load()
	x.entry.Millis = x.server.opts.Now().Sub(x.began).Milliseconds()
	x.server.audit.add(x.entry)
}

// refuse answers instead of a server, for what may not be.
func (x *exchange) refuse(status int, code wire.Code, words string) {
	x.entry.Verdict, x.entry.Status, x.entry.Reason = verdictRefused, status, words
	x.answer(status, code, words)
}

// fail answers instead of a server that gives no answer. Secrets are taken out of
// what is said of that.
func (x *exchange) fail(err error, reused bool, secrets []string) {
	code, words := classify(err, reused)
	words = redact(words, secrets)
	x.entry.Verdict, x.entry.Reason = verdictFailed, words
	if code == wire.Private || code == wire.Port {
		x.entry.Verdict = verdictRefused
	}
	status := http.StatusBadGateway
	if x.entry.Verdict == verdictRefused {
		status = http.StatusForbidden
		if x.visitor.kind == wire.Tool { // a person reads it
			words = "hermes does not connect to " + clip(net.JoinHostPort(x.entry.Host, x.entry.Port)) + ": " + words +
				"; terminal.allow_private and terminal.ports say what is allowed beside"
		}
	}
	x.answer(status, code, words)
}

func (x *exchange) answer(status int, code wire.Code, words string) {
	header := x.w.Header()
	header.Set(wire.Verdict, string(code))
	header.Set("Content-Type", "text/plain; charset=utf-8")
	x.w.WriteHeader(status)
	_, _ = io.WriteString(x.w, words+"\n")
}

// exhausted says that the profile has used up what it may. To the client of an
// upstream that is what a provider says in this case.
func (x *exchange) exhausted(why string, after time.Duration) {
	x.entry.Verdict, x.entry.Status, x.entry.Reason = verdictRefused, http.StatusTooManyRequests, why
	x.w.Header().Set("Retry-After", strconv.Itoa(int(after/time.Second)+1))
	if x.visitor.kind == wire.API {
		x.problem(http.StatusTooManyRequests, "", why)
		return
	}
	x.answer(http.StatusTooManyRequests, wire.Budget, why)
}

// problem answers as a provider would. The code may be empty.
func (x *exchange) problem(status int, code, words string) {
	body, err := json.Marshal(map[string]any{"error": map[string]any{"message": words, "type": "egress", "code": code}})
	if err != nil {
		body = nil // no string fails to encode
	}
	x.w.Header().Set("Content-Type", "application/json")
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body)
}

// copy hands on what comes, at once if that is wanted, with what is hidden hidden. It
// reports what went wrong with the side that is read from; the other side's matter is
// its own.
func (x *exchange) copy(from io.Reader, hidden mask, atOnce bool) (failed error) {
	buffer, _ := x.server.buffers.Get().(*[32 << 10]byte)
	defer x.server.buffers.Put(buffer)
	flush := http.NewResponseController(x.w)
	for begun := 0; ; {
		n, err := from.Read(buffer[begun:])
		x.entry.In += int64(n)
		if !x.tally.came(buffer[begun : begun+n]) {
			return errSpent
		}
		whole := begun + n
		if begun = hidden.hide(buffer[:whole]); err != nil {
			begun = 0 // nothing follows
		}
		if ready := buffer[:whole-begun]; len(ready) > 0 {
			if _, err := x.w.Write(ready); err != nil {
				return nil // the worker has gone
			}
			if atOnce && flush.Flush() != nil {
				return nil
			}
			copy(buffer[:], buffer[whole-begun:whole])
		}
		if errors.Is(err, io.EOF) {
			x.tally.whole()
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// counted counts what is read.
type counted struct {
	io.ReadCloser

	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// classify says why there is no answer of a server.
func classify(err error, reused bool) (wire.Code, string) {
	var dns *net.DNSError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	closed := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "server closed idle connection")
	switch {
	case guard.IsPort(err):
		return wire.Port, guard.ErrPort.Error()
	case guard.IsPrivate(err):
		return wire.Private, guard.ErrPrivate.Error()
	case errors.As(err, &dns) && dns.IsNotFound:
		return wire.NoHost, "no such host"
	case errors.As(err, &dns):
		return wire.NoLookup, "cannot look up the host: " + dns.Err
	case reused && (closed || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)):
		return wire.Stale, "the connection was closed"
	case closed:
		return wire.Closed, "the connection was closed"
	case errors.Is(err, syscall.ECONNREFUSED):
		return wire.Refused, "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return wire.Reset, "connection reset by peer"
	case errors.Is(err, context.DeadlineExceeded):
		return wire.Timeout, "timed out"
	case errors.As(err, &verify):
		return wire.Untrusted, "its certificate is not trusted: " + verify.Err.Error()
	case errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/":
		return wire.Plain, "the server speaks no TLS; use http:// in its address"
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return wire.Timeout, "timed out"
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return wire.Unreachable, errno.Error()
	}
	return wire.Failed, err.Error()
}
