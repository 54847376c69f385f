package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/llm"
	"hermes/worker/openai"
)

// listener is a Runner that keeps the turns it runs, and answers each with its
// number. A message "tool" makes it run a tool first.
type listener struct {
	mu    sync.Mutex // guards turns
	turns []agent.Turn
}

func (l *listener) run(_ context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
	l.mu.Lock()
	l.turns = append(l.turns, turn)
	n := len(l.turns)
	l.mu.Unlock()
	result := answered(fmt.Sprint("answer ", n))
	if turn.History[len(turn.History)-1].Text() == "tool" {
		call := llm.ToolCall{ID: fmt.Sprint("call_", n), Name: "terminal", Arguments: `{"command":"pwd"}`}
		emit(agent.ToolStarted{Call: call, Emoji: "💻", Label: "pwd"})
		emit(agent.ToolFinished{Call: call, Emoji: "💻", Label: "pwd", Output: "/here"})
		output := llm.TextMessage(llm.Tool, "/here")
		output.ToolCallID = call.ID
		result.Messages = []llm.Message{{Role: llm.Assistant, ToolCalls: []llm.ToolCall{call}}, output, result.Messages[0]}
	}
	emit(text(fmt.Sprint("answer ", n)))
	return result, nil
}

func (l *listener) last() agent.Turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.turns[len(l.turns)-1]
}

// said writes a history in short: u: of the user, a: of the assistant, c: a call,
// t: its result.
func said(history []llm.Message) string {
	var parts []string
	for _, message := range history {
		prefix := map[llm.Role]string{llm.User: "u:", llm.Assistant: "a:", llm.Tool: "t:", llm.System: "s:"}[message.Role]
		if text := message.Text(); text != "" || len(message.ToolCalls) == 0 {
			parts = append(parts, prefix+text)
		}
		for _, call := range message.ToolCalls {
			parts = append(parts, "c:"+call.Name+call.Arguments)
		}
		for _, part := range message.Parts {
			if part.ImageURL != "" {
				parts = append(parts, "i:"+part.ImageURL)
			}
		}
	}
	return strings.Join(parts, " ")
}

