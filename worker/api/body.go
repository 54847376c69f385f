package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"hermes/worker/openai"
)

const (
	// bodyTimeout is how long a client may pause while it sends a body.
	bodyTimeout = 30 * time.Second
	// lingerTimeout and lingerBytes bound how long and how much of a body is
	// thrown away behind an answer that did not need it.
	lingerTimeout = 10 * time.Second
	lingerBytes   = 256 << 20
	// netHTTPDiscards is how much of an unread body net/http throws away by
	// itself to keep a connection open. Of one that ends with the answer it throws
	// nothing away.
	netHTTPDiscards = 256 << 10
	// firstRead is what is set aside for a body before any of it has arrived.
	// What a client announces is no reason to give it more.
	firstRead = 1 << 20
)

// readJSON reads the body of a request that must hold JSON.
func (s *Server) readJSON(r *http.Request) ([]byte, error) {
	if err := checkMediaType(r.Header); err != nil {
		return nil, err
	}
	limit := s.opts.MaxBodyBytes
	if r.ContentLength > limit && r.Header.Get("Expect") != "" {
		return nil, tooLarge(limit) // the client waits for leave to send it
	}
	var body bytes.Buffer
	if r.ContentLength > 0 {
		body.Grow(int(min(r.ContentLength, limit, firstRead)) + bytes.MinRead)
	}
	_, err := io.Copy(&body, io.LimitReader(r.Body, limit+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, refused(http.StatusRequestTimeout, openai.TypeInvalidRequest, codeTimeout,
			"The body of the request did not arrive: nothing came for %d seconds.", int(bodyTimeout.Seconds()))
	case err != nil && r.Context().Err() != nil:
		return nil, errGone
	case err != nil:
		return nil, invalid("", codeInvalidJSON, "The body of the request ended early or is not framed as HTTP asks for.")
	case int64(body.Len()) > limit:
		return nil, tooLarge(limit)
	}
	return body.Bytes(), nil
}

func tooLarge(limit int64) *failure {
	return refused(http.StatusRequestEntityTooLarge, openai.TypeInvalidRequest, codeTooLarge,
		"The body of the request is larger than the limit of %d bytes (api_server.max_body_bytes). Send fewer or smaller images, or raise the limit.", limit)
}

// checkMediaType refuses bodies that are not plain JSON. A missing Content-Type
// is taken for JSON, as many small clients send none.
func checkMediaType(h http.Header) error {
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return refused(http.StatusUnsupportedMediaType, openai.TypeInvalidRequest, codeMediaType,
			"The body of the request is compressed (Content-Encoding). Send it uncompressed.")
	}
	media := h.Get("Content-Type")
	if media == "" {
		return nil
	}
	kind, params, err := mime.ParseMediaType(media)
	plain := kind == "application/json" || kind == "text/json" || strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json")
	if err != nil || !plain {
		return refused(http.StatusUnsupportedMediaType, openai.TypeInvalidRequest, codeMediaType,
			"The body of the request must be JSON. Add the header: Content-Type: application/json.")
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return refused(http.StatusUnsupportedMediaType, openai.TypeInvalidRequest, codeMediaType,
			"The body of the request must be UTF-8, not the charset that its Content-Type names.")
	}
	return nil
}

// body is a request's body. It ends pauses that are too long, and knows whether
// all of it was read.
type body struct {
	io.ReadCloser
	control  *http.ResponseController
	request  *http.Request
	extended time.Time // when the deadline was set last
	read     bool      // anything at all
	done     bool      // up to its end or an error
	fixed    bool      // the deadline is not moved any more
}

// watchBody puts a body in front of the request's own.
func watchBody(w http.ResponseWriter, r *http.Request) *body {
	b := &body{ReadCloser: r.Body, request: r, done: r.ContentLength == 0}
	if !b.done {
		b.control = http.NewResponseController(w)
		b.extend(time.Now())
		r.Body = b
	}
	return b
}

// Read reads on and gives the client time for the next piece.
func (b *body) Read(p []byte) (int, error) {
	b.read = true
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.done = true
		if errors.Is(err, io.EOF) {
			// From now on net/http watches the connection for the client to
			// leave; that must not run into a deadline.
			_ = b.control.SetReadDeadline(time.Time{})
		}
	} else if now := time.Now(); !b.fixed && now.Sub(b.extended) > time.Second {
		b.extend(now)
	}
	return n, err
}

func (b *body) extend(now time.Time) {
	b.extended = now
	_ = b.control.SetReadDeadline(now.Add(bodyTimeout)) // not every test's writer has one
}

// more reports whether there is more of the body than net/http deals with by
// itself.
func (b *body) more(w http.ResponseWriter) bool {
	return !b.done && (b.request.Close || w.Header().Get("Connection") == "close" || b.request.ContentLength < 0 || b.request.ContentLength > netHTTPDiscards)
}

// closeAfter says that the connection ends with this answer if the body will
// not be read. Call it before the answer is written.
func (b *body) closeAfter(w http.ResponseWriter) {
	if b.more(w) {
		w.Header().Set("Connection", "close")
	}
}

// linger sends the answer and then throws the rest of the body away for a
// while. A client that is still sending reads no answer; closing on it would
// show it a broken connection instead of what was wrong.
func (b *body) linger(w http.ResponseWriter) {
	if !b.more(w) || b.control.Flush() != nil {
		return
	}
	if !b.read && b.request.Header.Get("Expect") != "" {
		return // the client will not send it
	}
	b.fixed = true
	_ = b.control.SetReadDeadline(time.Now().Add(lingerTimeout))
	_, _ = io.CopyN(io.Discard, b, lingerBytes) // whatever ends it, the connection is closed next
}
