package upstream

import (
	"net/http"
	"testing"
	"time"

	"hermes/worker/llm"
)

// What servers say of a request that is too long, in their own words.
func TestRefusalsNameTheWindow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, body  string
		limit, sent int
	}{
		{"OpenAI", `{"error":{"message":"This model's maximum context length is 16385 tokens. However, your messages resulted in 20031 tokens. Please reduce the length of the messages.","type":"invalid_request_error","code":"context_length_exceeded"}}`, 16385, 20031},
		{"OpenAI with an answer", `{"error":{"message":"This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (8000 in the messages, 1000 in the completion)."}}`, 8192, 9000},
		{"OpenAI without numbers", `{"error":{"message":"Your input exceeds the context window of this model. Please adjust your input and try again.","code":"context_length_exceeded"}}`, 0, 0},
		{"llama.cpp", `{"error":{"code":400,"message":"request (5120 tokens) exceeds the available context size (4096 tokens), try increasing it","type":"exceed_context_size_error"}}`, 4096, 5120},
		{"Anthropic", `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000 maximum"}}`, 200000, 208310},
		{"Anthropic with an answer", `{"error":{"message":"input length and max_tokens exceed context limit: 195000 + 8192 > 200000, decrease input length or max_tokens and try again"}}`, 200000, 0},
		{"Google", `[{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]`, 1048576, 1200000},
		{"xAI", `{"error":"This model's maximum prompt length is 131072 but the request contains 537812 tokens."}`, 131072, 537812},
		{"LM Studio", `{"error":"Trying to keep the first 4692 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough."}`, 4096, 4692},
		{"Mistral", `{"message":"Prompt contains 40000 tokens, too large for model with 32768 maximum context length"}`, 32768, 40000},
		{"Copilot", `{"error":{"message":"prompt token count of 13613 exceeds the limit of 12288","code":"model_max_prompt_tokens_exceeded"}}`, 12288, 13613},
		{"with commas", `{"error":{"message":"maximum context length is 16,385 tokens, you sent 20,031"}}`, 16385, 20031},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			failed := Failure(http.StatusBadRequest, http.Header{}, []byte(test.body), time.Time{})
			if failed.Class != llm.Overflow || failed.Limit != test.limit || failed.Sent != test.sent {
				t.Errorf("got class %s, limit %d, sent %d; want %d and %d", failed.Class, failed.Limit, failed.Sent, test.limit, test.sent)
			}
		})
	}
	if failed := Failure(http.StatusTooManyRequests, http.Header{}, []byte(`{"error":"limit of 30000 tokens per minute"}`), time.Time{}); failed.Limit != 0 {
		t.Errorf("a limit of the rate was taken for a window of %d", failed.Limit)
	}
}

// Whatever a server says, a length is one that can be worked with.
func FuzzWindow(f *testing.F) {
	f.Add("maximum context length is 16,385 tokens. However, your messages resulted in 20031 tokens")
	f.Add("prompt is too long: 208310 tokens > 99999999999999999999 maximum")
	f.Fuzz(func(t *testing.T, message string) {
		limit, sent := window(message)
		if limit != 0 && limit < leastWindow || limit > 1<<30 || sent != 0 && (limit == 0 || sent <= limit) {
			t.Errorf("limit %d, sent %d", limit, sent)
		}
	})
}