// respond makes a response and returns it.
func respond(t *testing.T, server *api.Server, body string, header ...string) openai.Response {
	t.Helper()
	got := call(t, server, "POST", "/v1/responses", body, header...)
	if got.status != 200 {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	return decodeResponse(t, got.body)
}

func decodeResponse(t *testing.T, body string) openai.Response {
	t.Helper()
	var response openai.Response
	if err := json.Unmarshal([]byte(body), &response); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return response
}

// kinds lists the items of a response.
func kinds(response openai.Response) string {
	var all []string
	for _, item := range response.Output {
		switch item := item.(type) {
		case openai.MessageItem:
			all = append(all, "message "+openai.PartsText(item.Content))
		case openai.FunctionCallItem:
			all = append(all, "function_call "+item.Name)
		case openai.FunctionOutputItem:
			all = append(all, "function_call_output "+item.Output.String())
		case openai.MCPCallItem:
			all = append(all, "mcp_call "+item.Name)
		case openai.ReasoningItem:
			all = append(all, "reasoning "+openai.PartsText(item.Content))
		case openai.ReferenceItem:
			all = append(all, "reference")
		}
	}
	return strings.Join(all, ", ")
}

// A chain gives the model the whole of what was before, tools and their results
// included; it branches anywhere, and a stored response reads as it was sent.
func TestResponsesFollowEachOther(t *testing.T) {
	t.Parallel()
	var heard listener
	server := api.New(stored(t, fixed(runs(heard.run))))
	first := respond(t, server, `{"input":"tool","instructions":"be brief","metadata":{"a":"b"}}`)
	if got := kinds(first); got != "function_call terminal, function_call_output /here, message answer 1" {
		t.Errorf("the output is %s", got)
	}
	if heard.last().System != "be brief" || first.Metadata["a"] != "b" || first.Model != "alice" {
		t.Errorf("system %q, response %+v", heard.last().System, first)
	}
	again := call(t, server, "GET", "/v1/responses/"+first.ID, "")
	if decodeResponse(t, again.body).ID != first.ID || !strings.Contains(again.body, `"output":"/here"`) {
		t.Errorf("stored is %s", again.body)
	}

	second := respond(t, server, `{"input":[{"role":"user","content":"and now"}],"previous_response_id":"`+first.ID+`"}`)
	if got, want := said(heard.last().History), `u:tool c:terminal{"command":"pwd"} t:/here a:answer 1 u:and now`; got != want {
		t.Errorf("history is %q, want %q", got, want)
	}
	if heard.last().System != "be brief" || *second.Instructions != "be brief" {
		t.Error("the instructions did not stay in force")
	}
	respond(t, server, `{"input":"a branch","previous_response_id":"`+first.ID+`","instructions":"be long"}`)
	if got, want := said(heard.last().History), `u:tool c:terminal{"command":"pwd"} t:/here a:answer 1 u:a branch`; got != want || heard.last().System != "be long" {
		t.Errorf("the branch has %q and %q", got, heard.last().System)
	}
	respond(t, server, `{"input":"on","previous_response_id":"`+second.ID+`"}`)
	if got := said(heard.last().History); !strings.HasSuffix(got, "u:and now a:answer 2 u:on") || strings.Contains(got, "branch") {
		t.Errorf("the trunk has %q", got)
	}
	if heard.turns[0].SessionID != heard.last().SessionID && heard.last().SessionID != "" {
		t.Error("a chain has two sessions")
	}
}

// What the system said somewhere in the input of a chain stays said.
func TestSystemMessagesOfInputStay(t *testing.T) {
	t.Parallel()
	var heard listener
	server := api.New(stored(t, fixed(runs(heard.run))))
	first := respond(t, server, `{"instructions":"one","input":[{"role":"developer","content":"two"},{"role":"user","content":"hi"},{"role":"system","content":[{"type":"input_text","text":"three"}]}]}`)
	if got := heard.last(); got.System != "one\n\ntwo\n\nthree" || said(got.History) != "u:hi" {
		t.Errorf("system %q, history %q", got.System, said(got.History))
	}
	respond(t, server, `{"input":"go on","instructions":"new","previous_response_id":"`+first.ID+`"}`)
	if got := heard.last(); got.System != "new\n\ntwo\n\nthree" {
		t.Errorf("system %q", got.System)
	}
}

func TestWrongRequestsForResponses(t *testing.T) {
	t.Parallel()
	ran := func(context.Context, agent.Turn, func(agent.Event) error) (agent.Result, error) {
		t.Error("a turn ran")
		return agent.Result{}, nil
	}
	server := api.New(stored(t, fixed(runs(ran))))
	for _, test := range []struct {
		name, body, param, code string
		status                  int
	}{
		{"no input", `{}`, "input", "invalid_value", 400},
		{"only the system", `{"input":[{"role":"system","content":"x"}]}`, "input", "invalid_value", 400},
		{"only an answer", `{"input":[{"role":"assistant","content":"x"}]}`, "input", "invalid_value", 400},
		{"unknown previous", `{"input":"x","previous_response_id":"resp_nothing"}`, "previous_response_id", "previous_response_not_found", 404},
		{"unknown previous, streamed", `{"input":"x","stream":true,"previous_response_id":"resp_nothing"}`, "previous_response_id", "previous_response_not_found", 404},
		{"unknown previous, background", `{"input":"x","background":true,"previous_response_id":"resp_nothing"}`, "previous_response_id", "previous_response_not_found", 404},
		{"previous and conversation", `{"input":"x","previous_response_id":"resp_1","conversation":"c"}`, "conversation", "invalid_value", 400},
		{"long conversation", `{"input":"x","conversation":"` + strings.Repeat("c", 513) + `"}`, "conversation", "invalid_value", 400},
		{"background unstored", `{"input":"x","background":true,"store":false}`, "background", "invalid_value", 400},
		{"output of no call", `{"input":[{"type":"function_call_output","call_id":"c1","output":"x"}]}`, "input[0].call_id", "invalid_value", 400},
		{"second output of a call", `{"input":[{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c1","output":"x"},{"type":"function_call_output","call_id":"c1","output":"x"}]}`, "input[2].call_id", "invalid_value", 400},
		{"unknown item", `{"input":[{"role":"user","content":"x"},{"type":"item_reference","id":"msg_abc_1"}]}`, "input[1].id", "item_not_found", 404},
		{"unknown item of foreign make", `{"input":[{"type":"item_reference","id":"rs_abc"}]}`, "input[0].id", "item_not_found", 404},
		{"image of a local file", `{"input":[{"role":"user","content":[{"type":"input_image","image_url":"file:///x"}]}]}`, "input[0].content[0].image_url", "invalid_value", 400},
		{"image detail", `{"input":[{"role":"user","content":[{"type":"input_image","image_url":"https://x","detail":"huge"}]}]}`, "input[0].content[0].detail", "invalid_value", 400},
		{"image of the system", `{"input":[{"role":"system","content":[{"type":"input_image","image_url":"https://x"}]}]}`, "input[0].content[0].type", "unsupported_content_type", 400},
		{"file that is none", `{"input":[{"role":"user","content":[{"type":"input_file","filename":"a.bin","file_data":"AAEC"}]}]}`, "input[0].content[0].file_data", "unsupported_content_type", 400},
		{"empty content", `{"input":[{"role":"user","content":[]}]}`, "input[0].content", "invalid_value", 400},
		{"logprobs", `{"input":"x","top_logprobs":3}`, "top_logprobs", "unsupported_parameter", 400},
		{"template", `{"input":"x","prompt":{"id":"p"}}`, "prompt", "unsupported_parameter", 400},
		{"temperature", `{"input":"x","temperature":3}`, "temperature", "invalid_value", 400},
		{"tokens", `{"input":"x","max_output_tokens":0}`, "max_output_tokens", "invalid_value", 400},
		{"schema without a name", `{"input":"x","text":{"format":{"type":"json_schema","schema":{}}}}`, "text.format.name", "invalid_value", 400},
		{"tool of a provider", `{"input":"x","tools":[{"type":"web_search"}]}`, "tools[0].type", "unsupported_parameter", 400},
		{"tool without a name", `{"input":"x","tools":[{"type":"function"}]}`, "tools[0].name", "invalid_value", 400},
		{"tool of the agent", `{"input":"x","tools":[{"type":"function","name":"terminal"}]}`, "tools[0].name", "invalid_value", 400},
		{"choice of no tool", `{"input":"x","tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"function","name":"g"}}`, "tool_choice", "invalid_value", 400},
		{"long model", `{"input":"x","model":"` + strings.Repeat("m", 300) + `"}`, "model", "invalid_value", 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := call(t, server, "POST", "/v1/responses", test.body)
			if got.status != test.status {
				t.Fatalf("status %d: %s", got.status, got.body)
			}
			if e := got.error(t); e.Param != test.param || e.Code != test.code || e.Message == "" {
				t.Errorf("error is %+v", e)
			}
		})
	}
}

