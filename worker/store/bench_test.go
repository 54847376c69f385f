package store_test

import (
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"hermes/worker/store"
)

// BenchmarkTurn measures what a turn waits for: three commits without tools, five
// with one call. The checkpoints are in the figure, and named beside it because
// no client waits for them.
func BenchmarkTurn(b *testing.B) {
	// What people say of a thousand bytes, which the search gets to know too.
	text := sentence(rand.New(rand.NewPCG(1, 2)), 180)
	body := []byte(text)
	for name, call := range map[string]bool{"answer": false, "tool": true} {
		b.Run(name, func(b *testing.B) {
			s := store.Open(filepath.Join(b.TempDir(), "state.db"), store.Options{})
			defer s.Close()
			ctx := b.Context()
			var checkpoints time.Duration
			n := 0
			for b.Loop() {
				n++
				run := strconv.Itoa(n)
				must(b, s.BeginRun(ctx, store.Session{ID: "chat"}, store.Run{ID: run}, store.Message{Body: body, Text: text}))
				if call {
					must(b, s.AppendAssistant(ctx, run, store.Message{Body: body, Text: text}, []store.ToolCall{{ID: "1", Name: "terminal", Arguments: `{"command":"pwd"}`}}))
					must(b, s.StartTool(ctx, run, "1", time.Time{}))
					must(b, s.FinishTool(ctx, run, "1", store.ToolResult{Text: "/workspace\n"}))
				} else {
					must(b, s.AppendAssistant(ctx, run, store.Message{Body: body, Text: text}, nil))
				}
				must(b, s.EndRun(ctx, run, store.End{Status: store.StatusDone}, nil))
				began := time.Now()
				must(b, s.Checkpoint(ctx))
				checkpoints += time.Since(began)
			}
			b.ReportMetric(float64(checkpoints.Nanoseconds())/float64(n), "checkpoint-ns/op")
		})
	}
}
