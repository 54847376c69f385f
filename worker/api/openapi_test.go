package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/llm"
)

// description is openapi.json as the server sends it.
type description struct {
	raw     map[string]any
	schemas map[string]any // of components, made strict
}

const schemaPrefix = "#/components/schemas/"

func describe(t *testing.T, server *api.Server) *description {
	t.Helper()
	got := call(t, server, "GET", "/openapi.json", "", "Authorization: ")
	d := &description{}
	if err := json.Unmarshal([]byte(got.body), &d.raw); err != nil || got.status != 200 {
		t.Fatalf("got %d: %v", got.status, err)
	}
	d.schemas, _ = at(d.raw, "components", "schemas").(map[string]any)
	for name, schema := range d.schemas {
		d.schemas[name] = strict(schema)
	}
	return d
}

// at follows names into nested objects.
func at(value any, names ...string) any {
	for _, name := range names {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// strict returns a schema that takes no field which it does not name. Clients
// must not rely on that; here it finds what is sent and not described. It also
// makes references point to definitions.
func strict(schema any) any {
	switch schema := schema.(type) {
	case map[string]any:
		made := map[string]any{}
		for key, value := range schema {
			if reference, ok := value.(string); ok && key == "$ref" {
				value = strings.Replace(reference, schemaPrefix, "#/$defs/", 1)
			}
			made[key] = strict(value)
		}
		if _, object := schema["properties"].(map[string]any); object && schema["type"] != nil && schema["additionalProperties"] == nil {
			made["additionalProperties"] = false
		}
		return made
	case []any:
		made := make([]any, len(schema))
		for i, value := range schema {
			made[i] = strict(value)
		}
		return made
	default:
		return schema
	}
}

// check validates a JSON text against a schema of the description.
func (d *description) check(t *testing.T, schema any, text string) {
	t.Helper()
	encoded, err := json.Marshal(map[string]any{"$defs": d.schemas, "allOf": []any{strict(schema)}})
	if err != nil {
		t.Fatal(err)
	}
	var root jsonschema.Schema
	if err := json.Unmarshal(encoded, &root); err != nil {
		t.Fatalf("the description holds no valid schema: %v", err)
	}
	resolved, err := root.Resolve(nil)
	if err != nil {
		t.Fatalf("the description holds no valid schema: %v", err)
	}
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("no JSON: %v\n%s", err, text)
	}
	if err := resolved.Validate(value); err != nil {
		t.Errorf("this is not as openapi.json says: %v\n%s", err, text)
	}
}

// resolve follows a reference, if there is one.
func (d *description) resolve(value any) any {
	if reference, ok := at(value, "$ref").(string); ok {
		return at(d.raw, strings.Split(strings.TrimPrefix(reference, "#/"), "/")...)
	}
	return value
}

// checkAnswer wants an answer's status, media type, headers and body to be what
// the description has for an operation.
func (d *description) checkAnswer(t *testing.T, path, method string, got answer) {
	t.Helper()
	response := d.resolve(at(d.raw, "paths", path, strings.ToLower(method), "responses", strconv.Itoa(got.status)))
	if response == nil {
		t.Fatalf("%s %s has no answer with status %d: %s", method, path, got.status, got.body)
	}
	kind, _, err := mime.ParseMediaType(got.header.Get("Content-Type"))
	content := at(response, "content", kind)
	if err != nil || content == nil {
		t.Fatalf("%s %s has no answer %d of type %q", method, path, got.status, kind)
	}
	for _, name := range []string{"Retry-After", "X-Should-Retry", "WWW-Authenticate"} {
		if value := got.header.Get(name); value != "" && at(response, "headers", name) == nil {
			t.Errorf("%s %s has no header %s in the answer %d, and %q was sent", method, path, name, got.status, value)
		}
	}
	switch kind {
	case "application/json":
		d.check(t, at(content, "schema"), got.body)
	case "text/event-stream":
		for _, event := range dataLines(got.body) {
			d.check(t, at(content, "schema"), event)
		}
	}
}

// dataLines returns the data of all events but the last, [DONE].
func dataLines(stream string) []string {
	var all []string
	for line := range strings.Lines(stream) {
		if data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: "); ok && data != "[DONE]" {
			all = append(all, data)
		}
	}
	return all
}

func TestAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	const chat = "/v1/chat/completions"
	full := func(opts *api.Options) {
		opts.Version, opts.Tools = "1.2.3", []string{"terminal"}
		opts.Limits = api.Limits{TurnsPerMinute: 100, TokensPerDay: 1_000_000}
	}
	fails := func(err error) func(*api.Options) {
		return func(opts *api.Options) { opts.Agent = script([]agent.Event{text("Hel")}, agent.Result{}, err) }
	}
	thoughtful := answered("Hello")
	thoughtful.Messages[0].Reasoning = "hm"
	thoughtful.Usage = llm.Usage{Input: 10, Output: 5, Cached: 3, Reasoning: 2}
	for _, test := range []struct {
		name, method, path, described, body string
		header                              []string
		opts                                func(*api.Options)
		status                              int
	}{
		{name: "about", path: "/", status: 200},
		{name: "health", path: "/health", status: 200},
		{name: "health below v1", path: "/v1/health", described: "/health", status: 200},
		{name: "details", path: "/health/detailed", opts: full, status: 200},
		{name: "details of little", path: "/health/detailed", status: 200},
		{name: "details of failure", path: "/health/detailed", status: 503, opts: func(opts *api.Options) {
			opts.Health = func(context.Context) api.Health {
				return api.Health{Parts: map[string]api.Part{"database": {Status: "failed", Detail: "gone"}}}
			}
		}},
		{name: "metrics", path: "/metrics", opts: full, status: 200},
		{name: "description", path: "/openapi.json", status: 200},
		{name: "capabilities", path: "/v1/capabilities", opts: full, status: 200},
		{name: "capabilities of little", path: "/v1/capabilities", status: 200},
		{name: "models", path: "/v1/models", status: 200},
		{name: "models without a key", path: "/v1/models", header: []string{"Authorization: "}, status: 401},
		{name: "models of a foreign page", path: "/v1/models", header: []string{"Origin: https://evil.example"}, status: 403, opts: func(opts *api.Options) {
			opts.CORSOrigins = []string{"https://chat.example"}
		}},
		{name: "one model", path: "/v1/models/alice", described: "/v1/models/{model}", status: 200},
		{name: "no such model", path: "/v1/models/bob", described: "/v1/models/{model}", status: 404},
		{name: "answer", method: "POST", path: chat, body: hello, status: 200},
		{name: "thoughtful answer", method: "POST", path: chat, body: hello, status: 200, opts: func(opts *api.Options) { opts.Agent = script(nil, thoughtful, nil) }},
		{name: "bad body", method: "POST", path: chat, body: `{`, status: 400},
		{name: "bad field", method: "POST", path: chat, body: `{"messages":7}`, status: 400},
		{name: "no key", method: "POST", path: chat, body: hello, header: []string{"Authorization: Bearer no"}, status: 401},
		{name: "too large", method: "POST", path: chat, body: hello, status: 413, opts: func(opts *api.Options) { opts.MaxBodyBytes = 10 }},
		{name: "no JSON", method: "POST", path: chat, body: hello, header: []string{"Content-Type: text/plain"}, status: 415},
		{name: "no tokens", method: "POST", path: chat, body: hello, status: 429, opts: func(opts *api.Options) {
			opts.Limits = api.Limits{TokensPerDay: 1, Ledger: &ledger{tokens: 1}}
		}},
		{name: "broken", method: "POST", path: chat, body: hello, status: 500, opts: fails(fmt.Errorf("oops"))},
		{name: "broken upstream", method: "POST", path: chat, body: hello, status: 502, opts: fails(&llm.Error{Class: llm.RateLimit, RetryAfter: 5e9})},
		{name: "no model", method: "POST", path: chat, body: hello, status: 503, opts: fails(&llm.Error{Class: llm.NoModel})},
		{name: "broken stream", method: "POST", path: chat, body: helloSSE, status: 200, opts: fails(&llm.Error{Class: llm.Network, Message: "gone"})},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := fixed(says("hi"))
			if test.opts != nil {
				test.opts(&opts)
			}
			server := api.New(opts)
			method, described := test.method, test.described
			if method == "" {
				method = http.MethodGet
			}
			if described == "" {
				described = test.path
			}
			got := call(t, server, method, test.path, test.body, test.header...)
			if got.status != test.status {
				t.Fatalf("got %d %s, want %d", got.status, got.body, test.status)
			}
			describe(t, server).checkAnswer(t, described, method, got)
		})
	}
}

