package openaichat

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"hermes/worker/llm"
)

func TestWithoutAModelTheFirstListedIsUsed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		list   string
		status int
		want   string // the model, or what is wrong
		class  llm.Class
	}{
		{"two", `{"object":"list","data":[{"id":"nomic-embed-text"},{"id":"qwen3:8b"},{"id":"llama"}]}`, 200, "qwen3:8b", ""},
		{"none to talk to", `{"data":[{"id":"whisper-1"}]}`, 200, "lists no model to talk to; set model.default", llm.NoModel},
		{"no list", `{"ok":true}`, 200, `broke its protocol: {"ok":true}`, llm.Malformed},
		{"a page", `<html>`, 200, "broke its protocol", llm.Malformed},
		{"a wrong key", `{"error":{"message":"bad key sk-0123456789"}}`, 401, "bad key [redacted]", llm.Auth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lists := 0
			server := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer sk-0123456789" {
					t.Errorf("headers are %v", r.Header)
				}
				if r.Method == http.MethodGet && r.URL.Path == "/v1/models" {
					lists++
					w.WriteHeader(tt.status)
					io.WriteString(w, tt.list)
					return
				}
				body, _ := io.ReadAll(r.Body)
				if !strings.HasPrefix(string(body), `{"model":"`+tt.want+`",`) {
					t.Errorf("request is %s", body)
				}
				io.WriteString(w, stream(content("a"), finish("stop")))
			})
			client := New(Options{BaseURL: server.server.Host() + "/v1", APIKey: "sk-0123456789", Name: "p"})
			t.Cleanup(client.Close)
			for range 2 {
				_, message, err := ask(t, client, llm.Request{})
				if tt.class != "" {
					if e := failed(t, err); e.Class != tt.class || !strings.Contains(e.Message, tt.want) {
						t.Errorf("error is %s, %q, want %s, %q", e.Class, e.Message, tt.class, tt.want)
					}
					continue
				}
				if err != nil || message.Origin != "p/"+tt.want {
					t.Errorf("origin is %q, %v", message.Origin, err)
				}
			}
			if tt.class == "" && lists != 1 {
				t.Errorf("the list was asked for %d times", lists)
			}
		})
	}
}
