package agent_test

import (
	"context"
	"strings"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
	"hermes/worker/tools"
)

// asks makes a tool that ends the turn with a question.
func asks(question string) toolFunc {
	return func(context.Context, llm.ToolCall) (tools.Result, error) {
		return tools.Result{Text: "asked", Question: question}, nil
	}
}

// awaited notes whether the end of a run was a question.
type awaited struct {
	fakeRecorder
	got *bool
}

func (r awaited) End(ctx context.Context, runID string, end agent.End) error {
	*r.got = end.AwaitingUser
	return r.fakeRecorder.End(ctx, runID, end)
}

// A question is the end of the answer. What else the model wanted of that step is
// done or refused before, so that no call stays open.
func TestQuestionEndsTheTurn(t *testing.T) {
	t.Parallel()
	s := newStage(map[string]toolFunc{"question": asks("Red or blue?"), "work": says("done")},
		llmtest.Answer{Text: []string{"Hm."}, Calls: []llm.ToolCall{call("c1", "question"), call("c2", "work"), call("c3", "ask")}})
	awaiting := false
	s.opts.Recorder = awaited{fakeRecorder{journal: s.journal}, &awaiting}
	result, err := agent.New(s.opts).Run(t.Context(), withClientTools(), s.show)
	if err != nil {
		t.Fatal(err)
	}
	s.expect(t,
		`record begin "go"`, `ask "go"`, `show text "Hm."`, `record answer "Hm." c1 c2 c3`,
		`record start c1`, `show start c1 🔧 question {}`, `run question`, `record result c1 "asked"`, `show result c1 "asked"`,
		`record start c2`, `show start c2 🔧 work {}`, `run work`, `record result c2 "done"`, `show result c2 "done"`,
		`record result c3 "not run: a question was put to the person first"`,
		`show text "Red or blue?"`, `record answer "Red or blue?"`, `record end done`)
	if result.Finish != llm.FinishStop || result.Cut || len(result.ClientCalls) > 0 || !awaiting {
		t.Errorf("result %+v, awaiting %v", result, awaiting)
	}
	if got := result.Text(); got != "Hm.\n\nRed or blue?" {
		t.Errorf("text %q", got)
	}
	roles := ""
	for _, message := range result.Messages {
		roles += " " + string(message.Role)
	}
	if roles != " assistant"+strings.Repeat(" tool", 3)+" assistant" {
		t.Errorf("roles%s", roles)
	}
}

func TestQuestionOfAClientThatHasGone(t *testing.T) {
	t.Parallel()
	s := newStage(map[string]toolFunc{"question": asks("Red or blue?")}, llmtest.Use(call("c1", "question")))
	awaiting := false
	s.opts.Recorder = awaited{fakeRecorder{journal: s.journal}, &awaiting}
	s.emit = func(event agent.Event) error {
		if _, ok := event.(agent.Text); ok {
			return context.Canceled
		}
		return nil
	}
	if _, err := s.run(t.Context()); err == nil || awaiting {
		t.Errorf("error %v, awaiting %v", err, awaiting)
	}
}
