package api_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/llm"
)

func TestWhatAClientSendsBecomesATurn(t *testing.T) {
	t.Parallel()
	user := func(text string) llm.Message { return llm.TextMessage(llm.User, text) }
	assistant := func(text string) llm.Message { return llm.TextMessage(llm.Assistant, text) }
	half, one := 0.5, 1.0
	call1 := llm.ToolCall{ID: "c1", Name: "f", Arguments: `{"a":1}`}
	tests := []struct {
		name, body string
		want       agent.Turn
	}{
		{"one message", `{"messages":[{"role":"user","content":"hi"}]}`, agent.Turn{History: []llm.Message{user("hi")}}},
		{
			"system messages are joined wherever they stand",
			`{"messages":[{"role":"system","content":"be short"},{"role":"user","content":"hi"},{"role":"developer","content":[{"type":"text","text":"be "},{"type":"text","text":"kind"}]},{"role":"system","content":""}]}`,
			agent.Turn{History: []llm.Message{user("hi")}, System: "be short\n\nbe kind"},
		},
		{
			"equal roles in a row", `{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"},{"role":"assistant","content":"c"},{"role":"assistant","content":"d"},{"role":"user","content":"e"}]}`,
			agent.Turn{History: []llm.Message{user("a"), user("b"), assistant("c"), assistant("d"), user("e")}},
		},
		{
			"a trailing answer is to be continued", `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`,
			agent.Turn{History: []llm.Message{user("a"), assistant("b")}},
		},
		{
			"answers without a word are left out", `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":""},{"role":"assistant","content":null},{"role":"assistant"},{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]},{"role":"user","content":"b"}]}`,
			agent.Turn{History: []llm.Message{user("a"), user("b")}},
		},
		{
			"parts",
			`{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"input_text","text":"b"},{"type":"image_url","image_url":{"url":"https://x/y.png","detail":"low"}},{"type":"image_url","image_url":"http://x/z.png"},{"type":"input_image","image_url":"data:image/png;base64,AA==","detail":"high"}]}]}`,
			agent.Turn{History: []llm.Message{{Role: llm.User, Parts: []llm.Part{
				{Text: "a"},
				{Text: "b"},
				{ImageURL: "https://x/y.png", Detail: "low"},
				{ImageURL: "http://x/z.png"},
				{ImageURL: "data:image/png;base64,AA==", Detail: "high"},
			}}}},
		},
		{
			"tool calls and results",
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"done"}]}]}`,
			agent.Turn{History: []llm.Message{
				user("a"),
				{Role: llm.Assistant, ToolCalls: []llm.ToolCall{call1}},
				{Role: llm.Tool, Parts: []llm.Part{{Text: "done"}}, ToolCallID: "c1"},
			}},
		},
		{
			"a call without a result gets one",
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"","tool_calls":[{"id":"c1","function":{"name":"f","arguments":{"a":1}}}]},{"role":"user","content":"b"}]}`,
			agent.Turn{History: []llm.Message{
				user("a"),
				{Role: llm.Assistant, ToolCalls: []llm.ToolCall{call1}},
				{Role: llm.Tool, Parts: []llm.Part{{Text: "There is no result of this call."}}, ToolCallID: "c1"},
				user("b"),
			}},
		},
		{
			"markers are taken out", "{\"messages\":[{\"role\":\"user\",\"content\":\"`💻 pwd`\"},{\"role\":\"assistant\",\"content\":\"\\n`💻 pwd`\\n\\nYou are in /x.\"},{\"role\":\"user\",\"content\":\"b\"}]}",
			agent.Turn{History: []llm.Message{user("`💻 pwd`"), assistant("You are in /x."), user("b")}},
		},
		{
			"wishes", `{"messages":[{"role":"user","content":"a"}],"temperature":0.5,"top_p":1,"presence_penalty":0.5,"frequency_penalty":1,"max_tokens":10,"stop":["x","y"],"reasoning_effort":"low"}`,
			agent.Turn{History: []llm.Message{user("a")}, Params: agent.Params{Temperature: &half, TopP: &one, PresencePenalty: &half, FrequencyPenalty: &one, MaxTokens: 10, Stop: []string{"x", "y"}, ReasoningEffort: "low"}},
		},
		{
			"an answer in JSON", `{"messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_object","x":1}}`,
			agent.Turn{History: []llm.Message{user("a")}, Params: agent.Params{ResponseFormat: []byte(`{"type":"json_object"}`)}},
		},
		{
			"an answer by a schema", `{"messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object"}}}}`,
			agent.Turn{History: []llm.Message{user("a")}, Params: agent.Params{ResponseFormat: []byte(`{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object"}}}`)}},
		},
		{
			"the new name of the limit wins", `{"messages":[{"role":"user","content":"a"}],"max_tokens":10,"max_completion_tokens":20,"stop":"x"}`,
			agent.Turn{History: []llm.Message{user("a")}, Params: agent.Params{MaxTokens: 20, Stop: []string{"x"}}},
		},
		{
			"no limit", `{"messages":[{"role":"user","content":"a"}],"max_tokens":-1}`, agent.Turn{History: []llm.Message{user("a")}},
		},
		{
			"what asks for nothing is ignored",
			`{"messages":[{"role":"user","content":"a","name":"Ann"}],"tools":[],"functions":[],"tool_choice":"auto","parallel_tool_calls":true,"logprobs":false,"top_logprobs":null,"presence_penalty":0,"frequency_penalty":0,"logit_bias":{"1":2},"seed":4,"user":"u","metadata":{"a":"b"},"store":true,"service_tier":"auto","stream_options":{"include_usage":true},"n":1,"response_format":{"type":"text"},"modalities":["text"],"audio":null,"stream":false}`,
			agent.Turn{History: []llm.Message{user("a")}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var got agent.Turn
			server := api.New(fixed(runs(func(_ context.Context, turn agent.Turn, _ func(agent.Event) error) (agent.Result, error) {
				got = turn
				return answered("ok"), nil
			})))
			if answer := call(t, server, "POST", "/v1/chat/completions", test.body); answer.status != 200 {
				t.Fatalf("got %d %s", answer.status, answer.body)
			}
			test.want.Source, test.want.RequestID = "chat", "req_0001"
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestBadChatRequests(t *testing.T) {
	t.Parallel()
	const ask = `"messages":[{"role":"user","content":"a"}]`
	tests := []struct{ name, body, param, code string }{
		{"no JSON", "hello", "", "invalid_json"},
		{"wrong type", `{"messages":[{"role":1}]}`, "messages[0].role", "invalid_value"},
		{"no messages", `{}`, "messages", "invalid_value"},
		{"empty messages", `{"messages":[]}`, "messages", "invalid_value"},
		{"only a system message", `{"messages":[{"role":"system","content":"x"}]}`, "messages", "invalid_value"},
		{"only an answer", `{"messages":[{"role":"assistant","content":"x"}]}`, "messages", "invalid_value"},
		{"no role", `{"messages":[{"content":"x"}]}`, "messages[0].role", "invalid_value"},
		{"unknown role", `{"messages":[{"role":"user","content":"x"},{"role":"robot","content":"x"}]}`, "messages[1].role", "invalid_value"},
		{"role of old times", `{"messages":[{"role":"function","content":"x"}]}`, "messages[0].role", "invalid_value"},
		{"no content", `{"messages":[{"role":"user"}]}`, "messages[0].content", "invalid_value"},
		{"null content", `{"messages":[{"role":"user","content":null}]}`, "messages[0].content", "invalid_value"},
		{"no parts", `{"messages":[{"role":"user","content":[]}]}`, "messages[0].content", "invalid_value"},
		{"part without type", `{"messages":[{"role":"user","content":[{"text":"x"}]}]}`, "messages[0].content[0].type", "invalid_value"},
		{"unknown part", `{"messages":[{"role":"user","content":[{"type":"text","text":""},{"type":"video"}]}]}`, "messages[0].content[1].type", "unsupported_content_type"},
		{"sound", `{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"","format":"wav"}}]}]}`, "messages[0].content[0].type", "unsupported_content_type"},
		{"image without url", `{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}`, "messages[0].content[0].image_url", "invalid_value"},
		{"image of a local file", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]}`, "messages[0].content[0].image_url.url", "invalid_value"},
		{"data that is no image", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":"data:text/html;base64,AA=="}]}]}`, "messages[0].content[0].image_url.url", "invalid_value"},
		{"image detail", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x","detail":"huge"}}]}]}`, "messages[0].content[0].image_url.detail", "invalid_value"},
		{"image in a system message", `{"messages":[{"role":"system","content":[{"type":"image_url","image_url":"https://x"}]},{"role":"user","content":"x"}]}`, "messages[0].content[0].type", "unsupported_content_type"},
		{"result without a call", `{"messages":[{"role":"user","content":"x"},{"role":"tool","tool_call_id":"c1","content":"x"}]}`, "messages[1].tool_call_id", "invalid_value"},
		{"result without an id", `{"messages":[{"role":"user","content":"x"},{"role":"tool","content":"x"}]}`, "messages[1].tool_call_id", "invalid_value"},
		{"two results", `{"messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f"}}]},{"role":"tool","tool_call_id":"c","content":"x"},{"role":"tool","tool_call_id":"c","content":"x"}]}`, "messages[3].tool_call_id", "invalid_value"},
		{"call without id", `{"messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}]}`, "messages[1].tool_calls[0].id", "invalid_value"},
		{"call without name", `{"messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"id":"c"}]}]}`, "messages[1].tool_calls[0].function.name", "invalid_value"},
		{"too hot", `{` + ask + `,"temperature":2.1}`, "temperature", "invalid_value"},
		{"too cold", `{` + ask + `,"temperature":-1}`, "temperature", "invalid_value"},
		{"top_p", `{` + ask + `,"top_p":1.1}`, "top_p", "invalid_value"},
		{"presence_penalty", `{` + ask + `,"presence_penalty":-2.1}`, "presence_penalty", "invalid_value"},
		{"frequency_penalty", `{` + ask + `,"frequency_penalty":3}`, "frequency_penalty", "invalid_value"},
		{"no tokens", `{` + ask + `,"max_tokens":0}`, "max_tokens", "invalid_value"},
		{"fewer than no tokens", `{` + ask + `,"max_completion_tokens":-2}`, "max_completion_tokens", "invalid_value"},
		{"long model", `{` + ask + `,"model":"` + strings.Repeat("m", 257) + `"}`, "model", "invalid_value"},
		{"functions", `{` + ask + `,"functions":[{"name":"f"}]}`, "functions", "unsupported_parameter"},
		{"too many tools", `{` + ask + `,"tools":[` + strings.Repeat(tool("f")+",", 128) + tool("f") + `]}`, "tools", "invalid_value"},
		{"tool of another type", `{` + ask + `,"tools":[{"type":"web_search"}]}`, "tools[0].type", "unsupported_parameter"},
		{"tool without a name", `{` + ask + `,"tools":[{"type":"function"}]}`, "tools[0].function.name", "invalid_value"},
		{"tool with an odd name", `{` + ask + `,"tools":[` + tool("a b") + `]}`, "tools[0].function.name", "invalid_value"},
		{"tool with a long name", `{` + ask + `,"tools":[` + tool(strings.Repeat("f", 65)) + `]}`, "tools[0].function.name", "invalid_value"},
		{"tool with the name of the agent's own", `{` + ask + `,"tools":[` + tool("f") + `,` + tool("terminal") + `]}`, "tools[1].function.name", "invalid_value"},
		{"two tools of one name", `{` + ask + `,"tools":[` + tool("f") + `,` + tool("f") + `]}`, "tools[1].function.name", "invalid_value"},
		{"tool with odd parameters", `{` + ask + `,"tools":[{"function":{"name":"f","parameters":["x"]}}]}`, "tools[0].function.parameters", "invalid_value"},
		{"required without tools", `{` + ask + `,"tool_choice":"required"}`, "tool_choice", "invalid_value"},
		{"chosen tool that there is not", `{` + ask + `,"tools":[` + tool("f") + `],"tool_choice":{"type":"function","function":{"name":"g"}}}`, "tool_choice", "invalid_value"},
		{"choice of several", `{` + ask + `,"tools":[` + tool("f") + `],"tool_choice":{"type":"allowed_tools","allowed_tools":{}}}`, "tool_choice", "unsupported_parameter"},
		{"odd choice", `{` + ask + `,"tools":[` + tool("f") + `],"tool_choice":"all"}`, "tool_choice", "unsupported_parameter"},
		{"response format without a type", `{` + ask + `,"response_format":{}}`, "response_format.type", "invalid_value"},
		{"unknown response format", `{` + ask + `,"response_format":{"type":"grammar"}}`, "response_format.type", "unsupported_parameter"},
		{"response format without its schema", `{` + ask + `,"response_format":{"type":"json_schema"}}`, "response_format.json_schema", "invalid_value"},
		{"schema without a name", `{` + ask + `,"response_format":{"type":"json_schema","json_schema":{"schema":{}}}}`, "response_format.json_schema", "invalid_value"},
		{"odd schema", `{` + ask + `,"response_format":{"type":"json_schema","json_schema":"x"}}`, "response_format.json_schema", "invalid_value"},
		{"two answers", `{` + ask + `,"n":2}`, "n", "unsupported_parameter"},
		{"logprobs", `{` + ask + `,"logprobs":true}`, "logprobs", "unsupported_parameter"},
		{"speech", `{` + ask + `,"modalities":["text","audio"]}`, "modalities[1]", "unsupported_parameter"},
		{"voice", `{` + ask + `,"audio":{"voice":"x"}}`, "audio", "unsupported_parameter"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := api.New(fixed(runs(func(context.Context, agent.Turn, func(agent.Event) error) (agent.Result, error) {
				t.Error("the turn was run")
				return agent.Result{}, nil
			})))
			got := call(t, server, "POST", "/v1/chat/completions", test.body)
			e := got.error(t)
			if got.status != 400 || e.Type != "invalid_request_error" || e.Param != test.param || e.Code != test.code {
				t.Errorf("got %d %+v, want param %q, code %q", got.status, e, test.param, test.code)
			}
			if !strings.HasSuffix(e.Message, ".") || test.param != "" && !strings.Contains(e.Message, strings.TrimSuffix(test.param, "[1]")) {
				t.Errorf("message is %q", e.Message)
			}
		})
	}
}

