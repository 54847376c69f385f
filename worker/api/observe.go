package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// statusGone is logged for requests whose client left before the answer. It is
// never sent; the number is the one that nginx made common.
const statusGone = 499

// maxLoggedPath is how much of a path goes into log lines and messages.
const maxLoggedPath = 200

// errGone is returned by handlers whose client has left: there is nobody to
// answer.
var errGone = errors.New("the client has gone")

// observe is the outermost layer: what every answer has in common, one line in
// the log, and the last word on errors and panics.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := s.opts.Now()
		r, w := c.Request(), c.Response()
		h := w.Header()
		id := r.Header.Get(echo.HeaderXRequestID)
		if !saneID(id) {
			id = "req_" + s.opts.NewID()
		}
		h.Set("X-Request-Id", id)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		path := shortPath(r) // canonical changes it
		received := watchBody(w, r)
		counted := s.metrics.request(c)
		status := 0 // of an answer that breaks off
		defer func() { counted(status) }()

		err := s.guarded(next, c)
		switch {
		case errors.Is(err, errGone):
			status = statusGone
		case err != nil && w.Committed:
			s.opts.Log.Error("answer broke off", "request_id", id, "error", err)
			panic(http.ErrAbortHandler)
		case err != nil:
			received.closeAfter(w)
			s.answerError(err, c)
			received.linger(w)
		}
		if status == 0 {
			status = w.Status
		}
		level := slog.LevelInfo
		if r.URL.Path == "/health" || r.URL.Path == "/metrics" { // asked for every few seconds
			level = slog.LevelDebug
		}
		s.opts.Log.LogAttrs(r.Context(), level, "request",
			slog.String("method", r.Method), slog.String("path", path), slog.Int("status", status),
			slog.Float64("duration_ms", float64(s.opts.Now().Sub(began).Microseconds())/1000), slog.Int64("bytes", w.Size), slog.String("request_id", id))
		if status == statusGone {
			// A client that has only stopped sending still reads; it must not
			// take what there is for an answer.
			panic(http.ErrAbortHandler)
		}
		return nil
	}
}

// guarded runs a handler and turns its panic into an error. After the first
// byte there is no error to send any more: the connection is cut, so that half
// an answer does not look like a whole one.
func (s *Server) guarded(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		thrown := recover()
		if thrown == nil {
			return
		}
		if thrown == http.ErrAbortHandler { //nolint:errorlint // net/http compares it the same way
			panic(thrown)
		}
		s.opts.Log.Error("panic in a request", "request_id", requestID(c), "panic", fmt.Sprint(thrown), "stack", string(debug.Stack()))
		if c.Response().Committed {
			panic(http.ErrAbortHandler)
		}
		err = internal(nil)
	}()
	return next(c)
}

// requestID is the id that observe gave the request.
func requestID(c echo.Context) string { return c.Response().Header().Get("X-Request-Id") }

// saneID reports whether an id that a client chose may go into headers, logs
// and the record as it is.
func saneID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	return strings.IndexFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// shortPath is a request's path as it goes into logs and messages. The query is
// left out: keys do end up there.
func shortPath(r *http.Request) string {
	path := r.URL.Path
	if len(path) > maxLoggedPath {
		path = strings.ToValidUTF8(path[:maxLoggedPath], "") + "…"
	}
	return path
}

// writeJSON sends a value of our own types.
func writeJSON(w http.ResponseWriter, status int, value any) { writeBody(w, status, encodeBody(value)) }

// writeBody sends an encoded body with a deadline, so that a client that does not
// read cannot hold the answer for ever. All of it is on its way when it returns, and
// not first when the handler has: what is recorded after it may say so.
func writeBody(w http.ResponseWriter, status int, body []byte) {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(writeTimeout)) // not every test's writer has one
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error means that the client has gone
	_ = control.Flush()  // the same
}

// encodeBody encodes a value of our own types, which can always be encoded.
func encodeBody(value any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(fmt.Sprintf("encode %T: %v", value, err))
	}
	return b.Bytes()
}

// admit turns requests away that come too late. During a drain, one more request
// of each connection is still served, the first or on one that was kept open: the
// client could not know, and where another worker serves it would lose a request
// to a mere change of settings.
func (s *Server) admit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if conn := connOf(c.Request().Context()); conn != nil && conn.ambiguous() {
			c.Response().Header().Set("Connection", "close")
			return invalid("", codeInvalidValue, "The request has both Content-Length and Transfer-Encoding. Send one of them.")
		}
		if s.draining.Load() {
			c.Response().Header().Set("Connection", "close")
			if s.isHurried() {
				return shuttingDown()
			}
		}
		return next(c)
	}
}

func (s *Server) isHurried() bool {
	select {
	case <-s.hurried:
		return true
	default:
		return false
	}
}

// connOf returns the connection that a request came on, or nil.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}