// The transcripts that are kept hold every kind of chunk.
func TestKeptStreamsAreAsDescribed(t *testing.T) {
	t.Parallel()
	d := describe(t, api.New(fixed(says("hi"))))
	names, err := filepath.Glob("testdata/*.sse")
	if err != nil || len(names) < 5 {
		t.Fatalf("found %d transcripts: %v", len(names), err)
	}
	schema := at(d.raw, "paths", "/v1/chat/completions", "post", "responses", "200", "content", "text/event-stream", "schema")
	for _, name := range names {
		if strings.Contains(name, "responses-") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, event := range dataLines(string(stream)) {
				d.check(t, schema, event)
			}
		})
	}
}

// What the server takes is as described too.
func TestRequestsAreAsDescribed(t *testing.T) {
	t.Parallel()
	server := api.New(fixed(says("hi")))
	d := describe(t, server)
	schema := at(d.raw, "paths", "/v1/chat/completions", "post", "requestBody", "content", "application/json", "schema")
	for name, body := range map[string]string{
		"least": `{"messages":[{"role":"user","content":"hi"}]}`,
		"most": `{"model":"m","messages":[
			{"role":"system","content":"be kind"},{"role":"developer","content":[{"type":"text","text":"and brief"}]},
			{"role":"user","name":"ann","content":[{"type":"text","text":"what is it?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"low"}},{"type":"input_image","image_url":"https://x.example/y.png"},
				{"type":"file","file":{"filename":"a.txt","file_data":"data:text/plain;base64,aGk="}},{"type":"input_file","filename":"b.txt","file_data":"data:text/plain;base64,aGk="}]},
			{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{}"}}]},
			{"role":"tool","tool_call_id":"c1","content":"a cat"}],
			"stream":false,"stream_options":null,"temperature":0.5,"top_p":1,"max_tokens":100,"max_completion_tokens":-1,"stop":["a","b"],"reasoning_effort":"low","user":"u","n":1,"logprobs":false,
			"tools":[{"type":"function","function":{"name":"look","description":"looks","parameters":{"type":"object"},"strict":false}}],"tool_choice":"auto","parallel_tool_calls":true,
			"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}},"modalities":["text"],"audio":null}`,
		"one tool": `{"messages":[{"role":"user","content":"hi"}],"stop":"x","tools":[{"type":"function","function":{"name":"look"}}],"tool_choice":{"type":"function","function":{"name":"look"}}}`,
		"nulls":    `{"messages":[{"role":"user","content":"hi"}],"model":null,"stream":null,"temperature":null,"top_p":null,"max_tokens":null,"stop":null,"tools":null,"tool_choice":null,"response_format":null,"n":null}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := call(t, server, "POST", "/v1/chat/completions", body); got.status != 200 {
				t.Errorf("the server says %d %s", got.status, got.body)
			}
			d.check(t, schema, body)
		})
	}
}

func TestTheDescriptionIsWhole(t *testing.T) {
	t.Parallel()
	server := api.New(fixed(says("hi")))
	d := describe(t, server)
	if d.raw["openapi"] != "3.1.0" {
		t.Errorf("it is OpenAPI %v", d.raw["openapi"])
	}
	used := map[string]bool{}
	var walk func(value any, path string)
	walk = func(value any, path string) {
		switch value := value.(type) {
		case map[string]any:
			if reference, ok := value["$ref"].(string); ok {
				reference = strings.Replace(reference, "#/$defs/", schemaPrefix, 1)
				used[reference] = true
				if d.resolve(map[string]any{"$ref": reference}) == nil {
					t.Errorf("%s refers to %s, which is not there", path, reference)
				}
			}
			for key, inner := range value {
				walk(inner, path+"/"+key)
			}
		case []any:
			for i, inner := range value {
				walk(inner, path+"/"+strconv.Itoa(i))
			}
		}
	}
	walk(d.raw, "#")
	for _, kind := range []string{"schemas", "responses", "headers"} {
		components, _ := at(d.raw, "components", kind).(map[string]any)
		for name := range components {
			if reference := "#/components/" + kind + "/" + name; !used[reference] {
				t.Errorf("%s is used nowhere", reference)
			}
		}
	}
	ids := map[string]string{}
	paths, _ := d.raw["paths"].(map[string]any)
	for path, item := range paths {
		methods, _ := item.(map[string]any)
		for method, operation := range methods {
			name := method + " " + path
			id, _ := at(operation, "operationId").(string)
			if summary, _ := at(operation, "summary").(string); summary == "" || id == "" || ids[id] != "" {
				t.Errorf("%s has no summary, or no id of its own", name)
			}
			ids[id] = name
			_, open := at(operation, "security").([]any)
			got := call(t, server, strings.ToUpper(method), strings.NewReplacer("{model}", "alice").Replace(path), "", "Authorization: ")
			if open == (got.status == http.StatusUnauthorized) {
				t.Errorf("%s: without a key the answer is %d", name, got.status)
			}
		}
	}
}

// Each feature that is claimed can be used, and each that is not cannot.
func TestCapabilitiesAreTrue(t *testing.T) {
	t.Parallel()
	opts := fixed(both{
		run: script([]agent.Event{thought("hm"), started("c1", "💻", "pwd"), finished("c1", "💻", "pwd", false), text("a"), text("b")}, answered("ab"), nil), complete: says("a title"),
	})
	opts.Tools = []string{"terminal"}
	opts.CORSOrigins = []string{"https://chat.example"}
	server := api.New(stored(t, opts))
	user := func(content string) string { return `{"messages":[{"role":"user","content":` + content + `}]` }
	post := func(body string, header ...string) answer {
		return call(t, server, "POST", "/v1/chat/completions", body, header...)
	}
	stream := func(more string) string { return post(user(`"hi"`) + `,"stream":true` + more + `}`).body }
	works := map[string]func() bool{
		"chat_completions": func() bool { return post(hello).status == 200 },
		"responses": func() bool {
			return call(t, server, "POST", "/v1/responses", `{"input":"hi"}`).status == 200
		},
		"streaming":      func() bool { return strings.HasSuffix(stream(""), "data: [DONE]\n\n") },
		"text_streaming": func() bool { return strings.Contains(stream(""), `"content":"b"`) },
		"stream_usage": func() bool {
			return strings.Contains(stream(`,"stream_options":{"include_usage":true}`), `"usage":`)
		},
		"reasoning":    func() bool { return strings.Contains(stream(""), `"reasoning_content":"hm"`) },
		"server_tools": func() bool { return strings.Contains(stream(""), "💻 pwd") },
		"client_tools": func() bool {
			return post(user(`"hi"`)+`,"tools":[{"type":"function","function":{"name":"look"}}]}`).status == 200
		},
		"structured_output": func() bool { return post(user(`"hi"`)+`,"response_format":{"type":"json_object"}}`).status == 200 },
		"image_input": func() bool {
			return post(user(`[{"type":"image_url","image_url":{"url":"https://x.example/y.png"}}]`)+`}`).status == 200
		},
		"file_input": func() bool {
			return post(user(`[{"type":"file","file":{"filename":"a.txt","file_data":"data:text/plain;base64,aGk="}}]`)+`}`).status == 200
		},
		"audio_input": func() bool {
			return post(user(`[{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}}]`)+`}`).status == 200
		},
		"background_tasks": func() bool { return strings.Contains(post(hello, aTask).body, "a title") },
		"idempotency_keys": func() bool {
			post(hello, "Idempotency-Key: one")
			return post(hello, "Idempotency-Key: one").header.Get("Idempotency-Replayed") != ""
		},
		"cors": func() bool {
			return post(hello, "Origin: https://chat.example").header.Get("Access-Control-Allow-Origin") != ""
		},
		"metrics": func() bool { return len(scrape(t, server)) > 0 },
	}
	var body struct {
		Features  map[string]bool
		Tools     []string
		Endpoints []struct{ Method, Path string }
	}
	if err := json.Unmarshal([]byte(call(t, server, "GET", "/v1/capabilities", "").body), &body); err != nil {
		t.Fatal(err)
	}
	for _, feature := range slices.Sorted(maps.Keys(body.Features)) {
		try, ok := works[feature]
		if !ok {
			t.Errorf("nothing here tries %s", feature)
			continue
		}
		if got := try(); got != body.Features[feature] {
			t.Errorf("%s works: %v, and GET /v1/capabilities says %v (features in capabilities.go, or openapi.json)", feature, got, body.Features[feature])
		}
	}
	if !slices.Equal(body.Tools, opts.Tools) {
		t.Errorf("tools are %v", body.Tools)
	}
	for _, endpoint := range body.Endpoints {
		got := call(t, server, endpoint.Method, endpoint.Path, "")
		if got.status == http.StatusMethodNotAllowed || strings.Contains(got.body, "This server has GET") {
			t.Errorf("there is no %s %s", endpoint.Method, endpoint.Path)
		}
	}
}

func TestCapabilitiesTellTheSettings(t *testing.T) {
	t.Parallel()
	opts := fixed(says("hi"))
	opts.Version, opts.Tools, opts.Streaming, opts.ToolProgress, opts.OnDisconnect = "1.2.3", []string{"patch", "terminal"}, false, "both", "detach"
	opts.MaxBodyBytes, opts.MaxConcurrentRuns = 4096, 3
	opts.Limits = api.Limits{TurnsPerMinute: 20, TokensPerDay: 5_000_000_000}
	for name, test := range map[string]struct {
		server *api.Server
		wants  []string
	}{
		"set": {api.New(opts), []string{
			`"object":"capabilities","server":{"name":"hermes","version":"1.2.3"},"model":"alice",`,
			`{"method":"POST","path":"/v1/chat/completions","key":true,"summary":"Runs a turn`, `"path":"/health","key":false`,
			`"text_streaming":false`, `"cors":false`, `"tools":["patch","terminal"]`,
			`"tool_progress":{"setting":"both","forms":["inline","event","both","off"],"openwebui":"both","others":"both"}`,
			`"limits":{"max_body_bytes":4096,"max_concurrent_turns":3,"max_waiting_turns":6,"max_wait_seconds":30,"max_concurrent_tasks":4,"turns_per_minute":20,"tokens_per_day":5000000000}`,
			`"on_disconnect":"detach"`,
		}},
		"defaults": {api.New(api.Options{Agent: says("hi"), ModelName: "alice", KeySHA256: digest(testKey), Log: opts.Log}), []string{
			`"tools":[]`, `"server_tools":false`, `"tool_progress":{"setting":"auto","forms":["inline","event","both","off"],"openwebui":"event","others":"inline"}`,
			`"max_body_bytes":10000000,"max_concurrent_turns":10`, `"turns_per_minute":null,"tokens_per_day":null`, `"on_disconnect":"cancel"`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := call(t, test.server, "GET", "/v1/capabilities", "")
			for _, want := range test.wants {
				if !strings.Contains(got.body, want) {
					t.Errorf("there is no %s in %s", want, got.body)
				}
			}
			if again := call(t, test.server, "GET", "/capabilities", ""); again.body != got.body {
				t.Errorf("the second time it is %s", again.body)
			}
		})
	}
}
