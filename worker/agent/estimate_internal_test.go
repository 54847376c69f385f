package agent

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"hermes/worker/llm"
)

// The estimate follows what a provider counts, and forgets a limit after a while.
func TestTheEstimateIsLearned(t *testing.T) {
	t.Parallel()
	var k learned
	if k.ratio() != 1 {
		t.Errorf("the first ratio is %v", k.ratio())
	}
	for range 20 {
		k.answered("p/a", 1_500, 1_000)
	}
	if got := k.ratio(); got < 1.49 || got > 1.51 {
		t.Errorf("a ratio of 1.5 was learned as %v", got)
	}
	k.answered("p/b", 800, 1_000)
	if got := k.ratio(); got != 0.8 {
		t.Errorf("another model has the ratio %v", got)
	}
	if k.answered("p/b", 100, 1_000) || k.answered("p/b", 0, 1_000) || k.ratio() != 0.8 {
		t.Errorf("the count of a part was believed: %v", k.ratio())
	}
	if !k.answered("p/b", 300, 100) || k.ratio() != 0.8 {
		t.Errorf("a short request has changed the ratio to %v", k.ratio())
	}
	now := time.Now()
	k.refused("a", 16_000, 20_000, 10_000, now)
	if k.window("a", now) != 16_000 || k.ratio() != 2 {
		t.Errorf("after a refusal the window is %d and the ratio %v", k.window("a", now), k.ratio())
	}
	if got := k.window("b", now); got != 0 {
		t.Errorf("another upstream has a window of %d", got)
	}
	if got := k.window("a", now.Add(2*limitHolds)); got != 0 {
		t.Errorf("the limit of %d is believed for ever", got)
	}
}

// What was counted counts; only what came after that is estimated.
func TestTheEstimateBeginsWithWhatWasCounted(t *testing.T) {
	t.Parallel()
	c := newConversation("be brief", []llm.Message{llm.TextMessage(llm.User, strings.Repeat("word ", 400))})
	if got := c.size(100, 2); got != 2*(c.tokens+100) {
		t.Errorf("before an answer the size is %d", got)
	}
	answer := llm.TextMessage(llm.Assistant, "yes")
	answer.Usage = llm.Usage{Input: 5_000, Output: 300, Reasoning: 200}
	c.answered(answer)
	c.add(answer)
	if got := c.size(100, 2); got != 5_100 {
		t.Errorf("after an answer the size is %d, want 5100", got)
	}
	result := llm.TextMessage(llm.Tool, strings.Repeat("x", 1_000))
	c.add(result)
	if got, want := c.size(100, 2), 5_100+2*(messageTokens+400); got != want {
		t.Errorf("with a result of 1,000 bytes the size is %d, want %d", got, want)
	}
}

// A model that says how much it takes, and nothing else.
type roomy int

func (r roomy) Capabilities(context.Context) llm.Capabilities {
	return llm.Capabilities{ContextLength: int(r)}
}

func (r roomy) Stream(context.Context, llm.Request, func(llm.Event) error) (llm.Message, error) {
	return llm.Message{}, nil
}

// longConversation is a chat of so many turns with tools.
func longConversation(turns int) []llm.Message {
	var history []llm.Message
	for i := range turns {
		id := fmt.Sprint("c", i)
		result := llm.TextMessage(llm.Tool, strings.Repeat("some output\n", 300))
		result.ToolCallID = id
		history = append(history, llm.TextMessage(llm.User, strings.Repeat("what now? ", 30)),
			llm.Message{Role: llm.Assistant, ToolCalls: []llm.ToolCall{{ID: id, Name: "terminal", Arguments: `{"command":"make"}`}}},
			result, llm.TextMessage(llm.Assistant, strings.Repeat("it is done. ", 40)))
	}
	return history
}

// What the estimate of 1 MB costs: before each call of the model, and where a turn
// begins.
func BenchmarkContext(b *testing.B) {
	history := longConversation(300)
	b.Run("a call of the model", func(b *testing.B) {
		a := New(Options{Client: roomy(4_000_000)})
		l := a.newBareLoop(Turn{History: history}, "system", nil)
		for b.Loop() {
			if err := l.fit(b.Context()); err != nil || l.talk.done.Covered > 0 {
				b.Fatal("it was made short", err)
			}
		}
	})
	b.Run("begin a turn", func(b *testing.B) {
		a := New(Options{Client: roomy(1)})
		for b.Loop() {
			a.newBareLoop(Turn{History: history}, "system", nil)
		}
	})
	b.Run("begin a turn that was made short", func(b *testing.B) {
		a := New(Options{Client: roomy(1)})
		l := a.newBareLoop(Turn{History: history}, "system", nil)
		a.opts.Compactions = remembered{l.talk.covered(Compaction{Short: len(history) - 8})}
		for b.Loop() {
			l := a.newBareLoop(Turn{History: history}, "system", nil)
			if l.recall(b.Context(), "s"); l.talk.done.Covered == 0 {
				b.Fatal("nothing was recalled")
			}
		}
	})
}

// remembered is one compaction.
type remembered struct{ Compaction }

func (r remembered) Compactions(context.Context, string) ([]Compaction, error) {
	return []Compaction{r.Compaction}, nil
}

func (remembered) KeepCompaction(context.Context, string, Compaction) error { return nil }