// Every kind of item that clients send back becomes what the model needs.
func TestInputItems(t *testing.T) {
	t.Parallel()
	const image = "data:image/png;base64,AAAA"
	for _, test := range []struct{ name, input, want string }{
		{"text", `"hello"`, "u:hello"},
		{"parts", `[{"role":"user","content":[{"type":"input_text","text":"see "},{"type":"text","text":"this"},{"type":"input_image","image_url":"` + image + `"}]}]`, "u:see this i:" + image},
		{"file", `[{"role":"user","content":[{"type":"input_file","filename":"a.txt","file_data":"data:text/plain;base64,aGk="}]}]`, "u:<file name=\"a.txt\" type=\"text/plain\">\nhi\n</file>"},
		{"answers and markers", "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"`💻 pwd`\\n\\nb\"}]},{\"role\":\"user\",\"content\":\"c\"}]", "u:a a:b u:c"},
		{
			"tools run by the server before", `[{"role":"user","content":"a"},{"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"look"}]},
			{"type":"function_call","call_id":"c1","name":"terminal","arguments":"{}"},{"type":"function_call","call_id":"c2","name":"terminal","arguments":"{\"a\":1}"},
			{"type":"function_call_output","call_id":"c2","output":"two"},{"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"one"}]},{"role":"user","content":"b"}]`,
			`u:a a:look c:terminal{} c:terminal{"a":1} t:two t:one u:b`,
		},
		{
			"calls one after the other", `[{"role":"user","content":"a"},{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c1","output":"one"},{"type":"function_call","call_id":"c2","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c2","output":"two"}]`,
			"u:a c:f{} t:one c:f{} t:two",
		},
		{"call without an output", `[{"role":"user","content":"a"},{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},{"role":"user","content":"b"}]`, "u:a c:f{} t:There is no result of this call. u:b"},
		{
			"an output behind something else", `[{"role":"user","content":"a"},{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},{"role":"assistant","content":"wait"},{"type":"function_call_output","call_id":"c1","output":"one"},{"role":"user","content":"b"}]`,
			"u:a c:f{} t:one a:wait u:b",
		},
		{
			"images in outputs", `[{"role":"user","content":"a"},{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"one"},{"type":"input_image","image_url":"` + image + `"}]}]`,
			"u:a c:f{} t:one\n[image, see below] u: i:" + image,
		},
		{
			"mcp calls", `[{"role":"user","content":"a"},{"type":"mcp_call","id":"mcp_1","server_label":"hermes","name":"terminal","arguments":"{}","output":"one","error":null},{"type":"mcp_call","id":"mcp_2","server_label":"hermes","name":"terminal","arguments":"{}","output":null,"error":"broke"},{"role":"user","content":"b"}]`,
			"u:a c:terminal{} t:one c:terminal{} t:broke u:b",
		},
		{"refusal", `[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]},{"role":"user","content":"b"}]`, "u:a u:b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var heard listener
			server := api.New(stored(t, fixed(runs(heard.run))))
			first := respond(t, server, `{"input":`+test.input+`}`)
			if got := said(heard.last().History); got != test.want {
				t.Errorf("history is %q, want %q", got, test.want)
			}
			if len(heard.last().History) > 1 && strings.Contains(test.input, "hm") && heard.last().History[1].Reasoning != "hm" {
				t.Error("the thinking was lost")
			}
			respond(t, server, `{"input":"next","previous_response_id":"`+first.ID+`"}`)
			if got, want := said(heard.last().History), test.want+" a:answer 1 u:next"; got != want {
				t.Errorf("the next history is %q, want %q", got, want)
			}
		})
	}
}