func TestOpenWebUIsOwnToolsAreIgnored(t *testing.T) {
	t.Parallel()
	const body = `{"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required","functions":[{}]}`
	for _, header := range []string{"User-Agent: Python/3.11 aiohttp/3.12", "X-OpenWebUI-Chat-Id: 1", "X-OpenWebUI-User-Name: Ann"} {
		got := call(t, api.New(fixed(says("hi"))), "POST", "/v1/chat/completions", body, header)
		if got.status != 200 {
			t.Errorf("%s: %d %s", header, got.status, got.body)
		}
	}
}

func TestJSONAnswers(t *testing.T) {
	t.Parallel()
	const frame = `{"id":"chatcmpl-0001","object":"chat.completion","created":1700000000,"model":"any","choices":[{"index":0,"message":{"role":"assistant","content":%s,"refusal":null},"logprobs":null,"finish_reason":"%s"}],"usage":%s}`
	with := func(content, finish, usage string) string {
		return strings.NewReplacer("%s,\"refusal", content+",\"refusal", `"%s"}]`, `"`+finish+`"}]`, "%s}", usage+"}").Replace(frame)
	}
	const usage = `{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}`
	detailed := answered("a <b> & c")
	detailed.Usage = llm.Usage{Input: 5, Output: 7, Cached: 4, Reasoning: 3}
	cut := answered("so far")
	cut.Finish = llm.FinishLength
	filtered := answered("")
	filtered.Finish, filtered.Usage = llm.FinishContentFilter, llm.Usage{}
	tests := []struct {
		name   string
		result agent.Result
		want   string
	}{
		{"plain", answered("hi"), with(`"hi"`, "stop", usage)},
		{"two messages around a tool", answered("Let me see.", "", "It is 4."), with(`"Let me see.\n\nIt is 4."`, "stop", usage)},
		{"all counts", detailed, with(`"a <b> & c"`, "stop", `{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}`)},
		{"cut", cut, with(`"so far"`, "length", usage)},
		{"filtered", filtered, with(`""`, "content_filter", `{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			events := []agent.Event{started("c1", "💻", "pwd"), finished("c1", "💻", "pwd", false)}
			got := call(t, api.New(fixed(script(events, test.result, nil))), "POST", "/v1/chat/completions", hello)
			if got.status != 200 || got.header.Get("Content-Type") != "application/json" || strings.TrimSpace(got.body) != test.want {
				t.Errorf("got  %d %s\nwant %s", got.status, got.body, test.want)
			}
		})
	}
	t.Run("reasoning", func(t *testing.T) {
		t.Parallel()
		result := answered("hi")
		result.Messages[0].Reasoning = "hm"
		got := call(t, api.New(fixed(script(nil, result, nil))), "POST", "/v1/chat/completions", hello)
		if !strings.Contains(got.body, `"content":"hi","refusal":null,"reasoning_content":"hm"}`) {
			t.Errorf("got %s", got.body)
		}
	})
	t.Run("no model named", func(t *testing.T) {
		t.Parallel()
		got := call(t, api.New(fixed(says("hi"))), "POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}]}`)
		if !strings.Contains(got.body, `"model":"alice"`) {
			t.Errorf("got %s", got.body)
		}
	})
}

