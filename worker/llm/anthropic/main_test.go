package anthropic

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
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server that answers /v1/messages, and knows nothing of models
// unless the handler does. It makes a Client of it, with options on top.
func serve(t *testing.T, opts Options, messages http.HandlerFunc) *Client {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/messages", messages)
	return serveAll(t, opts, mux)
}

func serveAll(t *testing.T, opts Options, handler http.Handler) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	opts.BaseURL = server.URL + opts.BaseURL
	if opts.Model == "" {
		opts.Model = "claude-sonnet-5"
	}
	if opts.Name == "" {
		opts.Name = "anthropic"
	}
	client := New(opts)
	t.Cleanup(client.Close)
	return client
}

// say answers with a body.
func say(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }
}

// stream makes a stream of events whose names are their types.
func stream(events ...string) string {
	var b strings.Builder
	for _, e := range events {
		var typed struct {
			Type string `json:"type"`
		}
		_ = json.Unmarshal([]byte(e), &typed)
		b.WriteString("event: " + typed.Type + "\ndata: " + e + "\n\n")
	}
	return b.String()
}

// The events of a stream.
func started() string {
	return `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"claude-sonnet-5","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"output_tokens":1}}}`
}

func block0(index, block string) string {
	return `{"type":"content_block_start","index":` + index + `,"content_block":` + block + `}`
}

func delta0(index, delta string) string {
	return `{"type":"content_block_delta","index":` + index + `,"delta":` + delta + `}`
}

func text0(index, text string) string {
	return delta0(index, `{"type":"text_delta","text":`+text+`}`)
}

func stop0(index string) string { return `{"type":"content_block_stop","index":` + index + `}` }

func stopped(reason string) string {
	return `{"type":"message_delta","delta":{"stop_reason":"` + reason + `","stop_sequence":null},"usage":{"output_tokens":15}}`
}

const (
	ping    = `{"type":"ping"}`
	ended   = `{"type":"message_stop"}`
	textual = `{"type":"text","text":""}`
)

// plain is a stream of one text.
func plain(text string) string {
	return stream(started(), block0("0", textual), ping, text0("0", text), stop0("0"), stopped("end_turn"), ended)
}

// heard is what a Stream gave out.
type heard struct {
	text, thinking string
	events         int
}

// ask sends a request and gathers what comes.
func ask(t *testing.T, client *Client, req llm.Request) (heard, llm.Message, error) {
	t.Helper()
	if req.Messages == nil {
		req.Messages = []llm.Message{llm.TextMessage(llm.User, "hi")}
	}
	var h heard
	message, err := client.Stream(t.Context(), req, func(event llm.Event) error {
		h.events++
		into, literal := &h.text, []byte(nil)
		switch e := event.(type) {
		case llm.Text:
			literal = e.JSON
		case llm.Reasoning:
			into, literal = &h.thinking, e.JSON
		case llm.Retry:
			t.Errorf("a client never retries by itself: %v", e)
			return nil
		}
		var piece string
		if err := json.Unmarshal(literal, &piece); err != nil {
			t.Errorf("%q is no JSON string: %v", literal, err)
		}
		*into += piece
		return nil
	})
	return h, message, err
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
