package egress

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"hermes/supervisor/egress/wire"
)

const (
	// maxRequest bounds what is sent to an upstream at once: a transcript with images.
	maxRequest = 256 << 20
	// maxFailure bounds what is read of an answer that tells of a failure.
	maxFailure = 64 << 10
	// maxShort is how long an answer is that is not worth handing on in pieces.
	maxShort = 64 << 10
)

// api asks an upstream that the settings name.
func (x *exchange) api() {
	name := x.r.Header.Get(wire.Upstream)
	to := x.rules.upstreams[name]
	if to == nil {
		x.forbid("there is no such upstream", "there is no upstream "+clip(strconv.Quote(name))+" in the settings")
		return
	}
	x.entry.Upstream, x.entry.Host, x.entry.Port = to.Name, to.at.Hostname(), portOf(to.at)
	end, ok := to.allows(x.r.Method, x.r.URL.EscapedPath())
	if !ok {
		x.forbid("no endpoint of it", fmt.Sprintf("%s %s is nothing that %s may be asked for", clip(x.r.Method), clip(x.r.URL.EscapedPath()), to.Name))
		return
	}
	if end.Model && !x.mayAsk() {
		return
	}
	out := x.request(to)
	reused := false
	out = out.WithContext(httptrace.WithClientTrace(x.r.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused },
	}))
	resp, err := x.rules.http.RoundTrip(out)
	if err != nil {
		x.visitor.way.budget.spend(x.sent.Load())
		// A server that fails takes nothing. One that the worker has not waited for does.
		x.tally.settle(&x.entry, x.r.Context().Err() != nil)
		if errors.Is(err, errSpent) {
			x.spent(time.Second)
			return
		}
		x.fail(err, reused, x.rules.secrets)
		return
	}
	defer resp.Body.Close()
	defer func() {
		x.visitor.way.budget.spend(x.sent.Load() + x.entry.In)
		x.tally.settle(&x.entry, resp.StatusCode < 300)
	}()
	x.entry.Status = resp.StatusCode
	x.pass(to, end, resp)
}

// mayAsk begins to count the tokens of a request to a model, or answers that none are
// left.
func (x *exchange) mayAsk() bool {
	b := x.visitor.way.budget
	if after, ok := b.admitModel(); !ok {
		x.spent(after)
		return false
	}
	x.tally = &tally{budget: b, now: x.server.opts.Now, began: x.began}
	return true
}

// spent says that the profile has used up its tokens.
func (x *exchange) spent(after time.Duration) {
	x.entry.Verdict, x.entry.Status, x.entry.Reason = verdictRefused, http.StatusTooManyRequests, spentToday
	x.w.Header().Set("Retry-After", strconv.Itoa(int(after/time.Second)+1))
	x.problem(http.StatusTooManyRequests, wire.TokensSpent, spentToday)
}

// forbid answers as a provider does that does not know a request. What the worker
// asked for, paths above all, is told to it alone.
func (x *exchange) forbid(reason, why string) {
	x.entry.Verdict, x.entry.Status, x.entry.Reason = verdictRefused, http.StatusForbidden, reason
	x.problem(http.StatusForbidden, "", why)
}

// request makes the request that is sent. Of the worker's it has method, path, body
// and a few headers; where it goes and with which keys, the settings say.
func (x *exchange) request(to *target) *http.Request {
	address := &url.URL{Scheme: to.at.Scheme, Host: to.at.Host, Path: x.r.URL.Path, RawPath: x.r.URL.RawPath, RawQuery: to.Query}
	if to.PassQuery {
		address.RawQuery = x.r.URL.RawQuery
	}
	if address.Path == "/" && to.Home != "" {
		address.Path, address.RawPath = to.home.Path, to.home.RawPath
	}
	out := &http.Request{
		Method: x.r.Method, URL: address, Host: to.at.Host, Header: http.Header{}, ContentLength: x.r.ContentLength,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if x.r.ContentLength != 0 {
		out.Body = counted{http.MaxBytesReader(nil, x.r.Body, maxRequest), &x.sent}
		if x.tally != nil {
			out.Body = tallied{out.Body, x.tally}
		}
	}
	for name, values := range x.r.Header {
		if passes(name) {
			out.Header[name] = values
		}
	}
	if _, set := out.Header["User-Agent"]; !set {
		out.Header.Set("User-Agent", "hermes")
	}
	for name, value := range to.Headers {
		if strings.EqualFold(name, "Host") {
			out.Host = value
			continue
		}
		out.Header.Set(name, value)
	}
	return out
}

// passes reports whether a header of a worker goes to an upstream. Those that could
// hold somebody's right to be there do not.
func passes(name string) bool {
	switch name {
	case "Accept", "Content-Type", "User-Agent", "Last-Event-Id", "Anthropic-Version", "Anthropic-Beta":
		return true
	}
	return strings.HasPrefix(name, "Mcp-")
}

// pass hands an answer on, each piece as it comes.
func (x *exchange) pass(to *target, end Endpoint, resp *http.Response) {
	header := x.w.Header()
	for name, values := range resp.Header {
		if hops(resp.Header, name) || name == "Set-Cookie" || name == "Alt-Svc" || strings.HasPrefix(name, "Hermes-") {
			continue
		}
		for _, value := range values {
			header.Add(name, redact(value, x.rules.secrets))
		}
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		x.redirected(to, end, resp)
	}
	if resp.StatusCode >= 300 {
		said, err := io.ReadAll(io.LimitReader(resp.Body, maxFailure))
		if err != nil {
			said = nil // the status says enough
		}
		x.entry.In = int64(len(said))
		said = []byte(redact(string(said), x.rules.secrets))
		header.Set("Content-Length", strconv.Itoa(len(said)))
		x.w.WriteHeader(resp.StatusCode)
		_, _ = x.w.Write(said)
		return
	}
	if resp.ContentLength >= 0 {
		header.Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
	x.w.WriteHeader(resp.StatusCode)
	flush := http.NewResponseController(x.w)
	// A short answer is there as a whole, or nearly: one write for all of it.
	short := resp.ContentLength >= 0 && resp.ContentLength <= maxShort
	if !short && flush.Flush() != nil {
		return
	}
	if err := x.copy(resp.Body, x.rules.hidden, !short); err != nil {
		x.entry.Verdict, x.entry.Reason = verdictFailed, "the answer broke off"
		if errors.Is(err, errSpent) {
			x.entry.Verdict, x.entry.Reason = verdictRefused, spentToday
		}
		_ = flush.Flush()           // what there is of it
		panic(http.ErrAbortHandler) // half an answer must not look whole
	}
}

// redirected notes where an upstream sends the worker. The query stays here: it may
// be the server's own key.
func (x *exchange) redirected(to *target, end Endpoint, resp *http.Response) {
	location, err := resp.Location() // relative to what was sent
	if err != nil {
		return
	}
	to.learn(end, location)
	location.RawQuery, location.User, location.Fragment = "", nil, ""
	x.w.Header().Set("Location", redact(location.String(), x.rules.secrets))
}

// hops reports whether a header is about one connection only.
func hops(header http.Header, name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return slices.ContainsFunc(header["Connection"], func(line string) bool {
		return slices.ContainsFunc(strings.Split(line, ","), func(one string) bool { return strings.EqualFold(strings.TrimSpace(one), name) })
	})
}

func portOf(u *url.URL) string {
	at := withPort(u)
	return at[strings.LastIndexByte(at, ':')+1:]
}