func TestAnAnswerInJSONIsNothingButJSON(t *testing.T) {
	t.Parallel()
	events := []agent.Event{text("Let me look."), started("c1", "💻", "pwd"), finished("c1", "💻", "pwd", false), text(`{"a":`), text(`1}`)}
	result := answered("Let me look.", `{"a":1}`)
	result.Message = result.Messages[1]
	const body = `{"messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_object"},"stream":`
	opts := fixed(script(events, result, nil))
	opts.ToolProgress = "both"
	got := call(t, api.New(opts), "POST", "/v1/chat/completions", body+`false}`)
	if !strings.Contains(got.body, `"content":"{\"a\":1}"`) {
		t.Errorf("got %s", got.body)
	}
	stream := call(t, api.New(opts), "POST", "/v1/chat/completions", body+`true}`)
	if content := checkStream(t, stream.body); content != `{"a":1}` || !strings.Contains(stream.body, `"event"`) {
		t.Errorf("got %q of\n%s", content, stream.body)
	}
}

func TestFailedTurns(t *testing.T) {
	t.Parallel()
	tool := []agent.Event{started("c1", "💻", "pwd"), finished("c1", "💻", "pwd", false)}
	tests := []struct {
		name       string
		events     []agent.Event
		err        error
		status     int
		code       string
		message    string
		retryAfter string
		final      bool
	}{
		{name: "upstream is down", err: &llm.Error{Class: llm.Network, Message: "connection refused"}, status: 502, code: "upstream_network", message: "connection refused"},
		{name: "after a tool", events: tool, err: &llm.Error{Class: llm.Overloaded, Status: 503, Message: "busy"}, status: 502, code: "upstream_overloaded", message: "model answered 503: busy", final: true},
		{name: "rate limit", err: &llm.Error{Class: llm.RateLimit, Status: 429, Message: "slow down", RetryAfter: 2500 * time.Millisecond}, status: 502, code: "rate_limit_exceeded", message: "model answered 429: slow down", retryAfter: "3"},
		{name: "long rate limit", err: &llm.Error{Class: llm.RateLimit, Message: "slow down", RetryAfter: time.Hour}, status: 502, code: "rate_limit_exceeded", message: "slow down", retryAfter: "60"},
		{name: "bad provider key", err: &llm.Error{Class: llm.Auth, Status: 401, Message: "bad key"}, status: 502, code: "upstream_auth", message: "model answered 401: bad key", final: true},
		{name: "too much text", err: &llm.Error{Class: llm.Overflow, Message: "too long"}, status: 502, code: "context_length_exceeded", message: "too long", final: true},
		{name: "no model", err: &llm.Error{Class: llm.NoModel, Message: "No model is configured."}, status: 503, code: "no_model", message: "No model is configured.", retryAfter: "60"},
		{name: "our own fault", err: errors.New("begin run: open /home/x/state.db: disk full"), status: 500, code: "internal_error", message: "Something went wrong"},
		{name: "endless words", err: &llm.Error{Class: llm.BadRequest, Message: strings.Repeat("ä", 100_000)}, status: 502, code: "upstream_bad_request", message: "ää", final: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := api.New(fixed(script(test.events, agent.Result{}, test.err)))
			got := call(t, server, "POST", "/v1/chat/completions", hello)
			e := got.error(t)
			if got.status != test.status || e.Code != test.code || !strings.HasPrefix(e.Message, test.message) || len(e.Message) > 5000 {
				t.Errorf("got %d %+v", got.status, e)
			}
			if got.header.Get("Retry-After") != test.retryAfter {
				t.Errorf("Retry-After is %q, want %q", got.header.Get("Retry-After"), test.retryAfter)
			}
			if (got.header.Get("X-Should-Retry") == "false") != test.final {
				t.Errorf("X-Should-Retry is %q", got.header.Get("X-Should-Retry"))
			}
			if strings.Contains(got.body, "state.db") {
				t.Errorf("a path is in the answer: %s", got.body)
			}

			stream := call(t, server, "POST", "/v1/chat/completions", helloSSE)
			if stream.status != http.StatusOK || !strings.Contains(stream.body, `"code":"`+test.code+`"`) || !strings.HasSuffix(stream.body, "\n\ndata: [DONE]\n\n") ||
				strings.Contains(stream.body, `"finish_reason":"`) {
				t.Errorf("stream is %s", stream.body)
			}
		})
	}
}

func started(id, emoji, label string) agent.Event {
	return agent.ToolStarted{Call: llm.ToolCall{ID: id, Name: "terminal"}, Emoji: emoji, Label: label}
}

func finished(id, emoji, label string, failed bool) agent.Event {
	return agent.ToolFinished{Call: llm.ToolCall{ID: id, Name: "terminal"}, Emoji: emoji, Label: label, Output: "out", Failed: failed}
}
