package agent

import (
	"testing"

	"hermes/worker/llm"
)

func specsOf(names ...string) []llm.ToolSpec {
	specs := make([]llm.ToolSpec, len(names))
	for i, name := range names {
		specs[i].Name = name
	}
	return specs
}

func TestSpelledCalls(t *testing.T) {
	t.Parallel()
	const object = `{"name": "read_file", "arguments": {"path": "a"}}`
	for name, test := range map[string]struct {
		text string
		want bool
	}{
		"Qwen and Hermes":            {"<tool_call>\n" + object + "\n</tool_call>", true},
		"with words before":          {"Let me look.\n\n<tool_call>\n" + object, true},
		"Qwen for code":              {"<tool_call>\n<function=read_file>\n<parameter=path>\na\n</parameter>\n</function>\n</tool_call>", true},
		"Llama":                      {`<function=read_file>{"path": "a"}</function>`, true},
		"Llama, for its interpreter": {`<|python_tag|>read_file.call(path="a")`, true},
		"Llama, bare":                {`{"name": "read_file", "parameters": {"path": "a"}}`, true},
		"Mistral":                    {`[TOOL_CALLS][` + object + `]`, true},
		"Kimi":                       {"<|tool_calls_section_begin|><|tool_call_begin|>functions.read_file:0<|tool_call_argument_begin|>{}", true},
		"DeepSeek":                   {"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>read_file\n```json\n{}\n```", true},
		"gpt-oss":                    {`<|channel|>commentary to=functions.read_file <|constrain|>json<|message|>{"path":"a"}`, true},
		"GLM":                        {"<tool_call>read_file\n<arg_key>path</arg_key>\n<arg_value>a</arg_value>\n</tool_call>", true},
		"Claude":                     {"<function_calls>\n<invoke name=\"read_file\">\n</invoke>", true},
		"in a fence":                 {"```json\n" + object + "\n```", true},
		"a list":                     {"[" + object + "," + object + "]", true},
		"as the API has it":          {`{"type":"function","function":{"name":"functions.read_file","arguments":"{}"}}`, true},
		"function is the name":       {`{"function":"read_file","parameters":{}}`, true},

		"words":                   {"I would use read_file for that.", false},
		"no such tool":            {`{"name": "Ann", "arguments": ["for", "against"]}`, false},
		"no such tool in a tag":   {"<tool_call>\n{\"name\":\"fly\"}\n</tool_call>", false},
		"JSON that was asked for": {`{"name": "read_file", "size": 3}`, false},
		"an example in a line":    {"Qwen writes `<tool_call>` before read_file.", false},
		"an example in a fence":   {"Like this:\n```\n<tool_call>\n" + object + "\n</tool_call>\n```\nThat is all.", false},
		"an example in JSON":      {"A call is " + object, false},
		"nothing":                 {"", false},
		"half of JSON":            {`{"name": "read_file", "arguments"`, false},
		"an empty list":           {"[{}]", false},
	} {
		if got := spelled(test.text, specsOf("write_file", "read_file")); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if spelled(object, nil) {
		t.Error("there are no tools, and one was called")
	}
}

func FuzzSpelled(f *testing.F) {
	for _, seed := range []string{"```\n{}\n```", "[{", "```", "``````", "<tool_call", "a\n[TOOL_CALLS]read_file", `{"function":{"name":1}}`, "\xff"} {
		f.Add(seed)
	}
	specs := specsOf("read_file")
	f.Fuzz(func(t *testing.T, text string) {
		if spelled(text, specs) && spelled(text, nil) {
			t.Error("without tools")
		}
	})
}
