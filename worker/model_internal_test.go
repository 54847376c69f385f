package worker

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"hermes/supervisor/handoff"
	"hermes/worker/llm"
)

// TestEveryProviderIsAskedInItsAPI asks one server that speaks all of them, and
// reads what a health check says before and after.
func TestEveryProviderIsAskedInItsAPI(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/messages":
			io.WriteString(w, `{"type":"message","content":[{"type":"text","text":"messages"}],"stop_reason":"end_turn"}`)
		case "/v1/models/m":
			io.WriteString(w, `{"type":"model","id":"m","max_input_tokens":500,"max_tokens":50,"capabilities":{"image_input":{"supported":true}}}`)
		case "/api/show":
			io.WriteString(w, `{"capabilities":["completion","tools"],"model_info":{"x.context_length":600}}`)
		case "/api/chat":
			io.WriteString(w, `{"message":{"role":"assistant","content":"ollama"},"done":true}`)
		case "/v1/chat/completions":
			io.WriteString(w, `{"choices":[{"message":{"content":"completions"},"finish_reason":"stop"}]}`)
		default:
			t.Errorf("asked %s", r.URL.Path)
		}
	}))
	t.Cleanup(server.Close)
	tests := []struct{ provider, base, text, before, after string }{
		{"anthropic", "", "messages", "", ": context 500 tokens, images"},
		{"anthropic", "/v1", "messages", "", ": context 500 tokens, images"},
		{"ollama", "/v1", "ollama", "", ": context 600 tokens, tools, no images, no thinking"},
		{"openai-compatible", "/v1", "completions", "", ""},
		{"openai", "/v1", "completions", "", ""},
	}
	for _, test := range tests {
		model := handoff.Model{Provider: test.provider, Model: "m", BaseURL: server.URL + test.base, Source: "test"}
		models := newModels(handoff.Start{Model: model}, newReach(handoff.Start{}, nil), "1", slog.New(slog.DiscardHandler))
		state := func() string {
			detail, rest, _ := strings.Cut(models.describe(t.Context()).detail, " (test)")
			if detail != "m at "+model.BaseURL {
				t.Errorf("%s: the health check says %q", test.provider, detail)
			}
			return rest
		}
		before := state()
		req := llm.Request{Messages: []llm.Message{llm.TextMessage(llm.User, "hi")}}
		message, err := models.client.Stream(t.Context(), req, func(llm.Event) error { return nil })
		if err != nil || message.Text() != test.text {
			t.Errorf("%s: got %q, %v", test.provider, message.Text(), err)
		}
		if after := state(); before != test.before || after != test.after {
			t.Errorf("%s: the health check says %q and then %q, want %q and %q", test.provider, before, after, test.before, test.after)
		}
	}
}
