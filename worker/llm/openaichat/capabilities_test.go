package openaichat

import (
	"io"
	"net/http"
	"testing"

	"hermes/worker/llm"
)

// TestCapabilitiesAreRead has what servers say of a model in their lists.
func TestCapabilitiesAreRead(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, model, list string
		set               int
		want              llm.Capabilities
	}{
		{"OpenAI says nothing, the table does", "gpt-5-mini", `{"id":"gpt-5-mini","object":"model","created":1,"owned_by":"system"}`, 0, llm.Known("gpt-5-mini")},
		{"what was set goes first", "m", `{"id":"m","context_length":9}`, 5, llm.Capabilities{ContextLength: 5}},
		{
			"OpenRouter", "x/m", `{"id":"x/m","context_length":1000,"architecture":{"input_modalities":["text","image"]},"top_provider":{"context_length":1000,"max_completion_tokens":100},"supported_parameters":["tools","temperature"]}`, 0,
			llm.Capabilities{ContextLength: 1000, OutputLimit: 100, Tools: llm.Supported, Vision: llm.Supported, Reasoning: llm.Unsupported},
		},
		{
			"Mistral", "m", `{"id":"m","max_context_length":32768,"capabilities":{"completion_chat":true,"function_calling":true,"vision":false}}`, 0,
			llm.Capabilities{ContextLength: 32_768, Tools: llm.Supported, Vision: llm.Unsupported},
		},
		{"Groq", "m", `{"id":"m","active":true,"context_window":131072,"max_completion_tokens":65536}`, 0, llm.Capabilities{ContextLength: 131_072, OutputLimit: 65_536}},
		{"vLLM", "m", `{"id":"m","owned_by":"vllm","max_model_len":40960}`, 0, llm.Capabilities{ContextLength: 40_960}},
		{"llama.cpp", "m", `{"id":"m","meta":{"n_ctx_train":131072,"n_ctx":8192},"capabilities":["completion"]}`, 0, llm.Capabilities{ContextLength: 8_192}},
		{"numbers that are none", "m", `{"id":"m","context_length":"big","max_model_len":null,"context_window":12}`, 0, llm.Capabilities{ContextLength: 12}},
		{"a model that is not listed", "m", `{"id":"other","context_length":9}`, 0, llm.Capabilities{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			client := serve(t, Options{Model: tt.model, ContextLength: tt.set}, func(w http.ResponseWriter, r *http.Request) {
				asked++
				if r.URL.Path != "/v1/models" {
					t.Errorf("asked %s", r.URL.Path)
				}
				io.WriteString(w, `{"object":"list","data":[`+tt.list+`]}`)
			})
			for range 2 {
				if got := client.Capabilities(t.Context()); got != tt.want || asked != 1 {
					t.Errorf("got %+v after %d questions, want %+v", got, asked, tt.want)
				}
			}
		})
	}
}
