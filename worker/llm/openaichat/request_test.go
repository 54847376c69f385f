package openaichat

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"hermes/worker/llm"
)

func TestRequestsAreWrittenAsTheAPIWants(t *testing.T) {
	t.Parallel()
	temperature, topP := 0.2, 1.0
	image := llm.Message{Role: llm.User, Parts: []llm.Part{{Text: "see <this>"}, {ImageURL: "data:image/png;base64,AA==", Detail: "low"}}}
	asked := llm.Message{
		Role: llm.Assistant, Origin: "p/m",
		ToolCalls: []llm.ToolCall{
			{ID: "a", Name: "t1", Arguments: `{"x":"é"}`, Extras: map[string]json.RawMessage{"extra_content": json.RawMessage(`{"g":1}`), "other": json.RawMessage(`1`)}},
			{ID: "b", Name: "t2", Arguments: `not json`},
		},
		Reasoning: "hm",
		Extras:    map[string]json.RawMessage{"reasoning_content": json.RawMessage(`"hm"`), "other": json.RawMessage(`1`)},
	}
	elsewhere := asked
	elsewhere.Origin = "p/other"
	tests := []struct {
		name string
		opts Options
		req  llm.Request
		want string
	}{
		{
			"a plain stream",
			Options{Streaming: true},
			llm.Request{Messages: []llm.Message{llm.TextMessage(llm.System, "be\nkind"), llm.TextMessage(llm.User, "hi")}},
			`{"model":"m","messages":[{"role":"system","content":"be\nkind"},{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}`,
		},
		{
			"images",
			Options{},
			llm.Request{Messages: []llm.Message{image}},
			`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"see <this>"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"low"}}]}]}`,
		},
		{
			"images that tools show, behind all results of the answer",
			Options{},
			llm.Request{Messages: []llm.Message{
				{Role: llm.Assistant, ToolCalls: []llm.ToolCall{{ID: "a", Name: "t", Arguments: "{}"}, {ID: "b", Name: "t", Arguments: "{}"}}},
				{Role: llm.Tool, ToolCallID: "a", Parts: []llm.Part{{Text: "a.png"}, {ImageURL: "data:image/png;base64,AA=="}}},
				{Role: llm.Tool, ToolCallID: "b", Parts: []llm.Part{{Text: "none"}}},
				llm.TextMessage(llm.Assistant, "ok"),
			}},
			`{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"t","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"t","arguments":"{}"}}]},` +
				`{"role":"tool","tool_call_id":"a","content":"a.png"},{"role":"tool","tool_call_id":"b","content":"none"},` +
				`{"role":"user","content":[{"type":"text","text":"[This is what the result of tool call a shows. It does not come from the user.]"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]},` +
				`{"role":"assistant","content":"ok"}]}`,
		},
		{
			"several texts",
			Options{},
			llm.Request{Messages: []llm.Message{
				{Role: llm.System, Parts: []llm.Part{{Text: "a"}, {Text: "b"}}},
				{Role: llm.User, Parts: []llm.Part{{Text: "a"}, {Text: "b"}}},
				{Role: llm.User},
			}},
			`{"model":"m","messages":[{"role":"system","content":"ab"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"user","content":""}]}`,
		},
		{
			"tool calls of its own",
			Options{},
			llm.Request{Messages: []llm.Message{asked, {Role: llm.Tool, ToolCallID: "a", Parts: []llm.Part{{Text: "42"}}}}},
			`{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[` +
				`{"id":"a","type":"function","function":{"name":"t1","arguments":"{\"x\":\"é\"}"},"extra_content":{"g":1}},` +
				`{"id":"b","type":"function","function":{"name":"t2","arguments":"{\"invalid_arguments\":\"not json\"}"}}],"reasoning_content":"hm"},` +
				`{"role":"tool","tool_call_id":"a","content":"42"}]}`,
		},
		{
			"tool calls of another model",
			Options{},
			llm.Request{Messages: []llm.Message{elsewhere}},
			`{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[` +
				`{"id":"a","type":"function","function":{"name":"t1","arguments":"{\"x\":\"é\"}"}},` +
				`{"id":"b","type":"function","function":{"name":"t2","arguments":"{\"invalid_arguments\":\"not json\"}"}}]}]}`,
		},
		{
			"tools",
			Options{},
			llm.Request{
				Tools: []llm.ToolSpec{
					{Name: "t1", Description: "does \"it\"", Parameters: json.RawMessage(`{"type":"object","properties":{"x":{"type":"string"}}}`)},
					{Name: "t2"},
				},
				ToolChoice: "required",
			},
			`{"model":"m","messages":[],"tools":[` +
				`{"type":"function","function":{"name":"t1","description":"does \"it\"","parameters":{"type":"object","properties":{"x":{"type":"string"}}}}},` +
				`{"type":"function","function":{"name":"t2","description":"","parameters":{"type":"object","properties":{}}}}],"tool_choice":"required"}`,
		},
		{
			"a choice by name",
			Options{},
			llm.Request{Tools: []llm.ToolSpec{{Name: "t1", Parameters: json.RawMessage(`{}`)}}, ToolChoice: "t1"},
			`{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"t1","description":"","parameters":{}}}],"tool_choice":{"type":"function","function":{"name":"t1"}}}`,
		},
		{"a choice without tools", Options{}, llm.Request{ToolChoice: "none"}, `{"model":"m","messages":[]}`},
		{
			"everything else",
			Options{},
			llm.Request{
				Temperature: &temperature, TopP: &topP, PresencePenalty: &topP, FrequencyPenalty: &temperature, MaxTokens: 100, Stop: []string{"\n", "END"}, ReasoningEffort: "low",
				ResponseFormat: json.RawMessage(`{"type":"json_object"}`), User: "u",
			},
			`{"model":"m","messages":[],"temperature":0.2,"top_p":1,"presence_penalty":1,"frequency_penalty":0.2,"max_tokens":100,"stop":["\n","END"],"reasoning_effort":"low","response_format":{"type":"json_object"},"user":"u"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			tt.opts.Name, tt.opts.Version, tt.opts.APIKey = "p", "1.2.3", "sk-secret-key"
			client := serve(t, tt.opts, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = append(got, string(body))
				if r.URL.Path != "/v1/chat/completions" || r.Header.Get("Authorization") != "Bearer sk-secret-key" ||
					r.Header.Get("User-Agent") != "hermes/1.2.3" || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("request to %s with headers %v", r.URL, r.Header)
				}
				if r.Header.Get("Accept-Encoding") != "" || len(r.Header["Idempotency-Key"]) > 0 {
					t.Errorf("headers are %v", r.Header)
				}
				io.WriteString(w, stream(content("a"), finish("stop")))
			})
			for range 2 {
				if _, err := client.Stream(t.Context(), tt.req, func(llm.Event) error { return nil }); err != nil {
					t.Fatal(err)
				}
			}
			if !json.Valid([]byte(got[0])) || got[0] != tt.want {
				t.Errorf("sent %s\nwant %s", got[0], tt.want)
			}
			if got[1] != got[0] {
				t.Errorf("the second time it sent %s", got[1])
			}
		})
	}
}

func TestTheTokenLimitHasTheNameThatTheModelKnows(t *testing.T) {
	t.Parallel()
	tests := []struct{ base, model, want string }{
		{"https://api.openai.com/v1", "gpt-4o-mini", "max_tokens"},
		{"https://api.openai.com/v1", "gpt-5-mini", "max_completion_tokens"},
		{"https://api.openai.com/v1", "o3", "max_completion_tokens"},
		{"https://api.openai.com/v1", "omni-moderation", "max_tokens"},
		{"https://openrouter.ai/api/v1", "o3", "max_tokens"},
		{"http://127.0.0.1:11434/v1", "gpt-5", "max_tokens"},
	}
	for _, tt := range tests {
		body := string(New(Options{BaseURL: tt.base, Model: tt.model, HTTP: http.DefaultClient}).encoded(llm.Request{MaxTokens: 7}))
		if !strings.Contains(body, `"`+tt.want+`":7`) {
			t.Errorf("%s at %s: %s, want %s", tt.model, tt.base, body, tt.want)
		}
	}
}

func TestBaseURLsOfAllKindsWork(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		base  string
		serve string // the one path that the server has
		asked int    // how many requests two calls take
	}{
		{"with /v1", "/v1", "/v1/chat/completions", 2},
		{"with a slash at the end", "/v1/", "/v1/chat/completions", 2},
		{"with the endpoint itself", "/v1/chat/completions", "/v1/chat/completions", 2},
		{"another path", "/api/v3", "/api/v3/chat/completions", 2},
		{"a host alone", "/", "/v1/chat/completions", 2},
		{"a host alone that has no /v1", "/", "/chat/completions", 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			client := serve(t, Options{BaseURL: tt.base}, func(w http.ResponseWriter, r *http.Request) {
				asked++
				if r.URL.Path != tt.serve {
					http.NotFound(w, r)
					return
				}
				io.WriteString(w, stream(content("a"), finish("stop")))
			})
			for range 2 {
				if got, _, err := ask(t, client, llm.Request{}); err != nil || got.text != "a" {
					t.Fatalf("heard %q, %v", got.text, err)
				}
			}
			if asked != tt.asked {
				t.Errorf("two calls took %d requests, want %d", asked, tt.asked)
			}
		})
	}
}

func TestAQueryInTheBaseURLIsKept(t *testing.T) {
	t.Parallel()
	client := serve(t, Options{BaseURL: "/openai/?api-version=7"}, func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.String(); got != "/openai/chat/completions?api-version=7" {
			t.Errorf("request to %s", got)
		}
		io.WriteString(w, stream(content("a"), finish("stop")))
	})
	if _, _, err := ask(t, client, llm.Request{}); err != nil {
		t.Fatal(err)
	}
}

// TestRefusalsAreLearnedFrom counts the requests of two calls: the first call is
// refused once, the second must know better from the start.
func TestRefusalsAreLearnedFrom(t *testing.T) {
	t.Parallel()
	replayed := llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: "x"}}, Origin: "p/m", Extras: map[string]json.RawMessage{"reasoning_content": json.RawMessage(`"hm"`)}}
	tests := []struct {
		name    string
		bad     string // refused while the body contains it
		message string
		req     llm.Request
		status  int
		works   bool
	}{
		{"max_tokens", `"max_tokens"`, "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", llm.Request{MaxTokens: 5}, 400, true},
		{"stream_options", `"stream_options"`, "[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options')}]", llm.Request{}, 422, true},
		{"reasoning_content", `"reasoning_content"`, "Please remove the reasoning_content from your message", llm.Request{Messages: []llm.Message{replayed}}, 400, true},
		{"a limit that is too high", `"max_tokens"`, "max_tokens is too large: 100000. This model supports at most 4096 completion tokens", llm.Request{MaxTokens: 100000}, 400, false},
		{"a status that says nothing about the request", `"stream_options"`, "stream_options upset me", llm.Request{}, 500, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			client := serve(t, Options{Streaming: true, Name: "p"}, func(w http.ResponseWriter, r *http.Request) {
				asked++
				body, _ := io.ReadAll(r.Body)
				if strings.Contains(string(body), tt.bad) {
					w.WriteHeader(tt.status)
					json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": tt.message}})
					return
				}
				io.WriteString(w, stream(content("a"), finish("stop")))
			})
			for range 2 {
				got, _, err := ask(t, client, tt.req)
				if tt.works && (err != nil || got.text != "a") {
					t.Fatalf("heard %q, %v", got.text, err)
				}
				if !tt.works && !strings.Contains(failed(t, err).Message, tt.message) {
					t.Fatalf("error is %v", err)
				}
			}
			if want := map[bool]int{true: 3, false: 2}[tt.works]; asked != want {
				t.Errorf("two calls took %d requests, want %d", asked, want)
			}
		})
	}
}
