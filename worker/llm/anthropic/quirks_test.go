package anthropic

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"hermes/worker/llm"
)

// TestStreams has a row for each thing that the API, or a server that imitates
// it, may send, with the answer that a user should get.
func TestStreams(t *testing.T) {
	t.Parallel()
	const toolStart = `{"type":"tool_use","id":"toolu_1","name":"clock","input":{}}`
	use := func(index, start, json string) []string {
		return []string{block0(index, start), delta0(index, `{"type":"input_json_delta","partial_json":""}`), delta0(index, `{"type":"input_json_delta","partial_json":`+json+`}`), stop0(index)}
	}
	with := func(parts ...[]string) string {
		var all []string
		for _, p := range parts {
			all = append(all, p...)
		}
		return stream(all...)
	}
	tests := []struct {
		name     string
		body     string
		text     string
		thinking string
		calls    []llm.ToolCall
		finish   llm.Finish
		usage    llm.Usage
		extras   string
		// An answer that must fail:
		class   llm.Class
		message string // a part of the error
	}{
		{name: "plain", body: plain(`"Hello, Welt \"ok\" 😀\n"`), text: "Hello, Welt \"ok\" 😀\n", finish: llm.FinishStop, usage: llm.Usage{Input: 25, Output: 15}},
		{
			name: "usage with a cache", text: "a", finish: llm.FinishStop, usage: llm.Usage{Input: 1110, Output: 7, Cached: 1000, Reasoning: 3},
			body: stream(`{"type":"message_start","message":{"content":[],"usage":{"input_tokens":10,"cache_read_input_tokens":1000,"cache_creation_input_tokens":100,"output_tokens":1}}}`,
				block0("0", textual), text0("0", `"a"`), stop0("0"),
				`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":10,"output_tokens":7,"output_tokens_details":{"thinking_tokens":3}}}`, ended),
		},
		{
			name: "thinking", text: "4", thinking: "2 and 2", finish: llm.FinishStop, usage: llm.Usage{Input: 25, Output: 15},
			body: stream(started(), block0("0", `{"type":"thinking","thinking":"","signature":""}`), delta0("0", `{"type":"thinking_delta","thinking":"2 and "}`),
				delta0("0", `{"type":"thinking_delta","thinking":"2"}`), delta0("0", `{"type":"signature_delta","signature":"EqQB"}`), stop0("0"),
				block0("1", textual), text0("1", `"4"`), stop0("1"), stopped("end_turn"), ended),
			extras: `[{"signature":"EqQB","thinking":"2 and 2","type":"thinking"},"text"]`,
		},
		{
			name: "thinking that is kept back", text: "4", finish: llm.FinishStop, usage: llm.Usage{Input: 25, Output: 15},
			body: stream(started(), block0("0", `{"type":"thinking","thinking":"","signature":""}`), delta0("0", `{"type":"signature_delta","signature":"EqQB"}`), stop0("0"),
				block0("1", `{"type":"redacted_thinking","data":"EmwKAh"}`), stop0("1"), block0("2", textual), text0("2", `"4"`), stop0("2"), stopped("end_turn"), ended),
			extras: `[{"signature":"EqQB","thinking":"","type":"thinking"},{"data":"EmwKAh","type":"redacted_thinking"},"text"]`,
		},
		{
			name: "thinking without a signature is shown but not sent back", text: "4", thinking: "hm", finish: llm.FinishStop, usage: llm.Usage{Input: 25, Output: 15},
			body: stream(started(), block0("0", `{"type":"thinking","thinking":"hm"}`), stop0("0"), block0("1", textual), text0("1", `"4"`), stop0("1"), stopped("end_turn"), ended),
		},
		{
			name: "thoughts, texts and calls in turn", text: "Let me see. And there.", thinking: "ab", finish: llm.FinishToolCalls, usage: llm.Usage{Input: 25, Output: 15},
			body: with([]string{started(), block0("0", `{"type":"thinking","thinking":"a","signature":"s1"}`), stop0("0"), block0("1", textual), text0("1", `"Let me see. "`), stop0("1")},
				use("2", toolStart, `"{\"zone\":\"é\"}"`),
				[]string{block0("3", `{"type":"thinking","thinking":"b","signature":"s2"}`), stop0("3"), block0("4", textual), text0("4", `"And there."`), stop0("4")},
				use("5", `{"type":"tool_use","id":"toolu_2","name":"clock","input":{}}`, `"{}"`), []string{stopped("tool_use"), ended}),
			calls:  []llm.ToolCall{{ID: "toolu_1", Name: "clock", Arguments: `{"zone":"é"}`}, {ID: "toolu_2", Name: "clock", Arguments: "{}"}},
			extras: `[{"signature":"s1","thinking":"a","type":"thinking"},"text","tool_use",{"signature":"s2","thinking":"b","type":"thinking"},"text","tool_use"]`,
		},
		{
			name: "a call without arguments", finish: llm.FinishToolCalls, usage: llm.Usage{Input: 25, Output: 15},
			body:  with([]string{started()}, use("0", toolStart, `""`), []string{stopped("tool_use"), ended}),
			calls: []llm.ToolCall{{ID: "toolu_1", Name: "clock", Arguments: "{}"}},
		},
		{
			name: "arguments that come at once", finish: llm.FinishToolCalls, usage: llm.Usage{Input: 25, Output: 15},
			body:  stream(started(), block0("0", `{"type":"tool_use","id":"toolu_1","name":"clock","input":{"zone":"UTC"}}`), stop0("0"), stopped("tool_use"), ended),
			calls: []llm.ToolCall{{ID: "toolu_1", Name: "clock", Arguments: `{"zone":"UTC"}`}},
		},
		{
			name: "a call that the limit cut", finish: llm.FinishLength, usage: llm.Usage{Input: 25, Output: 15},
			body:  with([]string{started()}, use("0", toolStart, `"{\"zo"`), []string{stopped("max_tokens"), ended}),
			calls: []llm.ToolCall{{ID: "toolu_1", Name: "clock", Arguments: `{"zo`}},
		},
		{name: "a stop sequence", body: strings.Replace(plain(`"a"`), "end_turn", "stop_sequence", 1), text: "a", finish: llm.FinishStop, usage: llm.Usage{Input: 25, Output: 15}},
		{name: "the limit", body: strings.Replace(plain(`"a"`), "end_turn", "max_tokens", 1), text: "a", finish: llm.FinishLength, usage: llm.Usage{Input: 25, Output: 15}},
		{name: "the window", body: strings.Replace(plain(`"a"`), "end_turn", "model_context_window_exceeded", 1), text: "a", finish: llm.FinishLength, usage: llm.Usage{Input: 25, Output: 15}},
		{name: "a pause", body: strings.Replace(plain(`"a"`), "end_turn", "pause_turn", 1), text: "a", finish: llm.FinishLength, usage: llm.Usage{Input: 25, Output: 15}},
		{name: "a refusal", body: stream(started(), stopped("refusal"), ended), finish: llm.FinishContentFilter, usage: llm.Usage{Input: 25, Output: 15}},
		{name: "an unknown reason", body: strings.Replace(plain(`"a"`), "end_turn", "tired", 1), text: "a", finish: llm.FinishStop, usage: llm.Usage{Input: 25, Output: 15}},
		{
			name: "unknown events, blocks and deltas", text: "a", finish: llm.FinishStop, usage: llm.Usage{Input: 25, Output: 15},
			body: stream(started(), `{"type":"weather","temperature":17}`, block0("0", `{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}}`),
				delta0("0", `{"type":"input_json_delta","partial_json":"{}"}`), stop0("0"), block0("1", textual), delta0("1", `{"type":"citations_delta","citation":{"cited_text":"x"}}`),
				text0("1", `"a"`), stop0("1"), stopped("end_turn"), ended),
		},
		{name: "a text that nobody began", body: stream(started(), text0("0", `"a"`), stopped("end_turn"), ended), text: "a", finish: llm.FinishStop, usage: llm.Usage{Input: 25, Output: 15}},
		{name: "no names of events", body: strings.ReplaceAll(plain(`"a"`), "event: ", "x: "), text: "a", finish: llm.FinishStop, usage: llm.Usage{Input: 25, Output: 15}},
		{name: "no end but a reason", body: strings.TrimSuffix(plain(`"a"`), stream(ended)), text: "a", finish: llm.FinishStop, usage: llm.Usage{Input: 25, Output: 15}},
		{name: "half a character", body: stream(started(), block0("0", textual), text0("0", `"\ud83d"`), text0("0", `"\ude00"`), stopped("end_turn"), ended), text: "😀", finish: llm.FinishStop, usage: llm.Usage{Input: 25, Output: 15}},
		{
			name: "a whole message instead of a stream", text: "a", thinking: "t", finish: llm.FinishToolCalls, usage: llm.Usage{Input: 3, Output: 4},
			body:   `{"type":"message","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"a"},{"type":"tool_use","id":"c","name":"n","input":{"x":1}}],"stop_reason":"tool_use","usage":{"input_tokens":3,"output_tokens":4}}`,
			calls:  []llm.ToolCall{{ID: "c", Name: "n", Arguments: `{"x":1}`}},
			extras: `[{"signature":"s","thinking":"t","type":"thinking"},"text","tool_use"]`,
		},

		{name: "overloaded in the middle", text: "half", class: llm.Overloaded, message: "Overloaded", body: stream(started(), block0("0", textual), text0("0", `"half"`), `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`)},
		{name: "limited in the middle", class: llm.RateLimit, message: "slow down", body: stream(started(), `{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}`)},
		{name: "an error by its name alone", class: llm.Overloaded, message: "oops", body: "event: error\ndata: {\"error\":{\"message\":\"oops\"}}\n\n"},
		{name: "an error as a whole answer", class: llm.Overloaded, message: "Overloaded", body: `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`},
		{name: "a cut", text: "half", class: llm.Network, message: "the model's answer ended early", body: stream(started(), block0("0", textual), text0("0", `"half"`))},
		{name: "a cut in an event", text: "half", class: llm.Network, message: "ended early", body: stream(started(), block0("0", textual), text0("0", `"half"`)) + `data: {"type":"content_bl`},
		{name: "a cut in a whole message", class: llm.Network, message: "ended early", body: `{"type":"message","content":[{"type":"text","te`},
		{name: "nothing at all", class: llm.Network, message: "ended early", body: ""},
		{name: "no words", class: llm.Empty, message: "empty answer", body: stream(started(), stopped("end_turn"), ended)},
		{name: "no JSON", class: llm.Malformed, message: "broke its protocol: oops", body: "data: oops\n\n"},
		{name: "an answer of another API", class: llm.Malformed, message: "broke its protocol", body: `{"choices":[]}`},
		{name: "a page", class: llm.Malformed, message: "answered with an HTML page: Welcome; model.base_url must be", body: "<html><title>Welcome</title>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, message, err := ask(t, serve(t, Options{Streaming: true}, say(tt.body)), llm.Request{})
			if got.text != tt.text || got.thinking != tt.thinking || message.Text() != tt.text || message.Reasoning != tt.thinking {
				t.Errorf("heard %q, thinking %q; message %q, thinking %q; want %q, %q", got.text, got.thinking, message.Text(), message.Reasoning, tt.text, tt.thinking)
			}
			if message.Origin != "anthropic/claude-sonnet-5" || message.Role != llm.Assistant {
				t.Errorf("origin is %q, role %q", message.Origin, message.Role)
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
			if !reflect.DeepEqual(message.ToolCalls, tt.calls) || message.Finish != tt.finish || message.Usage != tt.usage {
				t.Errorf("got calls %v, finish %q, usage %+v, want %v, %q, %+v", message.ToolCalls, message.Finish, message.Usage, tt.calls, tt.finish, tt.usage)
			}
			if extras := string(message.Extras[extraLayout]); extras != tt.extras {
				t.Errorf("extras are %s, want %s", extras, tt.extras)
			}
		})
	}
}

