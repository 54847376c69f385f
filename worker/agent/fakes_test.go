package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
	"hermes/worker/tools"
)

// journal holds, in one order, all that a turn does: what it records, shows,
// asks and runs.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.lines...)
}

// toolFunc is a tool of the fake set.
type toolFunc func(ctx context.Context, call llm.ToolCall) (tools.Result, error)

// fakeTools are tools by name. Those whose name begins with "read" run beside
// each other.
type fakeTools struct {
	journal *journal
	funcs   map[string]toolFunc
}

func (f fakeTools) Specs() []llm.ToolSpec {
	specs := []llm.ToolSpec{{Name: "all of them"}}
	for _, name := range slices.Sorted(maps.Keys(f.funcs)) {
		specs = append(specs, llm.ToolSpec{Name: name})
	}
	return specs
}

func (f fakeTools) SessionSpecs(context.Context, string) []llm.ToolSpec { return f.Specs() }

func (f fakeTools) Run(ctx context.Context, call llm.ToolCall) (tools.Result, error) {
	f.journal.add("run %s", call.Name)
	if !json.Valid([]byte(call.Arguments)) {
		return tools.Failure("the arguments are no JSON"), nil
	}
	run, ok := f.funcs[call.Name]
	if !ok {
		return tools.Failure("there is no tool " + call.Name), nil
	}
	return run(ctx, call)
}

func (f fakeTools) Describe(_ context.Context, call llm.ToolCall) (emoji, label string) {
	return "🔧", call.Name + " " + call.Arguments
}

func (f fakeTools) Concurrent(name string) bool { return strings.HasPrefix(name, "read") }

// says makes a tool that always gives the same result.
func says(text string) toolFunc {
	return func(context.Context, llm.ToolCall) (tools.Result, error) { return tools.Result{Text: text}, nil }
}

// fakeRecorder writes to the journal, and fails when fail says so.
type fakeRecorder struct {
	journal *journal
	fail    func(line string) error
}

func (r fakeRecorder) write(ctx context.Context, format string, args ...any) error {
	if _, ok := ctx.Deadline(); !ok {
		r.journal.add("a record has no deadline")
	}
	if ctx.Err() != nil {
		r.journal.add("a record is cancelled already")
	}
	line := fmt.Sprintf(format, args...)
	if r.fail != nil {
		if err := r.fail(line); err != nil {
			r.journal.add("lost: %s", line)
			return err
		}
	}
	r.journal.add("record %s", line)
	return nil
}

func (r fakeRecorder) Begin(ctx context.Context, run agent.Run) error {
	return r.write(ctx, "begin %q", run.Input.Text())
}

func (r fakeRecorder) Assistant(ctx context.Context, _ string, message llm.Message) error {
	line := fmt.Sprintf("answer %q", message.Text())
	for _, call := range message.ToolCalls {
		line += " " + call.ID
	}
	return r.write(ctx, "%s", line)
}

func (r fakeRecorder) ToolStarted(ctx context.Context, _, callID string, _ time.Time) error {
	return r.write(ctx, "start %s", callID)
}

func (r fakeRecorder) ToolFinished(ctx context.Context, _, callID string, result tools.Result, _ time.Time) error {
	return r.write(ctx, "result %s %q", callID, result.Text)
}

// End takes both halves or none, as one transaction does.
func (r fakeRecorder) End(ctx context.Context, _ string, end agent.End) error {
	if end.Final != nil {
		if err := r.write(ctx, "answer %q", end.Final.Text()); err != nil {
			r.journal.add("lost: end %s", end.Status)
			return err
		}
	}
	if end.Error != "" {
		return r.write(ctx, "end %s: %s", end.Status, end.Error)
	}
	return r.write(ctx, "end %s", end.Status)
}

// stage is an agent with everything around it faked.
type stage struct {
	journal *journal
	script  *llmtest.Script
	opts    agent.Options
	// emit is called after an event was written down.
	emit func(event agent.Event) error
}

// newStage sets up an agent that answers from a script.
func newStage(funcs map[string]toolFunc, answers ...llmtest.Answer) *stage {
	j := &journal{}
	s := &stage{journal: j, script: llmtest.NewScript(answers...)}
	ids := 0
	s.opts = agent.Options{
		Client:   s,
		Recorder: fakeRecorder{journal: j},
		Tools:    fakeTools{j, funcs},
		NewID:    func() string { ids++; return "id-" + strconv.Itoa(ids) },
	}
	return s
}

// Stream notes what the model is sent and answers from the script.
func (s *stage) Stream(ctx context.Context, req llm.Request, emit func(llm.Event) error) (llm.Message, error) {
	var line strings.Builder
	for _, message := range req.Messages {
		switch message.Role {
		case llm.System:
			line.WriteString(" system")
		case llm.User:
			fmt.Fprintf(&line, " %q", message.Text())
		case llm.Assistant:
			fmt.Fprintf(&line, " assistant(%d)", len(message.ToolCalls))
		case llm.Tool:
			line.WriteString(" " + message.ToolCallID)
		}
	}
	if len(req.Tools) == 0 {
		line.WriteString(" without tools")
	}
	s.journal.add("ask%s", line.String())
	return s.script.Stream(ctx, req, emit)
}

// run runs one turn that answers "go".
func (s *stage) run(ctx context.Context) (agent.Result, error) {
	turn := agent.Turn{History: []llm.Message{llm.TextMessage(llm.User, "go")}}
	return agent.New(s.opts).Run(ctx, turn, s.show)
}

// show notes an event.
func (s *stage) show(event agent.Event) error {
	switch event := event.(type) {
	case agent.Text:
		s.journal.add("show text %s", event.JSON)
	case agent.Reasoning:
		s.journal.add("show reasoning %s", event.JSON)
	case agent.ToolStarted:
		s.journal.add("show start %s %s %s", event.Call.ID, event.Emoji, event.Label)
	case agent.ToolFinished:
		s.journal.add("show result %s %q", event.Call.ID, event.Output)
	}
	if s.emit != nil {
		return s.emit(event)
	}
	return nil
}

// expect compares the journal with what should have happened.
func (s *stage) expect(t *testing.T, want ...string) {
	t.Helper()
	if got := strings.Join(s.journal.all(), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("what happened:\n%s\n\nwhat should have:\n%s", got, strings.Join(want, "\n"))
	}
}

// call makes a tool call without arguments that is named like its tool.
func call(id, name string) llm.ToolCall {
	return llm.ToolCall{ID: id, Name: name, Arguments: "{}"}
}
