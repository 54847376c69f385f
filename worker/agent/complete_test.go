package agent_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
)

func complete(t *testing.T, s *stage, params agent.Params) (agent.Result, error) {
	t.Helper()
	turn := agent.Turn{History: []llm.Message{llm.TextMessage(llm.User, "name this chat")}, System: "You name chats.", Params: params}
	return agent.New(s.opts).Complete(t.Context(), turn, s.show)
}

func TestACompletionIsOneCallAndLeavesNoRecord(t *testing.T) {
	t.Parallel()
	answer := llmtest.Say("A ", "title")
	answer.Calls = []llm.ToolCall{call("c1", "write")} // which nobody offered
	answer.Usage = llm.Usage{Input: 3, Output: 2}
	s := newStage(nil, answer)
	got, err := complete(t, s, agent.Params{MaxTokens: 9})
	if err != nil || got.Text() != "A title" || got.Finish != llm.FinishStop || got.Usage.Output != 2 || len(got.Message.ToolCalls) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	s.expect(t, `ask system "name this chat" without tools`, `show text "A "`, `show text "title"`)
	if asked := s.script.Requests(); asked[0].MaxTokens != 9 || asked[0].Messages[0].Text() != "You name chats." {
		t.Errorf("asked %+v", asked)
	}
}

func TestACompletionDoesWithoutARefusedEffort(t *testing.T) {
	t.Parallel()
	refusal := llmtest.Fail(&llm.Error{Class: llm.BadRequest, Status: 400, Message: "Unrecognized request argument supplied: reasoning_effort"})
	s := newStage(nil, refusal, llmtest.Say("one"), llmtest.Say("two"))
	a := agent.New(s.opts)
	turn := agent.Turn{History: []llm.Message{llm.TextMessage(llm.User, "hi")}, Params: agent.Params{ReasoningEffort: "low"}}
	for _, want := range []string{"one", "two"} {
		got, err := a.Complete(t.Context(), turn, s.show)
		if err != nil || got.Text() != want {
			t.Errorf("got %q, %v", got.Text(), err)
		}
	}
	var efforts []string
	for _, asked := range s.script.Requests() {
		efforts = append(efforts, asked.ReasoningEffort)
	}
	if len(efforts) != 3 || efforts[0] != "low" || efforts[1] != "" || efforts[2] != "" {
		t.Errorf("efforts were %q", efforts)
	}
}

func TestACompletionThatFails(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	left := errors.New("left")
	tests := []struct {
		name   string
		answer llmtest.Answer
		emit   func(agent.Event) error
		cancel bool
		want   error
	}{
		{name: "model", answer: llmtest.Fail(&llm.Error{Class: llm.Auth, Message: "bad key"}), want: &llm.Error{}},
		{name: "reader", answer: llmtest.Say("x"), emit: func(agent.Event) error { return gone }, want: gone},
		{name: "cancelled", answer: llmtest.Answer{Hang: true}, cancel: true, want: left},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(nil, test.answer)
			s.emit = test.emit
			ctx, cancel := context.WithCancelCause(t.Context())
			if test.cancel {
				s.opts.Client = cancelling{s, func() { cancel(left) }}
			}
			turn := agent.Turn{History: []llm.Message{llm.TextMessage(llm.User, "hi")}}
			_, err := agent.New(s.opts).Complete(ctx, turn, s.show)
			cancel(nil)
			if model, ok := errors.AsType[*llm.Error](err); ok != (test.name == "model") || !ok && !errors.Is(err, test.want) {
				t.Errorf("got %v (%v)", err, model)
			}
		})
	}
	if _, err := agent.New(newStage(nil).opts).Complete(t.Context(), agent.Turn{}, nil); err == nil {
		t.Error("nothing was answered")
	}
}

// What a frontend asks of a chat that is too long is asked of a part of it.
func TestACompletionThatIsTooLongIsCut(t *testing.T) {
	t.Parallel()
	long := "Name this chat.\n" + strings.Repeat("about the garden ", 4_000) + "\nNow the title."
	for _, test := range []struct {
		name    string
		model   *windowed
		refused bool
	}{
		{"a known window", &windowed{window: 6_000}, false},
		{"one that nobody knows", &windowed{window: 6_000, secret: true}, true},
		{"one that is smaller than it is said to be", &windowed{window: 6_000, claims: 16_000}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.model.answer = func(llm.Request) llmtest.Answer { return llmtest.Say("Garden") }
			s := newWindowed(test.model, nil)
			turn := agent.Turn{History: []llm.Message{user(long)}, System: "You name chats."}
			got, err := agent.New(s.opts).Complete(t.Context(), turn, s.show)
			if err != nil || got.Text() != "Garden" || (test.model.refused > 0) != test.refused {
				t.Fatalf("got %q, %v after %d refusals", got.Text(), err, test.model.refused)
			}
			sent := test.model.requests[0].Messages
			if text := sent[1].Text(); sent[0].Text() != "You name chats." || !strings.HasPrefix(text, "Name this chat.") ||
				!strings.HasSuffix(text, "Now the title.") || !strings.Contains(text, "left out to save room") || len(text) < 8_000 {
				t.Errorf("the model was sent %d bytes: %.100s", len(text), text)
			}
		})
	}
}

// cancelling is a model whose reader leaves while it thinks.
type cancelling struct {
	*stage
	leave func()
}

func (c cancelling) Stream(ctx context.Context, req llm.Request, emit func(llm.Event) error) (llm.Message, error) {
	c.leave()
	return c.stage.Stream(ctx, req, emit)
}
