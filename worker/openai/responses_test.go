package openai_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"hermes/worker/openai"
)

func TestResponsesRequestsAreRead(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		body  string
		check func(*openai.ResponsesRequest) bool
	}{
		{"input is a string", `{"input":"hello"}`, func(r *openai.ResponsesRequest) bool { return r.Stored() && !r.Background && r.Instructions == nil }},
		{"null fields are no fields", `{"input":"x","model":null,"instructions":null,"previous_response_id":null,"conversation":null,"metadata":null,"store":null,"background":null,"stream":null,"stream_options":null,"max_output_tokens":null,"max_tool_calls":null,"temperature":null,"top_p":null,"truncation":null,"text":null,"reasoning":null,"tools":null,"tool_choice":null,"parallel_tool_calls":null,"include":null,"user":null,"service_tier":null,"safety_identifier":null,"prompt_cache_key":null,"top_logprobs":null}`, func(r *openai.ResponsesRequest) bool {
			return r.Conversation == nil && r.Metadata == nil && r.Stored() && r.Tools == nil && r.Reasoning == nil
		}},
		{"unknown fields of any type", `{"input":"x","seed":"a","chat_id":{"a":[{}]},"context_management":1}`, func(*openai.ResponsesRequest) bool { return true }},
		{"empty instructions are not missing ones", `{"input":"x","instructions":""}`, func(r *openai.ResponsesRequest) bool { return r.Instructions != nil && *r.Instructions == "" }},
		{"conversation is a name", `{"input":"x","conversation":"garden"}`, func(r *openai.ResponsesRequest) bool { return r.Conversation.ID == "garden" }},
		{"conversation is an object", `{"input":"x","conversation":{"id":"garden","x":1}}`, func(r *openai.ResponsesRequest) bool { return r.Conversation.ID == "garden" }},
		{"metadata", `{"input":"x","metadata":{"a":"b","c":""}}`, func(r *openai.ResponsesRequest) bool { return len(r.Metadata) == 2 && r.Metadata["a"] == "b" }},
		{"metadata as large as it may be", `{"input":"x","metadata":` + pairs(16, 64, 512) + `}`, func(r *openai.ResponsesRequest) bool { return len(r.Metadata) == 16 }},
		{"not stored", `{"input":"x","store":false}`, func(r *openai.ResponsesRequest) bool { return !r.Stored() }},
		{"background", `{"input":"x","background":true}`, func(r *openai.ResponsesRequest) bool { return r.Background }},
		{"sampling", `{"input":"x","temperature":0.5,"top_p":1,"max_output_tokens":16,"max_tool_calls":3,"top_logprobs":2,"presence_penalty":0.1,"frequency_penalty":-1,"truncation":"auto"}`, func(r *openai.ResponsesRequest) bool {
			return *r.Temperature == 0.5 && *r.TopP == 1 && *r.MaxOutputTokens == 16 && *r.MaxToolCalls == 3 && *r.TopLogprobs == 2 && *r.FrequencyPenalty == -1 && r.Truncation == "auto"
		}},
		{"format text", `{"input":"x","text":{"format":{"type":"text"},"verbosity":"low"}}`, func(r *openai.ResponsesRequest) bool {
			return r.Text.Format.Type == "text" && r.Text.Verbosity == "low"
		}},
		{"format schema", `{"input":"x","text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"},"strict":true}}}`, func(r *openai.ResponsesRequest) bool {
			return r.Text.Format.Name == "n" && string(r.Text.Format.Schema) == `{"type":"object"}` && *r.Text.Format.Strict
		}},
		{"format schema without a schema", `{"input":"x","text":{"format":{"type":"json_schema"}}}`, func(r *openai.ResponsesRequest) bool { return r.Text.Format.Schema == nil }},
		{"format object", `{"input":"x","text":{"format":{"type":"json_object"}}}`, func(r *openai.ResponsesRequest) bool { return r.Text.Format.Type == "json_object" }},
		{"reasoning", `{"input":"x","reasoning":{"effort":"low","summary":null}}`, func(r *openai.ResponsesRequest) bool {
			return *r.Reasoning.Effort == "low" && r.Reasoning.Summary == nil
		}},
		{"tools of any kind", `{"input":"x","tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":null},{"type":"web_search","filters":{}}]}`, func(r *openai.ResponsesRequest) bool {
			return r.Tools[0].Name == "f" && r.Tools[1].Type == "web_search"
		}},
		{"tool choice is a mode", `{"input":"x","tool_choice":"required"}`, func(r *openai.ResponsesRequest) bool { return r.ToolChoice.Mode == "required" }},
		{"tool choice names a function", `{"input":"x","tool_choice":{"type":"function","name":"f"}}`, func(r *openai.ResponsesRequest) bool { return r.ToolChoice.Name == "f" }},
		{"the rest", `{"input":"x","include":["reasoning.encrypted_content"],"parallel_tool_calls":false,"user":"u","service_tier":"auto","safety_identifier":"s","prompt_cache_key":"k","stream":true,"stream_options":{"include_obfuscation":false}}`, func(r *openai.ResponsesRequest) bool {
			return len(r.Include) == 1 && !*r.ParallelToolCalls && r.User == "u" && r.ServiceTier == "auto" && r.SafetyIdentifier == "s" && r.PromptCacheKey == "k" && r.Stream && !*r.StreamOptions.IncludeObfuscation
		}},
		{"white space and a byte order mark", "\ufeff \r\n{\"input\":\"x\"}\n", func(r *openai.ResponsesRequest) bool { return len(r.Input) == 1 }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			request, err := openai.DecodeResponsesRequest([]byte(test.body))
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if !test.check(request) {
				t.Errorf("read as %+v", request)
			}
		})
	}
}

