package anthropic

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"hermes/worker/llm"
)

// encoded is a request as it would be sent to a model, without what all have.
func encoded(t *testing.T, model string, learned quirks, req llm.Request) string {
	t.Helper()
	if req.Messages == nil {
		req.Messages = []llm.Message{llm.TextMessage(llm.User, "hi")}
	}
	body := task{Request: req, model: model, origin: "anthropic/" + model, traits: traitsOf(model), quirks: learned, limit: 32_000}.encode()
	if !json.Valid(body) {
		t.Fatalf("%s is no JSON", body)
	}
	return strings.ReplaceAll(string(body), cacheMark, "#")
}

func result(id, text string) llm.Message {
	m := llm.TextMessage(llm.Tool, text)
	m.ToolCallID = id
	return m
}

func TestTranscripts(t *testing.T) {
	t.Parallel()
	calls := func(ids ...string) llm.Message {
		m := llm.Message{Role: llm.Assistant}
		for _, id := range ids {
			m.ToolCalls = append(m.ToolCalls, llm.ToolCall{ID: id, Name: "t", Arguments: `{"a":1}`})
		}
		return m
	}
	const model = "claude-sonnet-5"
	thought := calls("a", "b")
	thought.Parts = []llm.Part{{Text: "one"}, {Text: "two"}}
	thought.Origin = "anthropic/" + model
	thought.Extras = map[string]json.RawMessage{extraLayout: json.RawMessage(`[{"type":"thinking","thinking":"t","signature":"s"},"text","tool_use","text",{"type":"redacted_thinking","data":"d"},"tool_use"]`)}
	foreign, changed := thought, thought
	foreign.Origin = "anthropic/claude-opus-5"
	changed.ToolCalls = thought.ToolCalls[:1]
	broken := calls("a")
	broken.ToolCalls[0].Arguments = `{"a":`
	const use = `{"type":"tool_use","id":"a","name":"t","input":{"a":1}}`
	useB := strings.Replace(use, `"a"`, `"b"`, 1)
	res := func(id string) string {
		return `{"type":"tool_result","tool_use_id":"` + id + `","content":[{"type":"text","text":"r` + id + `"}]}`
	}
	tests := []struct {
		name     string
		messages []llm.Message
		want     string
	}{
		{
			"system and user",
			[]llm.Message{llm.TextMessage(llm.System, "be brief"), llm.TextMessage(llm.System, "be kind"), llm.TextMessage(llm.User, "hi")},
			`"system":[{"type":"text","text":"be brief"},{"type":"text","text":"be kind"#}],"messages":[{"role":"user","content":[{"type":"text","text":"hi"#}]}]`,
		},
		{
			"the last two turns of the user are marked",
			[]llm.Message{llm.TextMessage(llm.User, "1"), llm.TextMessage(llm.Assistant, "2"), llm.TextMessage(llm.User, "3"), llm.TextMessage(llm.Assistant, "4"), llm.TextMessage(llm.User, "5")},
			`"messages":[{"role":"user","content":[{"type":"text","text":"1"}]},{"role":"assistant","content":[{"type":"text","text":"2"}]},` +
				`{"role":"user","content":[{"type":"text","text":"3"#}]},{"role":"assistant","content":[{"type":"text","text":"4"}]},{"role":"user","content":[{"type":"text","text":"5"#}]}]`,
		},
		{
			"parallel calls",
			[]llm.Message{llm.TextMessage(llm.User, "q"), calls("a", "b"), result("a", "ra"), result("b", "rb"), llm.TextMessage(llm.User, "and?")},
			`{"role":"assistant","content":[` + use + `,` + useB + `]},{"role":"user","content":[` + res("a") + `,` + res("b") + `,{"type":"text","text":"and?"#}]}]`,
		},
		{
			"a result that is missing",
			[]llm.Message{llm.TextMessage(llm.User, "q"), calls("a", "b"), result("b", "rb"), llm.TextMessage(llm.User, "and?")},
			`{"role":"user","content":[` + res("b") + `,{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"(no result)"}]},{"type":"text","text":"and?"#}]}]`,
		},
		{
			"a result without a call",
			[]llm.Message{llm.TextMessage(llm.User, "q"), result("x", "rx")},
			`{"role":"user","content":[{"type":"text","text":"q"},{"type":"text","text":"Result of a tool call that is not shown: rx"#}]}`,
		},
		{
			"an empty result",
			[]llm.Message{llm.TextMessage(llm.User, "q"), calls("a"), result("a", " ")},
			`{"role":"user","content":[{"type":"tool_result","tool_use_id":"a"#}]}`,
		},
		{
			"arguments that are no JSON",
			[]llm.Message{llm.TextMessage(llm.User, "q"), broken, result("a", "ra")},
			`"input":{"invalid_arguments":"{\"a\":"}}`,
		},
		{
			"nothing but space",
			[]llm.Message{llm.TextMessage(llm.User, " \n"), llm.TextMessage(llm.Assistant, ""), llm.TextMessage(llm.User, "hi")},
			`"messages":[{"role":"user","content":[{"type":"text","text":"(empty message)"},{"type":"text","text":"hi"#}]}]`,
		},
		{
			"a history that begins with the model",
			[]llm.Message{llm.TextMessage(llm.Assistant, "Hello"), llm.TextMessage(llm.User, "hi")},
			`"messages":[{"role":"user","content":[{"type":"text","text":"(The beginning of this conversation is missing.)"#}]},{"role":"assistant","content":[{"type":"text","text":"Hello"}]},`,
		},
		{
			"images",
			[]llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: "see"}, {ImageURL: "data:image/PNG;base64,aGk="}, {ImageURL: "https://x.example/a.png"}, {ImageURL: "data:image/svg+xml,%3Csvg%3E"}}}},
			`[{"type":"text","text":"see"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}},` +
				`{"type":"image","source":{"type":"url","url":"https://x.example/a.png"}},{"type":"image","source":{"type":"base64","media_type":"image/svg+xml","data":"PHN2Zz4="}#}]`,
		},
		{
			"an image that a tool shows",
			[]llm.Message{llm.TextMessage(llm.User, "q"), calls("a"), {Role: llm.Tool, ToolCallID: "a", Parts: []llm.Part{{Text: "a.png"}, {ImageURL: "data:image/png;base64,aGk="}}}},
			`{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"a.png"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}]#}]}]`,
		},
		{
			"thoughts go back in their places",
			[]llm.Message{llm.TextMessage(llm.User, "q"), thought, result("a", "ra"), result("b", "rb")},
			`{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"one"},` + use + `,{"type":"text","text":"two"},{"type":"redacted_thinking","data":"d"},` + useB + `]}`,
		},
		{
			"but not to another model",
			[]llm.Message{llm.TextMessage(llm.User, "q"), foreign, result("a", "ra"), result("b", "rb")},
			`{"role":"assistant","content":[{"type":"text","text":"one"},{"type":"text","text":"two"},` + use + `,` + useB + `]}`,
		},
		{
			"and not with an answer that was changed",
			[]llm.Message{llm.TextMessage(llm.User, "q"), changed, result("a", "ra")},
			`{"role":"assistant","content":[{"type":"text","text":"one"},{"type":"text","text":"two"},` + use + `]}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := encoded(t, model, 0, llm.Request{Messages: tt.messages}); !strings.Contains(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	number := func(f float64) *float64 { return &f }
	tools := []llm.ToolSpec{{Name: "a", Description: "A", Parameters: json.RawMessage(`{"type":"object"}`)}, {Name: "b"}}
	schema := json.RawMessage(`{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}`)
	const shown = `"thinking":{"type":"adaptive","display":"summarized"}`
	tests := []struct {
		name, model string
		quirks      quirks
		req         llm.Request
		want        []string
		never       []string
	}{
		{"nothing", "claude-sonnet-4-5", 0, llm.Request{}, []string{`{"model":"claude-sonnet-4-5","max_tokens":32000,"messages":`}, []string{"thinking", "temperature", "output_config", "tools", "stream"}},
		{"a limit", "claude-sonnet-4-5", 0, llm.Request{MaxTokens: 100, Stop: []string{"END", "x"}, User: "u1"}, []string{`"max_tokens":100`, `"stop_sequences":["END","x"]`, `"metadata":{"user_id":"u1"}`}, nil},
		{
			"tools", "claude-sonnet-4-5", 0,
			llm.Request{Tools: tools, ToolChoice: "auto"},
			[]string{`"tools":[{"name":"a","description":"A","input_schema":{"type":"object"}},{"name":"b","description":"","input_schema":{"type":"object","properties":{}}#}],"tool_choice":{"type":"auto"}`},
			nil,
		},
		{"a choice without tools", "claude-sonnet-4-5", 0, llm.Request{ToolChoice: "required"}, nil, []string{"tool_choice"}},
		{"any tool", "claude-sonnet-4-5", 0, llm.Request{Tools: tools, ToolChoice: "required", ReasoningEffort: "high"}, []string{`"tool_choice":{"type":"any"}`}, []string{"thinking"}},
		{"one tool of a model that thinks", "claude-sonnet-5", 0, llm.Request{Tools: tools, ToolChoice: "b"}, []string{`"tool_choice":{"type":"tool","name":"b"}`, `"thinking":{"type":"disabled"}`}, nil},
		{"one tool of a model that takes no force", "claude-sonnet-5", noForcing, llm.Request{Tools: tools, ToolChoice: "b"}, []string{`"tool_choice":{"type":"auto"}`, "Answer by calling the tool b.", shown}, nil},
		{"no tools", "claude-sonnet-5", 0, llm.Request{Tools: tools, ToolChoice: "none"}, []string{`"tool_choice":{"type":"none"}`, shown}, nil},

		{"temperature", "claude-sonnet-4-5", 0, llm.Request{Temperature: number(1.5), TopP: number(0.5)}, []string{`"temperature":1`}, []string{"top_p"}},
		{"top_p", "claude-sonnet-4-5", 0, llm.Request{TopP: number(0.5)}, []string{`"top_p":0.5`}, nil},
		{"sampling beside thinking", "claude-sonnet-4-5", 0, llm.Request{Temperature: number(0), TopP: number(0.97), ReasoningEffort: "low"}, []string{`"top_p":0.97`}, []string{"temperature"}},
		{"a low top_p beside thinking", "claude-sonnet-4-5", 0, llm.Request{TopP: number(0.5), ReasoningEffort: "low"}, nil, []string{"top_p"}},
		{"sampling of a new model", "claude-opus-4-7", 0, llm.Request{Temperature: number(0), TopP: number(0.97)}, nil, []string{"temperature", "top_p"}},
		{"sampling that was refused", "claude-sonnet-4-5", noSampling, llm.Request{Temperature: number(0)}, nil, []string{"temperature"}},

		{"a budget", "claude-haiku-4-5-20251001", 0, llm.Request{ReasoningEffort: "medium"}, []string{`"thinking":{"type":"enabled","budget_tokens":10240}`}, []string{"output_config"}},
		{"a budget below the limit", "claude-haiku-4-5", 0, llm.Request{ReasoningEffort: "high", MaxTokens: 4000}, []string{`"budget_tokens":2000`}, nil},
		{"no room for a budget", "claude-haiku-4-5", 0, llm.Request{ReasoningEffort: "high", MaxTokens: 1500}, nil, []string{"thinking"}},
		{"effort of a model that cannot think", "claude-3-5-haiku-20241022", 0, llm.Request{ReasoningEffort: "high"}, nil, []string{"thinking", "effort"}},
		{"effort", "claude-opus-4-6", 0, llm.Request{ReasoningEffort: "xhigh"}, []string{shown, `"output_config":{"effort":"high"}`}, nil},
		{"no effort", "claude-opus-4-6", 0, llm.Request{}, nil, []string{"thinking"}},
		{"a model that always thinks", "claude-sonnet-5-5", 0, llm.Request{}, []string{shown}, []string{"effort"}},
		{"not at all", "claude-sonnet-5", 0, llm.Request{ReasoningEffort: "none"}, []string{`"thinking":{"type":"disabled"}`}, []string{"effort"}},
		{"as little as possible", "claude-sonnet-5-5", noDisabling, llm.Request{ReasoningEffort: "none"}, []string{`"effort":"low"`}, []string{"thinking"}},
		{"most", "claude-opus-5", 0, llm.Request{ReasoningEffort: "xhigh"}, []string{shown, `"effort":"xhigh"`}, nil},
		{"an imitation", "minimax-m2", 0, llm.Request{ReasoningEffort: "low"}, []string{`"budget_tokens":4096`}, []string{"adaptive"}},
		{"a budget that was refused", "minimax-m2", noBudget, llm.Request{ReasoningEffort: "low"}, []string{shown, `"effort":"low"`}, nil},

		{"a schema", "claude-sonnet-5", 0, llm.Request{ResponseFormat: schema, ReasoningEffort: "low"}, []string{`"output_config":{"effort":"low","format":{"type":"json_schema","schema":{"type":"object"}}}`}, []string{"Answer with"}},
		{"a schema for an old model", "claude-sonnet-4-20250514", 0, llm.Request{ResponseFormat: schema}, []string{`It must follow this JSON schema: {\"type\":\"object\"}"#`}, []string{"output_config"}},
		{"a JSON object", "claude-sonnet-5", 0, llm.Request{ResponseFormat: json.RawMessage(`{"type":"json_object"}`)}, []string{"Answer with one JSON object and nothing else"}, []string{"output_config"}},
		{"text", "claude-sonnet-5", 0, llm.Request{ResponseFormat: json.RawMessage(`{"type":"text"}`)}, nil, []string{"JSON", "output_config"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := encoded(t, tt.model, tt.quirks, tt.req)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("got\n%s\nwhich lacks\n%s", got, want)
				}
			}
			for _, never := range tt.never {
				if strings.Contains(got, never) {
					t.Errorf("got\n%s\nwhich has\n%s", got, never)
				}
			}
		})
	}
}

