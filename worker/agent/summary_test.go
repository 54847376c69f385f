package agent_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
)

// Whatever becomes of a summary, the person gets an answer, and the model is told
// what it does not see any more.
func TestSummariesThatGoWrong(t *testing.T) {
	t.Parallel()
	const dropped = "left out without a summary"
	answers := func(answer llmtest.Answer) func(llm.Request) llmtest.Answer {
		return func(llm.Request) llmtest.Answer { return answer }
	}
	for _, test := range []struct {
		name    string
		summary func(llm.Request) llmtest.Answer
		asked   int    // for a summary
		want    string // in what the model is sent
	}{
		{"it is good", answers(llmtest.Say("The roses were watered.")), 1, "The roses were watered."},
		{"it comes after thinking", answers(llmtest.Say("<think>hm</think>\nThe roses were watered.")), 1, "What happened:\nThe roses were watered."},
		{"the provider fails", answers(llmtest.Fail(&llm.Error{Class: llm.Overloaded, Message: "busy"})), 1, dropped},
		{"it is empty", answers(llmtest.Say(" \n")), 1, dropped},
		{"it calls tools instead", answers(llmtest.Use(call("c", "terminal"))), 1, dropped},
		{"it is longer than what it stands for", func(req llm.Request) llmtest.Answer {
			return llmtest.Say(strings.Repeat(req.Messages[1].Text(), 3))
		}, 1, dropped},
		{"it does not shrink", func(req llm.Request) llmtest.Answer {
			return llmtest.Say(req.Messages[1].Text()[:len(req.Messages[1].Text())*9/10])
		}, 1, dropped},
		{"low effort is refused", func(req llm.Request) llmtest.Answer {
			if req.ReasoningEffort != "" {
				return llmtest.Fail(&llm.Error{Class: llm.BadRequest, Message: "no such field"})
			}
			return llmtest.Say("The roses were watered.")
		}, 2, "The roses were watered."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			model := &windowed{window: 4_000, summary: test.summary}
			s := newWindowed(model, nil)
			now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			s.opts.Now = func() time.Time { return now }
			turns := agent.New(s.opts)
			history := append(chatter(60, 2_000), user("go on"))
			result, err := turns.Run(t.Context(), agent.Turn{SessionID: "s", History: history}, s.show)
			if err != nil || result.Text() != "Hi." {
				t.Fatalf("got %q and %v", result.Text(), err)
			}
			if got := fmt.Sprint(model.requests[0].Messages); !strings.Contains(got, test.want) || !strings.Contains(got, "water the roses") {
				t.Errorf("the model was sent %.3000s", got)
			}
			if len(model.summaries) != test.asked {
				t.Errorf("%d summaries were asked for, want %d", len(model.summaries), test.asked)
			}
			for _, req := range model.summaries {
				if len(req.Tools) > 0 || req.ResponseFormat != nil || len(req.Messages) != 2 {
					t.Errorf("the summary was asked for with %+v", req)
				}
			}
			for _, line := range s.journal.all() {
				if strings.HasPrefix(line, "show") && line != `show text "Hi."` {
					t.Errorf("the person was shown %s", line)
				}
			}
			if test.want != dropped {
				return
			}
			// It is not tried again at once, but later.
			ask := func(session string) int {
				before := len(model.summaries)
				_, err := turns.Run(t.Context(), agent.Turn{SessionID: session, History: history}, s.show)
				if err != nil {
					t.Error(err)
				}
				return len(model.summaries) - before
			}
			if n := ask("another"); n != 0 {
				t.Errorf("right after a failure %d summaries are asked for", n)
			}
			now = now.Add(time.Hour)
			if n := ask("later"); n != 1 {
				t.Errorf("an hour after a failure %d summaries are asked for", n)
			}
		})
	}
}

// A summary costs what it costs: it counts in the turn's usage.
func TestASummaryIsCounted(t *testing.T) {
	t.Parallel()
	model := &windowed{window: 4_000, summary: func(llm.Request) llmtest.Answer {
		return llmtest.Answer{Text: []string{"Short."}, Usage: llm.Usage{Input: 3_000_000, Output: 7}}
	}}
	s := newWindowed(model, nil)
	result, err := agent.New(s.opts).Run(t.Context(), agent.Turn{History: append(chatter(60, 2_000), user("go on"))}, s.show)
	if err != nil || result.Usage.Input < 3_000_000 || result.Usage.Output != 27 {
		t.Errorf("usage is %+v, %v", result.Usage, err)
	}
}

// Somebody who leaves while a summary is made ends the turn.
func TestASummaryIsCancelledWithItsTurn(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	model := &windowed{window: 4_000, summary: func(llm.Request) llmtest.Answer {
		cancel()
		return llmtest.Answer{Hang: true}
	}}
	s := newWindowed(model, nil)
	_, err := agent.New(s.opts).Run(ctx, agent.Turn{History: append(chatter(60, 2_000), user("go on"))}, s.show)
	if err == nil || !strings.Contains(err.Error(), "cancelled") || len(model.requests) != 0 {
		t.Errorf("the turn ended with %v after %d requests", err, len(model.requests))
	}
}

// What was made short stays so in the turns that follow, also with an agent that
// knows only what was kept; another branch has its own.
func TestABranchHasItsOwnSummary(t *testing.T) {
	t.Parallel()
	model := &windowed{window: 4_000}
	model.summary = func(req llm.Request) llmtest.Answer {
		return llmtest.Say(fmt.Sprintf("Summary %d.", len(model.summaries)))
	}
	s := newWindowed(model, nil)
	run := func(history []llm.Message) string {
		t.Helper()
		if _, err := agent.New(s.opts).Run(t.Context(), agent.Turn{SessionID: "s", History: history}, s.show); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(model.requests[len(model.requests)-1].Messages)
	}
	history := append(chatter(60, 2_000), user("go on"))
	first := run(history)
	if !strings.Contains(first, "Summary 1.") {
		t.Fatalf("no summary in %.2000s", first)
	}
	next := append(append([]llm.Message(nil), history...), llm.TextMessage(llm.Assistant, "Hi."), user("and on"))
	if again := run(next); !strings.HasPrefix(again, strings.TrimSuffix(first, "]")) || len(model.summaries) != 1 {
		t.Errorf("the next turn does not begin as the last one:\n%.1500s", again)
	}
	edited := append([]llm.Message(nil), history...)
	edited[3] = llm.TextMessage(llm.Assistant, "another answer 0")
	if branch := run(edited); strings.Contains(branch, "Summary 1.") || !strings.Contains(branch, "Summary 2.") {
		t.Errorf("the other branch was sent %.1500s", branch)
	}
	if back := run(next); !strings.Contains(back, "Summary 1.") || len(model.summaries) != 2 {
		t.Errorf("back on the first branch the model was sent %.1500s", back)
	}
	if young := run(history[:5]); strings.Contains(young, "Summary") {
		t.Errorf("a branch before the summary was sent %.1500s", young)
	}
}
