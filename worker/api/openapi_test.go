package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/llm"
)

func TestAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	const (
		chat, responses = "/v1/chat/completions", "/v1/responses"
		one             = responses + "/{id}" // of what the row made first
	)
	full := func(opts *api.Options) {
		opts.Version, opts.Tools = "1.2.3", []string{"terminal"}
		opts.Limits = api.Limits{TurnsPerMinute: 100, TokensPerDay: 1_000_000}
	}
	fails := func(err error) func(*api.Options) {
		return func(opts *api.Options) { opts.Agent = script([]agent.Event{text("Hel")}, agent.Result{}, err) }
	}
	acts := func(err error) func(*api.Options) {
		return func(opts *api.Options) { opts.Agent = script(twoTools(), answered("Only a is there."), err) }
	}
	ends := func(finish llm.Finish) func(*api.Options) {
		result := answered("Hello")
		result.Finish = finish
		return func(opts *api.Options) { opts.Agent = script([]agent.Event{thought("hm"), text("Hello")}, result, nil) }
	}
	asked, leftOver := leaves("Let me ask.", llm.ToolCall{ID: "c2", Name: "ask", Arguments: "{}"})
	seen := `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x.example/y.png"}}]}]}`
	items := `{"input":[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"https://x.example/y.png"},{"type":"input_file","filename":"a.txt","file_data":"aGk="}]},
		{"type":"reasoning","summary":[{"type":"summary_text","text":"s"}],"content":[{"type":"reasoning_text","text":"t"}],"encrypted_content":"e"},{"role":"assistant","content":[{"type":"output_text","text":"b"},{"type":"refusal","refusal":"no"}]},
		{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"one"}]},
		{"type":"mcp_call","name":"f","arguments":"{}","error":"broke"},{"role":"developer","content":"c"}]}`
	thoughtful := answered("Hello")
	thoughtful.Messages[0].Reasoning = "hm"
	thoughtful.Usage = llm.Usage{Input: 10, Output: 5, Cached: 3, Reasoning: 2}
	d := describe(t, api.New(fixed(says("hi"))))
	for _, test := range []struct {
		name, method, path, described, body string
		first                               string // what was sent before, to where responses are made if the path has an {id}
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
			opts.Limits, opts.Ledger = api.Limits{TokensPerDay: 1}, &ledger{tokens: 1}
		}},
		{name: "broken", method: "POST", path: chat, body: hello, status: 500, opts: fails(fmt.Errorf("oops"))},
		{name: "broken upstream", method: "POST", path: chat, body: hello, status: 502, opts: fails(&llm.Error{Class: llm.RateLimit, RetryAfter: 5e9})},
		{name: "no model", method: "POST", path: chat, body: hello, status: 503, opts: fails(&llm.Error{Class: llm.NoModel})},
		{name: "blind model", method: "POST", path: chat, body: seen, status: 400, opts: fails(&llm.Error{Class: llm.BadRequest, Message: "no images"})},
		{name: "repeated", method: "POST", path: chat, first: hello, body: hello, header: []string{"Idempotency-Key: k"}, status: 200},
		{name: "key of another request", method: "POST", path: chat, first: hello, body: helloSSE, header: []string{"Idempotency-Key: k"}, status: 409},

		{name: "response", method: "POST", path: responses, body: `{"input":"x"}`, status: 200},
		{name: "response with all wishes", method: "POST", path: responses, status: 200, body: `{"input":"x","instructions":"i","conversation":"c","metadata":{"a":"b"},"max_output_tokens":9,"max_tool_calls":9,"text":{"format":{"type":"json_schema","name":"n"},"verbosity":"low"},
			"reasoning":{"effort":"low"},"tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"function","name":"f"},"user":"u","safety_identifier":"s","prompt_cache_key":"k"}`},
		{name: "response to Open WebUI", method: "POST", path: responses, body: `{"input":"x","tools":[{"type":"web_search"}]}`, header: []string{"X-OpenWebUI-Chat-Id: 1"}, opts: acts(nil), status: 200},
		{name: "response in the background", method: "POST", path: responses, body: `{"input":"x","background":true}`, status: 200},
		{name: "response with tools", method: "POST", path: responses, body: `{"input":"x"}`, opts: acts(nil), status: 200},
		{name: "response with mcp calls", method: "POST", path: responses, body: `{"input":"x"}`, header: []string{"User-Agent: ai-sdk/openai"}, opts: acts(nil), status: 200},
		{name: "response with calls for the client", method: "POST", path: responses, body: `{"input":"x","tools":[{"type":"function","name":"ask"}]}`, status: 200, opts: func(opts *api.Options) {
			opts.Agent = script(asked, leftOver, nil)
		}},
		{name: "response cut by length", method: "POST", path: responses, body: `{"input":"x"}`, opts: ends(llm.FinishLength), status: 200},
		{name: "response cut by a filter", method: "POST", path: responses, body: `{"input":"x"}`, opts: ends(llm.FinishContentFilter), status: 200},
		{name: "failed response", method: "POST", path: responses, body: `{"input":"x"}`, opts: acts(&llm.Error{Class: llm.RateLimit, Message: "Slow down."}), status: 200},
		{name: "streamed response", method: "POST", path: responses, body: `{"input":"x","stream":true}`, opts: acts(nil), status: 200},
		{name: "streamed response with mcp calls", method: "POST", path: responses, body: `{"input":"x","stream":true}`, header: []string{"User-Agent: ai-sdk/openai"}, opts: acts(nil), status: 200},
		{name: "streamed response to Open WebUI", method: "POST", path: responses, body: `{"input":"x","stream":true}`, header: []string{"X-OpenWebUI-Chat-Id: 1"}, opts: acts(nil), status: 200},
		{name: "streamed response in the background", method: "POST", path: responses, body: `{"input":"x","stream":true,"background":true}`, opts: ends(llm.FinishStop), status: 200},
		{name: "broken stream of a response", method: "POST", path: responses, body: `{"input":"x","stream":true}`, opts: fails(&llm.Error{Class: llm.Overflow, Message: "long"}), status: 200},
		{name: "repeated response", method: "POST", path: responses, first: `{"input":"x"}`, body: `{"input":"x"}`, header: []string{"Idempotency-Key: k"}, status: 200},
		{name: "response to a bad body", method: "POST", path: responses, body: `{`, status: 400},
		{name: "response to nothing", method: "POST", path: responses, body: `{}`, status: 400},
		{name: "response without a key", method: "POST", path: responses, body: `{"input":"x"}`, header: []string{"Authorization: Bearer no"}, status: 401},
		{name: "response after an unknown one", method: "POST", path: responses, body: `{"input":"x","stream":true,"previous_response_id":"resp_1"}`, status: 404},
		{name: "response to an unknown item", method: "POST", path: responses, body: `{"input":[{"type":"item_reference","id":"msg_1_1"}]}`, status: 404},
		{name: "response with the key of another", method: "POST", path: responses, first: `{"input":"x"}`, body: `{"input":"y"}`, header: []string{"Idempotency-Key: k"}, status: 409},
		{name: "response to a large body", method: "POST", path: responses, body: `{"input":"x"}`, opts: func(opts *api.Options) { opts.MaxBodyBytes = 5 }, status: 413},
		{name: "response to no JSON", method: "POST", path: responses, body: `{"input":"x"}`, header: []string{"Content-Type: text/plain"}, status: 415},
		{name: "response without tokens", method: "POST", path: responses, body: `{"input":"x"}`, status: 429, opts: func(opts *api.Options) {
			opts.Limits, opts.Ledger = api.Limits{TokensPerDay: 1}, &ledger{tokens: 1}
		}},
		{name: "broken response", method: "POST", path: responses, body: `{"input":"x"}`, status: 500, opts: fails(fmt.Errorf("oops"))},
		{name: "response of a broken upstream", method: "POST", path: responses, body: `{"input":"x"}`, status: 502, opts: fails(&llm.Error{Class: llm.RateLimit, RetryAfter: 5e9})},
		{name: "response of no model", method: "POST", path: responses, body: `{"input":"x"}`, status: 503, opts: fails(&llm.Error{Class: llm.NoModel})},
		{name: "stored response", path: one, first: `{"input":"x"}`, opts: acts(nil), status: 200},
		{name: "replay", path: one + "?stream=true", first: `{"input":"x"}`, opts: acts(nil), status: 200},
		{name: "replay of a part", path: one + "?stream=true&starting_after=2", first: `{"input":"x"}`, opts: acts(nil), status: 200},
		{name: "replay from nowhere", path: one + "?stream=true&starting_after=x", first: `{"input":"x"}`, status: 400},
		{name: "unknown response", path: responses + "/resp_1", described: one, status: 404},
		{name: "stored response without a key", path: one, first: `{"input":"x"}`, header: []string{"Authorization: "}, status: 401},
		{name: "deleted response", method: "DELETE", path: one, first: `{"input":"x"}`, status: 200},
		{name: "deletion of an unknown response", method: "DELETE", path: responses + "/resp_1", described: one, status: 404},
		{name: "cancelled response", method: "POST", path: one + "/cancel", first: `{"input":"x","background":true}`, opts: func(opts *api.Options) {
			opts.Agent = runs(func(ctx context.Context, _ agent.Turn, _ func(agent.Event) error) (agent.Result, error) {
				<-ctx.Done()
				return agent.Result{}, context.Cause(ctx)
			})
		}, status: 200},
		{name: "response that cannot be cancelled", method: "POST", path: one + "/cancel", first: `{"input":"x"}`, status: 400},
		{name: "cancelling an unknown response", method: "POST", path: responses + "/resp_1/cancel", described: one + "/cancel", status: 404},
		{name: "input items", path: one + "/input_items", first: items, status: 200},
		{name: "page of input items", path: one + "/input_items?limit=2&order=asc", first: items, status: 200},
		{name: "wrong page of input items", path: one + "/input_items?limit=0", first: items, status: 400},
		{name: "input items of an unknown response", path: responses + "/resp_1/input_items", described: one + "/input_items", status: 404},
		{name: "broken stream", method: "POST", path: chat, body: helloSSE, status: 200, opts: fails(&llm.Error{Class: llm.Network, Message: "gone"})},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := stored(t, fixed(says("hi")))
			if test.opts != nil {
				test.opts(&opts)
			}
			server := api.New(opts)
			method, path, described := test.method, test.path, test.described
			if method == "" {
				method = http.MethodGet
			}
			if described == "" {
				described, _, _ = strings.Cut(path, "?")
			}
			switch {
			case strings.Contains(path, "{id}"):
				path = strings.Replace(path, "{id}", respond(t, server, test.first).ID, 1)
			case test.first != "":
				call(t, server, method, path, test.first, test.header...)
			}
			got := call(t, server, method, path, test.body, test.header...)
			if got.status != test.status {
				t.Fatalf("got %d %s, want %d", got.status, got.body, test.status)
			}
			d.checkAnswer(t, described, method, got)
		})
	}
}

