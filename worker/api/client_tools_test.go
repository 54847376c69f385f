package api_test

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/llm"
	"hermes/worker/openai"
)

// tool is the JSON of a client's tool.
func tool(name string) string {
	return `{"type":"function","function":{"name":"` + name + `","description":"does it","parameters":{"type":"object"}}}`
}

func TestClientToolsReachTheModel(t *testing.T) {
	t.Parallel()
	specs := []llm.ToolSpec{
		{Name: "f", Description: "does it", Parameters: json.RawMessage(`{"type":"object"}`)},
		{Name: "g", Parameters: json.RawMessage(`{"type":"object","properties":{}}`)},
	}
	const tools = `"tools":[{"type":"function","function":{"name":"f","description":"does it","parameters":{"type":"object"},"strict":true}},{"function":{"name":"g"}}]`
	tests := []struct {
		name, fields, header, choice string
		specs                        []llm.ToolSpec
		oneCall                      bool
	}{
		{name: "tools", fields: tools, specs: specs},
		{name: "auto", fields: tools + `,"tool_choice":"auto","parallel_tool_calls":true`, specs: specs},
		{name: "one at a time", fields: tools + `,"parallel_tool_calls":false`, specs: specs, oneCall: true},
		{name: "required", fields: tools + `,"tool_choice":"required"`, specs: specs, choice: "required"},
		{name: "by name", fields: tools + `,"tool_choice":{"type":"function","function":{"name":"g"}}`, specs: specs, choice: "g"},
		{name: "none", fields: tools + `,"tool_choice":"none"`},
		{name: "no tools", fields: `"tools":[],"tool_choice":"auto","functions":[],"function_call":"none"`},
		{name: "Open WebUI", fields: tools + `,"tool_choice":"required","functions":[{}]`, header: "User-Agent: Python/3.11 aiohttp/3.12"},
		{name: "Open WebUI by header", fields: `"tools":[` + tool("terminal") + `]`, header: "X-OpenWebUI-Chat-Id: 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var turn agent.Turn
			server := api.New(fixed(runs(func(_ context.Context, got agent.Turn, _ func(agent.Event) error) (agent.Result, error) {
				turn = got
				return answered("hi"), nil
			})))
			got := call(t, server, "POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],`+test.fields+`}`, test.header)
			if got.status != 200 {
				t.Fatalf("got %d %s", got.status, got.body)
			}
			if len(turn.ClientTools) != len(test.specs) || len(test.specs) > 0 && !reflect.DeepEqual(turn.ClientTools, test.specs) ||
				turn.ToolChoice != test.choice || turn.OneCall != test.oneCall {
				t.Errorf("got %+v, choice %q, one call: %v", turn.ClientTools, turn.ToolChoice, turn.OneCall)
			}
		})
	}
}

// leaves is a turn that ends with calls for the client.
func leaves(text string, calls ...llm.ToolCall) (events []agent.Event, result agent.Result) {
	result = answered(text)
	result.Messages[0].ToolCalls = calls
	result.ClientCalls, result.Finish = calls, llm.FinishToolCalls
	if text != "" {
		events = append(events, agent.Text{JSON: quote(text)})
	}
	return events, result
}

