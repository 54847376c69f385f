package openaichat

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"hermes/worker/llm"
)

// TestStreamQuirks has a row for each way in which some server departs from
// what OpenAI sends, with the answer that a user should get all the same.
func TestStreamQuirks(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long ", 40_000)
	tests := []struct {
		name     string
		body     string
		text     string
		thinking string
		calls    []llm.ToolCall
		finish   llm.Finish
		usage    llm.Usage
		extras   map[string]json.RawMessage
		// An answer that must fail:
		class   llm.Class
		message string // a part of the error
	}{
		{
			name: "plain", text: "Hello, Welt \"ok\" 😀\n", finish: llm.FinishStop,
			body: stream(deltaChunk(`{"role":"assistant","content":""}`), content("Hello, "), content("Welt \"ok\" 😀\n"), finish("stop")),
		},
		{
			name: "400 keep-alive comments", text: "ab", finish: llm.FinishStop,
			body: strings.Repeat(": OPENROUTER PROCESSING\n\n", 400) + "data: " + content("a") + "\n\n" + strings.Repeat(": x\n\n", 400) + stream(content("b"), finish("stop")),
		},
		{
			name: "thinking as reasoning", text: "4", thinking: "2 and 2", finish: llm.FinishStop,
			body: stream(deltaChunk(`{"reasoning":"2 and ","content":""}`), deltaChunk(`{"reasoning":"2"}`), content("4"), finish("stop")),
		},
		{
			name: "thinking as reasoning_content", text: "4", thinking: "2\nand 2", finish: llm.FinishStop,
			body:   stream(deltaChunk(`{"reasoning_content":"2\nand ","content":null}`), deltaChunk(`{"reasoning_content":"2"}`), content("4"), finish("stop")),
			extras: map[string]json.RawMessage{"reasoning_content": json.RawMessage(`"2\nand 2"`)},
		},
		{
			name: "thinking as reasoning_details", text: "4", thinking: "2 and 2", finish: llm.FinishStop,
			body: stream(
				deltaChunk(`{"content":"","reasoning_details":[{"type":"reasoning.text","text":"2 and ","format":"f","index":0}]}`),
				deltaChunk(`{"reasoning_details":[{"type":"reasoning.text","text":"2","index":0,"signature":"sig"}]}`),
				deltaChunk(`{"reasoning_details":[{"type":"reasoning.encrypted","data":"xyz","index":1}]}`),
				content("4"), finish("stop")),
			extras: map[string]json.RawMessage{"reasoning_details": json.RawMessage(
				`[{"format":"f","index":0,"signature":"sig","text":"2 and 2","type":"reasoning.text"},{"data":"xyz","index":1,"type":"reasoning.encrypted"}]`)},
		},
		{
			name: "thinking under two names counts once", text: "4", thinking: "2", finish: llm.FinishStop,
			body:   stream(deltaChunk(`{"reasoning":"2","reasoning_details":[{"type":"reasoning.text","text":"2"}]}`), content("4"), finish("stop")),
			extras: map[string]json.RawMessage{"reasoning_details": json.RawMessage(`[{"text":"2","type":"reasoning.text"}]`)},
		},
		{
			name: "parallel tool calls without index", finish: llm.FinishToolCalls,
			body: stream(
				deltaChunk(`{"tool_calls":[{"id":"a","type":"function","function":{"name":"t1","arguments":"{\"x\":"}}]}`),
				deltaChunk(`{"tool_calls":[{"function":{"arguments":"1}"}}]}`),
				deltaChunk(`{"tool_calls":[{"id":"b","type":"function","function":{"name":"t2","arguments":"{\"y\":1}"}}]}`),
				finish("tool_calls")),
			calls: []llm.ToolCall{{ID: "a", Name: "t1", Arguments: `{"x":1}`}, {ID: "b", Name: "t2", Arguments: `{"y":1}`}},
		},
		{
			name: "parallel tool calls that all have index 0", finish: llm.FinishToolCalls,
			body: stream(
				deltaChunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"t1","arguments":"{}"}},{"index":0,"id":"b","function":{"name":"t2","arguments":"{\"y\":"}}]}`),
				deltaChunk(`{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}`),
				finish("tool_calls")),
			calls: []llm.ToolCall{{ID: "a", Name: "t1", Arguments: `{}`}, {ID: "b", Name: "t2", Arguments: `{"y":1}`}},
		},
		{
			name: "arguments as a JSON object", finish: llm.FinishToolCalls,
			body:  stream(deltaChunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"t1","arguments":{"x": "ü\n"}}}]}`), finish("stop")),
			calls: []llm.ToolCall{{ID: "a", Name: "t1", Arguments: `{"x": "ü\n"}`}},
		},
		{
			name: "arguments that never come", finish: llm.FinishToolCalls,
			body:  stream(deltaChunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"t1"}}]}`), finish("tool_calls")),
			calls: []llm.ToolCall{{ID: "a", Name: "t1", Arguments: `{}`}},
		},
		{
			name: "a thought signature on a tool call", finish: llm.FinishToolCalls,
			body: stream(
				deltaChunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"t1","arguments":"{}"},"extra_content":{"google":{"thought_signature":"c2ln"}}}]}`),
				finish("tool_calls")),
			calls: []llm.ToolCall{{
				ID: "a", Name: "t1", Arguments: `{}`,
				Extras: map[string]json.RawMessage{"extra_content": json.RawMessage(`{"google":{"thought_signature":"c2ln"}}`)},
			}},
		},
		{
			name: "an error event", text: "half", class: llm.Overloaded, message: "Provider disconnected",
			body: "data: " + content("half") + "\n\nevent: error\ndata: {\"error\":{\"message\":\"Provider disconnected\",\"code\":502}}\n\n",
		},
		{
			name: "an error as a string", text: "half", class: llm.Overloaded, message: "out of memory",
			body: stream(content("half"), `{"error":"out of memory"}`),
		},
		{
			name: "an empty error", text: "half", class: llm.Overloaded, message: "did not say which",
			body: stream(content("half"), `{"error":{}}`),
		},
		{
			name: "an error inside a choice", text: "half", class: llm.RateLimit, message: "slow down",
			body: stream(content("half"), `{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error","error":{"code":429,"message":"slow down"}}]}`),
		},
		{
			name: "an error without the word", text: "half", class: llm.Overloaded, message: "worker died",
			body: stream(content("half"), `{"object":"error","message":"worker died","code":500}`),
		},
		{
			name: "finish reason error", text: "half", class: llm.Overloaded, message: "stopped in the middle",
			body: stream(content("half"), finish("error")),
		},
		{
			name: "created is a fraction", text: "a", finish: llm.FinishStop,
			body: stream(strings.Replace(content("a"), "1700000000", "1.5", 1), strings.Replace(finish("stop"), "1700000000", "1.5", 1)),
		},
		{
			name: "cut in the middle of the JSON", text: "half", class: llm.Network, message: "ended early",
			body: "data: " + content("half") + "\n\ndata: " + content("the rest")[:70],
		},
		{
			name: "cut between chunks", text: "half", class: llm.Network, message: "ended early",
			body: "data: " + content("half") + "\n\n",
		},
		{name: "an empty body", class: llm.Network, message: "ended early", body: ""},
		{name: "only comments", class: llm.Network, message: "ended early", body: ": hello\n\n"},
		{
			name: "a chunk for the usage alone", text: "a", finish: llm.FinishStop, usage: llm.Usage{Input: 9, Output: 3, Cached: 4, Reasoning: 2},
			body: stream(content("a"), finish("stop"),
				`{"id":"c1","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}}`),
		},
		{
			name: "usage twice counts once", text: "a", finish: llm.FinishStop, usage: llm.Usage{Input: 9, Output: 3},
			body: stream(
				`{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"usage":{"prompt_tokens":9,"completion_tokens":1}}`,
				`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}`,
				`{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3.0,"prompt_tokens_details":null}}`,
				`{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}`),
		},
		{
			name: "no [DONE]", text: "a", finish: llm.FinishStop,
			body: "data: " + content("a") + "\n\ndata: " + finish("stop") + "\n\n",
		},
		{
			name: "no empty line at the end", text: "a", finish: llm.FinishStop,
			body: "data: " + content("a") + "\n\ndata: " + finish("stop"),
		},
		{
			name: "[DONE] without a finish reason", text: "a", finish: llm.FinishStop,
			body: stream(content("a")),
		},
		{
			name: "carriage returns and line feeds", text: "ab", finish: llm.FinishStop,
			body: strings.ReplaceAll(stream(content("a"), content("b"), finish("stop")), "\n", "\r\n"),
		},
		{
			name: "a line of 200 kB", text: long, finish: llm.FinishStop,
			body: stream(content(long), finish("stop")),
		},
		{
			name: "content is null", text: "a", finish: llm.FinishStop,
			body: stream(deltaChunk(`{"role":"assistant","content":null,"refusal":null,"tool_calls":null}`), content("a"), deltaChunk(`{"content":null}`), finish("stop")),
		},
		{
			name: "delta is null", text: "a", finish: llm.FinishStop,
			body: stream(deltaChunk(`null`), content("a"), finish("stop")),
		},
		{
			name: "tool calls that end with stop", text: "I look.", finish: llm.FinishToolCalls,
			body:  stream(content("I look."), deltaChunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"t1","arguments":"{}"}}]}`), finish("stop")),
			calls: []llm.ToolCall{{ID: "a", Name: "t1", Arguments: `{}`}},
		},
		{
			name: "parallel tool calls in turns, the id in the first piece only", finish: llm.FinishToolCalls,
			body: stream(
				deltaChunk(`{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"t1","arguments":""}}]}`),
				deltaChunk(`{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"t2","arguments":""}}]}`),
				deltaChunk(`{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":"}},{"index":1,"function":{"arguments":"{\"y\":\"\\ud83d"}}]}`),
				deltaChunk(`{"tool_calls":[{"index":1,"function":{"arguments":"\\ude00\"}"}}]}`),
				deltaChunk(`{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}`),
				finish("tool_calls")),
			calls: []llm.ToolCall{{ID: "a", Name: "t1", Arguments: `{"x":1}`}, {ID: "b", Name: "t2", Arguments: `{"y":"\ud83d\ude00"}`}},
		},
		{
			name: "the id and the name in every piece", finish: llm.FinishToolCalls,
			body: stream(
				deltaChunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"t1","arguments":"{\"x\":"}}]}`),
				deltaChunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"t1","arguments":"1}"}}]}`),
				finish("tool_calls")),
			calls: []llm.ToolCall{{ID: "a", Name: "t1", Arguments: `{"x":1}`}},
		},
		{
			name: "a function call of the old kind", finish: llm.FinishToolCalls,
			body: stream(deltaChunk(`{"function_call":{"name":"t1","arguments":"{\"x\":"}}`), deltaChunk(`{"function_call":{"arguments":"1}"}}`), finish("function_call")),
			// The id is made up; see the loop below.
			calls: []llm.ToolCall{{Name: "t1", Arguments: `{"x":1}`}},
		},
		{
			name: "chunks without choices keep the connection alive", text: "ab", finish: llm.FinishStop,
			body: stream(content("a"), `{"id":"","object":"","created":0,"model":"","choices":[]}`, `{"choices":null}`, content("b"), finish("stop")),
		},
		{
			name: "empty data keeps the connection alive", text: "a", finish: llm.FinishStop,
			body: "data:\n\n: x\ndata: \n\n" + stream(content("a"), finish("stop")),
		},
		{
			name: "content as a list of parts", text: "ab", thinking: "hm so", finish: llm.FinishStop,
			body: stream(
				deltaChunk(`{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm "}]},{"type":"thinking","thinking":"so"}]}`),
				deltaChunk(`{"content":[{"type":"text","text":"a"},"b",7,{"type":"image"}]}`), finish("stop")),
		},
		{
			name: "a page with status 200", class: llm.Malformed, message: "an HTML page: Welcome to nginx!; model.base_url",
			body: "<!DOCTYPE html>\n<html><head><title>Welcome to\n nginx!</title></head></html>",
		},
		{
			name: "one JSON object instead of a stream", text: "whole", thinking: "hm", finish: llm.FinishToolCalls, usage: llm.Usage{Input: 5, Output: 2},
			body: `{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","reasoning_content":"hm","content":"whole",` +
				`"tool_calls":[{"id":"a","type":"function","function":{"name":"t1","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}`,
			calls:  []llm.ToolCall{{ID: "a", Name: "t1", Arguments: `{}`}},
			extras: map[string]json.RawMessage{"reasoning_content": json.RawMessage(`"hm"`)},
		},
		{name: "one JSON error instead of a stream", class: llm.Overloaded, message: "Unexpected endpoint", body: `{"error":"Unexpected endpoint or method. (POST /v1)"}`},
		{name: "one JSON object that is cut", class: llm.Network, message: "ended early", body: `{"id":"x","object":"chat.compl`},
		{name: "a list of errors", class: llm.Auth, message: "API key not valid", body: `[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}]`},
		{
			name: "data without a space", text: "ab", finish: llm.FinishStop,
			body: strings.ReplaceAll(stream(content("a"), content("b"), finish("stop")), "data: ", "data:"),
		},
		{
			name: "halves of a surrogate pair in two chunks", text: "x😀y", finish: llm.FinishStop,
			body: stream(deltaChunk(`{"content":"x\ud83d"}`), deltaChunk(`{"content":"\uDE00y"}`), finish("stop")),
		},
		{
			name: "half of a surrogate pair and nothing", text: "x\ufffdy", finish: llm.FinishStop,
			body: stream(deltaChunk(`{"content":"x\ud83d"}`), deltaChunk(`{"content":"y"}`), finish("stop")),
		},
		{
			name: "bytes that are no UTF-8", text: "x\ufffdy", finish: llm.FinishStop,
			body: stream(deltaChunk("{\"content\":\"x\xffy\"}"), finish("stop")),
		},
		{
			name: "a refusal", text: "I cannot do that.", finish: llm.FinishStop,
			body: stream(deltaChunk(`{"refusal":"I cannot do that."}`), finish("stop")),
		},
		{name: "an empty answer", class: llm.Empty, message: "empty answer", body: stream(deltaChunk(`{"role":"assistant","content":""}`), finish("stop"))},
		{name: "thinking alone that ran into the limit", thinking: "hm", finish: llm.FinishLength, body: stream(deltaChunk(`{"reasoning":"hm"}`), finish("length"))},
		{name: "thinking alone", thinking: "hm", finish: llm.FinishStop, body: stream(deltaChunk(`{"reasoning":"hm"}`), finish("stop"))},
		{name: "filtered", finish: llm.FinishContentFilter, body: stream(finish("content_filter"))},
		{name: "an unknown finish reason", text: "a", finish: llm.FinishStop, body: stream(content("a"), finish("eos_token"))},
		{
			name: "more than one choice", text: "a", finish: llm.FinishStop,
			body: stream(content("a"), `{"choices":[{"index":1,"delta":{"content":"other"},"finish_reason":"length"}]}`, finish("stop")),
		},
		{name: "no JSON", text: "half", class: llm.Malformed, message: "broke its protocol: oops", body: stream(content("half"), "oops")},
		{name: "choices of a wrong type", text: "half", class: llm.Malformed, message: "broke its protocol", body: stream(content("half"), `{"choices":{"a":1}}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := serve(t, Options{Streaming: true, Name: "p"}, say("text/event-stream", tt.body))
			got, message, err := ask(t, client, llm.Request{})
			if got.text != tt.text || got.thinking != tt.thinking {
				t.Errorf("heard %.200q, thinking %.200q, want %.200q, %.200q", got.text, got.thinking, tt.text, tt.thinking)
			}
			if message.Text() != tt.text || message.Reasoning != tt.thinking {
				t.Errorf("message says %.200q, thinking %.200q, want %.200q, %.200q", message.Text(), message.Reasoning, tt.text, tt.thinking)
			}
			if tt.class != "" {
				if e := failed(t, err); e.Class != tt.class || !strings.Contains(e.Message, tt.message) {
					t.Errorf("error is %s, %q, want %s, %q", e.Class, e.Message, tt.class, tt.message)
				}
				if len(message.ToolCalls) > 0 {
					t.Errorf("a failed answer has tool calls: %v", message.ToolCalls)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := range tt.calls {
				if tt.calls[i].ID == "" && i < len(message.ToolCalls) && strings.HasPrefix(message.ToolCalls[i].ID, "call_") {
					tt.calls[i].ID = message.ToolCalls[i].ID
				}
			}
			if !reflect.DeepEqual(message.ToolCalls, tt.calls) {
				t.Errorf("tool calls are %v, want %v", message.ToolCalls, tt.calls)
			}
			if message.Finish != tt.finish || message.Usage != tt.usage {
				t.Errorf("finish %q, usage %+v, want %q, %+v", message.Finish, message.Usage, tt.finish, tt.usage)
			}
			if !reflect.DeepEqual(message.Extras, tt.extras) {
				t.Errorf("extras are %s, want %s", message.Extras, tt.extras)
			}
			if message.Origin != "p/m" || message.Role != llm.Assistant {
				t.Errorf("origin is %q, role %q", message.Origin, message.Role)
			}
		})
	}
}

// TestPromisedMoreIsKept sends the events of an answer at once: whoever puts
// off a flush because more is promised must hear from the client again before
// it waits for the upstream.
func TestPromisedMoreIsKept(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	client := serve(t, Options{Streaming: true}, func(w http.ResponseWriter, _ *http.Request) {
		silent := deltaChunk(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"t","arguments":"{"}}]}`)
		_, _ = w.Write([]byte("data: " + content("a") + "\n\ndata: " + content("b") + "\n\ndata: " + silent + "\n\n"))
		http.NewResponseController(w).Flush()
		<-release
		_, _ = w.Write([]byte(stream(deltaChunk(`{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}`), finish("tool_calls"))))
	})
	var more []bool
	_, err := client.Stream(t.Context(), llm.Request{}, func(event llm.Event) error {
		text, ok := event.(llm.Text)
		if !ok {
			t.Errorf("unexpected event %T", event)
		}
		more = append(more, text.More)
		if string(text.JSON) == `""` {
			close(release) // the server waits for the flush that this brings
		}
		return nil
	})
	if want := []bool{true, true, false}; err != nil || !reflect.DeepEqual(more, want) {
		t.Errorf("More was %v, %v, want %v", more, err, want)
	}
}
