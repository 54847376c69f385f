package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	"hermes/worker/openai"
)

// connKey is the key of a request's *conn in its context.
type connKey struct{}

// listener hands out connections as *conn.
type listener struct {
	net.Listener
	newID func() string
}

// Accept waits for the next connection.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, newID: l.newID}, nil
}

// conn is one client's connection. It does two things that net/http has no hook
// for: it sees whether a request says its length in two ways, of which net/http
// drops one, and it puts the answers that net/http gives to broken requests into
// the form that all other errors have.
type conn struct {
	net.Conn
	newID func() string
	head  head
}

// Read reads on, and looks at header lines that pass by.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.head.scan(p[:n])
	return n, err
}

// ambiguous reports whether the request that is being handled has both
// Content-Length and Transfer-Encoding. What a proxy in front takes for one
// request may then be two.
func (c *conn) ambiguous() bool { return c.head.length && c.head.encoding }

// Write writes on, and replaces what net/http says to a request that it could
// not read.
func (c *conn) Write(p []byte) (int, error) {
	answer := c.envelope(p)
	if answer == nil {
		return c.Conn.Write(p)
	}
	if _, err := c.Conn.Write(answer); err != nil {
		return 0, err
	}
	return len(p), nil
}

// plainEnd ends the header of net/http's own error answers. Headers that a
// handler sets are sent in alphabetic order, so it fits nothing else.
const plainEnd = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

// envelope returns the answer to send instead, or nil for everything that is no
// such error.
func (c *conn) envelope(p []byte) []byte {
	if !bytes.HasPrefix(p, []byte("HTTP/1.1 4")) && !bytes.HasPrefix(p, []byte("HTTP/1.1 5")) {
		return nil
	}
	head, _, found := bytes.Cut(p, []byte(plainEnd))
	if !found || bytes.ContainsAny(head, "\r\n") {
		return nil
	}
	code, reason, _ := strings.Cut(strings.TrimPrefix(string(head), "HTTP/1.1 "), " ")
	status, err := strconv.Atoi(code)
	if err != nil {
		return nil
	}
	message := "The request is not valid HTTP."
	if _, detail, ok := strings.Cut(reason, ": "); ok {
		message = "The request is not valid HTTP: " + detail + "."
	}
	if status == http.StatusRequestHeaderFieldsTooLarge {
		message = fmt.Sprintf("The header of the request is larger than %d KiB.", maxHeaderBytes>>10)
	}
	body, err := json.Marshal(openai.ErrorBody{Error: openai.Error{
		Message: message, Type: openai.TypeInvalidRequest, Code: "invalid_http",
	}})
	if err != nil {
		return nil
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: %d\r\nContent-Type: application/json\r\n"+
		"Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\nX-Request-Id: req_%s\r\n\r\n%s",
		status, http.StatusText(status), len(body), c.newID(), body)
}

// head watches the header of one request go by.
type head struct {
	line             [len("transfer-encoding:")]byte // how the line begins
	n                int                             // its length, as far as line goes
	length, encoding bool                            // which of the two were seen
	over             bool                            // the header has ended
}

// scan looks at bytes as they are read. After the header it does nothing.
func (h *head) scan(p []byte) {
	for _, b := range p {
		switch {
		case h.over:
			return
		case b == '\n':
			line := bytes.TrimRight(h.line[:h.n], "\r")
			h.over = len(line) == 0
			h.length = h.length || hasPrefixFold(line, "content-length:")
			h.encoding = h.encoding || hasPrefixFold(line, "transfer-encoding:")
			h.n = 0
		case h.n < len(h.line):
			h.line[h.n] = b
			h.n++
		}
	}
}

func hasPrefixFold(line []byte, prefix string) bool {
	return len(line) >= len(prefix) && strings.EqualFold(string(line[:len(prefix)]), prefix)
}
