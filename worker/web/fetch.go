package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"hermes/supervisor/egress/guard"
)

// answer is what a server sent.
type answer struct {
	url    *url.URL // where the redirects led
	status int
	kind   string // Content-Type as it was sent
	body   []byte
	cut    bool // the body was longer than what is read of it
}

// redirect is asked before each hop of a redirect.
func (c *Client) redirect(request *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("it redirects more than %d times", maxRedirects)
	}
	if err := inspect(request.URL); err != nil {
		return fmt.Errorf("it redirects to %s: %w", shown(request.URL), err)
	}
	return nil
}

// do sends a request and reads limit bytes of the answer at most. Whatever the
// server compressed counts as it is after decompression, so that a small answer
// cannot unfold to a large one.
func (c *Client) do(client *http.Client, request *http.Request, limit int64) (answer, error) {
	request.Header.Set("User-Agent", c.agent)
	response, err := client.Do(request)
	if err != nil {
		return answer{}, explain(request.Context(), err)
	}
	defer response.Body.Close()
	a := answer{url: response.Request.URL, status: response.StatusCode, kind: response.Header.Get("Content-Type")}
	// The transport asks for gzip and takes it off. What is still encoded here was
	// not asked for.
	if encoding := response.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return answer{}, fmt.Errorf("the server compressed its answer with %q, which was not asked for", clip(encoding, 40))
	}
	a.body, err = io.ReadAll(io.LimitReader(response.Body, limit+1))
	if int64(len(a.body)) > limit {
		a.body, a.cut = a.body[:limit], true
		return a, nil
	}
	if err != nil {
		return answer{}, explain(request.Context(), err)
	}
	return a, nil
}

// explain makes a clause for the model of what went wrong on the way.
func explain(ctx context.Context, err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err // without the address, which may be long
	}
	if cause := context.Cause(ctx); ctx.Err() != nil {
		if errors.Is(cause, errSlow) {
			return errSlow
		}
		return cause
	}
	var (
		dns     *net.DNSError
		failure *tls.CertificateVerificationError
	)
	switch {
	case guard.IsPort(err):
		return errPorts
	case guard.IsPrivate(err):
		return errPrivate
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Errorf("there is no host %s", clip(dns.Name, 253))
	case errors.As(err, &dns):
		return errors.New("the name of the host could not be looked up")
	case errors.As(err, &failure):
		return errors.New("the certificate of the server is not valid")
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("the server refused the connection")
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("the server broke the connection off")
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return errSlow
	}
	return errors.New(clip(err.Error(), 300))
}

// errSlow is the cause of a context whose time is over.
var errSlow = errors.New("the server was too slow")

// shown is an address as it may stand in a message.
func shown(u *url.URL) string { return clip(u.Redacted(), 200) }

// clip is the beginning of a text, on one line.
func clip(text string, runes int) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text[:min(len(text), 8*runes)], "")), " ")
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text)
	seen := 0
	for i := range text {
		if seen == runes {
			return text[:i] + "…"
		}
		seen++
	}
	return text
}
