package agent_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
	"hermes/worker/tools"
)

// misused makes a tool that takes no arguments of its model.
func misused(tool string) toolFunc {
	return func(context.Context, llm.ToolCall) (tools.Result, error) {
		return tools.Result{Text: tool + " was not run", Failed: true, Misused: tool}, nil
	}
}

// choices are the tools that the requests of a turn made the model call.
func choices(s *stage) string {
	var all []string
	for _, request := range s.script.Requests() {
		all = append(all, fmt.Sprintf("%q", request.ToolChoice))
	}
	return strings.Join(all, " ")
}

func TestAToolThatIsCalledWronglyTwiceIsPinned(t *testing.T) {
	t.Parallel()
	a, b, good := llmtest.Use(call("", "a")), llmtest.Use(call("", "b")), llmtest.Use(call("", "good"))
	refused := llmtest.Fail(&llm.Error{Class: llm.BadRequest, Message: "no tool_choice here"})
	for name, test := range map[string]struct {
		answers []llmtest.Answer
		want    string
	}{
		"once":                          {[]llmtest.Answer{a, llmtest.Say("x")}, `"" ""`},
		"twice":                         {[]llmtest.Answer{a, a, good, llmtest.Say("x")}, `"" "" "a" ""`},
		"it goes on, and is left alone": {[]llmtest.Answer{a, a, a, a, llmtest.Say("x")}, `"" "" "a" "" ""`},
		"two tools":                     {[]llmtest.Answer{a, b, llmtest.Say("x")}, `"" "" ""`},
		"a good one in between":         {[]llmtest.Answer{a, good, a, llmtest.Say("x")}, `"" "" "" ""`},
		"a good one beside":             {[]llmtest.Answer{a, llmtest.Use(call("", "a"), call("", "good")), llmtest.Say("x")}, `"" "" ""`},
		"two in one step":               {[]llmtest.Answer{llmtest.Use(call("", "a"), call("", "a")), llmtest.Say("x")}, `"" ""`},
		"a failure of its work":         {[]llmtest.Answer{llmtest.Use(call("", "fails")), llmtest.Use(call("", "fails")), llmtest.Say("x")}, `"" "" ""`},
		"a name that is not offered":    {[]llmtest.Answer{llmtest.Use(call("", "hidden")), llmtest.Use(call("", "hidden")), llmtest.Say("x")}, `"" "" ""`},
		"the server refuses":            {[]llmtest.Answer{a, a, refused, llmtest.Say("x")}, `"" "" "a" ""`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fails := func(context.Context, llm.ToolCall) (tools.Result, error) { return tools.Failure("no"), nil }
			s := newStage(map[string]toolFunc{"a": misused("a"), "b": misused("b"), "good": says("yes"), "fails": fails, "hidden": misused("behind mcp_call")}, test.answers...)
			if result, err := s.run(t.Context()); err != nil || result.Message.Text() != "x" {
				t.Errorf("got %q, %v", result.Message.Text(), err)
			}
			if got := choices(s); got != test.want {
				t.Errorf("the model had to call %s, want %s", got, test.want)
			}
		})
	}
}

const spelledRead = `{"name":"all of them","arguments":{}}`

func TestACallWrittenAsTextIsAskedAboutOnce(t *testing.T) {
	t.Parallel()
	s := newStage(map[string]toolFunc{"read": says("R")}, llmtest.Say(spelledRead), llmtest.Use(call("c1", "read")), llmtest.Say(spelledRead))
	result, err := s.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first, final := result.Messages[0], result.Message.Text()
	if first.Text() != spelledRead || len(first.ToolCalls) != 1 || final != spelledRead {
		t.Errorf("the turn has %+v", result.Messages)
	}
	if got := s.journal.all(); len(got) < 4 || !strings.Contains(got[3], "Your reply above has a tool call written into it") {
		t.Errorf("what happened: %s", strings.Join(got, "\n"))
	}
	if got := s.script.Requests(); len(got) != 3 || len(got[2].Messages) != 3 {
		t.Errorf("%d requests, the last is %+v", len(got), got[len(got)-1].Messages)
	}
}

func TestACallWrittenAsTextStaysWhenTheTurnBreaks(t *testing.T) {
	t.Parallel()
	s := newStage(nil, llmtest.Say(spelledRead), llmtest.Fail(&llm.Error{Class: llm.Auth, Message: "no key"}))
	result, err := s.run(t.Context())
	if err == nil || len(result.Messages) != 1 || result.Messages[0].Text() != spelledRead {
		t.Errorf("the turn has %+v, %v", result.Messages, err)
	}
}

func TestWordsAfterACallWrittenAsTextAreApart(t *testing.T) {
	t.Parallel()
	s := newStage(nil, llmtest.Say(spelledRead), llmtest.Say("I ", "cannot."))
	result, err := s.run(t.Context())
	if err != nil || result.Message.Text() != spelledRead+"\n\nI cannot." {
		t.Errorf("got %q, %v", result.Message.Text(), err)
	}
	if got := strings.Join(s.journal.all(), "\n"); !strings.Contains(got, `show text "\n\n"`+"\n"+`show text "I "`+"\n"+`show text "cannot."`) {
		t.Errorf("what happened: %s", got)
	}
}
