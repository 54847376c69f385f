package openaichat

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"hermes/worker/llm"
)

func TestFailuresAreSorted(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		status  int
		body    string
		class   llm.Class
		message string
		code    string
	}{
		{"OpenAI, wrong key", 401, `{"error":{"message":"Incorrect API key provided: sk-abc***","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`, llm.Auth, "Incorrect API key provided: sk-abc***", "invalid_api_key"},
		{"xAI, wrong key", 400, `{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***. You can obtain an API key from https://console.x.ai."}`, llm.Auth, "Incorrect API key", "Client specified an invalid argument"},
		{"Google, wrong key", 400, `[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]`, llm.Auth, "API key not valid", "INVALID_ARGUMENT"},
		{"forbidden", 403, `{"message":"Country not supported"}`, llm.Auth, "Country not supported", ""},
		{"OpenAI, no quota", 429, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}`, llm.Billing, "exceeded your current quota", "insufficient_quota"},
		{"Anthropic, no credit", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}`, llm.Billing, "credit balance", "invalid_request_error"},
		{"payment", 402, `{"error":{"message":"Insufficient credits","code":402}}`, llm.Billing, "Insufficient credits", ""},
		{"no such model", 404, `{"error":{"message":"model \"x\" not found, try pulling it first","type":"not_found_error","code":null}}`, llm.BadRequest, "try pulling it first", "not_found_error"},
		{"rate limit", 429, `{"error":{"message":"Rate limit reached for gpt-5: Limit 30000 tokens, reduce the length of the messages","code":"rate_limit_exceeded"}}`, llm.RateLimit, "Rate limit reached", "rate_limit_exceeded"},
		{"timeout", 408, ``, llm.RateLimit, "Request Timeout", ""},
		{"conflict", 409, ``, llm.RateLimit, "Conflict", ""},
		{"too early", 425, ``, llm.RateLimit, "Too Early", ""},
		{"OpenAI, too long", 400, `{"error":{"message":"This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.","code":"context_length_exceeded"}}`, llm.Overflow, "maximum context length", "context_length_exceeded"},
		{"llama.cpp, too long", 400, `{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error","n_ctx":4096}}`, llm.Overflow, "available context size", "exceed_context_size_error"},
		{"llama.cpp of old, too long", 500, `{"error":{"code":500,"message":"the request exceeds the available context size","type":"server_error"}}`, llm.Overflow, "available context size", "server_error"},
		{"LM Studio, too long", 400, `{"error":"Trying to keep the first 4711 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens"}`, llm.Overflow, "4711", ""},
		{"Anthropic, too long", 400, `{"error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}`, llm.Overflow, "prompt is too long", "invalid_request_error"},
		{"Google, too long", 400, `[{"error":{"code":400,"message":"The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]`, llm.Overflow, "1048577", "INVALID_ARGUMENT"},
		{"too large a body", 413, `Request Entity Too Large`, llm.Overflow, "Request Entity Too Large", ""},
		{"Azure, filtered", 400, `{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","code":"content_filter"}}`, llm.ContentFilter, "filtered", "content_filter"},
		{"a limit on the answer is no overflow", 400, `{"error":{"message":"max_tokens is too large: 100000. This model supports at most 16384 completion tokens"}}`, llm.BadRequest, "max_tokens is too large", ""},
		{"FastAPI", 422, `{"detail":[{"loc":["body","messages"],"msg":"field required","type":"value_error"},{"msg":"not a list"}]}`, llm.BadRequest, "field required; not a list", "value_error"},
		{"FastAPI, text", 400, `{"detail":"Bad thing"}`, llm.BadRequest, "Bad thing", ""},
		{"plain text", 400, "bad\n  request\x1b[31m \u202eevil", llm.BadRequest, "bad request[31m evil", ""},
		{"server error", 500, `{"error":{"message":"The server had an error","type":"server_error"}}`, llm.Overloaded, "The server had an error", "server_error"},
		{"bad gateway page", 502, "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>", llm.Overloaded, "an HTML page: 502 Bad Gateway", ""},
		{"unavailable", 503, ``, llm.Overloaded, "Service Unavailable", ""},
		{"Anthropic, overloaded", 529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, llm.Overloaded, "Overloaded", "overloaded_error"},
		{"Cloudflare", 522, ``, llm.Overloaded, "the model server reported an error and did not say which", ""},
		{"not implemented", 501, `{"error":{"message":"no streaming"}}`, llm.BadRequest, "no streaming", ""},
		{"OpenRouter, provider behind it", 400, `{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"tools are not supported\"}}","provider_name":"X"}}}`, llm.BadRequest, "Provider returned error: tools are not supported", ""},
		{"no JSON though it begins so", 400, `{"error":`, llm.BadRequest, `{"error":`, ""},
		{"JSON that says nothing", 400, `{}`, llm.BadRequest, "Bad Request", ""},
		{"a number", 400, `17`, llm.BadRequest, "17", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := serve(t, Options{Streaming: true}, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			})
			got, _, err := ask(t, client, llm.Request{})
			e := failed(t, err)
			if e.Class != tt.class || e.Status != tt.status || e.Code != tt.code || !strings.Contains(e.Message, tt.message) {
				t.Errorf("got %s, %d, code %q, %q, want %s, code %q, %q", e.Class, e.Status, e.Code, e.Message, tt.class, tt.code, tt.message)
			}
			if len(got.events) > 0 {
				t.Errorf("a refused request gave events: %v", got.events)
			}
		})
	}
}

