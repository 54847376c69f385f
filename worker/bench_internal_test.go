package worker

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hermes/supervisor/handoff"
	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
	"hermes/worker/store"
	"hermes/worker/tools"
)

// instant is a set of one tool that takes no time.
type instant struct{}

func (instant) Specs() []llm.ToolSpec { return []llm.ToolSpec{{Name: "instant"}} }

func (i instant) SessionSpecs(context.Context, string) []llm.ToolSpec { return i.Specs() }

func (instant) Run(context.Context, llm.ToolCall) (tools.Result, error) {
	return tools.Result{Text: "/workspace\n"}, nil
}

func (instant) Describe(context.Context, llm.ToolCall) (emoji, label string) { return "⚡", "instant" }

func (instant) Concurrent(string) bool { return false }

// BenchmarkToolCalls measures what the agent adds to a tool call: a turn of ten calls,
// one after the other, less a turn of none, divided by ten. Each call waits for three
// commits and the model for nothing. The least is what the machine can do; the mean
// has its other work in it.
func BenchmarkToolCalls(b *testing.B) {
	const calls = 10
	s := store.Open(filepath.Join(b.TempDir(), "state.db"), store.Options{})
	defer s.Close()
	turn := func(n int) time.Duration {
		var answers []llmtest.Answer
		for i := range n {
			answers = append(answers, llmtest.Use(llm.ToolCall{ID: fmt.Sprint(i), Name: "instant", Arguments: fmt.Sprintf(`{"n":%d}`, i)}))
		}
		turns := agent.New(agent.Options{Client: llmtest.NewScript(append(answers, llmtest.Say("done"))...), Recorder: recorder{store: s}, Tools: instant{}})
		began := time.Now()
		_, err := turns.Run(b.Context(), agent.Turn{History: []llm.Message{llm.TextMessage(llm.User, "go")}}, func(agent.Event) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	var with, without []time.Duration
	for b.Loop() {
		with, without = append(with, turn(calls)), append(without, turn(0))
		if err := s.Checkpoint(b.Context()); err != nil { // as after an answer
			b.Fatal(err)
		}
	}
	perCall := func(with, without time.Duration) float64 { return float64((with - without).Microseconds()) / calls }
	slices.Sort(with)
	slices.Sort(without)
	b.ReportMetric(perCall(with[0], without[0]), "least-µs/call")
	b.ReportMetric(perCall(with[len(with)/2], without[len(without)/2]), "median-µs/call")
}

// BenchmarkSkills measures what 200 skills add to a start: a worker is put together and
// makes the prompt of its first session, with them and without.
func BenchmarkSkills(b *testing.B) {
	none, many := b.TempDir(), b.TempDir()
	for i := range 200 {
		name := fmt.Sprintf("skill-%d", i)
		path := filepath.Join(many, "skills", fmt.Sprint("category-", i%10), name)
		text := "---\nname: " + name + "\ndescription: How to do what is to be done, and when to do it.\nmetadata: {tags: [a, b]}\n---\n" + strings.Repeat("A step of the work.\n", 200)
		if err := os.MkdirAll(path, 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "SKILL.md"), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	begin := func(dir string) time.Duration {
		start := (&scene{dir: dir, address: "127.0.0.1:1"}).start("http://127.0.0.1:1/v1")
		began := time.Now()
		w, err := build(Options{Child: &handoff.Child{}, Start: start, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		defer w.close()
		if w.prompt(w.kept()).Text("") == "" {
			b.Fatal("there is no prompt")
		}
		return time.Since(began)
	}
	var with, without []time.Duration
	for b.Loop() {
		with, without = append(with, begin(many)), append(without, begin(none))
	}
	added := func(with, without time.Duration) float64 { return float64((with - without).Microseconds()) / 1000 }
	slices.Sort(with)
	slices.Sort(without)
	b.ReportMetric(added(with[0], without[0]), "least-ms-added")
	b.ReportMetric(added(with[len(with)/2], without[len(without)/2]), "median-ms-added")
}
