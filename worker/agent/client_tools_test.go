package agent_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
)

// withClientTools is a turn that answers "go" and offers ask and order.
func withClientTools() agent.Turn {
	return agent.Turn{
		History:     []llm.Message{llm.TextMessage(llm.User, "go")},
		ClientTools: []llm.ToolSpec{{Name: "ask"}, {Name: "order"}},
	}
}

func TestClientToolsAreLeftToTheClient(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		oneCall bool
		answers []llmtest.Answer
		want    []string
		calls   []string
		finish  llm.Finish
		after   string // the roles of what the turn added
	}{
		{
			name:    "alone",
			answers: []llmtest.Answer{{Text: []string{"Which one?"}, Calls: []llm.ToolCall{call("c1", "ask")}}},
			want: []string{
				`record begin "go"`, `ask "go"`, `show text "Which one?"`, `record answer "Which one?" c1`,
				`record result c1 "left to the client"`, `record end done`,
			},
			calls: []string{"c1"}, finish: llm.FinishToolCalls, after: "assistant",
		},
		{
			name: "among the agent's own, which run first",
			answers: []llmtest.Answer{
				llmtest.Use(call("c1", "read")),
				llmtest.Use(call("c2", "ask"), call("c3", "read"), call("c4", "order")),
			},
			want: []string{
				`record begin "go"`, `ask "go"`, `record answer "" c1`,
				`record start c1`, `show start c1 🔧 read {}`, `run read`, `record result c1 "text"`, `show result c1 "text"`,
				`ask "go" assistant(1) c1`, `record answer "" c2 c3 c4`,
				`record start c3`, `show start c3 🔧 read {}`, `run read`, `record result c3 "text"`, `show result c3 "text"`,
				`record result c2 "left to the client"`, `record result c4 "left to the client"`, `record end done`,
			},
			calls: []string{"c2", "c4"}, finish: llm.FinishToolCalls, after: "assistant tool assistant tool",
		},
		{
			name: "one at a time", oneCall: true,
			answers: []llmtest.Answer{llmtest.Use(call("c1", "ask"), call("c2", "read"), call("c3", "ask"))},
			want: []string{
				`record begin "go"`, `ask "go"`, `record answer "" c1 c2`,
				`record start c2`, `show start c2 🔧 read {}`, `run read`, `record result c2 "text"`, `show result c2 "text"`,
				`record result c1 "left to the client"`, `record end done`,
			},
			calls: []string{"c1"}, finish: llm.FinishToolCalls, after: "assistant tool",
		},
		{
			name:    "not called",
			answers: []llmtest.Answer{llmtest.Say("hi")},
			want:    []string{`record begin "go"`, `ask "go"`, `show text "hi"`, `record answer "hi"`, `record end done`},
			finish:  llm.FinishStop, after: "assistant",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(map[string]toolFunc{"read": says("text")}, test.answers...)
			turn := withClientTools()
			turn.OneCall = test.oneCall
			result, err := agent.New(s.opts).Run(t.Context(), turn, s.show)
			if err != nil {
				t.Fatal(err)
			}
			s.expect(t, test.want...)
			var calls, roles []string
			for _, call := range result.ClientCalls {
				calls = append(calls, call.ID)
			}
			for _, message := range result.Messages {
				roles = append(roles, string(message.Role))
			}
			if !slices.Equal(calls, test.calls) || result.Finish != test.finish || strings.Join(roles, " ") != test.after || result.Message.Role != llm.Assistant {
				t.Errorf("calls %v, finish %s, added %v, answer %+v", calls, result.Finish, roles, result.Message)
			}
		})
	}
}

func TestATurnGoesOnWithTheClientsResults(t *testing.T) {
	t.Parallel()
	s := newStage(nil, llmtest.Use(call("c1", "ask")), llmtest.Say("It is blue."))
	a := agent.New(s.opts)
	first, err := a.Run(t.Context(), withClientTools(), s.show)
	if err != nil {
		t.Fatal(err)
	}
	turn := withClientTools()
	answer := llm.TextMessage(llm.Tool, "blue")
	answer.ToolCallID = first.ClientCalls[0].ID
	turn.History = append(append(turn.History, first.Messages...), answer)
	second, err := a.Run(t.Context(), turn, s.show)
	if err != nil || second.Text() != "It is blue." {
		t.Errorf("got %q, %v", second.Text(), err)
	}
	s.expect(t,
		`record begin "go"`, `ask "go"`, `record answer "" c1`, `record result c1 "left to the client"`, `record end done`,
		`record begin "blue"`, `ask "go" assistant(1) c1`, `show text "It is blue."`, `record answer "It is blue."`, `record end done`)
}

