package llmtest_test

import (
	"reflect"
	"testing"
	"time"

	"hermes/worker/llm/llmtest"
)

func TestTinyObeysPlainCommands(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		say  string
		want llmtest.Reply
	}{
		{"echo", "hello there", llmtest.Text("You said: hello there")},
		{"say", "say it", llmtest.Text("it")},
		{"think", "think why: because", llmtest.Reply{Reasoning: []string{"why"}, Chunks: []string{"because"}}},
		{"stream", "stream 2 4 20ms", llmtest.Reply{Chunks: []string{"0 x ", "1 x "}, Gap: 20 * time.Millisecond}},
		{"fail", "fail 503 7", llmtest.Reply{Status: 503, RetryAfter: "7"}},
		{"cut", "cut off", llmtest.Reply{Chunks: []string{"off"}, Cut: true}},
		{"break", "break off", llmtest.Reply{Chunks: []string{"off"}, StreamError: "The model broke down."}},
		{"hang", "hang on", llmtest.Reply{Chunks: []string{"on"}, Hang: true}},
		{"one command", "please\nrun `pwd`", llmtest.Reply{Calls: []llmtest.ToolCall{{Name: "terminal", Arguments: `{"command":"pwd"}`}}}},
		{"parallel", "run `a` and `b`", llmtest.Reply{Calls: []llmtest.ToolCall{
			{Name: "terminal", Arguments: `{"command":"a"}`}, {Name: "terminal", Arguments: `{"command":"b"}`},
		}}},
		{"write", "write n.txt: a: b", llmtest.Reply{Calls: []llmtest.ToolCall{{Name: "write_file", Arguments: `{"content":"a: b","path":"n.txt"}`}}}},
		{"any tool", `call terminal {"command":"ls"}`, llmtest.Reply{Calls: []llmtest.ToolCall{{Name: "terminal", Arguments: `{"command":"ls"}`}}}},
		{"any tool, arguments that are no JSON", "call me maybe", llmtest.Text("You said: call me maybe")},
		{"no such tool", "read n.txt", llmtest.Text("I have no tool read_file.")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := llmtest.Tiny(llmtest.Call{
				Tools:    []string{"terminal", "write_file"},
				Messages: []llmtest.Message{{Role: "user", Text: test.say}},
			})
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestTinyTakesItsStepsInTurn(t *testing.T) {
	t.Parallel()
	call := llmtest.Call{
		Tools: []string{"terminal"},
		Messages: []llmtest.Message{
			{Role: "user", Text: "run `old`"},
			{Role: "assistant", ToolCalls: []llmtest.ToolCall{{ID: "0"}}},
			{Role: "tool", Text: "old result"},
			{Role: "user", Text: "run `a`\nrun `b`"},
			{Role: "assistant", ToolCalls: []llmtest.ToolCall{{ID: "1"}}},
			{Role: "tool", Text: "A"},
		},
	}
	if got := llmtest.Tiny(call); len(got.Calls) != 1 || got.Calls[0].Arguments != `{"command":"b"}` {
		t.Errorf("second step: %+v", got)
	}
	call.Messages = append(call.Messages,
		llmtest.Message{Role: "assistant", ToolCalls: []llmtest.ToolCall{{ID: "2"}}},
		llmtest.Message{Role: "tool", Text: "B"},
	)
	if got, want := llmtest.Tiny(call), llmtest.Text("The tools answered:\nA\nB"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	call.Messages[3].Text = "run `a`\nrun `b`\nfail 503"
	if got, want := llmtest.Tiny(call), (llmtest.Reply{Status: 503}); !reflect.DeepEqual(got, want) {
		t.Errorf("after the last step: %+v, want %+v", got, want)
	}
	call.Messages[3].Text = "again `x`"
	if got := llmtest.Tiny(call); len(got.Calls) != 1 {
		t.Errorf("again: %+v, want one more call", got)
	}
}
