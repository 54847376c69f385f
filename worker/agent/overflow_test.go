package agent_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
	"hermes/worker/tools"
)

// windowed is a model with a window. It counts by itself, a token for 3.5 bytes, and
// refuses what is too long as providers do. It is asked for summaries by requests
// that begin with the rules for them.
type windowed struct {
	window  int
	claims  int  // what it says that its window is, if that is not true
	secret  bool // nobody is told how long the window is, before and in a refusal
	answer  func(llm.Request) llmtest.Answer
	summary func(llm.Request) llmtest.Answer

	mu        sync.Mutex
	requests  []llm.Request // those that were no summaries
	summaries []llm.Request
	refused   int
}

func (w *windowed) Capabilities(context.Context) llm.Capabilities {
	if w.secret {
		return llm.Capabilities{}
	}
	return llm.Capabilities{ContextLength: max(w.window, w.claims)}
}

func isSummary(req llm.Request) bool {
	return strings.HasPrefix(req.Messages[0].Text(), "You write the notes")
}

// weigh counts the tokens of a request.
func weigh(req llm.Request) int {
	bytes := 0
	for _, m := range req.Messages {
		bytes += 40 + len(m.Text()) + len(m.ToolCallID)
		for _, part := range m.Parts {
			if part.ImageURL != "" {
				bytes += 4_000
			}
		}
		for _, call := range m.ToolCalls {
			bytes += 60 + len(call.ID) + len(call.Name) + len(call.Arguments)
		}
	}
	for _, tool := range req.Tools {
		bytes += 60 + len(tool.Name) + len(tool.Description) + len(tool.Parameters)
	}
	return bytes * 2 / 7
}

func (w *windowed) Stream(ctx context.Context, req llm.Request, emit func(llm.Event) error) (llm.Message, error) {
	tokens := weigh(req)
	w.mu.Lock()
	if tokens > w.window {
		w.refused++
		w.mu.Unlock()
		refusal := &llm.Error{Class: llm.Overflow, Status: 400, Message: "Your input exceeds the context window of this model."}
		if !w.secret {
			refusal.Limit, refusal.Sent = w.window, tokens
		}
		return llm.Message{}, refusal
	}
	req.Messages = append([]llm.Message(nil), req.Messages...)
	answer := w.answer
	if isSummary(req) {
		w.summaries = append(w.summaries, req)
		if answer = w.summary; answer == nil {
			answer = func(llm.Request) llmtest.Answer {
				return llmtest.Say("Things were looked at, and nothing was decided.")
			}
		}
	} else {
		w.requests = append(w.requests, req)
	}
	w.mu.Unlock()
	reply := answer(req)
	if reply.Usage.Input == 0 {
		reply.Usage = llm.Usage{Input: tokens, Output: 20}
	}
	return llmtest.NewScript(reply).Stream(ctx, req, emit)
}

// kept is agent.Compactions in memory.
type kept struct {
	mu   sync.Mutex
	list map[string][]agent.Compaction
}

func (k *kept) Compactions(_ context.Context, session string) ([]agent.Compaction, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]agent.Compaction(nil), k.list[session]...), nil
}

func (k *kept) KeepCompaction(_ context.Context, session string, compaction agent.Compaction) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.list == nil {
		k.list = map[string][]agent.Compaction{}
	}
	k.list[session] = append(k.list[session], compaction)
	return nil
}

func (k *kept) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, list := range k.list {
		n += len(list)
	}
	return n
}

// taskList is a tools.TaskKeeper with one list.
type taskList string

func (l taskList) Tasks(context.Context, string) ([]byte, error) { return []byte(l), nil }

func (l taskList) ChangeTasks(context.Context, string, func([]byte) ([]byte, error)) error {
	return nil
}

const openTask = `[{"id":"t1","content":"water the roses","status":"pending"},{"id":"t2","content":"old work","status":"completed"}]`

// newWindowed sets up an agent whose model has a window.
func newWindowed(w *windowed, funcs map[string]toolFunc) *stage {
	s := newStage(funcs)
	s.opts.Client, s.opts.Compactions, s.opts.Tasks = w, &kept{}, taskList(openTask)
	if w.answer == nil {
		w.answer = func(llm.Request) llmtest.Answer { return llmtest.Say("Hi.") }
	}
	return s
}

// chatter is a history of so many turns, each with a question, a call and an answer.
func chatter(turns, bytes int) []llm.Message {
	var history []llm.Message
	for i := range turns {
		id := fmt.Sprintf("c%d", i)
		result := llm.TextMessage(llm.Tool, strings.Repeat("x", bytes)+"\n[exit code 1]\n")
		result.ToolCallID = id
		history = append(history,
			llm.TextMessage(llm.User, fmt.Sprintf("question %d: what about it?", i)),
			llm.Message{Role: llm.Assistant, ToolCalls: []llm.ToolCall{{ID: id, Name: "terminal", Arguments: `{"command":"ls"}`}}},
			result,
			llm.TextMessage(llm.Assistant, fmt.Sprintf("answer %d", i)))
	}
	return history
}

