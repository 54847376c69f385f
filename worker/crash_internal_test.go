package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hermes/worker/llm/llmtest"
	"hermes/worker/store"
)

// The turn of the crash test: ten calls in four steps, most of which leave something
// behind that can be counted.
const (
	crashTask   = "do it"
	crashAnswer = "All is done."
)

// crashCall is one of the calls. Done counts how often it was done; nil where nobody
// can tell.
type crashCall struct {
	id, tool, arguments string
	done                func(p *profile) int
}

func logged(word string) func(p *profile) int {
	return func(p *profile) int { return strings.Count(p.file("log"), word+"\n") }
}

func crashSteps() [][]crashCall {
	remembered := func(p *profile) int {
		content, _ := os.ReadFile(filepath.Join(p.path("memories"), "MEMORY.md"))
		return strings.Count(string(content), "The gate is green.")
	}
	return [][]crashCall{
		{
			{"c1", "terminal", `{"command":"echo first >> log; echo said first"}`, logged("first")},
			{"c2", "read_file", `{"path":"seed.txt"}`, nil},
			{"c3", "search_files", `{"pattern":"seed"}`, nil},
			{"c4", "terminal", `{"command":"echo second >> log"}`, logged("second")},
		},
		{
			{"c5", "write_file", `{"path":"out.txt","content":"written\n"}`, func(p *profile) int { return strings.Count(p.file("out.txt"), "written") }},
			{"c6", "memory", `{"target":"memory","action":"add","content":"The gate is green."}`, remembered},
			{"c7", "todo", `{"todos":[{"id":"1","content":"look"}]}`, nil},
		},
		{
			{"c8", "terminal", `{"command":"echo job >> log; sleep 86388","background":true}`, nil}, // done when its shell is
			{"c9", "patch", `{"path":"seed.txt","old_string":"seed","new_string":"seed seed"}`, func(p *profile) int { return strings.Count(p.file("seed.txt"), "seed") - 1 }},
		},
		{
			{"c10", "terminal", `{"command":"echo third >> log"}`, logged("third")},
		},
	}
}

// crashModel makes the turn, whatever was before it, from where its transcript says
// that it is.
func crashModel(call llmtest.Call) llmtest.Reply {
	steps, done, ours := crashSteps(), 0, false
	for _, message := range call.Messages {
		switch {
		case message.Role == "user" && !strings.HasPrefix(message.Text, "[The server stopped"):
			ours, done = message.Text == crashTask, 0
		case len(message.ToolCalls) > 0:
			done++
		}
	}
	if !ours {
		return llmtest.Text("You said: " + call.LastUser())
	}
	if done >= len(steps) {
		return llmtest.Text(crashAnswer)
	}
	reply := llmtest.Reply{Chunks: []string{fmt.Sprintf("Step %d. ", done)}}
	for _, c := range steps[done] {
		reply.Calls = append(reply.Calls, llmtest.ToolCall{ID: c.id, Name: c.tool, Arguments: c.arguments})
	}
	return reply
}

// crashes kills a worker right before and right after every commit of a turn (of one
// that is resumed: either before or after), each time a new one on a new profile, until a turn comes to its end. Turn asks for it,
// and is false once it has an answer. Then goesOn lets another worker go on, and
// returns the request in which its model has to find all that was done.
//
// A turn that nobody resumes is found as it was left; then one more call is finished
// with each commit that finishes one.
func crashes(t *testing.T, resumes bool, turn func(p *profile, n int) error, goesOn func(p *profile, n int) llmtest.Call) {
	t.Helper()
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			results := map[int]bool{} // how many calls were finished, over all kills
			last, n, step := 0, 1, 1
			if resumes { // more commits, and each next process makes many
				step = 2
				if when == "after" {
					n = 2
				}
			}
			for ; ; n += step {
				p := newProfile(t, crashModel)
				if err := os.MkdirAll(p.path("workspace"), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(p.path("workspace"), "seed.txt"), []byte("seed\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				w := p.worker(fmt.Sprint(when, " ", n))
				err := turn(p, n)
				if err == nil {
					w.stop()
					break
				}
				<-w.ended
				w.stop()
				before := p.upstream.Calls()
				next := p.worker("")
				request := goesOn(p, n)
				next.stop()
				finished := checkCrash(t, fmt.Sprint(when, " commit ", n), p, before, request)
				if finished < last && !resumes {
					t.Errorf("%s commit %d: %d calls were finished, and %d a commit before", when, n, finished, last)
				}
				last, results[finished] = finished, true
				if finished < len(crashIDs())-4 && resumes { // four are open at once
					t.Errorf("%s commit %d: only %d calls have a result in the end", when, n, finished)
				}
				if t.Failed() {
					t.Fatalf("after %s commit %d the workers printed:\n%s\n%s", when, n, w.output.String(), next.output.String())
				}
			}
			for i := range len(crashIDs()) + 1 {
				if !results[i] && !resumes {
					t.Errorf("no kill %s a commit left %d results: %v", when, i, results)
				}
			}
			t.Logf("%d commits", n-1)
		})
	}
}