func FuzzStream(f *testing.F) {
	f.Add([]byte(plain(`"a"`)))
	f.Add([]byte(stream(started(), block0("0", `{"type":"thinking","thinking":"x","signature":"y"}`), delta0("0", `{"type":"thinking_delta","thinking":"\ud83d"}`), stopped("refusal"), ended)))
	f.Add([]byte(stream(started(), block0("3", `{"type":"tool_use","id":1,"name":null,"input":[]}`), delta0("3", `{"type":"input_json_delta","partial_json":"{"}`), stopped("tool_use"))))
	f.Add([]byte(`{"type":"message","content":[{"type":"text","text":7},{"type":"redacted_thinking","data":"x"}],"stop_reason":5}`))
	client := New(Options{BaseURL: "http://127.0.0.1:1", Model: "claude-sonnet-5"})
	f.Fuzz(func(t *testing.T, body []byte) {
		var shown strings.Builder
		a := &answer{origin: "o"}
		a.Buffered = func() bool { return false }
		a.Emit = func(event llm.Event) error {
			if text, ok := event.(llm.Text); ok {
				var piece string
				if err := json.Unmarshal(text.JSON, &piece); err != nil {
					t.Fatalf("text %q: %v", text.JSON, err)
				}
				shown.WriteString(piece)
			}
			return nil
		}
		if err := client.receive(a, strings.NewReader(string(body))); err != nil {
			return
		}
		m, err := a.message()
		if err == nil && strings.TrimSuffix(m.Text(), "\ufffd") != strings.TrimSuffix(shown.String(), "\ufffd") {
			t.Fatalf("shown %q, kept %q", shown.String(), m.Text())
		}
		// What is kept must be fit to be sent again.
		again := task{Request: llm.Request{Messages: []llm.Message{llm.TextMessage(llm.User, "q"), m}}, origin: "o", limit: 1}
		if !json.Valid(again.encode()) {
			t.Fatalf("%s is no JSON", again.encode())
		}
	})
}
