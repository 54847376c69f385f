package anthropic

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"hermes/worker/llm"
)

// TestLessons has what servers refuse, with what the next attempt must have and
// must not have, and whether the lesson lasts.
func TestLessons(t *testing.T) {
	t.Parallel()
	half := 0.5
	thought := llm.TextMessage(llm.Assistant, "a")
	thought.Origin, thought.Extras = "anthropic/claude-sonnet-5", map[string]json.RawMessage{extraLayout: json.RawMessage(`[{"type":"thinking","thinking":"t","signature":"s"},"text"]`)}
	tests := []struct {
		name, model, refusal string
		req                  llm.Request
		want, never          string
		lasts                bool
	}{
		{"sampling", "claude-sonnet-4-5", "`temperature` is deprecated for this model.", llm.Request{Temperature: &half}, "", "temperature", true},
		{"a budget", "claude-sonnet-4-5", `"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.`, llm.Request{ReasoningEffort: "low"}, `"type":"adaptive"`, "budget_tokens", true},
		{"adaptive", "claude-opus-4-6", "adaptive thinking is not supported on this model", llm.Request{ReasoningEffort: "low"}, "budget_tokens", "adaptive", true},
		{"thinking off", "claude-sonnet-5", `"thinking.type.disabled" is not supported for this model. Use "thinking.type.between_tools"`, llm.Request{ReasoningEffort: "none"}, `"effort":"low"`, "disabled", true},
		{"showing thoughts", "claude-sonnet-5", "thinking.adaptive.display: Extra inputs are not permitted", llm.Request{}, `"type":"adaptive"}`, "display", true},
		{"effort", "claude-sonnet-5", "output_config.effort: this model does not support the effort parameter", llm.Request{ReasoningEffort: "low"}, "adaptive", "effort", true},
		{"force", "claude-sonnet-5", "tool_choice: forced tool use is not supported for this model", llm.Request{Tools: []llm.ToolSpec{{Name: "a"}}, ToolChoice: "required"}, "Answer by calling a tool.", `"any"`, true},
		{"a schema", "claude-sonnet-5", "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false", llm.Request{ResponseFormat: json.RawMessage(`{"type":"json_schema","json_schema":{"schema":{"type":"object"}}}`)}, "It must follow this JSON schema", "output_config", false},
		{"the limit of an answer", "claude-sonnet-5", "max_tokens: 64000 > 8192, which is the maximum allowed number of output tokens for claude-x", llm.Request{}, `"max_tokens":8192`, "64000", true},
		{"the room for an answer", "claude-sonnet-5", "input length and `max_tokens` exceed context limit: 190000 + 64000 > 200000, decrease input length or `max_tokens` and try again", llm.Request{}, `"max_tokens":10000`, "64000", false},
		{"thoughts that do not fit", "claude-sonnet-5", "messages.1.content.0: Invalid `signature` in `thinking` block", llm.Request{Messages: []llm.Message{llm.TextMessage(llm.User, "q"), thought, llm.TextMessage(llm.User, "r")}}, "", "signature", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var bodies []string
			client := serve(t, Options{Streaming: true, Model: tt.model}, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				mu.Lock()
				bodies = append(bodies, string(body))
				first := len(bodies) == 1 || strings.Contains(string(body), tt.never)
				mu.Unlock()
				if first {
					w.WriteHeader(http.StatusBadRequest)
					message, _ := json.Marshal(tt.refusal)
					io.WriteString(w, `{"type":"error","error":{"type":"invalid_request_error","message":`+string(message)+`}}`)
					return
				}
				io.WriteString(w, plain(`"ok"`))
			})
			for range 2 {
				if got, _, err := ask(t, client, tt.req); err != nil || got.text != "ok" {
					t.Fatalf("got %q, %v", got.text, err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if !strings.Contains(bodies[0], tt.never) || strings.Contains(bodies[1], tt.never) || !strings.Contains(bodies[1], tt.want) {
				t.Errorf("asked\n%s\nthen\n%s", bodies[0], bodies[1])
			}
			if lasts := len(bodies) == 3; lasts != tt.lasts {
				t.Errorf("two calls took %d requests", len(bodies))
			}
		})
	}
}

func TestWhatCannotBeLearnedIsAnError(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		status  int
		headers map[string]string
		body    string
		class   llm.Class
		message string
	}{
		{"wrong key", 401, nil, `{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key sk-ant-0123456789"}}`, llm.Auth, "invalid x-api-key [redacted]"},
		{"no permission", 403, nil, `{"type":"error","error":{"type":"permission_error","message":"no"}}`, llm.Auth, "no"},
		{"billing", 402, nil, `{"type":"error","error":{"type":"billing_error","message":"pay"}}`, llm.Billing, "pay"},
		{"no credit", 400, nil, `{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}`, llm.Billing, "credit balance"},
		{"spent", 400, nil, `{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits."}}`, llm.Billing, "usage limits"},
		{"no such model", 404, nil, `{"type":"error","error":{"type":"not_found_error","message":"model: claude-x"}}`, llm.BadRequest, "claude-x"},
		{"rate limit", 429, map[string]string{"Retry-After": "7"}, `{"type":"error","error":{"type":"rate_limit_error","message":"slow"},"request_id":"req_body"}`, llm.RateLimit, "slow"},
		{"too large", 413, nil, `{"type":"error","error":{"type":"request_too_large","message":"big"}}`, llm.Overflow, "big"},
		{"too long", 400, nil, `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}`, llm.Overflow, "too long"},
		{"no room", 400, nil, `{"type":"error","error":{"type":"invalid_request_error","message":"input length and max_tokens exceed context limit: 199990 + 64000 > 200000"}}`, llm.Overflow, "199990"},
		{"overloaded", 529, map[string]string{"Request-Id": "req_1"}, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, llm.Overloaded, "Overloaded"},
		{"timeout", 504, nil, `{"type":"error","error":{"type":"timeout_error","message":"late"}}`, llm.Overloaded, "late"},
		{"a bad image", 400, nil, `{"type":"error","error":{"type":"invalid_request_error","message":"Could not process image"}}`, llm.BadRequest, "image"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := serve(t, Options{Streaming: true, APIKey: "sk-ant-0123456789"}, func(w http.ResponseWriter, _ *http.Request) {
				for key, value := range tt.headers {
					w.Header().Set(key, value)
				}
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			})
			got, _, err := ask(t, client, llm.Request{})
			e := failed(t, err)
			if e.Class != tt.class || e.Status != tt.status || !strings.Contains(e.Message, tt.message) || got.events > 0 {
				t.Errorf("got %s, %d, %q, %d events", e.Class, e.Status, e.Message, got.events)
			}
			if tt.headers["Retry-After"] != "" && (e.RetryAfter != 7*time.Second || e.RequestID != "req_body") {
				t.Errorf("wait %v, request %q", e.RetryAfter, e.RequestID)
			}
			if id := tt.headers["Request-Id"]; id != "" && !strings.HasSuffix(e.Error(), "(request "+id+")") {
				t.Errorf("%q does not name the request", e.Error())
			}
		})
	}
}