// TestAddresses has what people write as the base URL, and what of it is asked.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{"": "/v1/messages", "/": "/v1/messages", "/v1": "/v1/messages", "/v1/": "/v1/messages", "/v1/messages": "/v1/messages", "/anthropic": "/anthropic/v1/messages", "/anthropic/v1/": "/anthropic/v1/messages"} {
		client := serveAll(t, Options{BaseURL: base, APIKey: "k-0123456789"}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				http.NotFound(w, r)
				return
			}
			if r.URL.Path != want || r.Header.Get("X-Api-Key") != "k-0123456789" || r.Header.Get("Anthropic-Version") != version || r.Header.Get("Authorization") == "" {
				t.Errorf("%q: asked %s with %v", base, r.URL.Path, r.Header)
			}
			io.WriteString(w, plain(`"ok"`))
		}))
		if _, _, err := ask(t, client, llm.Request{}); err != nil {
			t.Errorf("%q: %v", base, err)
		}
	}
	if client := New(Options{BaseURL: "https://api.anthropic.com/v1", APIKey: "k"}); !client.own {
		t.Error("Anthropic's own server is not known")
	}
	client := New(Options{BaseURL: "api.anthropic.com", Model: "m"})
	if _, _, err := ask(t, client, llm.Request{}); failed(t, err).Class != llm.BadRequest {
		t.Errorf("got %v", err)
	}
}

