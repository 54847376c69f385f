package worker

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
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
	steps := crashSteps()
	done := call.Steps()
	if call.LastUser() != crashTask {
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

// crashes kills a worker right before and right after every commit of a turn, each
// time a new one on a new profile, until a turn comes to its end. Turn asks for it,
// and is false once it has an answer. Then goesOn lets another worker go on, and
// returns the request in which its model has to find all that was done.
func crashes(t *testing.T, turn func(p *profile, n int) error, goesOn func(p *profile, n int) llmtest.Call) {
	t.Helper()
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			results := map[int]bool{} // how many calls were finished, over all kills
			last, n := 0, 1
			for ; ; n++ {
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
				if finished < last {
					t.Errorf("%s commit %d: %d calls were finished, and %d a commit before", when, n, finished, last)
				}
				last, results[finished] = finished, true
				if t.Failed() {
					t.Fatalf("after %s commit %d the workers printed:\n%s\n%s", when, n, w.output.String(), next.output.String())
				}
			}
			for i := range 11 { // each commit of a result makes one more
				if !results[i] {
					t.Errorf("no kill %s a commit left %d results: %v", when, i, results)
				}
			}
			t.Logf("%d kills", n-1)
		})
	}
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

// A client of chat completions keeps the history itself. After a crash it has a part
// of the answer or nothing of it, and asks something else, or the same again.
func TestKilledAtEveryCommitOfAChat(t *testing.T) {
	t.Parallel()
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	send := func(p *profile, stream bool, messages ...message) (string, error) {
		body, err := json.Marshal(map[string]any{"messages": messages, "stream": stream})
		if err != nil {
			return "", err
		}
		return p.send("POST", "/v1/chat/completions", string(body))
	}
	task := message{"user", crashTask}
	parts := map[*profile]string{} // of each answer
	var mu sync.Mutex
	crashes(t, func(p *profile, n int) error {
		got, err := send(p, n%3 == 0, task)
		mu.Lock()
		defer mu.Unlock()
		parts[p] = streamed(got)
		return err
	}, func(p *profile, n int) llmtest.Call {
		from := len(p.upstream.Calls())
		messages := []message{task}
		mu.Lock()
		if part := parts[p]; part != "" {
			messages = append(messages, message{"assistant", part})
		}
		mu.Unlock()
		if n%3 != 1 { // else the same again
			messages = append(messages, message{"user", "go on"})
		}
		if got, err := send(p, false, messages...); err != nil {
			t.Errorf("the next request: %v %s", err, got)
		}
		return p.upstream.Calls()[from]
	})
}

// streamed is the text in what came of a stream.
func streamed(body string) string {
	var text strings.Builder
	for line := range strings.Lines(body) {
		var chunk struct {
			Choices []struct {
				Delta struct {
					Content string `json:"content"`
				} `json:"delta"`
			} `json:"choices"`
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if ok && json.Unmarshal([]byte(data), &chunk) == nil && len(chunk.Choices) > 0 {
			text.WriteString(chunk.Choices[0].Delta.Content)
		}
	}
	return text.String()
}
