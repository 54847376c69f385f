package agent_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
	"hermes/worker/tools"
)

// drawHistory makes a transcript as a client may send one: turns of any length, with
// and without tools, results of any size, and a message to answer.
func drawHistory(t *rapid.T) []llm.Message {
	var history []llm.Message
	calls := 0
	text := func(label string, most int) string {
		size := rapid.SampledFrom([]int{1, 20, 300, most}).Draw(t, label)
		return fmt.Sprintf("%s-%d ", label, len(history)) + strings.Repeat("wörd ", size/5)
	}
	for range rapid.IntRange(0, 16).Draw(t, "turns") {
		history = append(history, user(text("asks", 6_000)))
		for range rapid.IntRange(0, 4).Draw(t, "steps") {
			step := llm.Message{Role: llm.Assistant}
			var results []llm.Message
			for range rapid.IntRange(1, 3).Draw(t, "calls") {
				id := fmt.Sprintf("c%d", calls)
				calls++
				name := rapid.SampledFrom([]string{"terminal", "skill_view", "todo", "read"}).Draw(t, "tool")
				step.ToolCalls = append(step.ToolCalls, llm.ToolCall{ID: id, Name: name, Arguments: `{"a":1}`})
				result := llm.TextMessage(llm.Tool, text("result", 8_000))
				result.ToolCallID = id
				for range rapid.SampledFrom([]int{0, 0, 0, 4}).Draw(t, "images") {
					result.Parts = append(result.Parts, llm.Part{ImageURL: "data:image/png;base64,AAAA"})
				}
				results = append(results, result)
			}
			history = append(append(history, step), results...)
		}
		history = append(history, llm.TextMessage(llm.Assistant, text("says", 3_000)))
	}
	history = append(history, user(text("newest", 600)))
	if rapid.Bool().Draw(t, "goes on") { // with what the client's own tools have given
		id := fmt.Sprintf("c%d", calls)
		result := llm.TextMessage(llm.Tool, text("result", 20_000))
		result.ToolCallID = id
		history = append(history, llm.Message{Role: llm.Assistant, ToolCalls: []llm.ToolCall{{ID: id, Name: "theirs", Arguments: "{}"}}}, result)
	}
	return history
}

// Any transcript, any window, any fate of the summaries: what a model is sent is
// well formed, holds the first and the newest message of the person, and begins with
// what it was sent before unless something was made short. Nothing that is stored
// changes, and a turn fails only when the window cannot hold what has to be sent.
func TestAnyTranscriptInAnyWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		history := drawHistory(t)
		before := fmt.Sprint(history)
		steps := rapid.IntRange(0, 6).Draw(t, "steps of the turn")
		model := &windowed{window: rapid.IntRange(1_200, 60_000).Draw(t, "window"), secret: rapid.Bool().Draw(t, "secret")}
		model.answer = func(llm.Request) llmtest.Answer {
			if n := len(model.requests); n <= steps {
				return llmtest.Use(llm.ToolCall{ID: fmt.Sprintf("new%d", n), Name: "read", Arguments: fmt.Sprintf(`{"n":%d}`, n)})
			}
			return llmtest.Say("Done.")
		}
		model.summary = func(llm.Request) llmtest.Answer {
			return rapid.SampledFrom([]llmtest.Answer{llmtest.Say("Short."), {}, llmtest.Say(strings.Repeat("long ", 5_000))}).Draw(t, "summary")
		}
		size := rapid.SampledFrom([]int{10, 1_000, 30_000}).Draw(t, "size")
		s := newWindowed(model, map[string]toolFunc{"read": func(_ context.Context, c llm.ToolCall) (tools.Result, error) {
			return tools.Result{Text: c.Arguments + strings.Repeat("x", size)}, nil
		}})
		_, err := agent.New(s.opts).Run(t.Context(), agent.Turn{SessionID: "s", History: history}, s.show)
		if err != nil && (llm.ClassOf(err) != llm.Overflow || model.window > 4_000) {
			t.Errorf("the turn ended with %v in a window of %d", err, model.window)
		}
		if fmt.Sprint(history) != before {
			t.Error("the history was changed")
		}
		first, newest := history[0].Text(), history[lastUserOf(history)].Text()
		broken := 0
		for i, req := range model.requests {
			checkWellFormed(t, req.Messages)
			if head := strings.Fields(first)[0]; !strings.HasPrefix(req.Messages[0].Text(), head+" ") {
				t.Errorf("request %d does not begin with the first message", i)
			}
			if at := lastUserOf(req.Messages); at < 0 || !strings.HasPrefix(req.Messages[at].Text(), newest) {
				t.Errorf("request %d has lost the newest message", i)
			}
			if i > 0 && !strings.HasPrefix(fmt.Sprint(req.Messages), strings.TrimSuffix(fmt.Sprint(model.requests[i-1].Messages), "]")) {
				broken++
			}
		}
		if made := s.opts.Compactions.(*kept).count(); broken > made {
			t.Errorf("%d requests begin anew after %d compactions", broken, made)
		}
	})
}

func lastUserOf(messages []llm.Message) int {
	for i := range slices.Backward(messages) {
		if messages[i].Role == llm.User {
			return i
		}
	}
	return -1
}
