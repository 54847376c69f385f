package openaichat

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"hermes/worker/llm"
	"hermes/worker/llm/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server and makes a Client of it, with options on top.
func serve(t *testing.T, opts Options, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	if opts.BaseURL == "" {
		opts.BaseURL = server.URL + "/v1"
	} else {
		opts.BaseURL = server.URL + opts.BaseURL
	}
	if opts.Model == "" {
		opts.Model = "m"
	}
	client := New(opts)
	t.Cleanup(client.Close)
	return client
}

// say answers with a body.
func say(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		io.WriteString(w, body)
	}
}

// heard is what a Stream gave out.
type heard struct {
	text, thinking string
	events         []llm.Event
}

// ask sends a request of one message and gathers what comes.
func ask(t *testing.T, client *Client, req llm.Request) (heard, llm.Message, error) {
	t.Helper()
	if req.Messages == nil {
		req.Messages = []llm.Message{llm.TextMessage(llm.User, "hi")}
	}
	var h heard
	message, err := client.Stream(t.Context(), req, h.take(t))
	return h, message, err
}

func (h *heard) take(t *testing.T) func(llm.Event) error {
	t.Helper()
	return func(event llm.Event) error {
		var piece string
		switch e := event.(type) {
		case llm.Text:
			if err := json.Unmarshal(e.JSON, &piece); err != nil {
				t.Errorf("text %q is no JSON string: %v", e.JSON, err)
			}
			h.text += piece
			event = llm.Text{JSON: []byte(string(e.JSON)), More: e.More}
		case llm.Reasoning:
			if err := json.Unmarshal(e.JSON, &piece); err != nil {
				t.Errorf("thinking %q is no JSON string: %v", e.JSON, err)
			}
			h.thinking += piece
		case llm.Retry:
			t.Errorf("a client never retries by itself: %v", e)
		}
		h.events = append(h.events, event)
		return nil
	}
}

// failed returns the *llm.Error of a failed call.
func failed(t *testing.T, err error) *llm.Error {
	t.Helper()
	e, ok := errors.AsType[*llm.Error](err)
	if !ok {
		t.Fatalf("error is %v, want an *llm.Error", err)
	}
	return e
}

// encoded is a request as the client would send it.
func (c *Client) encoded(req llm.Request) []byte { return c.encode(c.target.Load(), req, 0) }

// stream makes an event stream of chunks, with [DONE] at its end.
func stream(chunks ...string) string {
	var b strings.Builder
	for _, c := range chunks {
		b.WriteString("data: " + c + "\n\n")
	}
	return b.String() + "data: [DONE]\n\n"
}

// content makes a chunk with text.
func content(text string) string {
	return deltaChunk(`{"content":` + string(upstream.AppendQuoted(nil, text)) + `}`)
}

// deltaChunk makes a chunk around a delta.
func deltaChunk(delta string) string {
	return `{"id":"c1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":` + delta + `,"finish_reason":null}]}`
}

// finish makes the chunk that ends a message.
func finish(reason string) string {
	return `{"id":"c1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"` + reason + `"}]}`
}