func TestInputItemsAreRead(t *testing.T) {
	t.Parallel()
	text := func(kind, text string) []openai.ItemPart { return []openai.ItemPart{{Type: kind, Text: text}} }
	output := "42"
	tests := []struct {
		name  string
		input string
		want  openai.Item
	}{
		{"text", `"hello"`, openai.MessageItem{Role: "user", Content: text("input_text", "hello")}},
		{"message without a type", `[{"role":"user","content":"hello"}]`, openai.MessageItem{Role: "user", Content: text("input_text", "hello")}},
		{"message with parts", `[{"type":"message","role":"developer","content":[{"type":"input_text","text":"a","prompt_cache_breakpoint":{}}]}]`, openai.MessageItem{Role: "developer", Content: text("input_text", "a")}},
		{"message in the spelling of chat", `[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://x/y.png","detail":"low"}}]}]`, openai.MessageItem{Role: "user", Content: []openai.ItemPart{{Type: "input_text", Text: "a"}, {Type: "input_image", ImageURL: "https://x/y.png", Detail: "low"}}}},
		{"answer as an SDK sends it back", `[{"id":"msg_1","type":"message","status":"completed","role":"assistant","phase":null,"content":[{"type":"output_text","text":"a","annotations":[],"logprobs":[]}]}]`, openai.MessageItem{ID: "msg_1", Status: "completed", Role: "assistant", Content: text("output_text", "a")}},
		{"answer as a string", `[{"role":"assistant","content":"a"}]`, openai.MessageItem{Role: "assistant", Content: text("output_text", "a")}},
		{"answer with parts of the user's type", `[{"role":"assistant","content":[{"type":"input_text","text":"a"}]}]`, openai.MessageItem{Role: "assistant", Content: text("output_text", "a")}},
		{"answer without content", `[{"role":"assistant","content":null}]`, openai.MessageItem{Role: "assistant"}},
		{"refusal", `[{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]}]`, openai.MessageItem{Role: "assistant", Content: text("refusal", "no")}},
		{"image", `[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AA==","detail":"high","file_id":null}]}]`, openai.MessageItem{Role: "user", Content: []openai.ItemPart{{Type: "input_image", ImageURL: "data:image/png;base64,AA==", Detail: "high"}}}},
		{"file", `[{"role":"user","content":[{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,AA=="}]}]`, openai.MessageItem{Role: "user", Content: []openai.ItemPart{{Type: "input_file", Filename: "a.pdf", FileData: "data:application/pdf;base64,AA=="}}}},
		{"call", `[{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{\"a\":1}","status":"completed"}]`, openai.FunctionCallItem{ID: "fc_1", Status: "completed", CallID: "c", Name: "f", Arguments: `{"a":1}`}},
		{"call with arguments as an object", `[{"type":"function_call","call_id":"c","name":"f","arguments":{"a":1}}]`, openai.FunctionCallItem{CallID: "c", Name: "f", Arguments: `{"a":1}`}},
		{"output", `[{"type":"function_call_output","call_id":"c","output":"42"}]`, openai.FunctionOutputItem{CallID: "c", Output: openai.ToolOutput{Text: "42"}}},
		{"output as a list", `[{"type":"function_call_output","id":"fco_1","call_id":"c","output":[{"type":"output_text","text":"42"}],"status":"completed"}]`, openai.FunctionOutputItem{ID: "fco_1", Status: "completed", CallID: "c", Output: openai.ToolOutput{Parts: text("input_text", "42")}}},
		{"reasoning", `[{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"s"}],"content":[{"type":"reasoning_text","text":"t"}],"encrypted_content":null,"status":"completed"}]`, openai.ReasoningItem{ID: "rs_1", Status: "completed", Summary: text("summary_text", "s"), Content: text("reasoning_text", "t")}},
		{"reasoning without content", `[{"type":"reasoning","summary":[],"content":null,"encrypted_content":"e"}]`, openai.ReasoningItem{Summary: []openai.ItemPart{}, EncryptedContent: "e"}},
		{"reference", `[{"type":"item_reference","id":"msg_1"}]`, openai.ReferenceItem{ID: "msg_1"}},
		{"reference without a type", `[{"id":"msg_1","type":null}]`, openai.ReferenceItem{ID: "msg_1"}},
		{"server's own call", `[{"type":"mcp_call","id":"mcp_1","server_label":"hermes","name":"f","arguments":"{}","output":"42","error":null,"status":"completed","approval_request_id":null}]`, openai.MCPCallItem{ID: "mcp_1", Status: "completed", ServerLabel: "hermes", Name: "f", Arguments: "{}", Output: &output}},
		{"server's own call that failed", `[{"type":"mcp_call","id":"mcp_1","server_label":"hermes","name":"f","arguments":"{}","output":null,"error":{"type":"mcp_tool_execution_error","content":[{"type":"text","text":"broken"}]},"status":"failed"}]`, openai.MCPCallItem{ID: "mcp_1", Status: "failed", ServerLabel: "hermes", Name: "f", Arguments: "{}", Error: &openai.ToolFailure{Text: "broken"}}},
		{"error as a string", `[{"type":"mcp_call","name":"f","error":"broken"}]`, openai.MCPCallItem{Name: "f", Error: &openai.ToolFailure{Text: "broken"}}},
		{"error with a message", `[{"type":"mcp_call","name":"f","error":{"type":"http_error","code":500,"message":"broken"}}]`, openai.MCPCallItem{Name: "f", Error: &openai.ToolFailure{Text: "broken"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			request, err := openai.DecodeResponsesRequest([]byte(`{"input":` + test.input + `}`))
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if len(request.Input) != 1 || !reflect.DeepEqual(request.Input[0], test.want) {
				t.Errorf("read as %#v", request.Input)
			}
		})
	}
}

func TestBadResponsesRequestsNameTheField(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, body, param, message string }{
		{"empty", "", "", "the body is empty"},
		{"no JSON", "hello", "", "the body is not valid JSON"},
		{"an array", `[]`, "", "the body must be a JSON object, not an array"},
		{"null", `null`, "", "the body must be a JSON object, not null"},
		{"role twice", `{"input":[{"role":"user","content":"a","role":"system"}]}`, "role", "role is given twice"},
		{"depth bomb", `{"input":` + strings.Repeat("[", 100_000), "", "the body nests deeper than 64 levels"},
		{"twice", `{"input":"a","input":"b"}`, "input", "input is given twice"},
		{"another case", `{"Input":"a"}`, "Input", "Input is not a known field; write input"},
		{"no input", `{"model":"m"}`, "input", "input is missing or empty"},
		{"input is null", `{"input":null}`, "input", "input is missing or empty"},
		{"input is an empty array", `{"input":[]}`, "input", "input is missing or empty"},
		{"input is a number", `{"input":5}`, "input", "input must be a string or an array of items, not 5"},
		{"input is an object", `{"input":{"role":"user"}}`, "input", "input must be a string or an array of items, not an object"},
		{"item is a string", `{"input":["hi"]}`, "input[0]", "input[0] must be an object, not a string"},
		{"item is null", `{"input":[null]}`, "input[0].type", "input[0].type is missing"},
		{"item without type and role", `{"input":[{"content":"x"}]}`, "input[0].type", "input[0].type is missing"},
		{"item type is a number", `{"input":[{"role":"user","content":"x"},{"type":7}]}`, "input[1].type", "input[1].type must be a string, not 7"},
		{"item of an unknown type", `{"input":[{"type":"web_search_call","id":"x"}]}`, "input[0].type", `input[0].type is "web_search_call", which is not supported`},
		{"custom tool call", `{"input":[{"type":"custom_tool_call","call_id":"c","name":"f","input":"x"}]}`, "input[0].type", `input[0].type is "custom_tool_call", which is not supported`},
		{"role", `{"input":[{"role":"tool","content":"x"}]}`, "input[0].role", `input[0].role must be user, assistant, system or developer, not "tool"`},
		{"role is a number", `{"input":[{"role":1}]}`, "input[0].role", "input[0].role must be a string, not 1"},
		{"no role", `{"input":[{"type":"message","content":"x"}]}`, "input[0].role", "input[0].role is missing"},
		{"no content", `{"input":[{"role":"user"}]}`, "input[0].content", "input[0].content is missing"},
		{"content is a number", `{"input":[{"role":"user","content":1}]}`, "input[0].content", "input[0].content must be a string or an array of parts, not 1"},
		{"part is a string", `{"input":[{"role":"user","content":["a"]}]}`, "input[0].content[0]", "input[0].content[0] must be an object, not a string"},
		{"part without a type", `{"input":[{"role":"user","content":[{"text":"a"}]}]}`, "input[0].content[0].type", "input[0].content[0].type is missing"},
		{"part type is a bool", `{"input":[{"role":"user","content":[{"type":true}]}]}`, "input[0].content[0].type", "input[0].content[0].type must be a string, not true"},
		{"part of an unknown type", `{"input":[{"role":"user","content":[{"type":"input_audio"}]}]}`, "input[0].content[0].type", `input[0].content[0].type is "input_audio", which is not supported`},
		{"part text", `{"input":[{"role":"user","content":[{"type":"input_text","text":{}}]}]}`, "input[0].content[0].text", "input[0].content[0].text must be a string, not an object"},
		{"image by id", `{"input":[{"role":"user","content":[{"type":"input_image","file_id":"file_1"}]}]}`, "input[0].content[0].file_id", "input[0].content[0].file_id is not supported"},
		{"image that is none", `{"input":[{"role":"user","content":[{"type":"input_image"}]}]}`, "input[0].content[0].image_url", "input[0].content[0].image_url is missing"},
		{"image of a wrong type", `{"input":[{"role":"user","content":[{"type":"input_image","image_url":1}]}]}`, "input[0].content[0].image_url", "input[0].content[0].image_url must be an object with a url, or a string, not 1"},
		{"file by id", `{"input":[{"role":"user","content":[{"type":"input_file","file_id":"file_1"}]}]}`, "input[0].content[0].file_id", "input[0].content[0].file_id is not supported"},
		{"file by url", `{"input":[{"role":"user","content":[{"type":"input_file","file_url":"https://x/a.pdf"}]}]}`, "input[0].content[0].file_url", "input[0].content[0].file_url is not supported"},
		{"file that is none", `{"input":[{"role":"user","content":[{"type":"input_file"}]}]}`, "input[0].content[0].file_data", "input[0].content[0].file_data is missing"},
		{"call without an id", `{"input":[{"type":"function_call","name":"f"}]}`, "input[0].call_id", "input[0].call_id is missing"},
		{"call without a name", `{"input":[{"type":"function_call","call_id":"c"}]}`, "input[0].name", "input[0].name is missing"},
		{"output without an id", `{"input":[{"type":"function_call_output","output":"x"}]}`, "input[0].call_id", "input[0].call_id is missing"},
		{"no output", `{"input":[{"type":"function_call_output","call_id":"c"}]}`, "input[0].output", "input[0].output is missing"},
		{"output is an object", `{"input":[{"type":"function_call_output","call_id":"c","output":{}}]}`, "input[0].output", "input[0].output must be a string or an array of parts, not an object"},
		{"output part", `{"input":[{"type":"function_call_output","call_id":"c","output":[{"type":"input_video"}]}]}`, "input[0].output[0].type", `input[0].output[0].type is "input_video"`},
		{"summary", `{"input":[{"type":"reasoning","summary":"x"}]}`, "input[0].summary", "input[0].summary must be an array of parts, not a string"},
		{"summary part", `{"input":[{"type":"reasoning","summary":[5]}]}`, "input[0].summary[0]", "input[0].summary[0] must be an object, not 5"},
		{"server's own call", `{"input":[{"type":"mcp_call","name":"f","output":{}}]}`, "input[0].output", "input[0].output must be a string, not an object"},
		{"server's own call without a name", `{"input":[{"type":"mcp_call"}]}`, "input[0].name", "input[0].name is missing"},
		{"reference to nothing", `{"input":[{"type":"item_reference"}]}`, "input[0].id", "input[0].id is missing"},
		{"conversation is a number", `{"input":"x","conversation":1}`, "conversation", "conversation must be a name, or an object with an id, not 1"},
		{"conversation without a name", `{"input":"x","conversation":{}}`, "conversation", "conversation has no name"},
		{"conversation id is a number", `{"input":"x","conversation":{"id":1}}`, "conversation.id", "conversation.id must be a string"},
		{"conversation and previous response", `{"input":"x","conversation":"a","previous_response_id":"resp_1"}`, "conversation", "conversation cannot be given together with previous_response_id"},
		{"metadata is a string", `{"input":"x","metadata":"a"}`, "metadata", "metadata must be an object whose values are strings, not a string"},
		{"metadata value", `{"input":"x","metadata":{"a":1}}`, "metadata.a", "metadata.a must be a string, not 1"},
		{"metadata value is null", `{"input":"x","metadata":{"a":null}}`, "metadata.a", "metadata.a must be a string, not null"},
		{"too many pairs", `{"input":"x","metadata":` + pairs(17, 5, 5) + `}`, "metadata", "metadata holds 17 pairs; at most 16 are kept"},
		{"long key", `{"input":"x","metadata":` + pairs(1, 65, 5) + `}`, "metadata", "metadata holds a key of more than 64 characters"},
		{"long value", `{"input":"x","metadata":{"a":"` + strings.Repeat("é", 513) + `"}}`, "metadata.a", "metadata.a is longer than 512 characters"},
		{"instructions are an array", `{"input":"x","instructions":[]}`, "instructions", "instructions must be a string, not an array"},
		{"store", `{"input":"x","store":"no"}`, "store", "store must be true or false, not a string"},
		{"background that is not stored", `{"input":"x","background":true,"store":false}`, "background", "background needs store to be true"},
		{"stream options", `{"input":"x","stream_options":{"include_obfuscation":1}}`, "stream_options.include_obfuscation", "stream_options.include_obfuscation must be true or false, not 1"},
		{"max output tokens", `{"input":"x","max_output_tokens":"many"}`, "max_output_tokens", "max_output_tokens must be a whole number, not a string"},
		{"no output tokens", `{"input":"x","max_output_tokens":0}`, "max_output_tokens", "max_output_tokens must be at least 1"},
		{"no tool calls", `{"input":"x","max_tool_calls":0}`, "max_tool_calls", "max_tool_calls must be at least 1"},
		{"temperature", `{"input":"x","temperature":"hot"}`, "temperature", "temperature must be a number, not a string"},
		{"truncation", `{"input":"x","truncation":"middle"}`, "truncation", `truncation must be auto or disabled, not "middle"`},
		{"text", `{"input":"x","text":"json"}`, "text", "text must be an object, not a string"},
		{"format", `{"input":"x","text":{"format":{"type":"xml"}}}`, "text.format.type", `text.format.type must be text, json_schema or json_object, not "xml"`},
		{"format type is a number", `{"input":"x","text":{"format":{"type":1}}}`, "text.format.type", "text.format.type must be a string, not 1"},
		{"effort", `{"input":"x","reasoning":{"effort":3}}`, "reasoning.effort", "reasoning.effort must be a string, not 3"},
		{"tools", `{"input":"x","tools":"all"}`, "tools", "tools must be an array, not a string"},
		{"tool name", `{"input":"x","tools":[{"type":"function","name":1}]}`, "tools[0].name", "tools[0].name must be a string, not 1"},
		{"tool choice", `{"input":"x","tool_choice":1}`, "tool_choice", "tool_choice must be a string or an object, not 1"},
		{"include", `{"input":"x","include":[1]}`, "include[0]", "include[0] must be a string, not 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := openai.DecodeResponsesRequest([]byte(test.body))
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

func TestWhatIsNotSupportedIsToldFromWhatIsWrong(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{"input":[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]}`: true,
		`{"input":[{"type":"computer_call"}]}`:                                         true,
		`{"input":[{"role":"user","content":[{"type":"input_image"}]}]}`:               false,
	} {
		_, err := openai.DecodeResponsesRequest([]byte(body))
		if _, got := errors.AsType[*openai.UnsupportedError](err); got != want {
			t.Errorf("%s: error %v is of type unsupported: %v", body, err, got)
		}
	}
}

// keysOfOpenResponses are the keys that the Open Responses specification asks
// every response to have.
func keysOfOpenResponses() []string {
	return []string{
		"id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id",
		"instructions", "output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text", "top_p",
		"presence_penalty", "frequency_penalty", "top_logprobs", "temperature", "reasoning", "usage", "max_output_tokens",
		"max_tool_calls", "store", "background", "service_tier", "metadata", "safety_identifier", "prompt_cache_key",
	}
}

func TestResponseHasEveryKey(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"input":"x"}`, `{"input":"x","model":"m","conversation":"c","background":true,"metadata":{"a":"b"}}`} {
		request, err := openai.DecodeResponsesRequest([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := json.Marshal(openai.NewResponse(request, "resp_1", time.Unix(9, 0)))
		if err != nil {
			t.Fatal(err)
		}
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(encoded, &keys); err != nil {
			t.Fatal(err)
		}
		for _, key := range append(keysOfOpenResponses(), "conversation") {
			if _, ok := keys[key]; !ok {
				t.Errorf("%s is missing in %s", key, encoded)
			}
		}
		if len(keys) != 32 {
			t.Errorf("%d keys: %s", len(keys), encoded)
		}
	}
}

func TestResponseOnTheWire(t *testing.T) {
	t.Parallel()
	request, err := openai.DecodeResponsesRequest([]byte(`{"input":"x","model":"m","tools":[{"type":"function","name":"f"},{"name":"g"},{"type":"web_search","x":1}],"tool_choice":{"type":"function","name":"f"},"reasoning":{"effort":"low"},"text":{"format":{"type":"json_schema","name":"n","schema":{}}},"conversation":"c"}`))
	if err != nil {
		t.Fatal(err)
	}
	response := openai.NewResponse(request, "resp_1", time.Unix(9, 0))
	output := "42"
	response.Output = openai.Items{
		openai.ReasoningItem{ID: "rs_1", Status: "completed", Content: []openai.ItemPart{{Type: "reasoning_text", Text: "hm"}}},
		openai.FunctionCallItem{ID: "fc_1", Status: "completed", CallID: "c", Name: "f", Arguments: "{}"},
		openai.FunctionOutputItem{ID: "fco_1", Status: "completed", CallID: "c", Output: openai.ToolOutput{Text: "42"}},
		openai.FunctionOutputItem{ID: "fco_2", Status: "completed", CallID: "d", Output: openai.ToolOutput{Parts: []openai.ItemPart{{Type: "input_text", Text: "42"}}}},
		openai.MCPCallItem{ID: "mcp_1", Status: "completed", ServerLabel: "hermes", Name: "f", Arguments: "{}", Output: &output},
		openai.MCPCallItem{ID: "mcp_2", Status: "failed", ServerLabel: "hermes", Name: "f", Arguments: "{}", Error: &openai.ToolFailure{Text: "no"}},
		openai.MessageItem{ID: "msg_1", Status: "completed", Role: "assistant", Content: []openai.ItemPart{{Type: "output_text", Text: "hi"}}},
	}
	response.Usage = &openai.ResponseUsage{InputTokens: 1, OutputTokens: 2, TotalTokens: 3}
	const want = `{"id":"resp_1","object":"response","created_at":9,"background":false,"store":true,"model":"m","instructions":null,"previous_response_id":null,"conversation":{"id":"c"},"max_output_tokens":null,"max_tool_calls":null,"temperature":1,"top_p":1,"presence_penalty":0,"frequency_penalty":0,"top_logprobs":0,"truncation":"disabled","text":{"format":{"type":"json_schema","name":"n","description":null,"schema":{},"strict":null}},"reasoning":{"effort":"low","summary":null},"tools":[{"type":"function","name":"f","description":null,"parameters":null,"strict":null},{"type":"function","name":"g","description":null,"parameters":null,"strict":null},{"type":"web_search"}],"tool_choice":{"type":"function","name":"f"},"parallel_tool_calls":true,"service_tier":"default","safety_identifier":null,"prompt_cache_key":null,"metadata":{},"status":"in_progress","completed_at":null,"error":null,"incomplete_details":null,"output":[` +
		`{"type":"reasoning","id":"rs_1","status":"completed","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},` +
		`{"type":"function_call","id":"fc_1","status":"completed","call_id":"c","name":"f","arguments":"{}"},` +
		`{"type":"function_call_output","id":"fco_1","status":"completed","call_id":"c","output":"42"},` +
		`{"type":"function_call_output","id":"fco_2","status":"completed","call_id":"d","output":[{"type":"input_text","text":"42"}]},` +
		`{"type":"mcp_call","id":"mcp_1","status":"completed","server_label":"hermes","name":"f","arguments":"{}","output":"42","error":null,"approval_request_id":null},` +
		`{"type":"mcp_call","id":"mcp_2","status":"failed","server_label":"hermes","name":"f","arguments":"{}","output":null,"error":{"type":"mcp_tool_execution_error","content":[{"type":"text","text":"no"}]},"approval_request_id":null},` +
		`{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"hi","annotations":[],"logprobs":[]}]}` +
		`],"usage":{"input_tokens":1,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":3}}`
	encoded, err := json.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	if string(encoded) != want {
		t.Errorf("got  %s\nwant %s", encoded, want)
	}
	var stored openai.Response
	if err := json.Unmarshal(encoded, &stored); err != nil {
		t.Fatalf("a stored response is not read: %v", err)
	}
	again, err := json.Marshal(stored)
	if err != nil || string(again) != want {
		t.Errorf("read and written again (%v)\n%s", err, again)
	}
}

func TestInputItemsPage(t *testing.T) {
	t.Parallel()
	var items openai.Items
	if err := json.Unmarshal([]byte(`[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"https://x"},{"type":"input_file","file_data":"data:,"}]},{"type":"function_call_output","call_id":"c","output":"x"},{"type":"item_reference","id":"msg_9"}]`), &items); err != nil {
		t.Fatal(err)
	}
	n := 0
	named := items.Identify(func() string { n++; return fmt.Sprint(n) })
	encoded, err := json.Marshal(openai.NewItemPage(named, true))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"object":"list","data":[{"type":"message","id":"msg_1","status":"completed","role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"https://x","detail":"auto"},{"type":"input_file","file_data":"data:,"}]},{"type":"function_call_output","id":"fco_2","status":"completed","call_id":"c","output":"x"},{"type":"item_reference","id":"msg_9"}],"first_id":"msg_1","last_id":"msg_9","has_more":true}`
	if string(encoded) != want {
		t.Errorf("got  %s\nwant %s", encoded, want)
	}
	if items[0].ItemID() != "" {
		t.Error("the items themselves were changed")
	}
	empty, err := json.Marshal(openai.NewItemPage(nil, false))
	if err != nil || string(empty) != `{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}` {
		t.Errorf("empty page is %s (%v)", empty, err)
	}
}

// pairs makes an object with so many keys and values of that length.
func pairs(count, key, value int) string {
	object := make(map[string]string, count)
	for i := range count {
		object[fmt.Sprintf("%0*d", key, i)] = strings.Repeat("é", value)
	}
	encoded, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

func FuzzDecodeResponsesRequest(f *testing.F) {
	for _, seed := range []string{
		`{"input":"hi","model":"m","metadata":{"a":"b"},"conversation":{"id":"c"}}`,
		`{"input":[{"role":"user","content":[{"type":"input_image","image_url":"x"},{"type":"input_file","file_data":"y"}]}]}`,
		`{"input":[{"type":"function_call","call_id":"c","name":"f","arguments":{}},{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"x"}]}]}`,
		`{"input":[{"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"x"}]},{"id":"msg_1"},{"type":"mcp_call","name":"f","output":"x","error":{"message":"y"}}]}`,
		`{"input":[{"type":"\ud800"}]}`, `{"input":[[[`, `{"input":"a","metadata":{"":1}}`, `{"input":[{"role":"user","content":[{"type":"input_text","text":7}]}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		request, err := openai.DecodeResponsesRequest(body)
		if err != nil {
			field, ok := errors.AsType[*openai.FieldError](err)
			if !ok || field.Message == "" || strings.HasPrefix(field.Param, ".") {
				t.Fatalf("error without a sentence: %v", err)
			}
			return
		}
		// What was read can be stored, and is read as the same again.
		stored, err := json.Marshal(request.Input)
		if err != nil {
			t.Fatalf("marshal: %v", err)
		}
		var again openai.Items
		if err := json.Unmarshal(stored, &again); err != nil {
			t.Fatalf("read again: %v\n%s", err, stored)
		}
		twice, err := json.Marshal(again)
		if err != nil || string(twice) != string(stored) {
			t.Fatalf("%s became %s (%v)", stored, twice, err)
		}
	})
}