func user(text string) llm.Message { return llm.TextMessage(llm.User, text) }

// A model that says what fits is not sent more, and one that does not say is
// believed when it refuses. Either way the answer comes.
func TestWhatIsTooLongIsMadeShort(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		model   *windowed
		refused int // at most
		// summarised says that it takes more than shorter results.
		summarised bool
	}{
		{"a known window", &windowed{window: 16_000}, 0, false},
		{"a smaller one", &windowed{window: 4_000}, 0, true},
		{"a window that nobody knows", &windowed{window: 16_000, secret: true}, 4, false},
		{"a window that is smaller than it is said to be", &windowed{window: 12_000, claims: 64_000}, 1, false},
		{"a tiny window", &windowed{window: 1_500}, 2, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newWindowed(test.model, nil)
			history := append(chatter(40, 3_000), user("go on"))
			before := fmt.Sprint(history)
			result, err := agent.New(s.opts).Run(t.Context(), agent.Turn{SessionID: "s", System: "be brief", History: history}, s.show)
			if err != nil || result.Text() != "Hi." || test.model.refused > test.refused || test.model.secret && test.model.refused == 0 {
				t.Fatalf("got %q and %v after %d refusals", result.Text(), err, test.model.refused)
			}
			if fmt.Sprint(history) != before {
				t.Error("the caller's history was changed")
			}
			sent := test.model.requests[0].Messages
			checkWellFormed(t, sent)
			all := fmt.Sprint(sent)
			summarised := strings.Contains(all, "For reference only")
			if summarised != test.summarised || len(all) > 4*test.model.window {
				t.Errorf("%d bytes were sent, with a summary: %v", len(all), summarised)
			}
			if sent[0].Text() != "be brief" || sent[1].Text() != "question 0: what about it?" || sent[len(sent)-1].Text() != "go on" ||
				summarised && !strings.Contains(all, "water the roses") || strings.Contains(all, "old work") {
				t.Errorf("the model was sent %.3000s", all)
			}
		})
	}
}

// checkWellFormed wants each result behind its call, each call with its result, and
// roles that a strict template takes: a person and the model in turn.
func checkWellFormed(t interface{ Errorf(string, ...any) }, messages []llm.Message) {
	var open []string
	previous := llm.System
	for i, m := range messages {
		if m.Role == llm.Tool {
			if len(open) == 0 || open[0] != m.ToolCallID {
				t.Errorf("message %d is a result of %s, open calls are %v", i, m.ToolCallID, open)
				return
			}
			open = open[1:]
			previous = m.Role
			continue
		}
		switch {
		case len(open) > 0:
			t.Errorf("calls %v have no result before message %d", open, i)
		case m.Role == llm.System && i > 0, m.Role == llm.User && previous == llm.User, m.Role == llm.Assistant && previous == llm.Assistant,
			m.Role == llm.Assistant && previous == llm.System:
			t.Errorf("message %d of %s follows one of %s", i, m.Role, previous)
		}
		for _, call := range m.ToolCalls {
			open = append(open, call.ID)
		}
		previous = m.Role
	}
}

// What cannot be made short is refused in the provider's own words, after a bounded
// number of attempts.
func TestWhatCannotBeMadeShortFails(t *testing.T) {
	t.Parallel()
	model := &windowed{window: 1_000, secret: true}
	s := newWindowed(model, nil)
	_, err := agent.New(s.opts).Run(t.Context(), agent.Turn{History: []llm.Message{user(strings.Repeat("long ", 2_000))}}, s.show)
	if llm.ClassOf(err) != llm.Overflow || model.refused > 6 {
		t.Errorf("the turn ended with %v after %d refusals", err, model.refused)
	}
}

// A window that turns out shorter with each refusal: what was made short for a longer one
// is made shorter.
func TestWhatWasMadeShortIsMadeShorter(t *testing.T) {
	t.Parallel()
	var history []llm.Message
	for range 10 {
		history = append(history, user(strings.Repeat("wörd ", 1_200)), llm.TextMessage(llm.Assistant, strings.Repeat("wörd ", 600)))
	}
	result := llm.TextMessage(llm.Tool, strings.Repeat("wörd ", 4_000))
	result.ToolCallID = "c"
	history = append(history, user("newest"), llm.Message{Role: llm.Assistant, ToolCalls: []llm.ToolCall{{ID: "c", Name: "theirs", Arguments: "{}"}}}, result)
	model := &windowed{window: 4_039, secret: true}
	s := newWindowed(model, nil)
	if _, err := agent.New(s.opts).Run(t.Context(), agent.Turn{SessionID: "s", History: history}, s.show); err != nil {
		t.Errorf("after %d refusals: %v", model.refused, err)
	}
}

