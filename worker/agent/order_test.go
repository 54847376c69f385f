package agent_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
	"hermes/worker/tools"
)

// drawAnswers makes up a model: a few answers of text, calls, emptiness and
// failure.
func drawAnswers(t *rapid.T) []llmtest.Answer {
	var answers []llmtest.Answer
	for range rapid.IntRange(1, 6).Draw(t, "answers") {
		var answer llmtest.Answer
		if rapid.Bool().Draw(t, "has text") {
			answer.Text = []string{"some ", "text"}
		}
		for range rapid.IntRange(0, 6).Draw(t, "calls") {
			answer.Calls = append(answer.Calls, llm.ToolCall{
				ID:        rapid.SampledFrom([]string{"", "c1", "c2", "c3", "c4"}).Draw(t, "id"),
				Name:      rapid.SampledFrom([]string{"read", "read more", "write", "break", "stop", "unknown", "ask"}).Draw(t, "tool"),
				Arguments: rapid.SampledFrom([]string{"{}", "{", ""}).Draw(t, "arguments"),
			})
		}
		switch rapid.IntRange(0, 7).Draw(t, "fate") {
		case 0:
			answer.Err = &llm.Error{Class: llm.Network, Message: "cut"}
		case 1:
			answer.Finish = llm.FinishLength
		case 2:
			answer.Finish = llm.FinishContentFilter
		}
		answers = append(answers, answer)
	}
	return answers
}

// drawStage makes up a model, tools that may break, a person who may stop the
// turn, a record that may fail and a reader that may leave.
func drawStage(t *rapid.T, cancel func()) *stage {
	s := newStage(map[string]toolFunc{
		"read":      says("text"),
		"read more": says("more"),
		"write":     says("written"),
		"break": func(context.Context, llm.ToolCall) (tools.Result, error) {
			return tools.Result{}, errors.New("broken")
		},
		"stop": func(ctx context.Context, _ llm.ToolCall) (tools.Result, error) {
			cancel()
			<-ctx.Done()
			return tools.Result{}, ctx.Err()
		},
	}, drawAnswers(t)...)
	s.opts.MaxIterations = rapid.IntRange(1, 5).Draw(t, "limit")
	leaves, loses := rapid.IntRange(-20, 20).Draw(t, "reader leaves at"), rapid.IntRange(-20, 20).Draw(t, "record fails at")
	var events atomic.Int32
	var busy atomic.Bool
	s.emit = func(agent.Event) error {
		if !busy.CompareAndSwap(false, true) {
			s.journal.add("two events at once")
		}
		defer busy.Store(false)
		if int(events.Add(1)) == leaves {
			return errors.New("gone")
		}
		return nil
	}
	records := 0
	s.opts.Recorder = fakeRecorder{journal: s.journal, fail: func(string) error {
		if records++; records == loses {
			return errors.New("disk full")
		}
		return nil
	}}
	return s
}

func TestTheRecordIsAlwaysAheadOfTheDeed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		s := drawStage(t, cancel)
		turn := withClientTools()
		turn.OneCall = rapid.Bool().Draw(t, "one call")
		result, err := agent.New(s.opts).Run(ctx, turn, s.show)
		lines := s.journal.all()
		if fault := faultIn(lines); fault != "" {
			t.Fatalf("%s in\n%s", fault, strings.Join(lines, "\n"))
		}
		if err == nil && result.Message.Role != llm.Assistant {
			t.Fatalf("a turn without an error has no answer: %+v", result)
		}
		open := map[string]bool{}
		for _, message := range result.Messages {
			for _, call := range message.ToolCalls {
				if open[call.ID] || call.ID == "" {
					t.Fatalf("the id %q is not a call's own", call.ID)
				}
				open[call.ID] = true
			}
			delete(open, message.ToolCallID)
		}
		for _, call := range result.ClientCalls {
			// A turn whose end could not be recorded has come to its end all the same.
			if !open[call.ID] || err != nil && !strings.Contains(err.Error(), "record end of run") {
				t.Fatalf("%s was left to the client in a turn that ended with %v", call.ID, err)
			}
			delete(open, call.ID)
		}
		if len(open) > 0 {
			t.Fatalf("calls without an answer: %v", open)
		}
	})
}

// faultIn checks the order that lets a crash lose nothing. It returns what is
// wrong with it, or "".
func faultIn(lines []string) string {
	asked, started, shown, finished := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	ended, lost := 0, false
	for i, line := range lines {
		kind, rest, _ := strings.Cut(line, " ")
		what, rest, _ := strings.Cut(rest, " ")
		id, _, _ := strings.Cut(rest, " ")
		if kind == "lost:" {
			lost = true
			if what == "end" || i == 0 {
				ended++
			}
			continue
		}
		switch kind + " " + what {
		case "record begin":
			if i != 0 {
				return "the run begins late"
			}
		case "record answer":
			fields := strings.Fields(line[strings.LastIndex(line, `"`)+1:])
			for _, id := range fields {
				asked[id] = true
			}
		case "record start":
			if !asked[id] || started[id] {
				return "a start without its call: " + id
			}
			started[id] = true
		case "show start":
			if !started[id] {
				return "shown before it was recorded: " + id
			}
			shown[id] = true
		case "record result":
			early := strings.Contains(line, "before it began") || strings.Contains(line, "left to the client")
			if finished[id] || !asked[id] || !started[id] && !early {
				return "a result without its start: " + id
			}
			finished[id] = true
		case "show result":
			if !shown[id] || !finished[id] && !lost {
				return "a result is shown too early: " + id
			}
		case "record end":
			ended++
			if i != len(lines)-1 {
				return "something happens after the end"
			}
		case "two events", "a record":
			return line
		}
		if i == 0 && line != `record begin "go"` {
			return "something happens before the run is recorded"
		}
	}
	if ended != 1 {
		return fmt.Sprintf("the run ends %d times", ended)
	}
	return ""
}
