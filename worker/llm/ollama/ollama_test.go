package ollama

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"hermes/worker/llm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const shown = `{"capabilities":["completion","tools","thinking"],"parameters":"stop \"x\"","model_info":{"general.architecture":"qwen3","qwen3.context_length":40960}}`

// serve starts an Ollama that shows a model and answers chats, and makes a
// Client of it, with options on top. The bodies of the chats come out at the
// channel.
func serve(t *testing.T, opts Options, show string, chat http.HandlerFunc) (*Client, chan string) {
	t.Helper()
	bodies := make(chan string, 16)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/tags", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"models":[{"name":"nomic-embed-text:latest"},{"name":"qwen3:8b"}]}`)
	})
	mux.HandleFunc("POST /api/show", func(w http.ResponseWriter, _ *http.Request) {
		if show == "" {
			w.WriteHeader(http.StatusNotFound)
		}
		io.WriteString(w, show)
	})
	mux.HandleFunc("POST /api/chat", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- string(body)
		chat(w, r)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	opts.BaseURL = server.URL + opts.BaseURL
	opts.Name = "ollama"
	client := New(opts)
	t.Cleanup(client.Close)
	return client, bodies
}

// say answers with lines.
func say(lines ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Join(lines, "\n")+"\n") }
}

func piece(message string) string {
	return `{"model":"qwen3:8b","created_at":"2026-11-01T12:00:00Z","message":{"role":"assistant",` + message + `},"done":false}`
}

func done(reason string) string {
	return `{"model":"qwen3:8b","message":{"role":"assistant","content":""},"done_reason":"` + reason + `","done":true,"total_duration":1,"prompt_eval_count":26,"eval_count":9}`
}

// ask sends a request and gathers what comes.
func ask(t *testing.T, client *Client, req llm.Request) (text, thinking string, message llm.Message, err error) {
	t.Helper()
	if req.Messages == nil {
		req.Messages = []llm.Message{llm.TextMessage(llm.User, "hi")}
	}
	message, err = client.Stream(t.Context(), req, func(event llm.Event) error {
		into, literal := &text, []byte(nil)
		switch e := event.(type) {
		case llm.Text:
			literal = e.JSON
		case llm.Reasoning:
			into, literal = &thinking, e.JSON
		case llm.Retry:
			t.Errorf("a client never retries by itself: %v", e)
			return nil
		}
		var p string
		if err := json.Unmarshal(literal, &p); err != nil {
			t.Errorf("%q is no JSON string: %v", literal, err)
		}
		*into += p
		return nil
	})
	return text, thinking, message, err
}