// SDKs send references to items for what they know to be stored.
func TestItemReferences(t *testing.T) {
	t.Parallel()
	var heard listener
	server := api.New(stored(t, fixed(runs(heard.run))))
	first := respond(t, server, `{"input":"tool"}`)
	var items []string
	page := call(t, server, "GET", "/v1/responses/"+first.ID+"/input_items", "")
	var input openai.ItemPage
	if err := json.Unmarshal([]byte(page.body), &input); err != nil {
		t.Fatal(err)
	}
	for _, item := range slices.Concat(input.Data, first.Output) {
		items = append(items, `{"type":"item_reference","id":"`+item.ItemID()+`"}`)
	}
	respond(t, server, `{"input":[`+strings.Join(items, ",")+`,{"role":"user","content":"more"}]}`)
	if got, want := said(heard.last().History), `u:tool c:terminal{"command":"pwd"} t:/here a:answer 1 u:more`; got != want {
		t.Errorf("history is %q, want %q", got, want)
	}
}

func TestWishesForResponsesArePassedOn(t *testing.T) {
	t.Parallel()
	var heard listener
	server := api.New(stored(t, fixed(runs(heard.run))))
	got := respond(t, server, `{"input":"x","temperature":0.5,"top_p":0.25,"presence_penalty":0.5,"frequency_penalty":-1,"max_output_tokens":77,"max_tool_calls":3,"truncation":"auto","reasoning":{"effort":"low"},
		"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"},"strict":true}},"parallel_tool_calls":false,
		"tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}],"tool_choice":{"type":"function","name":"f"}}`)
	turn := heard.last()
	switch {
	case *turn.Params.Temperature != 0.5, *turn.Params.TopP != 0.25, *turn.Params.PresencePenalty != 0.5, *turn.Params.FrequencyPenalty != -1, turn.Params.MaxTokens != 77, turn.Params.ReasoningEffort != "low":
		t.Errorf("params are %+v", turn.Params)
	case turn.MaxToolCalls != 3, !turn.OneCall, turn.ToolChoice != "f", len(turn.ClientTools) != 1, turn.ClientTools[0].Description != "d":
		t.Errorf("turn is %+v", turn)
	case string(turn.Params.ResponseFormat) != `{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"},"strict":true}}`:
		t.Errorf("format is %s", turn.Params.ResponseFormat)
	case got.Temperature != 0.5 || *got.MaxOutputTokens != 77 || got.Truncation != "auto" || got.Text.Format.Name != "n" || len(got.Tools) != 1:
		t.Errorf("the response repeats them as %+v", got)
	}
}