// The transcripts that are kept hold every kind of chunk, and every type of event.
func TestKeptStreamsAreAsDescribed(t *testing.T) {
	t.Parallel()
	d := describe(t, api.New(fixed(says("hi"))))
	names, err := filepath.Glob("testdata/*.sse")
	if err != nil || len(names) < 5 {
		t.Fatalf("found %d transcripts: %v", len(names), err)
	}
	schemaOf := func(path string) any {
		return at(d.raw, "paths", path, "post", "responses", "200", "content", "text/event-stream", "schema")
	}
	sent := map[string]bool{}
	for _, name := range names {
		stream, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		schema := schemaOf("/v1/chat/completions")
		ofResponses := strings.HasPrefix(filepath.Base(name), "responses-")
		if ofResponses {
			schema = schemaOf("/v1/responses")
		}
		for _, event := range dataLines(string(stream)) {
			d.check(t, schema, event)
			var typed struct{ Type string }
			if err := json.Unmarshal([]byte(event), &typed); err != nil {
				t.Fatal(err)
			}
			if ofResponses {
				sent[typed.Type] = true
			}
		}
	}
	events, _ := at(d.schemas, "ResponseEvent", "oneOf").([]any)
	for _, event := range events {
		reference, _ := at(event, "$ref").(string)
		kind := at(d.schemas, strings.TrimPrefix(reference, "#/$defs/"), "properties", "type")
		names, _ := at(kind, "enum").([]any)
		if name := at(kind, "const"); name != nil {
			names = append(names, name)
		}
		if len(names) == 0 {
			t.Errorf("%s has no type", reference)
		}
		for _, name := range names {
			if text, _ := name.(string); !sent[text] {
				t.Errorf("openapi.json has events of type %v, and no transcript holds one", name)
			}
		}
	}
}

