package worker

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"hermes/worker/llm/llmtest"
	"hermes/worker/openai"
	"hermes/worker/store"
)

// family is a model of a parent and of its children, by what each is asked. A child
// does its steps, one tool each, and then reports what the last one gave.
type family struct {
	steps map[string][]llmtest.ToolCall // by the task of a child

	mu      sync.Mutex // guards what follows
	waiting int
	all     chan struct{} // closed when three children run
	open    atomic.Int64  // calls of children that are being answered
	most    atomic.Int64
	calls   []llmtest.Call // of children
}

func newFamily(steps map[string][]llmtest.ToolCall) *family {
	return &family{steps: steps, all: make(chan struct{})}
}

func tool(name string, arguments any) llmtest.ToolCall {
	encoded, err := json.Marshal(arguments)
	if err != nil {
		panic(err) // maps of strings always encode
	}
	return llmtest.ToolCall{Name: name, Arguments: string(encoded)}
}

func terminal(command string) llmtest.ToolCall {
	return tool("terminal", map[string]string{"command": command})
}

// answer is the model. The parent hands on what stands behind "hand on:", separated
// by commas.
func (f *family) answer(call llmtest.Call) llmtest.Reply {
	var task string // of a child; the last message may be a note of the agent
	for _, message := range call.Messages {
		if message.Role == "user" && task == "" {
			task, _ = strings.CutPrefix(message.Text, "Your task: ")
		}
	}
	if !strings.HasPrefix(call.System(), "You are a helper.") {
		rest, delegates := strings.CutPrefix(call.LastUser(), "hand on: ")
		if !delegates || call.Steps() > 0 {
			return llmtest.Text("The reports say:\n" + strings.Join(call.ToolResults(), "\n"))
		}
		var tasks []map[string]string
		for name := range strings.SplitSeq(rest, ",") {
			tasks = append(tasks, map[string]string{"goal": name, "context": "about " + name})
		}
		return llmtest.Reply{Calls: []llmtest.ToolCall{tool("delegate_task", map[string]any{"tasks": tasks})}}
	}
	f.most.Store(max(f.most.Load(), f.open.Add(1)))
	defer f.open.Add(-1)
	f.mu.Lock()
	f.calls = append(f.calls, call)
	f.mu.Unlock()
	goal, _, _ := strings.Cut(task, "\n")
	steps, known := f.steps[goal]
	var results []string
	done := 0
	for _, message := range call.Messages {
		if len(message.ToolCalls) > 0 {
			done++
		}
		if message.Role == "tool" {
			results = append(results, message.Text)
		}
	}
	switch {
	case goal == "for ever" && len(call.Tools) > 0:
		return llmtest.Reply{Calls: []llmtest.ToolCall{tool("read_file", map[string]string{"path": fmt.Sprint("none-", done)})}}
	case !known || done == len(steps):
		return llmtest.Text(goal + " ends with: " + results[len(results)-1])
	}
	return llmtest.Reply{Calls: []llmtest.ToolCall{steps[done]}}
}

// together makes the first step of three children wait for each other.
func (f *family) together(call llmtest.Call) llmtest.Reply {
	if strings.HasPrefix(call.LastUser(), "Your task: ") && call.Steps() == 0 {
		f.mu.Lock()
		if f.waiting++; f.waiting == 3 {
			close(f.all)
		}
		f.mu.Unlock()
		<-f.all
	}
	return f.answer(call)
}

// Children work at the same time, with their own prompts, tools and sessions; what
// comes back is their reports.
func TestChildrenDoTasksAndReport(t *testing.T) {
	t.Parallel()
	f := newFamily(map[string][]llmtest.ToolCall{
		"alpha": {terminal("echo alpha >> log; echo it is alpha")},
		"beta":  {tool("delegate_task", map[string]string{"goal": "more"}), terminal("rm -rf /")},
	})
	p := newProfile(t, f.together)
	p.worker("")
	got, err := p.send("POST", "/v1/responses", `{"input":"hand on: alpha,beta,for ever"}`)
	if err != nil {
		t.Fatal(err)
	}
	response := responseOf(t, got)
	if len(response.Output) != 3 || response.Status != openai.StatusCompleted {
		t.Fatalf("the response is %s", got)
	}
	report := openai.PartsText(response.Output[2].(openai.MessageItem).Content)
	for _, want := range []string{
		"Task 1 (alpha): done; 2 steps, ", "alpha ends with: it is alpha\n",
		"Task 2 (beta): done; 3 steps, ", "Denied, nothing was run: `rm -rf /`",
		"Task 3 (for ever): not finished: stopped at its limit of 50 steps; 50 steps, ", "for ever ends with: none-48",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("there is no %q in the report:\n%s", want, report)
		}
	}
	if p.file("log") != "alpha\n" {
		t.Errorf("the log is %q", p.file("log"))
	}
	sum := 0
	for _, call := range p.upstream.Calls() {
		sum += 1 + len(call.Body)/4
	}
	if response.Usage == nil || response.Usage.InputTokens != sum {
		t.Errorf("the usage is %+v, and the model was sent %d tokens", response.Usage, sum)
	}
	checkChildCalls(t, f)
	archive := OpenArchive(p.start.Paths.Database)
	defer archive.Close()
	top, err := archive.List(t.Context(), 10, false)
	if err != nil || len(top) != 1 {
		t.Fatalf("sessions %+v (%v)", top, err)
	}
	whole, err := archive.Read(t.Context(), top[0].ID)
	if err != nil || len(whole.Children) != 3 {
		t.Fatalf("children %+v (%v)", whole.Children, err)
	}
	for _, child := range whole.Children {
		if child.Parent != top[0].ID || child.Source != "delegate_task" || !strings.Contains(report, child.ID) {
			t.Errorf("child %+v", child)
		}
	}
	if all, err := archive.List(t.Context(), 10, true); err != nil || len(all) != 4 {
		t.Errorf("all sessions %+v (%v)", all, err)
	}
	checkFamilyRuns(t, p, top[0].ID, whole.Children, response.Usage.TotalTokens)
}