// TestStreams has a row for each thing that Ollama sends, with the answer that a
// user should get.
func TestStreams(t *testing.T) {
	t.Parallel()
	usage := llm.Usage{Input: 26, Output: 9}
	long := strings.Repeat("long ", 40_000)
	tests := []struct {
		name, body     string
		text, thinking string
		calls          []llm.ToolCall
		finish         llm.Finish
		usage          llm.Usage
		class          llm.Class // of an answer that must fail
		message        string
	}{
		{name: "plain", body: strings.Join([]string{piece(`"content":"Hello, "`), piece(`"content":"Welt \"😀\"\n"`), done("stop")}, "\n"), text: "Hello, Welt \"😀\"\n", finish: llm.FinishStop, usage: usage},
		{name: "thinking", body: piece(`"content":"","thinking":"2 and 2"`) + "\n" + piece(`"content":"4"`) + "\n" + done("stop"), text: "4", thinking: "2 and 2", finish: llm.FinishStop, usage: usage},
		{name: "the limit", body: piece(`"content":"a"`) + "\n" + done("length"), text: "a", finish: llm.FinishLength, usage: usage},
		{name: "a long line", body: piece(`"content":"`+long+`"`) + "\n" + done("stop"), text: long, finish: llm.FinishStop, usage: usage},
		{name: "empty lines and carriage returns", body: "\r\n" + piece(`"content":"a"`) + "\r\n\r\n" + done("stop"), text: "a", finish: llm.FinishStop, usage: usage},
		{name: "a whole answer", body: `{"message":{"role":"assistant","content":"a"},"done":true,"done_reason":"stop","prompt_eval_count":26,"eval_count":9}`, text: "a", finish: llm.FinishStop, usage: usage},
		{name: "an old version gives no reason", body: `{"message":{"role":"assistant","content":"a"},"done":true}`, text: "a", finish: llm.FinishStop},
		{
			name: "parallel calls", body: piece(`"content":"","tool_calls":[{"id":"call_1","function":{"index":0,"name":"t","arguments":{"a":1}}},{"id":"call_2","function":{"name":"u","arguments":"{\"b\":2}"}}]`) + "\n" +
				piece(`"content":"","tool_calls":[{"id":"call_3","function":{"name":"v","arguments":null}}]`) + "\n" + done("stop"),
			calls:  []llm.ToolCall{{ID: "call_1", Name: "t", Arguments: `{"a":1}`}, {ID: "call_2", Name: "u", Arguments: `{"b":2}`}, {ID: "call_3", Name: "v", Arguments: "{}"}},
			finish: llm.FinishToolCalls, usage: usage,
		},

		{name: "an error in the middle", body: piece(`"content":"half"`) + "\n" + `{"error":"an error was encountered while running the model: CUDA error"}`, text: "half", class: llm.Overloaded, message: "CUDA error"},
		{name: "a cut", body: piece(`"content":"half"`), text: "half", class: llm.Network, message: "ended early"},
		{name: "a cut in a line", body: piece(`"content":"half"`) + "\n" + `{"message":{"ro`, text: "half", class: llm.Network, message: "ended early"},
		{name: "nothing", body: "", class: llm.Network, message: "ended early"},
		{name: "no words", body: done("stop"), class: llm.Empty, message: "empty answer"},
		{name: "only loaded", body: done("load"), class: llm.Overloaded, message: "did not answer"},
		{name: "no JSON", body: "oops\n", class: llm.Malformed, message: "oops"},
		{name: "another API", body: `{"choices":[]}`, class: llm.Malformed, message: "choices"},
		{name: "a page", body: "<html><title>Welcome</title></html>", class: llm.Malformed, message: "an HTML page: Welcome"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, _ := serve(t, Options{Model: "qwen3:8b", Streaming: true}, shown, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, tt.body) })
			text, thinking, message, err := ask(t, client, llm.Request{})
			if text != tt.text || thinking != tt.thinking || message.Text() != tt.text || message.Reasoning != tt.thinking || message.Origin != "ollama/qwen3:8b" {
				t.Errorf("heard %.100q, %q; message %.100q, %q of %q", text, thinking, message.Text(), message.Reasoning, message.Origin)
			}
			if tt.class != "" {
				failed, ok := errors.AsType[*llm.Error](err)
				if !ok || failed.Class != tt.class || !strings.Contains(failed.Message, tt.message) || len(message.ToolCalls) > 0 {
					t.Errorf("got %v, calls %v", err, message.ToolCalls)
				}
				return
			}
			if err != nil || message.Finish != tt.finish || message.Usage != tt.usage || !reflect.DeepEqual(message.ToolCalls, tt.calls) {
				t.Errorf("got %v, finish %q, usage %+v, calls %v", err, message.Finish, message.Usage, message.ToolCalls)
			}
		})
	}
}

