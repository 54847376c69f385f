package detect

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// maxBody bounds what is read of an answer. A long list of models has some
// hundred kB.
const maxBody = 2 << 20

// caller asks one server.
type caller struct {
	base   string
	client *http.Client
}

func newCaller(address string, transport http.RoundTripper, timeout time.Duration) *caller {
	return &caller{base: "http://" + address, client: &http.Client{
		Transport: transport,
		Timeout:   timeout,
		// Nobody who is looked for redirects, and a redirect could lead away
		// from loopback.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// get reads the JSON object at a path into out.
func (c *caller) get(ctx context.Context, path string, out any) bool {
	return c.call(ctx, http.MethodGet, path, nil, out)
}

// post sends in and reads the JSON object that comes back into out.
func (c *caller) post(ctx context.Context, path string, in, out any) bool {
	body, err := json.Marshal(in)
	return err == nil && c.call(ctx, http.MethodPost, path, body, out)
}

func (c *caller) call(ctx context.Context, method, path string, body []byte, out any) bool {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return err == nil && json.Unmarshal(raw, out) == nil
}