func TestCallsOfClientToolsAreAnswered(t *testing.T) {
	t.Parallel()
	one := llm.ToolCall{ID: "c1", Name: "f", Arguments: `{"a":"<b>"}`}
	two := llm.ToolCall{ID: "c2", Name: "g"}
	for _, test := range []struct{ name, text, content string }{
		{"with text", "Which one?", `"Which one?"`},
		{"without text", "", `null`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			events, result := leaves(test.text, one, two)
			got := call(t, api.New(fixed(script(events, result, nil))), "POST", "/v1/chat/completions", hello)
			want := `"choices":[{"index":0,"message":{"role":"assistant","content":` + test.content + `,"refusal":null,"tool_calls":[` +
				`{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":\"<b>\"}"}},` +
				`{"id":"c2","type":"function","function":{"name":"g","arguments":""}}]},"logprobs":null,"finish_reason":"tool_calls"}]`
			if got.status != 200 || !strings.Contains(got.body, want) {
				t.Errorf("got %s, want %s", got.body, want)
			}
		})
	}
	t.Run("long arguments in a stream", func(t *testing.T) {
		t.Parallel()
		long := llm.ToolCall{ID: "c1", Name: "f", Arguments: strings.Repeat("aü💻\"\n", 50_000)}
		events, result := leaves("", long, two)
		got := call(t, api.New(fixed(script(events, result, nil))), "POST", "/v1/chat/completions", helloSSE)
		checkStream(t, got.body)
		if calls := gathered(t, got.body); !reflect.DeepEqual(calls, []llm.ToolCall{long, two}) {
			t.Errorf("%d bytes became %d, and there are %d calls", len(long.Arguments), len(calls[0].Arguments), len(calls))
		}
	})
}

// gathered puts the calls of a stream together as SDKs do.
func gathered(t *testing.T, body string) []llm.ToolCall {
	t.Helper()
	var calls []llm.ToolCall
	for event := range strings.SplitSeq(body, "\n\n") {
		var c openai.Chunk
		if err := json.Unmarshal([]byte(strings.TrimPrefix(event, "data: ")), &c); err != nil || len(c.Choices) == 0 {
			continue
		}
		for _, piece := range c.Choices[0].Delta.ToolCalls {
			if piece.Index == len(calls) {
				if piece.ID == "" || piece.Type != "function" || piece.Function.Name == "" {
					t.Errorf("the first piece of a call lacks something: %s", event)
				}
				calls = append(calls, llm.ToolCall{ID: piece.ID, Name: piece.Function.Name})
			} else if piece.ID != "" || piece.Function.Name != "" {
				t.Errorf("a later piece names the call again: %s", event)
			}
			calls[piece.Index].Arguments += string(piece.Function.Arguments)
		}
	}
	return calls
}

func TestResultsOfClientToolsGoBack(t *testing.T) {
	t.Parallel()
	var turn agent.Turn
	server := api.New(fixed(runs(func(_ context.Context, got agent.Turn, _ func(agent.Event) error) (agent.Result, error) {
		turn = got
		return answered("It is blue."), nil
	})))
	got := call(t, server, "POST", "/v1/chat/completions", `{"tools":[`+tool("f")+`],"messages":[{"role":"user","content":"a"},
		{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},
		{"role":"tool","tool_call_id":"c1","content":"blue"}]}`)
	last := turn.History[len(turn.History)-1]
	if got.status != 200 || len(turn.History) != 3 || last.Role != llm.Tool || last.Text() != "blue" || last.ToolCallID != "c1" {
		t.Errorf("got %d, history %+v", got.status, turn.History)
	}
}

func TestATaskMayHaveTools(t *testing.T) {
	t.Parallel()
	request := asking(false, "user", "Analyze this conversation and provide:\n1. The detected language of the conversation")
	request.Tools = []openai.Tool{{Type: "function", Function: openai.Function{Name: "title"}}}
	request.ToolChoice = openai.ToolChoice{Mode: "function", Name: "title"}
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	var turn agent.Turn
	server := api.New(fixed(both{complete: func(_ context.Context, got agent.Turn, _ func(agent.Event) error) (agent.Result, error) {
		turn = got
		_, result := leaves("", llm.ToolCall{ID: "c1", Name: "title", Arguments: `{"title":"Hi"}`})
		return result, nil
	}}))
	got := call(t, server, "POST", "/v1/chat/completions", string(body))
	if got.status != 200 || !strings.Contains(got.body, `"arguments":"{\"title\":\"Hi\"}"`) || len(turn.ClientTools) != 1 || turn.ToolChoice != "title" {
		t.Errorf("got %d %s, turn %+v", got.status, got.body, turn)
	}
}
