package openai_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"hermes/worker/openai"
)

func TestChatRequestsAreRead(t *testing.T) {
	t.Parallel()
	const hello = `"messages":[{"role":"user","content":"hello"}]`
	tests := []struct {
		name  string
		body  string
		check func(*openai.ChatRequest) bool
	}{
		{"content is a string", `{` + hello + `}`, func(r *openai.ChatRequest) bool {
			return r.Messages[0].Content.Kind == openai.Plain && r.Messages[0].Content.Text == "hello"
		}},
		{"content is parts", `{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"input_text","text":"b"}]}]}`, func(r *openai.ChatRequest) bool {
			return r.Messages[0].Content.Kind == openai.Parted && r.Messages[0].Content.String() == "ab"
		}},
		{"content is null", `{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}]}`, func(r *openai.ChatRequest) bool {
			return r.Messages[0].Content.Kind == openai.Null && r.Messages[0].ToolCalls[0].Function.Arguments == "{}"
		}},
		{"content is missing", `{"messages":[{"role":"assistant"}]}`, func(r *openai.ChatRequest) bool {
			return r.Messages[0].Content.Kind == openai.Null
		}},
		{"image as object", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y.png","detail":"low"}}]}]}`, func(r *openai.ChatRequest) bool {
			return *r.Messages[0].Content.Parts[0].ImageURL == openai.ImageURL{URL: "https://x/y.png", Detail: "low"}
		}},
		{"image as string", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":"https://x/y.png"}]}]}`, func(r *openai.ChatRequest) bool {
			return r.Messages[0].Content.Parts[0].ImageURL.URL == "https://x/y.png"
		}},
		{"image as the responses API has it", `{"messages":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AA==","detail":"high"}]}]}`, func(r *openai.ChatRequest) bool {
			part := r.Messages[0].Content.Parts[0]
			return part.ImageURL.URL == "data:image/png;base64,AA==" && part.Detail == "high"
		}},
		{"arguments as object", `{"messages":[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":{"a":1}}}]}]}`, func(r *openai.ChatRequest) bool {
			return r.Messages[0].ToolCalls[0].Function.Arguments == `{"a":1}`
		}},
		{"stop is a string", `{` + hello + `,"stop":"END"}`, func(r *openai.ChatRequest) bool { return len(r.Stop) == 1 && r.Stop[0] == "END" }},
		{"stop is an array", `{` + hello + `,"stop":["a","b"]}`, func(r *openai.ChatRequest) bool { return len(r.Stop) == 2 }},
		{"stop is null", `{` + hello + `,"stop":null}`, func(r *openai.ChatRequest) bool { return r.Stop == nil }},
		{"tool choice is a string", `{` + hello + `,"tool_choice":"auto"}`, func(r *openai.ChatRequest) bool { return r.ToolChoice.Mode == "auto" }},
		{"tool choice names a function", `{` + hello + `,"tool_choice":{"type":"function","function":{"name":"f"}}}`, func(r *openai.ChatRequest) bool { return r.ToolChoice.Name == "f" }},
		{"null fields are no fields", `{` + hello + `,"stream":null,"temperature":null,"max_tokens":null,"tools":null,"stream_options":null,"response_format":null,"model":null}`, func(r *openai.ChatRequest) bool {
			return !r.Stream && r.Temperature == nil && r.MaxTokens == nil && r.StreamOptions == nil
		}},
		{"unknown fields of any type", `{` + hello + `,"seed":"x","logit_bias":[1],"chat_id":{"a":[{}]},"a":null}`, func(r *openai.ChatRequest) bool { return len(r.Messages) == 1 }},
		{"unknown fields may come twice", `{` + hello + `,"x":1,"x":2}`, func(r *openai.ChatRequest) bool { return len(r.Messages) == 1 }},
		{"escaped names", `{"mess\u0061ges":[{"role":"user","content":"hello"}]}`, func(r *openai.ChatRequest) bool { return len(r.Messages) == 1 }},
		{"white space and a byte order mark", "\ufeff \r\n{" + hello + "}\n", func(r *openai.ChatRequest) bool { return len(r.Messages) == 1 }},
		{"brackets in text are no nesting", `{"messages":[{"role":"user","content":"` + strings.Repeat("[{", 500) + `\"]"}]}`, func(r *openai.ChatRequest) bool { return len(r.Messages) == 1 }},
		{"roles elsewhere", `{` + hello + `,"tools":[{"role":1,"role":2,"Role":{"role":3,"ROLE":4}}],"metadata":{"role":"a","Role":"b"}}`, func(r *openai.ChatRequest) bool { return len(r.Messages) == 1 }},
		{"nesting as deep as it may be", `{` + hello + `,"x":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`, func(r *openai.ChatRequest) bool { return len(r.Messages) == 1 }},
		{"escaped NUL in text", `{"messages":[{"role":"user","content":"a\u0000b"}]}`, func(r *openai.ChatRequest) bool { return r.Messages[0].Content.Text == "a\x00b" }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			request, err := openai.DecodeChatRequest([]byte(test.body))
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if !test.check(request) {
				t.Errorf("read as %+v", request)
			}
		})
	}
}