func TestAnEndedTurnLeavesNothingToTheClient(t *testing.T) {
	t.Parallel()
	s := newStage(map[string]toolFunc{"read": says("text")}, llmtest.Use(call("c1", "ask"), call("c2", "read")))
	gone := errors.New("gone")
	s.emit = func(event agent.Event) error {
		if _, ok := event.(agent.ToolFinished); ok {
			return gone
		}
		return nil
	}
	result, err := agent.New(s.opts).Run(t.Context(), withClientTools(), s.show)
	if !errors.Is(err, gone) || len(result.ClientCalls) > 0 || len(result.Messages) != 3 {
		t.Errorf("got %+v, %v", result, err)
	}
	s.expect(t,
		`record begin "go"`, `ask "go"`, `record answer "" c1 c2`,
		`record start c2`, `show start c2 🔧 read {}`, `run read`, `record result c2 "text"`, `show result c2 "text"`,
		`record result c1 "cancelled by the user before it began"`, `record end cancelled: gone`)
}

func TestToolsAreOfferedTogetherAndTheClientsChoiceHolds(t *testing.T) {
	t.Parallel()
	s := newStage(map[string]toolFunc{"read": says("text")}, llmtest.Use(call("c1", "read")), llmtest.Use(call("c2", "ask")))
	s.opts.Redact = func(text string) string { return strings.ReplaceAll(text, "{}", "[redacted]") }
	turn := withClientTools()
	turn.ToolChoice = "required"
	a := agent.New(s.opts)
	result, err := a.Run(t.Context(), turn, s.show)
	if err != nil || result.ClientCalls[0].Arguments != "[redacted]" || result.Message.ToolCalls[0].Arguments != "{}" {
		t.Fatalf("got %+v, %v", result, err)
	}
	for i, asked := range s.script.Requests() {
		var names []string
		for _, spec := range asked.Tools {
			names = append(names, spec.Name)
		}
		if strings.Join(names, ",") != "all of them,read,ask,order" || asked.ToolChoice != "required" {
			t.Errorf("call %d offered %v, choice %q", i, names, asked.ToolChoice)
		}
	}
	if !a.HasTool("all of them") || a.HasTool("ask") {
		t.Error("it does not know its own tools")
	}
}

func TestACompletionMayCallClientTools(t *testing.T) {
	t.Parallel()
	s := newStage(nil, llmtest.Use(call("", "ask"), call("c2", "terminal")))
	turn := withClientTools()
	turn.ToolChoice = "ask"
	result, err := agent.New(s.opts).Complete(t.Context(), turn, s.show)
	if err != nil || len(result.ClientCalls) != 1 || result.ClientCalls[0].Name != "ask" || result.ClientCalls[0].ID == "" || result.Finish != llm.FinishToolCalls {
		t.Errorf("got %+v, %v", result, err)
	}
	if asked := s.script.Requests()[0]; len(asked.Tools) != 2 || asked.ToolChoice != "ask" {
		t.Errorf("asked %+v", asked)
	}
}

func TestCallsAreTakenBackWhereTheyCannotBeRecorded(t *testing.T) {
	t.Parallel()
	full := errors.New("disk full")
	for _, broken := range []string{"result c2", "end done"} {
		t.Run(broken, func(t *testing.T) {
			t.Parallel()
			s := newStage(nil, llmtest.Use(call("c1", "ask"), call("c2", "order")))
			s.opts.Recorder = fakeRecorder{journal: s.journal, fail: func(line string) error {
				if strings.HasPrefix(line, broken) {
					return full
				}
				return nil
			}}
			result, err := agent.New(s.opts).Run(t.Context(), withClientTools(), s.show)
			if !errors.Is(err, full) || len(result.ClientCalls) > 0 || len(result.Messages) != 3 ||
				result.Messages[1].ToolCallID != "c1" || result.Messages[2].ToolCallID != "c2" {
				t.Errorf("got %+v, %v", result, err)
			}
		})
	}
}