// What the server takes is as described too.
func TestRequestsAreAsDescribed(t *testing.T) {
	t.Parallel()
	server := api.New(stored(t, fixed(says("hi"))))
	d := describe(t, server)
	const chat, responses = "/v1/chat/completions", "/v1/responses"
	first := respond(t, server, `{"input":"hello"}`)
	item := "msg_" + strings.TrimPrefix(first.ID, "resp_") + "_i1"
	const things = `{"type":"input_text","text":"see"},{"type":"text","text":"a"},{"type":"input_image","image_url":"https://x.example/y.png","detail":"low"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"high"}},{"type":"input_file","filename":"b.txt","file_data":"aGk="}`
	for name, test := range map[string]struct{ path, body string }{
		"least": {chat, `{"messages":[{"role":"user","content":"hi"}]}`},
		"most": {chat, `{"model":"m","messages":[
			{"role":"system","content":"be kind"},{"role":"developer","content":[{"type":"text","text":"and brief"}]},
			{"role":"user","name":"ann","content":[{"type":"text","text":"what is it?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"low"}},{"type":"input_image","image_url":"https://x.example/y.png"},
				{"type":"file","file":{"filename":"a.txt","file_data":"data:text/plain;base64,aGk="}},{"type":"input_file","filename":"b.txt","file_data":"data:text/plain;base64,aGk="}]},
			{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{}"}}]},
			{"role":"tool","tool_call_id":"c1","content":"a cat"}],
			"stream":false,"stream_options":null,"temperature":0.5,"top_p":1,"max_tokens":100,"max_completion_tokens":-1,"stop":["a","b"],"reasoning_effort":"low","user":"u","n":1,"logprobs":false,
			"tools":[{"type":"function","function":{"name":"look","description":"looks","parameters":{"type":"object"},"strict":false}}],"tool_choice":"auto","parallel_tool_calls":true,
			"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}},"modalities":["text"],"audio":null}`},
		"one tool": {chat, `{"messages":[{"role":"user","content":"hi"}],"stop":"x","tools":[{"type":"function","function":{"name":"look"}}],"tool_choice":{"type":"function","function":{"name":"look"}}}`},
		"nulls":    {chat, `{"messages":[{"role":"user","content":"hi"}],"model":null,"stream":null,"temperature":null,"top_p":null,"max_tokens":null,"stop":null,"tools":null,"tool_choice":null,"response_format":null,"n":null}`},

		"least response": {responses, `{"input":"hi"}`},
		"most of a response": {responses, `{"model":"m","input":"hi","instructions":"i","conversation":{"id":"c"},"metadata":{"a":"b"},"store":true,"background":false,"stream":false,"stream_options":{"include_obfuscation":false},
			"max_output_tokens":9,"max_tool_calls":9,"temperature":0.5,"top_p":1,"presence_penalty":0.5,"frequency_penalty":0.5,"top_logprobs":0,"truncation":"auto",
			"text":{"format":{"type":"json_schema","name":"n","description":"d","schema":{"type":"object"},"strict":true},"verbosity":"low"},"reasoning":{"effort":"low","summary":"auto"},
			"tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object"},"strict":true}],"tool_choice":{"type":"function","name":"f"},"parallel_tool_calls":false,"include":["reasoning.encrypted_content"],
			"user":"u","service_tier":"auto","safety_identifier":"s","prompt_cache_key":"k","prompt":null}`},
		"nulls of a response": {responses, `{"input":"hi","model":null,"instructions":null,"previous_response_id":null,"conversation":null,"metadata":null,"store":null,"background":null,"stream":null,"stream_options":null,"max_output_tokens":null,"max_tool_calls":null,
			"temperature":null,"top_p":null,"presence_penalty":null,"frequency_penalty":null,"top_logprobs":null,"truncation":null,"text":null,"reasoning":null,"tools":null,"tool_choice":null,"parallel_tool_calls":null,"include":null,
			"user":null,"service_tier":null,"safety_identifier":null,"prompt_cache_key":null,"prompt":null}`},
		"conversation by name": {responses, `{"input":"hi","conversation":"d","text":{"format":null},"tool_choice":"auto"}`},
		"items": {responses, `{"input":[{"type":"message","role":"user","content":[` + things + `]},{"role":"system","content":"s"},{"role":"developer","content":"d"},
			{"type":"reasoning","id":"rs_1","status":"completed","summary":[{"type":"summary_text","text":"s"}],"content":[{"type":"reasoning_text","text":"t"}],"encrypted_content":null},{"type":"reasoning","summary":[]},
			{"role":"assistant","id":"msg_1","status":"completed","content":[{"type":"output_text","text":"a","annotations":[],"logprobs":[]},{"type":"refusal","refusal":"no"}]},{"role":"assistant","content":null},
			{"type":"function_call","id":"fc_1","status":"completed","call_id":"c1","name":"f","arguments":"{}"},{"type":"function_call","call_id":"c2","name":"f","arguments":{"a":1}},{"type":"function_call","call_id":"c3","name":"f"},
			{"type":"function_call_output","id":"fco_1","status":"completed","call_id":"c1","output":"one"},{"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"two"},{"type":"input_image","image_url":"https://x.example/y.png"}]},
			{"type":"mcp_call","id":"mcp_1","status":"failed","server_label":"hermes","name":"f","arguments":"{}","output":null,"error":{"type":"mcp_tool_execution_error","content":[{"type":"text","text":"broke"}]},"approval_request_id":null},
			{"type":"mcp_call","name":"f","output":"one"},{"type":"mcp_call","name":"f","error":"broke"}]}`},
		"references": {responses, `{"input":[{"type":"item_reference","id":"` + item + `"},{"id":"` + item + `"}]}`},
		"following":  {responses, `{"input":"hi","previous_response_id":"` + first.ID + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := call(t, server, "POST", test.path, test.body); got.status != 200 {
				t.Errorf("the server says %d %s", got.status, got.body)
			}
			d.check(t, at(d.raw, "paths", test.path, "post", "requestBody", "content", "application/json", "schema"), test.body)
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
	for _, kind := range []string{"schemas", "responses", "headers", "parameters"} {
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
			var named []string
			parameters, _ := at(operation, "parameters").([]any)
			for _, parameter := range parameters {
				if parameter := d.resolve(parameter); at(parameter, "in") == "path" {
					named = append(named, fmt.Sprint("{", at(parameter, "name"), "}"))
				}
			}
			if want := regexp.MustCompile(`\{\w+\}`).FindAllString(path, -1); !slices.Equal(named, want) {
				t.Errorf("%s has the path parameters %v, want %v", name, named, want)
			}
			_, open := at(operation, "security").([]any)
			got := call(t, server, strings.ToUpper(method), strings.NewReplacer("{model}", "alice").Replace(path), "", "Authorization: ")
			if open == (got.status == http.StatusUnauthorized) {
				t.Errorf("%s: without a key the answer is %d", name, got.status)
			}
		}
	}
}
