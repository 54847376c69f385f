package agent_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
	"hermes/worker/tools"
)

func TestTheLastStepIsAReport(t *testing.T) {
	t.Parallel()
	const note = `"This turn has reached its limit of 2 steps, and tools are no longer available. ` +
		`Tell the person now what is done, what is not, and how to go on."`
	const own = "I stopped here: one turn may take 2 steps, and this one has used them up. " +
		"What was done so far is kept. Tell me to go on if I should."
	tests := []struct {
		name string
		last llmtest.Answer
		text string
	}{
		{"the model reports", llmtest.Say("Half is done."), "Half is done."},
		{"the model calls tools all the same", llmtest.Use(call("c2", "a")), own},
		{"the model says nothing", llmtest.Answer{}, own},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(map[string]toolFunc{"a": says("A")}, llmtest.Use(call("c1", "a")), test.last, llmtest.Say("never"))
			s.opts.MaxIterations = 2
			result, err := s.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !result.Cut || result.Finish != llm.FinishLength || result.Text() != test.text {
				t.Errorf("cut %v, finish %s, text %q; want a cut at length with %q", result.Cut, result.Finish, result.Text(), test.text)
			}
			lines := s.journal.all()
			if want := `ask "go" assistant(1) c1 ` + note + ` without tools`; lines[8] != want {
				t.Errorf("the model was asked\n%s\nwant\n%s", lines[8], want)
			}
			shown := fmt.Sprintf("show text %q\nrecord answer %q\nrecord end done", test.text, test.text)
			recorded := fmt.Sprintf("record answer %q\nshow text %q\nrecord end done", test.text, test.text)
			if got := strings.Join(lines[9:], "\n"); got != shown && got != recorded {
				t.Errorf("the turn ended with\n%s", got)
			}
		})
	}
}

func TestASingleStepIsNoCut(t *testing.T) {
	t.Parallel()
	s := newStage(nil, llmtest.Say("Hi."))
	s.opts.MaxIterations = 1
	result, err := s.run(t.Context())
	if err != nil || result.Cut || result.Finish != llm.FinishStop {
		t.Errorf("got %+v and %v", result, err)
	}
	s.expect(t, `record begin "go"`, `ask "go" without tools`, `show text "Hi."`, `record answer "Hi."`, `record end done`)
}

func TestGoingRoundInCircles(t *testing.T) {
	t.Parallel()
	var answers []llmtest.Answer
	for i := range 10 {
		// The second call differs each time and is no reason to stop.
		answers = append(answers, llmtest.Use(
			call(fmt.Sprintf("a%d", i), "a"),
			llm.ToolCall{ID: fmt.Sprintf("b%d", i), Name: "a", Arguments: fmt.Sprintf(`{"n":%d}`, i)},
		))
	}
	s := newStage(map[string]toolFunc{"a": says("A")}, answers...)
	result, err := s.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.script.Left() != 4 {
		t.Errorf("the model was asked %d times, want 6", 10-s.script.Left())
	}
	nudges := 0
	for _, message := range result.Messages {
		if message.Role != llm.Tool {
			continue
		}
		nudged := strings.Contains(message.Text(), "You have made this call before")
		if nudged {
			nudges++
		}
		if !strings.HasPrefix(message.Text(), "A") || nudged && strings.HasPrefix(message.ToolCallID, "b") {
			t.Errorf("%s was answered %q", message.ToolCallID, message.Text())
		}
	}
	if nudges != 4 {
		t.Errorf("%d results had a nudge, want the third to the sixth", nudges)
	}
	const want = "I stopped here: I made the same call (🔧 a {}) 6 times and got the same result each time, " +
		"so going on would not have helped. Tell me what to try instead."
	if result.Message.Text() != want || !result.Cut || result.Finish != llm.FinishLength {
		t.Errorf("the turn ended with %q, cut %v, finish %s", result.Message.Text(), result.Cut, result.Finish)
	}
}