func TestCapabilitiesAreAskedOnce(t *testing.T) {
	t.Parallel()
	var asked []string
	var limits []string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		asked = append(asked, "list")
		io.WriteString(w, `{"data":[{"type":"model","id":"claude-new-9"},{"id":"claude-old"}],"has_more":false}`)
	})
	mux.HandleFunc("GET /v1/models/{id}", func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.PathValue("id"))
		io.WriteString(w, `{"type":"model","id":"claude-new-9","max_input_tokens":500000,"max_tokens":20000,"capabilities":{"image_input":{"supported":false},"thinking":{"supported":true,"types":{}}}}`)
	})
	mux.HandleFunc("POST /v1/messages", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		limits = append(limits, strings.SplitN(string(body), ",", 3)[1])
		io.WriteString(w, `{"type":"message","content":[{"type":"text","text":"ok"}],"stop_reason":"end_turn"}`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	client := New(Options{BaseURL: server.URL, Streaming: true})
	t.Cleanup(client.Close)
	for range 2 {
		if _, m, err := ask(t, client, llm.Request{}); err != nil || m.Text() != "ok" {
			t.Fatal(m, err)
		}
	}
	want := llm.Capabilities{ContextLength: 500_000, OutputLimit: 20_000, Tools: llm.Supported, Vision: llm.Unsupported, Reasoning: llm.Supported}
	if got := client.Capabilities(t.Context()); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !slices.Equal(asked, []string{"list", "claude-new-9"}) || !slices.Equal(limits, []string{`"max_tokens":20000`, `"max_tokens":20000`}) {
		t.Errorf("asked %v, limits %v", asked, limits)
	}
}

func TestVersionsOfModels(t *testing.T) {
	t.Parallel()
	for model, want := range map[string]int{
		"sonnet-4-5-20250929": 405, "3-7-sonnet-20250219": 307, "opus-4-20250514": 400, "sonnet-5": 500, "fable-5-1": 501, "haiku-4-5@20251001": 400, "3-haiku-20240307": 300, "latest": 0,
	} {
		if got, _ := versionIn(model); got != want {
			t.Errorf("%s has version %d, want %d", model, got, want)
		}
	}
}