func crashIDs() (ids []string) {
	for _, step := range crashSteps() {
		for _, call := range step {
			ids = append(ids, call.id)
		}
	}
	return ids
}

// checkCrash looks for all that was done in the request of the next worker, and
// returns how many calls have a result in it.
func checkCrash(t *testing.T, at string, p *profile, before []llmtest.Call, request llmtest.Call) (finished int) {
	t.Helper()
	asked, answers := map[string]bool{}, map[string]string{}
	for _, message := range request.Messages {
		for _, call := range message.ToolCalls {
			asked[call.ID] = true
		}
		if message.Role != "tool" {
			continue
		}
		if _, twice := answers[message.ToolCallID]; twice || !asked[message.ToolCallID] {
			t.Errorf("%s: the answer to %s is one too many", at, message.ToolCallID)
		}
		answers[message.ToolCallID] = message.Text
	}
	if len(before) > 0 { // what the model has seen it sees again
		for _, message := range before[len(before)-1].Messages {
			if message.Role == "tool" && answers[message.ToolCallID] != message.Text {
				t.Errorf("%s: %s was answered %q, is now %q", at, message.ToolCallID, message.Text, answers[message.ToolCallID])
			}
		}
	}
	for _, step := range crashSteps() {
		for _, call := range step {
			answer, answered := answers[call.id]
			interrupted := answer == store.Interrupted
			if answered != asked[call.id] {
				t.Errorf("%s: %s was asked for: %v, answered: %v", at, call.id, asked[call.id], answered)
			}
			if answered && !interrupted {
				finished++
			}
			if call.done == nil {
				continue
			}
			switch done := call.done(p); {
			case done > 1:
				t.Errorf("%s: %s was done %d times", at, call.id, done)
			case answered && !interrupted && done == 0:
				t.Errorf("%s: %s has the result %q and was not done", at, call.id, answer)
			case !answered && done > 0 && request.LastUser() != crashTask:
				t.Errorf("%s: %s was done, and nobody is told", at, call.id)
			}
		}
	}
	if answer := answers["c1"]; answer != "" && answer != store.Interrupted && answer != "said first\n" {
		t.Errorf("%s: c1 answered %q", at, answer)
	}
	if n := strings.Count(p.file("log"), "job\n"); n > 1 {
		t.Errorf("%s: the job ran %d times", at, n)
	}
	checkCrashRecord(t, at, p, answers)
	return finished
}

// checkCrashRecord looks at what is recorded of the turn.
func checkCrashRecord(t *testing.T, at string, p *profile, answers map[string]string) {
	t.Helper()
	s := store.Open(p.start.Paths.Database, store.Options{ReadOnly: true})
	defer s.Close()
	sessions, err := s.Sessions(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, session := range sessions {
		runs, err := s.Runs(t.Context(), session.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range runs {
			if run.Status != store.StatusDone && run.Status != store.StatusInterrupted {
				t.Errorf("%s: run %s is %s", at, run.ID, run.Status)
			}
		}
	}
	jobs, err := s.Jobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, job := range jobs {
		if job.Status != store.JobLost && job.Status != store.JobKilled {
			t.Errorf("%s: job %s is %s", at, job.ID, job.Status)
		}
	}
	if answer := answers["c8"]; answer != "" && answer != store.Interrupted && len(jobs) != 1 {
		t.Errorf("%s: a job was declared, and %d are kept", at, len(jobs))
	}
}