func TestBadChatRequestsNameTheField(t *testing.T) {
	t.Parallel()
	const hello = `"messages":[{"role":"user","content":"hello"}]`
	tests := []struct{ name, body, param, message string }{
		{"empty", "", "", "the body is empty"},
		{"white space", " \n", "", "the body is empty"},
		{"no JSON", "hello", "", "the body is not valid JSON"},
		{"cut short", `{"messages":[`, "", "the body is not valid JSON"},
		{"cut inside a string", `{"messages`, "", "the body is not valid JSON"},
		{"garbage behind", `{` + hello + `}x`, "", "the body is not valid JSON"},
		{"second value behind", `{` + hello + `}{}`, "", "the body is not valid JSON"},
		{"raw NUL", "{" + hello + ",\"x\":\"a\x00b\"}", "", "the body is not valid JSON"},
		{"not UTF-8", "{" + hello + ",\"x\":\"\xff\"}", "", "the body is not valid UTF-8"},
		{"an array", `[]`, "", "the body must be a JSON object, not an array"},
		{"a string", `"x"`, "", "the body must be a JSON object, not a string"},
		{"null", `null`, "", "the body must be a JSON object, not null"},
		{"depth bomb", `{"x":` + strings.Repeat("[", 100_000), "", "the body nests deeper than 64 levels"},
		{"closed depth bomb", `{"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, "", "the body nests deeper than 64 levels"},
		{"messages twice", `{` + hello + `,` + hello + `}`, "messages", "messages is given twice"},
		{"twice, once escaped", `{"model":"a","mod\u0065l":"b"}`, "model", "model is given twice"},
		{"another case", `{"Messages":[]}`, "Messages", "Messages is not a known field; write messages"},
		{"another case behind", `{"model":"a","MODEL":"b"}`, "MODEL", "MODEL is not a known field; write model"},
		{"role twice", `{"messages":[{"role":"user","content":"a","role":"system"}]}`, "role", "role is given twice"},
		{"role twice, once escaped", `{"mess\u0061ges":[{},{"role":"user","r\u006fle":"system"}]}`, "role", "role is given twice"},
		{"role in another case", `{"messages":[{"role":"user"},{"role":"user","content":[{"type":"text"}],"ROLE":"system"}]}`, "ROLE", "ROLE is not a known field; write role"},
		{"brackets before the body", `]]{"messages":[{"role":"user"}]}`, "", "the body is not valid JSON"},
		{"model is a number", `{"model":1}`, "model", "model must be a string, not 1"},
		{"messages is a string", `{"messages":"hi"}`, "messages", "messages must be an array, not a string"},
		{"message is a string", `{"messages":["hi"]}`, "messages[0]", "messages[0] must be an object, not a string"},
		{"role is a number", `{"messages":[{"role":"user"},{"role":7}]}`, "messages[1].role", "messages[1].role must be a string, not 7"},
		{"content is a number", `{"messages":[{"content":1}]}`, "messages[0].content", "messages[0].content must be a string or an array of parts, not 1"},
		{"content is an object", `{"messages":[{"content":{}}]}`, "messages[0].content", "messages[0].content must be a string or an array of parts, not an object"},
		{"part is a string", `{"messages":[{"content":["a"]}]}`, "messages[0].content[0]", "messages[0].content[0] must be an object, not a string"},
		{"part type", `{"messages":[{},{},{"content":[{"type":true}]}]}`, "messages[2].content[0].type", "messages[2].content[0].type must be a string, not true"},
		{"part text", `{"messages":[{"content":[{"type":"text"},{"type":"text","text":{}}]}]}`, "messages[0].content[1].text", "messages[0].content[1].text must be a string, not an object"},
		{"image", `{"messages":[{"content":[{"image_url":1}]}]}`, "messages[0].content[0].image_url", "messages[0].content[0].image_url must be an object with a url, or a string, not 1"},
		{"image url", `{"messages":[{"content":[{"image_url":{"url":[]}}]}]}`, "messages[0].content[0].image_url.url", "messages[0].content[0].image_url.url must be a string, not an array"},
		{"tool calls", `{"messages":[{"tool_calls":{}}]}`, "messages[0].tool_calls", "messages[0].tool_calls must be an array, not an object"},
		{"tool call name", `{"messages":[{"tool_calls":[{"function":{"name":1}}]}]}`, "messages[0].tool_calls[0].function.name", "messages[0].tool_calls[0].function.name must be a string, not 1"},
		{"tool call id", `{"messages":[{"tool_call_id":1}]}`, "messages[0].tool_call_id", "messages[0].tool_call_id must be a string, not 1"},
		{"stream", `{"stream":"yes"}`, "stream", "stream must be true or false, not a string"},
		{"stream options", `{"stream_options":{"include_usage":1}}`, "stream_options.include_usage", "stream_options.include_usage must be true or false, not 1"},
		{"temperature", `{"temperature":"hot"}`, "temperature", "temperature must be a number, not a string"},
		{"max tokens", `{"max_tokens":1.5}`, "max_tokens", "max_tokens must be a whole number, not 1.5"},
		{"huge max tokens", `{"max_completion_tokens":1e999}`, "max_completion_tokens", "max_completion_tokens must be a whole number, not 1e999"},
		{"stop", `{"stop":5}`, "stop", "stop must be a string or an array of strings, not 5"},
		{"stop of numbers", `{"stop":["a",5]}`, "stop[1]", "stop[1] must be a string, not 5"},
		{"tools", `{"tools":"all"}`, "tools", "tools must be an array, not a string"},
		{"tool choice", `{"tool_choice":1}`, "tool_choice", "tool_choice must be a string or an object, not 1"},
		{"reasoning effort", `{"reasoning_effort":3}`, "reasoning_effort", "reasoning_effort must be a string, not 3"},
		{"response format", `{"response_format":"json"}`, "response_format", "response_format must be an object, not a string"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := openai.DecodeChatRequest([]byte(test.body))
			field, ok := errors.AsType[*openai.FieldError](err)
			if !ok {
				t.Fatalf("error is %v", err)
			}
			if field.Param != test.param {
				t.Errorf("param is %q, want %q", field.Param, test.param)
			}
			if !strings.HasPrefix(err.Error(), test.message) {
				t.Errorf("message is %q, want %q", err, test.message)
			}
		})
	}
}

func FuzzDecodeChatRequest(f *testing.F) {
	for _, seed := range []string{
		`{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}`,
		`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":"x"}]}],"stop":["a"]}`,
		`{"messages":[{"role":7}]}`, `[[[[`, `{"a":"\ud800"}`, "{\"Model\":1}", `{"stop":null,"stop":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		request, err := openai.DecodeChatRequest(body)
		if err != nil {
			if field, ok := errors.AsType[*openai.FieldError](err); !ok || field.Message == "" {
				t.Fatalf("error without a sentence: %v", err)
			}
			return
		}
		// What was read can be sent on, and is read as the same again.
		sent, err := json.Marshal(request)
		if err != nil {
			t.Fatalf("marshal: %v", err)
		}
		again, err := openai.DecodeChatRequest(sent)
		if err != nil {
			t.Fatalf("read again: %v\n%s", err, sent)
		}
		twice, err := json.Marshal(again)
		if err != nil || string(twice) != string(sent) {
			t.Fatalf("%s became %s (%v)", sent, twice, err)
		}
	})
}
