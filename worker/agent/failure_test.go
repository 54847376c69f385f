package agent_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
	"hermes/worker/tools"
)

func TestTurnsThatFail(t *testing.T) {
	t.Parallel()
	overloaded := &llm.Error{Class: llm.Overloaded, Status: 503, Message: "busy"}
	tests := []struct {
		name    string
		tools   map[string]toolFunc
		answers []llmtest.Answer
		fail    string // the record that fails
		want    []string
		class   llm.Class
	}{
		{
			name:    "upstream fails at once",
			answers: []llmtest.Answer{llmtest.Fail(overloaded)},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`record end failed: model answered 503: busy`,
			},
			class: llm.Overloaded,
		},
		{
			name:    "upstream fails in the middle",
			answers: []llmtest.Answer{{Text: []string{"Once upon"}, Err: overloaded}},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`show text "Once upon"`,
				`record answer "Once upon"`,
				`record end failed: model answered 503: busy`,
			},
			class: llm.Overloaded,
		},
		{
			name:    "three empty answers",
			answers: []llmtest.Answer{{}, {}, {}, llmtest.Say("too late")},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`ask "go" "Your last reply was empty. Answer the person, or call a tool."`,
				`ask "go" "Your last reply was empty. Answer the person, or call a tool."`,
				`record end failed: The model gave an empty answer 3 times in a row.`,
			},
			class: llm.Empty,
		},
		{
			name:    "the run cannot be recorded",
			answers: []llmtest.Answer{llmtest.Say("never")},
			fail:    "begin",
			want:    []string{`lost: begin "go"`},
		},
		{
			name:    "the answer cannot be recorded",
			tools:   map[string]toolFunc{"a": says("A")},
			answers: []llmtest.Answer{llmtest.Use(call("c1", "a"))},
			fail:    "answer",
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`lost: answer "" c1`,
				`record end failed: record answer: disk full`,
			},
		},
		{
			name:    "the start of a tool cannot be recorded",
			tools:   map[string]toolFunc{"a": says("A")},
			answers: []llmtest.Answer{llmtest.Use(call("c1", "a"), call("c2", "a"))},
			fail:    "start",
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`record answer "" c1 c2`,
				`lost: start c1`,
				`record result c1 "stopped by an error of the agent before it began"`,
				`record result c2 "stopped by an error of the agent before it began"`,
				`record end failed: record start of tool: disk full`,
			},
		},
		{
			name:    "a result cannot be recorded",
			tools:   map[string]toolFunc{"a": says("A")},
			answers: []llmtest.Answer{llmtest.Use(call("c1", "a"))},
			fail:    "result",
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`record answer "" c1`,
				`record start c1`,
				`show start c1 🔧 a {}`,
				`run a`,
				`lost: result c1 "A"`,
				`show result c1 "A"`,
				`record end failed: record result of tool: disk full`,
			},
		},
		{
			name:    "the end cannot be recorded",
			answers: []llmtest.Answer{llmtest.Say("hi")},
			fail:    "end",
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`show text "hi"`,
				`record answer "hi"`,
				`lost: end done`,
			},
		},
		{
			name: "a tool breaks",
			tools: map[string]toolFunc{"a": func(context.Context, llm.ToolCall) (tools.Result, error) {
				return tools.Result{}, errors.New("workspace is gone")
			}},
			answers: []llmtest.Answer{llmtest.Use(call("c1", "a"), call("c2", "a"))},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`record answer "" c1 c2`,
				`record start c1`,
				`show start c1 🔧 a {}`,
				`run a`,
				`record result c1 "The tool broke: workspace is gone"`,
				`show result c1 "The tool broke: workspace is gone"`,
				`record result c2 "stopped by an error of the agent before it began"`,
				`record end failed: run tool a: workspace is gone`,
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(test.tools, test.answers...)
			if test.fail != "" {
				s.opts.Recorder = fakeRecorder{journal: s.journal, fail: func(line string) error {
					if strings.HasPrefix(line, test.fail) {
						return errors.New("disk full")
					}
					return nil
				}}
			}
			result, err := s.run(t.Context())
			if err == nil {
				t.Fatal("the turn did not fail")
			}
			if llm.ClassOf(err) != test.class {
				t.Errorf("error %v of class %q, want %q", err, llm.ClassOf(err), test.class)
			}
			s.expect(t, test.want...)
			checkAnswered(t, result)
		})
	}
}

// checkAnswered fails if a call in the result's messages has no answer.
func checkAnswered(t *testing.T, result agent.Result) {
	t.Helper()
	answered := map[string]bool{}
	for _, message := range result.Messages {
		if message.Role == llm.Tool {
			answered[message.ToolCallID] = true
		}
	}
	for _, message := range result.Messages {
		for _, call := range message.ToolCalls {
			if !answered[call.ID] {
				t.Errorf("call %s has no answer", call.ID)
			}
		}
	}
}
