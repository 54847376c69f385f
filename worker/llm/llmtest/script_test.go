package llmtest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
)

func ExampleScript() {
	script := llmtest.NewScript(
		llmtest.Use(llm.ToolCall{ID: "call_1", Name: "terminal", Arguments: `{"command":"pwd"}`}),
		llmtest.Say("You are in ", "/home."),
	)
	for range 2 {
		message, err := script.Stream(context.Background(), llm.Request{}, func(event llm.Event) error {
			if text, ok := event.(llm.Text); ok {
				fmt.Printf("%s ", text.JSON)
			}
			return nil
		})
		fmt.Println(message.Finish, len(message.ToolCalls), err)
	}
	// Output:
	// tool_calls 1 <nil>
	// "You are in " "/home." stop 0 <nil>
}

func ignore(llm.Event) error { return nil }

func TestScriptKeepsRequestsAsTheyWere(t *testing.T) {
	t.Parallel()
	script := llmtest.NewScript(llmtest.Say("a"), llmtest.Say("b"))
	messages := []llm.Message{llm.TextMessage(llm.User, "one")}
	if _, err := script.Stream(t.Context(), llm.Request{Messages: messages}, ignore); err != nil {
		t.Fatal(err)
	}
	messages[0] = llm.TextMessage(llm.User, "changed")
	if _, err := script.Stream(t.Context(), llm.Request{Messages: messages}, ignore); err != nil {
		t.Fatal(err)
	}
	if got := script.Requests()[0].Messages[0].Text(); got != "one" {
		t.Errorf("the first request reads %q now, want %q", got, "one")
	}
	if script.Left() != 0 {
		t.Errorf("%d answers left, want 0", script.Left())
	}
	if _, err := script.Stream(t.Context(), llm.Request{}, ignore); llm.ClassOf(err) != llm.BadRequest {
		t.Errorf("a call beyond the last answer: %v, want a bad request", err)
	}
}

func TestScriptFailsAndHangs(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	script := llmtest.NewScript(
		llmtest.Answer{Text: []string{"half"}, Err: broken},
		llmtest.Answer{Text: []string{"half"}, Hang: true},
		llmtest.Say("never read"),
	)
	message, err := script.Stream(t.Context(), llm.Request{}, ignore)
	if !errors.Is(err, broken) || message.Text() != "half" {
		t.Errorf("got %q and %v, want what was said and the error", message.Text(), err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	message, err = script.Stream(ctx, llm.Request{}, func(llm.Event) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) || message.Text() != "half" {
		t.Errorf("got %q and %v, want what was said and a cancellation", message.Text(), err)
	}

	gone := errors.New("gone")
	if _, err = script.Stream(t.Context(), llm.Request{}, func(llm.Event) error { return gone }); err != gone { //nolint:errorlint // it must come back untouched
		t.Errorf("got %v, want the error of emit as it was", err)
	}
}
