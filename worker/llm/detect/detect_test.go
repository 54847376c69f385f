package detect

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nowhere leaves every server out.
// Servers get more time than usual, because a busy machine is no reason to fail.
func nowhere() Options {
	return Options{Ollama: "-", LlamaCPP: "-", LMStudio: "-", VLLM: "-", Timeout: 10 * time.Second}
}

// at starts a server of fixed answers and returns its address. What is not
// listed is 404.
func at(t *testing.T, answers map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		path := r.URL.Path
		if r.Method == http.MethodPost {
			var show struct{ Model string }
			json.Unmarshal(body, &show)
			path += " " + show.Model
		}
		answer, ok := answers[path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

const (
	ollamaTags    = `{"models":[{"name":"nomic-embed-text:latest","digest":"d1"},{"name":"gemma3:4b","digest":"d2"},{"name":"qwen3:8b","digest":"d3"}]}`
	llamaModels   = `{"object":"list","data":[{"id":"qwen.gguf","object":"model","created":1,"owned_by":"llamacpp","meta":{"n_ctx_train":131072}}]}`
	studioModels  = `{"models":[{"type":"embedding","key":"nomic","loaded_instances":[{"id":"nomic"}]},{"type":"llm","key":"gemma","loaded_instances":[],"max_context_length":8192,"capabilities":{"vision":true,"trained_for_tool_use":false}},{"type":"llm","key":"qwen/qwen3","loaded_instances":[{"id":"qwen/qwen3","config":{"context_length":4096}}],"max_context_length":131072,"capabilities":{"trained_for_tool_use":true}}]}`
	studioModels0 = `{"object":"list","data":[{"id":"nomic","type":"embeddings","state":"loaded"},{"id":"gemma","type":"vlm","state":"not-loaded","max_context_length":8192,"capabilities":["tool_use"]},{"id":"qwen","type":"llm","state":"loaded","max_context_length":131072,"loaded_context_length":4096}]}`
	vllmModels    = `{"object":"list","data":[{"id":"Qwen/Qwen3-8B","object":"model","created":1,"owned_by":"vllm","root":"Qwen/Qwen3-8B","max_model_len":40960}]}`
	hermesModels  = `{"object":"list","data":[{"id":"alice","object":"model","created":1,"owned_by":"hermes"}]}`
)

func ollamaAnswers() map[string]string {
	return map[string]string{
		"/api/version":                      `{"version":"0.12.3"}`,
		"/api/tags":                         ollamaTags,
		"/api/show nomic-embed-text:latest": `{"capabilities":["embedding"],"model_info":{"nomic-bert.context_length":2048}}`,
		"/api/show gemma3:4b":               `{"capabilities":["completion","vision"],"model_info":{"gemma3.context_length":131072}}`,
		"/api/show qwen3:8b":                `{"capabilities":["completion","tools","thinking"],"parameters":"stop \"<|im_end|>\"\nnum_ctx 16384\n","model_info":{"general.architecture":"qwen3","qwen3.context_length":40960}}`,
	}
}

func TestLocalServersAreFound(t *testing.T) {
	t.Parallel()
	old := ollamaAnswers()
	for path := range old {
		if strings.HasPrefix(path, "/api/show") {
			old[path] = `{"model_info":{"x.context_length":8192}}`
		}
	}
	tests := []struct {
		name    string
		where   func(*Options) *string
		answers map[string]string
		want    Found // without address
	}{
		{
			"Ollama", func(o *Options) *string { return &o.Ollama }, ollamaAnswers(),
			Found{Provider: "ollama", Name: "Ollama", Model: "qwen3:8b", ContextLength: 16384, Tools: true},
		},
		{
			"Ollama without a model for tools", func(o *Options) *string { return &o.Ollama },
			map[string]string{"/api/version": `{"version":"1"}`, "/api/tags": ollamaTags, "/api/show gemma3:4b": ollamaAnswers()["/api/show gemma3:4b"]},
			Found{Provider: "ollama", Name: "Ollama", Model: "gemma3:4b", ContextLength: 131072},
		},
		{
			"an old Ollama", func(o *Options) *string { return &o.Ollama }, old,
			Found{Provider: "ollama", Name: "Ollama", Model: "gemma3:4b", ContextLength: 8192},
		},
		{
			"llama.cpp", func(o *Options) *string { return &o.LlamaCPP },
			map[string]string{"/v1/models": llamaModels, "/props": `{"default_generation_settings":{"n_ctx":32768},"chat_template":"{% if tools %}…"}`},
			Found{Provider: "openai-compatible", Name: "llama.cpp", Model: "qwen.gguf", ContextLength: 32768, Tools: true},
		},
		{
			"llama.cpp without properties", func(o *Options) *string { return &o.LlamaCPP },
			map[string]string{"/v1/models": llamaModels},
			Found{Provider: "openai-compatible", Name: "llama.cpp", Model: "qwen.gguf"},
		},
		{
			"LM Studio", func(o *Options) *string { return &o.LMStudio },
			map[string]string{"/api/v1/models": studioModels, "/api/v0/models": studioModels0},
			Found{Provider: "openai-compatible", Name: "LM Studio", Model: "qwen/qwen3", ContextLength: 4096, Tools: true},
		},
		{
			"an old LM Studio", func(o *Options) *string { return &o.LMStudio },
			map[string]string{"/api/v0/models": studioModels0},
			Found{Provider: "openai-compatible", Name: "LM Studio", Model: "qwen", ContextLength: 4096},
		},
		{
			"vLLM", func(o *Options) *string { return &o.VLLM },
			map[string]string{"/v1/models": vllmModels},
			Found{Provider: "openai-compatible", Name: "vLLM", Model: "Qwen/Qwen3-8B", ContextLength: 40960},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			opts, address := nowhere(), at(t, tt.answers)
			*tt.where(&opts) = address
			tt.want.BaseURL, tt.want.Source = "http://"+address+"/v1", tt.want.Name+" found at http://"+address
			got, ok, err := Local(t.Context(), opts)
			if err != nil || !ok || got != tt.want {
				t.Errorf("Local = %+v, %v, %v, want %+v", got, ok, err, tt.want)
			}
		})
	}
}

func TestOtherServersAreLeftAlone(t *testing.T) {
	t.Parallel()
	page := `<!doctype html><title>My app</title>`
	tests := []struct {
		name    string
		answers map[string]string
	}{
		{"404 for everything", nil},
		{"a page for everything", map[string]string{"/api/version": page, "/api/tags": page, "/v1/models": page, "/props": page, "/api/v0/models": page, "/api/v1/models": page}},
		{"hermes", map[string]string{"/v1/models": hermesModels}},
		{"another OpenAI-compatible server", map[string]string{"/v1/models": `{"object":"list","data":[{"id":"gpt-5","object":"model","owned_by":"openai"}]}`}},
		{"models of several owners", map[string]string{"/v1/models": `{"data":[{"id":"a","owned_by":"vllm"},{"id":"b","owned_by":"hermes"}]}`}},
		{"empty lists", map[string]string{"/api/version": `{"version":"1"}`, "/api/tags": `{"models":[]}`, "/v1/models": `{"data":[]}`, "/api/v1/models": `{"models":[]}`, "/api/v0/models": `{"data":[]}`}},
		{"a version and no models", map[string]string{"/api/version": `{"version":"1"}`, "/api/tags": `{"ok":true}`}},
		{"embeddings alone", map[string]string{"/api/version": `{"version":"1"}`, "/api/tags": `{"models":[{"name":"nomic-embed-text","digest":"d"}]}`}},
		{"other JSON", map[string]string{"/api/version": `"1"`, "/api/tags": `[]`, "/v1/models": `[]`, "/api/v0/models": `7`, "/api/v1/models": `{"models":{}}`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address := at(t, tt.answers)
			got, ok, err := Local(t.Context(), Options{Ollama: address, LlamaCPP: address, LMStudio: address, VLLM: address})
			if ok || err != nil {
				t.Errorf("Local = %+v, %v, %v, want nothing", got, ok, err)
			}
		})
	}
}

func TestTheOrderIsFixed(t *testing.T) {
	t.Parallel()
	opts := Options{
		Timeout:  10 * time.Second,
		Ollama:   at(t, ollamaAnswers()),
		LlamaCPP: at(t, map[string]string{"/v1/models": llamaModels}),
		LMStudio: at(t, map[string]string{"/api/v1/models": studioModels}),
		VLLM:     at(t, map[string]string{"/v1/models": vllmModels}),
	}
	for _, want := range []string{"Ollama", "llama.cpp", "LM Studio", "vLLM"} {
		got, ok, err := Local(t.Context(), opts)
		if err != nil || !ok || got.Name != want {
			t.Errorf("Local = %+v, %v, %v, want %s", got, ok, err, want)
		}
		switch want {
		case "Ollama":
			opts.Ollama = "-"
		case "llama.cpp":
			opts.LlamaCPP = "-"
		case "LM Studio":
			opts.LMStudio = "-"
		}
	}
}

// TestServersThatHangOrFlood must not hold up or fill up the one who looks.
func TestServersThatHangOrFlood(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		handle http.HandlerFunc
	}{
		{"silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"endless", func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(tt.handle)
			t.Cleanup(server.Close)
			address := server.Listener.Addr().String()
			timeout := 20 * time.Second // for the one that answers, on a busy machine
			if tt.name == "silent" {
				timeout = 2 * time.Second // which is waited for
			}
			got, ok, err := Local(t.Context(), Options{Timeout: timeout, Ollama: address, LlamaCPP: address, LMStudio: address, VLLM: at(t, map[string]string{"/v1/models": vllmModels})})
			if err != nil || !ok || got.Name != "vLLM" {
				t.Errorf("Local = %+v, %v, %v, want the server that answers", got, ok, err)
			}
		})
	}
}

func TestOnlyLoopbackIsLookedAt(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"192.0.2.1:11434", "0.0.0.0:1", "localhost:11434", "127.0.0.1", "[2001:db8::1]:80", ""} {
		opts := nowhere()
		opts.Ollama = address
		if address == "" {
			opts.Ollama = "example.com:80"
		}
		if _, ok, err := Local(t.Context(), opts); ok || err == nil || !strings.Contains(err.Error(), "loopback only") {
			t.Errorf("%q: %v, %v", address, ok, err)
		}
	}
}

func TestALookCanBeBrokenOff(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	opts := nowhere()
	opts.Ollama = at(t, ollamaAnswers())
	if _, ok, err := Local(ctx, opts); ok || !errors.Is(err, gone) {
		t.Errorf("Local = %v, %v, want the context's cause", ok, err)
	}
}

// closed returns an address at which nothing listens.
func closed(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