// TestRequests has what a chat is asked with.
func TestRequests(t *testing.T) {
	t.Parallel()
	temperature := 0.5
	thought := llm.Message{Role: llm.Assistant, Reasoning: "hm", Origin: "ollama/qwen3:8b", ToolCalls: []llm.ToolCall{{ID: "a", Name: "t", Arguments: `{"x":1}`}, {ID: "b", Name: "u", Arguments: "{"}}}
	result := llm.TextMessage(llm.Tool, "r")
	result.ToolCallID = "a"
	tools := []llm.ToolSpec{{Name: "t", Description: "T", Parameters: json.RawMessage(`{"type":"object"}`)}, {Name: "u"}}
	tests := []struct {
		name, show string
		opts       Options
		req        llm.Request
		want       []string
		never      []string
	}{
		{"nothing", shown, Options{}, llm.Request{}, []string{`{"model":"qwen3:8b","messages":[{"role":"user","content":"hi"}],"keep_alive":"30m","options":{"num_predict":-1,"num_ctx":32768},"stream":false}`}, nil},
		{"a context that was set", shown, Options{ContextLength: 100_000, Streaming: true}, llm.Request{}, []string{`"num_ctx":100000`, `"stream":true`}, nil},
		{"a context that the model's author set", `{"parameters":"num_ctx 65536"}`, Options{}, llm.Request{}, []string{`"num_ctx":65536`}, nil},
		{"a small context", `{"model_info":{"llama.context_length":8192}}`, Options{}, llm.Request{}, []string{`"num_ctx":8192`}, nil},
		{"a server that does not say", "", Options{}, llm.Request{}, nil, []string{"num_ctx"}},
		{"sampling", shown, Options{}, llm.Request{MaxTokens: 7, Temperature: &temperature, TopP: &temperature, PresencePenalty: &temperature, FrequencyPenalty: &temperature, Stop: []string{"END"}}, []string{`"num_predict":7`, `"temperature":0.5,"top_p":0.5,"presence_penalty":0.5,"frequency_penalty":0.5,"stop":["END"]`}, nil},
		{"tools", shown, Options{}, llm.Request{Tools: tools}, []string{`"tools":[{"type":"function","function":{"name":"t","description":"T","parameters":{"type":"object"}}},{"type":"function","function":{"name":"u","description":"","parameters":{"type":"object","properties":{}}}}]`}, nil},
		{"no tools", shown, Options{}, llm.Request{Tools: tools, ToolChoice: "none"}, nil, []string{"tools"}},
		{"one tool", shown, Options{}, llm.Request{Tools: tools, ToolChoice: "u"}, []string{`"name":"u"`}, []string{`"name":"t"`}},
		{
			"calls and results", shown,
			Options{},
			llm.Request{Messages: []llm.Message{llm.TextMessage(llm.System, "s"), thought, result}},
			[]string{`{"role":"assistant","content":"","thinking":"hm","tool_calls":[{"id":"a","function":{"name":"t","arguments":{"x":1}}},{"id":"b","function":{"name":"u","arguments":{"invalid_arguments":"{"}}}]},{"role":"tool","content":"r","tool_name":"t","tool_call_id":"a"}`},
			nil,
		},
		{
			"images", shown,
			Options{},
			llm.Request{Messages: []llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: "see"}, {ImageURL: "data:image/png;base64,aGk="}}}}},
			[]string{`{"role":"user","content":"see","images":["aGk="]}`},
			nil,
		},
		{
			"an image that a tool shows", shown,
			Options{},
			llm.Request{Messages: []llm.Message{thought, {Role: llm.Tool, ToolCallID: "a", Parts: []llm.Part{{Text: "a.png"}, {ImageURL: "data:image/png;base64,aGk="}}}}},
			[]string{`{"role":"tool","content":"a.png","images":["aGk="],"tool_name":"t","tool_call_id":"a"}`},
			nil,
		},
		{"thinking", shown, Options{}, llm.Request{ReasoningEffort: "low"}, []string{`"think":true`}, nil},
		{"no thinking", shown, Options{}, llm.Request{ReasoningEffort: "none"}, []string{`"think":false`}, nil},
		{"thinking of a model that cannot", `{"capabilities":["completion"]}`, Options{}, llm.Request{ReasoningEffort: "high"}, nil, []string{"think"}},
		{"thinking by levels", shown, Options{Model: "gpt-oss:20b"}, llm.Request{ReasoningEffort: "medium"}, []string{`"think":"medium"`}, nil},
		{"a schema", shown, Options{}, llm.Request{ResponseFormat: json.RawMessage(`{"type":"json_schema","json_schema":{"schema":{"type":"object"}}}`)}, []string{`"format":{"type":"object"}`}, nil},
		{"a JSON object", shown, Options{}, llm.Request{ResponseFormat: json.RawMessage(`{"type":"json_object"}`)}, []string{`"format":"json"`}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, base := range []string{"", "/v1", "/api/"} {
				opts := tt.opts
				opts.BaseURL = base // and mostly without a model: the first of the list
				client, bodies := serve(t, opts, tt.show, say(piece(`"content":"ok"`), done("stop")))
				if text, _, _, err := ask(t, client, tt.req); err != nil || text != "ok" {
					t.Fatalf("%q: %q, %v", base, text, err)
				}
				got := <-bodies
				if !json.Valid([]byte(got)) {
					t.Errorf("%s is no JSON", got)
				}
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
			}
		})
	}
}