// checkChildCalls looks at what the models of children were sent.
func checkChildCalls(t *testing.T, f *family) {
	t.Helper()
	if most := f.most.Load(); most > 3 {
		t.Errorf("%d children were answered at once", most)
	}
	refused := false
	for _, call := range f.calls {
		if !strings.Contains(call.Messages[1].Text, "about ") {
			t.Errorf("a child was told %q", call.Messages[1].Text)
		}
		for _, name := range []string{"delegate_task", "clarify", "memory", "skill_manage"} {
			if slices.Contains(call.Tools, name) {
				t.Errorf("a child is offered %s", name)
			}
		}
		refused = refused || slices.ContainsFunc(call.ToolResults(), func(text string) bool { return strings.HasPrefix(text, "There is no tool delegate_task.") })
	}
	if !refused {
		t.Error("a child that wants to hand on was not refused")
	}
}

// checkFamilyRuns looks at the record: each run has its own tokens, once.
func checkFamilyRuns(t *testing.T, p *profile, parent string, children []Session, tokens int) {
	t.Helper()
	s := store.Open(p.start.Paths.Database, store.Options{ReadOnly: true})
	defer s.Close()
	runs, err := s.Runs(t.Context(), parent)
	if err != nil || len(runs) != 1 {
		t.Fatalf("runs %+v (%v)", runs, err)
	}
	sum := runs[0].Input + runs[0].Output
	for _, child := range children {
		own, err := s.Runs(t.Context(), child.ID)
		if err != nil || len(own) != 1 || own[0].ParentID != runs[0].ID {
			t.Fatalf("runs of a child %+v (%v)", own, err)
		}
		sum += own[0].Input + own[0].Output
	}
	if sum != tokens {
		t.Errorf("the runs have used %d tokens, the response says %d", sum, tokens)
	}
}

// Whoever stops the turn stops its children and what they run; a crash leaves them as
// interrupted as the turn.
func TestChildrenEndWithTheTurn(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"cancel", "kill"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			seconds := map[string]string{"cancel": "86385.5", "kill": "86384.5"}[how]
			sleeps := []llmtest.ToolCall{terminal("echo here >> log; sleep " + seconds + " & sleep " + seconds)}
			p := newProfile(t, newFamily(map[string][]llmtest.ToolCall{"one": sleeps, "two": sleeps}).answer)
			w := p.worker("")
			id := "none"
			if how == "cancel" {
				got, err := p.send("POST", "/v1/responses", `{"input":"hand on: one,two","background":true}`)
				if err != nil {
					t.Fatal(err)
				}
				id = responseOf(t, got).ID
			} else {
				go func() {
					_, _ = p.send("POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"hand on: one,two"}]}`)
				}()
			}
			until(t, "both children run a tool", func() bool { return len(p.commands("sleep\x00"+seconds)) == 4 })
			status := store.StatusCancelled
			if how == "cancel" {
				if got, err := p.send("POST", "/v1/responses/"+id+"/cancel", ""); err != nil || responseOf(t, got).Status != openai.StatusCancelled {
					t.Errorf("cancel: %v %s", err, got)
				}
			} else {
				status = store.StatusInterrupted
				w.kill()
				p.worker("")
				from := len(p.upstream.Calls())
				got, err := p.send("POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"hand on: one,two"},{"role":"user","content":"well?"}]}`)
				if err != nil {
					t.Fatalf("the next request: %v %s", err, got)
				}
				if results := p.upstream.Calls()[from].Messages; !slices.ContainsFunc(results, func(m llmtest.Message) bool { return m.Role == "tool" && m.Text == store.Interrupted }) {
					t.Errorf("the model is told %+v", results)
				}
			}
			if left := p.commands("sleep\x00" + seconds); len(left) > 0 {
				t.Errorf("there is still %v", left)
			}
			if n := strings.Count(p.file("log"), "here"); n != 2 {
				t.Errorf("%d tools ran", n)
			}
			p.checkStatus(status, 3)
		})
	}
}