// One turn that calls many tools is made short while it runs.
func TestALongTurnIsMadeShort(t *testing.T) {
	t.Parallel()
	const steps = 60
	for _, model := range []*windowed{{window: 16_000}, {window: 16_000, secret: true}, {window: 5_000}} {
		model.answer = func(req llm.Request) llmtest.Answer {
			if n := len(model.requests); n <= steps {
				return llmtest.Use(llm.ToolCall{ID: fmt.Sprintf("c%d", n), Name: "read", Arguments: fmt.Sprintf(`{"n":%d}`, n)})
			}
			return llmtest.Say("Done.")
		}
		n := 0
		s := newWindowed(model, map[string]toolFunc{"read": func(context.Context, llm.ToolCall) (tools.Result, error) {
			n++
			return tools.Result{Text: fmt.Sprintf("result %d ", n) + strings.Repeat("word ", 800) + "\n[exit code 2]\n"}, nil
		}})
		result, err := agent.New(s.opts).Run(t.Context(), agent.Turn{SessionID: "s", History: []llm.Message{user("read all of it")}}, s.show)
		if err != nil || result.Text() != "Done." || len(result.Messages) != 2*steps+1 {
			t.Fatalf("got %q, %d messages and %v", result.Text(), len(result.Messages), err)
		}
		if len(model.summaries) > 2 || model.window < 16_000 && len(model.summaries) < 2 || model.refused > 6 {
			t.Errorf("%d summaries, %d refusals", len(model.summaries), model.refused)
		}
		for i, req := range model.requests {
			checkWellFormed(t, req.Messages)
			if !strings.HasPrefix(req.Messages[0].Text(), "read all of it") {
				t.Fatalf("request %d begins with %q", i, req.Messages[0].Text())
			}
			if i > 0 && !strings.Contains(req.Messages[len(req.Messages)-1].Text(), fmt.Sprintf("result %d ", i)) {
				t.Fatalf("request %d does not end with the newest result in full", i)
			}
		}
		checkPrefixes(t, model.requests, s.opts.Compactions.(*kept).count()+model.refused)
		for _, m := range result.Messages {
			if m.Role == llm.Tool && len(m.Text()) < 4_000 {
				t.Fatalf("what the turn keeps was made short: %q", m.Text())
			}
		}
	}
}

// checkPrefixes wants each request to begin with all of the one before, but for the
// few times when something was made short.
func checkPrefixes(t *testing.T, requests []llm.Request, most int) {
	t.Helper()
	broken := 0
	for i := 1; i < len(requests); i++ {
		before, after := requests[i-1].Messages, requests[i].Messages
		if len(after) < len(before) || fmt.Sprint(after[:len(before)]) != fmt.Sprint(before) {
			broken++
		}
	}
	if broken > most {
		t.Errorf("%d of %d requests begin anew, there were %d compactions", broken, len(requests), most)
	}
}

// What a skill says and the newest list of tasks stay as they are when other results
// are made short: both hold until the work is done.
func TestSkillsAndTasksStayInFull(t *testing.T) {
	t.Parallel()
	model := &windowed{window: 16_000}
	s := newWindowed(model, nil)
	var history []llm.Message
	for i, name := range []string{"skill_view", "todo", "terminal", "todo"} {
		id := fmt.Sprintf("s%d", i)
		result := llm.TextMessage(llm.Tool, name+" "+id+": "+strings.Repeat("line of it\n", 60))
		result.ToolCallID = id
		history = append(history, user("look"), llm.Message{Role: llm.Assistant, ToolCalls: []llm.ToolCall{{ID: id, Name: name, Arguments: "{}"}}},
			result, llm.TextMessage(llm.Assistant, "done"))
	}
	shown := llm.TextMessage(llm.Tool, "a picture of roses")
	shown.Parts = append(shown.Parts, llm.Part{ImageURL: "data:image/png;base64,AAAA"})
	shown.ToolCallID = "image"
	history = append(history, user("show"), llm.Message{Role: llm.Assistant, ToolCalls: []llm.ToolCall{{ID: "image", Name: "read_file", Arguments: "{}"}}},
		shown, llm.TextMessage(llm.Assistant, "done"))
	history = append(append(history, chatter(15, 3_000)...), user("go on"))
	if _, err := agent.New(s.opts).Run(t.Context(), agent.Turn{SessionID: "s", History: history}, s.show); err != nil {
		t.Fatal(err)
	}
	var stayed []string
	for _, m := range model.requests[0].Messages {
		if m.Role == llm.Tool && strings.HasPrefix(m.ToolCallID, "s") && strings.Contains(m.Text(), m.ToolCallID+": line") {
			stayed = append(stayed, m.ToolCallID)
		}
		if m.ToolCallID == "image" && (len(m.Parts) != 1 || !strings.HasPrefix(m.Text(), "a picture of roses\n[What was shown")) {
			t.Errorf("an old image became %+v", m.Parts)
		}
	}
	if got := strings.Join(stayed, " "); got != "s0 s3" || len(model.summaries) > 0 {
		t.Errorf("in full are %s after %d summaries, want s0 and s3", got, len(model.summaries))
	}
}
