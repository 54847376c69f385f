package llmtest

import "net/http/httptest"

// Upstream is a Handler that listens on a free port of loopback.
type Upstream struct {
	*Handler
	// URL is where it listens, without /v1 and without a slash at its end.
	URL string

	server *httptest.Server
}

// NewUpstream starts an Upstream that answers what the function says; nil means
// Tiny. Close it when it is done with.
func NewUpstream(answer func(Call) Reply) *Upstream {
	handler := NewHandler(answer)
	server := httptest.NewServer(handler)
	return &Upstream{Handler: handler, URL: server.URL, server: server}
}

// Close cuts every connection and stops listening. It returns when no answer is
// being sent any more.
func (u *Upstream) Close() {
	u.server.CloseClientConnections()
	u.server.Close()
}