func TestFailuresSayWhatToDo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		status  int
		body    string
		class   llm.Class
		message string
	}{
		{"no model", 404, `{"error":"model 'qwen3:8b' not found"}`, llm.NoModel, "get it with: ollama pull qwen3:8b"},
		{"no such path", 404, `404 page not found`, llm.BadRequest, "404 page not found"},
		{"no tools", 400, `{"error":"registry.ollama.ai/library/gemma:2b does not support tools"}`, llm.BadRequest, "does not support tools"},
		{"memory", 500, `{"error":"model requires more system memory (9.1 GiB) than is available (4.2 GiB)"}`, llm.Overloaded, "more system memory"},
		{"busy", 503, `{"error":"server busy, please try again.  maximum pending requests exceeded"}`, llm.Overloaded, "server busy"},
		{"a key", 401, `{"error":"unauthorized: key-0123456789"}`, llm.Auth, "unauthorized: [redacted]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, _ := serve(t, Options{Model: "qwen3:8b", APIKey: "key-0123456789"}, shown, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer key-0123456789" {
					t.Error("no key was sent")
				}
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			})
			_, _, _, err := ask(t, client, llm.Request{})
			failed, ok := errors.AsType[*llm.Error](err)
			if !ok || failed.Class != tt.class || failed.Status != tt.status || !strings.Contains(failed.Message, tt.message) {
				t.Errorf("got %#v", err)
			}
		})
	}
	client, _ := serve(t, Options{}, shown, say(""))
	_, _, _, err := ask(t, client, llm.Request{Messages: []llm.Message{{Role: llm.User, Parts: []llm.Part{{ImageURL: "https://x.example/a.png"}}}}})
	if llm.ClassOf(err) != llm.BadRequest || !strings.Contains(err.Error(), "image") {
		t.Errorf("an image by its address: %v", err)
	}
	gone := New(Options{BaseURL: "http://127.0.0.1:1", Model: "m"})
	if _, _, _, err := ask(t, gone, llm.Request{}); llm.ClassOf(err) != llm.Network || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a server that is gone: %v", err)
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte(piece(`"content":"a"`) + "\n" + done("stop")))
	f.Add([]byte(piece(`"thinking":"\ud83d","tool_calls":[{"id":7,"function":{"name":null,"arguments":[1]}}]`) + "\n\n" + `{"error":{"x":1}}`))
	client := New(Options{BaseURL: "http://127.0.0.1:1", Model: "m"})
	f.Fuzz(func(t *testing.T, body []byte) {
		a := &answer{origin: "o"}
		a.Emit = func(event llm.Event) error {
			if text, ok := event.(llm.Text); ok && !json.Valid(text.JSON) {
				t.Fatalf("%q is no JSON", text.JSON)
			}
			return nil
		}
		if client.receive(a, strings.NewReader(string(body))) != nil {
			return
		}
		m, _ := a.message()
		again, err := task{Request: llm.Request{Messages: []llm.Message{m}}, origin: "o"}.encode()
		if err != nil || !json.Valid(again) {
			t.Fatalf("%s, %v", again, err)
		}
	})
}
