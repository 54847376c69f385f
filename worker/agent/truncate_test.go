package agent_test

import (
	"strings"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
)

// tooLong is the answer of a model that the transcript does not fit into.
func tooLong() llmtest.Answer {
	return llmtest.Answer{Err: &llm.Error{Class: llm.Overflow, Message: "too long"}}
}

func longHistory() []llm.Message {
	output := llm.TextMessage(llm.Tool, "out")
	output.ToolCallID = "c1"
	return []llm.Message{
		llm.TextMessage(llm.User, "one"), llm.TextMessage(llm.Assistant, "1"),
		llm.TextMessage(llm.User, "two"),
		{Role: llm.Assistant, ToolCalls: []llm.ToolCall{call("c1", "a")}},
		output, llm.TextMessage(llm.Assistant, "2"),
		llm.TextMessage(llm.User, "three"), llm.TextMessage(llm.Assistant, "3"),
		llm.TextMessage(llm.User, "go"),
	}
}

// A history that is too long loses its oldest turns, whole ones, until it fits.
func TestTruncatedHistory(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		truncate bool
		answers  []llmtest.Answer
		asked    []string
		fails    bool
	}{
		{"not allowed", false, []llmtest.Answer{tooLong()}, []string{
			`ask system "one" assistant(0) "two" assistant(1) c1 assistant(0) "three" assistant(0) "go"`,
		}, true},
		{"once", true, []llmtest.Answer{tooLong(), llmtest.Say("Hi.")}, []string{
			`ask system "one" assistant(0) "two" assistant(1) c1 assistant(0) "three" assistant(0) "go"`,
			`ask system "three" assistant(0) "go"`,
		}, false},
		{"until it fits", true, []llmtest.Answer{tooLong(), tooLong(), llmtest.Say("Hi.")}, []string{
			`ask system "one" assistant(0) "two" assistant(1) c1 assistant(0) "three" assistant(0) "go"`,
			`ask system "three" assistant(0) "go"`,
			`ask system "go"`,
		}, false},
		{"never fits", true, []llmtest.Answer{tooLong(), tooLong(), tooLong()}, []string{
			`ask system "one" assistant(0) "two" assistant(1) c1 assistant(0) "three" assistant(0) "go"`,
			`ask system "three" assistant(0) "go"`,
			`ask system "go"`,
		}, true},
		{"after a tool", true, []llmtest.Answer{llmtest.Use(call("c2", "a")), tooLong(), llmtest.Say("Hi.")}, []string{
			`ask system "one" assistant(0) "two" assistant(1) c1 assistant(0) "three" assistant(0) "go"`,
			`ask system "one" assistant(0) "two" assistant(1) c1 assistant(0) "three" assistant(0) "go" assistant(1) c2`,
			`ask system "three" assistant(0) "go" assistant(1) c2`,
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(map[string]toolFunc{"a": says("A")}, test.answers...)
			_, err := agent.New(s.opts).Run(t.Context(), agent.Turn{History: longHistory(), System: "be brief", Truncate: test.truncate}, s.show)
			if (err != nil) != test.fails || err != nil && llm.ClassOf(err) != llm.Overflow {
				t.Errorf("the turn ended with %v", err)
			}
			var asked []string
			for _, line := range s.journal.all() {
				if strings.HasPrefix(line, "ask") {
					asked = append(asked, line)
				}
			}
			if got, want := strings.Join(asked, "\n"), strings.Join(test.asked, "\n"); got != want {
				t.Errorf("the model was asked\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// Calls beyond the limit of a request are not run; the model is told so, and
// answers with what it has.
func TestTooManyToolCalls(t *testing.T) {
	t.Parallel()
	s := newStage(map[string]toolFunc{"a": says("A")},
		llmtest.Use(call("c1", "a")), llmtest.Use(call("c2", "a"), call("c3", "a")), llmtest.Use(call("c4", "a")), llmtest.Say("Done."))
	result, err := agent.New(s.opts).Run(t.Context(), agent.Turn{History: []llm.Message{llm.TextMessage(llm.User, "go")}, MaxToolCalls: 2}, s.show)
	if err != nil || result.Message.Text() != "Done." {
		t.Fatalf("the turn ended with %q (%v)", result.Message.Text(), err)
	}
	lines := strings.Join(s.journal.all(), "\n")
	if got := strings.Count(lines, "\nrun a"); got != 2 {
		t.Errorf("%d calls ran:\n%s", got, lines)
	}
	for _, id := range []string{"c3", "c4"} {
		if !strings.Contains(lines, "record result "+id+` "not run: this turn may make 2 tool calls`) || strings.Contains(lines, "show start "+id) {
			t.Errorf("call %s is not answered as refused:\n%s", id, lines)
		}
	}
}