// A call that shows another picture each time goes somewhere, whatever its words are.
func TestLookingAgainIsNoCircle(t *testing.T) {
	t.Parallel()
	var answers []llmtest.Answer
	for i := range 8 {
		answers = append(answers, llmtest.Use(call(fmt.Sprintf("c%d", i), "look")))
	}
	looks := byte(0)
	look := func(context.Context, llm.ToolCall) (tools.Result, error) {
		looks++
		return tools.Result{Text: "the screen", Images: []tools.Image{{MIME: "image/png", Data: []byte{looks}}}}, nil
	}
	s := newStage(map[string]toolFunc{"look": look}, append(answers, llmtest.Say("ok"))...)
	result, err := s.run(t.Context())
	if err != nil || result.Cut || result.Text() != "ok" || strings.Contains(fmt.Sprint(result.Messages), "You have made this call before") {
		t.Errorf("the turn ended with %q, cut %v (%v)", result.Text(), result.Cut, err)
	}
}

func TestEmptyAnswersAreCountedInARow(t *testing.T) {
	t.Parallel()
	s := newStage(map[string]toolFunc{"a": says("A")},
		llmtest.Answer{}, llmtest.Answer{}, llmtest.Use(call("c1", "a")), llmtest.Answer{}, llmtest.Answer{}, llmtest.Say("done"))
	result, err := s.run(t.Context())
	if err != nil || result.Text() != "done" {
		t.Errorf("got %q and %v, want an answer", result.Text(), err)
	}
}

func TestEqualCallsInOneStepAreNoCircle(t *testing.T) {
	t.Parallel()
	var calls []llm.ToolCall
	for i := range 8 {
		calls = append(calls, call(fmt.Sprint(i), "a"))
	}
	s := newStage(map[string]toolFunc{"a": says("A")}, llmtest.Use(calls...), llmtest.Say("done"))
	result, err := s.run(t.Context())
	if err != nil || result.Text() != "done" || result.Messages[8].Text() != "A" {
		t.Errorf("got %q, %q and %v", result.Text(), result.Messages[8].Text(), err)
	}
}

func TestReadersRunBesideEachOther(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		calls []string
		took  time.Duration
	}{
		{"one", []string{"read"}, time.Second},
		{"four readers", []string{"read", "read", "read", "read"}, time.Second},
		{"at most four at once", []string{"read", "read", "read", "read", "read"}, 2 * time.Second},
		{"a writer waits for the readers before it", []string{"read", "read", "write", "read", "read"}, 3 * time.Second},
		{"writers never meet", []string{"write", "write", "write"}, 3 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				second := func(_ context.Context, call llm.ToolCall) (tools.Result, error) {
					time.Sleep(time.Second) // of synctest's clock
					return tools.Result{Text: "of " + call.ID}, nil
				}
				var calls []llm.ToolCall
				for i, name := range test.calls {
					calls = append(calls, call(fmt.Sprint(i), name))
				}
				s := newStage(map[string]toolFunc{"read": second, "write": second}, llmtest.Use(calls...), llmtest.Say("done"))
				began := time.Now()
				if _, err := s.run(t.Context()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
			})
		})
	}
}

func TestResultsKeepTheOrderOfTheCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		after := func(d time.Duration, text string) toolFunc {
			return func(context.Context, llm.ToolCall) (tools.Result, error) {
				time.Sleep(d) // of synctest's clock
				return tools.Result{Text: text}, nil
			}
		}
		s := newStage(
			map[string]toolFunc{"read a": after(3*time.Second, "A"), "read b": after(time.Second, "B"), "read c": after(2*time.Second, "C")},
			llmtest.Use(call("c1", "read a"), call("c2", "read b"), call("c3", "read c")),
			llmtest.Say("done"),
		)
		result, err := s.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, line := range s.journal.all() {
			if !strings.HasPrefix(line, "run ") { // those come from three goroutines
				lines = append(lines, line)
			}
		}
		const want = `record begin "go"
ask "go"
record answer "" c1 c2 c3
record start c1
show start c1 🔧 read a {}
record start c2
show start c2 🔧 read b {}
record start c3
show start c3 🔧 read c {}
record result c2 "B"
show result c2 "B"
record result c3 "C"
show result c3 "C"
record result c1 "A"
show result c1 "A"
ask "go" assistant(3) c1 c2 c3`
		if got := strings.Join(lines, "\n"); !strings.HasPrefix(got, want) {
			t.Errorf("what happened:\n%s\n\nwhat should have:\n%s", got, want)
		}
		if result.Messages[1].Text() != "A" || result.Messages[2].Text() != "B" || result.Messages[3].Text() != "C" {
			t.Errorf("results in the order %+v", result.Messages[1:4])
		}
	})
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