func TestRetryAfterIsRead(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name, header, value string
		want                time.Duration
	}{
		{"seconds", "Retry-After", "3", 3 * time.Second},
		{"parts of a second", "Retry-After", "0.25", 250 * time.Millisecond},
		{"milliseconds", "Retry-After-Ms", "1500", 1500 * time.Millisecond},
		{"a date", "Retry-After", "Sun, 01 Nov 2026 12:00:30 GMT", 30 * time.Second},
		{"a date that is past", "Retry-After", "Sun, 01 Nov 2026 11:00:30 GMT", 0},
		{"for ever", "Retry-After", "1e300", time.Hour},
		{"a negative number", "Retry-After", "-5", 0},
		{"no number", "Retry-After", "NaN", 0},
		{"words", "Retry-After", "soon", 0},
		{"nothing", "X-Other", "1", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := serve(t, Options{Now: func() time.Time { return now }}, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set(tt.header, tt.value)
				w.WriteHeader(http.StatusTooManyRequests)
			})
			_, _, err := ask(t, client, llm.Request{})
			if e := failed(t, err); e.RetryAfter != tt.want || e.Class != llm.RateLimit {
				t.Errorf("got %v, %s, want %v", e.RetryAfter, e.Class, tt.want)
			}
		})
	}
}

func TestErrorsAreShortAndHideTheKey(t *testing.T) {
	t.Parallel()
	const key = "sk-live-0123456789abcdefghij"
	tests := []struct {
		name, body string
		status     int
		want       string
	}{
		{"the whole key", `{"error":{"message":"key ` + key + ` is wrong","code":"bad ` + key + `"}}`, 401, "key [redacted] is wrong"},
		{"most of the key", `{"error":"key ` + key[:20] + `... is wrong"}`, 401, "key [redacted]... is wrong"},
		{"in a page", "<title>" + key + "</title>", 200, "an HTML page: [redacted]"},
		{"in a stream", stream(`{"error":"` + key + `"}`), 200, "[redacted]"},
		{"in a broken chunk", stream(`{"a` + key), 200, "[redacted]"},
		{"endless", strings.Repeat("é", 1<<20), 500, "é…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := serve(t, Options{Streaming: true, APIKey: key}, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			})
			_, _, err := ask(t, client, llm.Request{})
			e := failed(t, err)
			if !strings.Contains(e.Message, tt.want) || len(e.Message) > 1000 {
				t.Errorf("message is %.300q, want %q in it", e.Message, tt.want)
			}
			if all := e.Error() + e.Code; strings.Contains(all, key[:12]) {
				t.Errorf("error %.300q has the key", all)
			}
		})
	}
}
