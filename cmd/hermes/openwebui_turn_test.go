package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hermes/worker/llm/llmtest"
	"hermes/worker/store"
)

// An admin's entry for a model replaces what hermes says of it, and then Open
// WebUI offers tools of its own with every message, and would run a call of
// theirs by itself.
func TestOpenWebUIAddsToolsOfItsOwn(t *testing.T) { onBothAPIs(t, openWebUIAddsToolsOfItsOwn) }

func openWebUIAddsToolsOfItsOwn(t *testing.T, api string) {
	t.Helper()
	m := newMachineWith(t, webModel(nil))
	// A name for which Open WebUI takes the model to be one of OpenAI's newer ones.
	o2 := m.create("o2-team")
	m.gateway(1, "-p", "o2-team")
	if err := os.WriteFile(filepath.Join(o2.dir, "workspace", "note.txt"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	ui := newOpenWebUI(t, o2, api)
	ui.entry, ui.system, ui.maxTokens = true, "Speak Latin.", 4000
	ui.header.Set("X-OpenWebUI-User-Name", "Anne%20B.")
	chat := ui.newChat()
	first := chat.send("read note.txt")
	if first.failure != "" || !strings.Contains(first.said(), "hello") {
		t.Errorf("the answer: %q %q", first.failure, first.said())
	}
	checkStatuses(t, first, "note.txt")
	// A completion has token counts if they are asked for, a response always.
	if want := map[string][2]float64{responsesAPI: {2 * webPrompt, 2 * webCompletion}}[api]; first.cost() != want {
		t.Errorf("the token counts are %v, want %v", first.cost(), want)
	}
	for _, call := range m.turnCalls() {
		if call.HasTool("search_web") || !call.HasTool("read_file") || !strings.Contains(call.System(), "Speak Latin.") {
			t.Errorf("the model was offered %q, and told: %s", call.Tools, call.System())
		}
	}
	if second := chat.send("say bye"); second.said() != "bye" {
		t.Errorf("the next answer: %q %q", second.failure, second.said())
	}
	calls := m.turnCalls()
	if got := told(calls[len(calls)-1].Messages); strings.Count(got, "\ntool: call_") != 1 {
		t.Errorf("the next turn was told\n%s", got)
	}
}

// Nothing that a model or a tool says makes a line that Open WebUI cannot read.
func TestOpenWebUIReadsLongAnswers(t *testing.T) { onBothAPIs(t, openWebUIReadsLongAnswers) }

func openWebUIReadsLongAnswers(t *testing.T, api string) {
	t.Helper()
	const size = 300_000
	long := strings.Repeat("ä\"\n", size/4)
	m := newMachineWith(t, webModel(map[string][]llmtest.Reply{
		"work much": {
			{Reasoning: []string{long}, Calls: []llmtest.ToolCall{{Name: "write_file", Arguments: `{"path":"` + strings.Repeat("x", 200) + `","content":"` + strings.Repeat("y", size) + `"}`}}},
			llmtest.Text(long + "end"),
		},
	}))
	alice, bob := m.create("alice"), m.create("bob")
	m.run("-p", "bob", "config", "set", "model.streaming", "false")
	m.gateway(2, "--all")
	for _, p := range []person{alice, bob} {
		answer := newOpenWebUI(t, p, api).newChat().send("work much")
		if answer.failure != "" || answer.said() != long+"end" {
			t.Errorf("%s: %d of %d bytes arrived: %q", p.name, len(answer.said()), len(long)+3, answer.failure)
		}
		checkStatuses(t, answer, "xxx")
	}
}

// Titles, tags and follow-ups are answered while a turn runs that takes the only
// place there is, and leave nothing behind. Stop ends the turn and its tool, and
// the chat goes on.
func TestOpenWebUITasksAndStop(t *testing.T) { onBothAPIs(t, openWebUITasksAndStop) }

func openWebUITasksAndStop(t *testing.T, api string) {
	t.Helper()
	m := newMachineWith(t, webModel(nil))
	alice := m.create("alice")
	m.run("-p", "alice", "config", "set", "api_server.max_concurrent_runs", "1")
	g := m.gateway(1, "-p", "alice")
	turns := 0
	for name, header := range map[string]string{"by their words": "", "by a header": "{{TASK}}"} {
		ui := newOpenWebUI(t, alice, api)
		if header != "" {
			ui.header.Set("X-OpenWebUI-Task", header)
		}
		chat := ui.newChat()
		mark := mark()
		turn := chat.begin(&webMessage{text: "run `sleep " + mark + " & sleep " + mark + "`"})
		eventually(t, patience, "the tool is shown", func() bool { return turn.working(mark) })
		eventually(t, patience, "the title is there", func() bool {
			chat.mu.Lock()
			defer chat.mu.Unlock()
			return chat.made["title"] == "📁 Where am I"
		})
		var beside sync.WaitGroup
		for range 3 { // as many chats that are open
			chat.background(t.Context(), &beside, []object{{"role": "user", "content": "hi"}}, "title_generation", "tags_generation", "follow_up_generation")
		}
		beside.Wait()
		if fmt.Sprint(chat.made) != "map[follow_ups:[And now?] tags:[Files Shell] title:📁 Where am I]" {
			t.Errorf("%s: the tasks made %v", name, chat.made)
		}
		eventually(t, patience, "the command runs", func() bool { return len(processes(t, mark)) > 1 })
		if metrics := alice.turns(t); !strings.Contains(metrics, "\nhermes_turns_running 1\n") || len(processes(t, mark)) < 2 {
			t.Errorf("%s: the turn does not run beside its tasks:\n%s", name, metrics)
		}

		turn.stop()
		turn.wait()
		eventually(t, promise(3*time.Second), "the tool is gone", func() bool { return len(processes(t, mark)) == 0 })
		if next := chat.send("say on"); next.said() != "on" || next.failure != "" {
			t.Errorf("%s: after Stop: %q %q", name, next.failure, next.said())
		}
		turns += 2
	}
	asked := 0
	for _, call := range m.upstream.Calls() {
		if taskOf(call.LastUser()) == "" {
			continue
		}
		asked++
		if len(call.Tools) > 0 || len(call.Messages) != 1 {
			t.Errorf("a task was given %d messages and the tools %q", len(call.Messages), call.Tools)
		}
	}
	if metrics := alice.turns(t); !strings.Contains(metrics, fmt.Sprintf("\nhermes_tasks_total{status=\"done\"} %d\n", asked)) || asked < 20 {
		t.Errorf("of %d tasks were counted:\n%s", asked, metrics)
	}
	g.stop()
	if sessions := alice.sessions(t); len(sessions) != turns {
		t.Errorf("%d turns have left %d sessions", turns, len(sessions))
	}
}

// sessions returns what a profile's database has of its turns. Its worker must not
// run.
func (p person) sessions(t *testing.T) []store.Session {
	t.Helper()
	db := store.Open(filepath.Join(p.dir, "data", "state.db"), store.Options{})
	defer db.Close()
	sessions, err := db.Sessions(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	return sessions
}

// Whatever goes wrong, a person sees it, and can go on.
func TestOpenWebUIShowsWhatWentWrong(t *testing.T) { onBothAPIs(t, openWebUIShowsWhatWentWrong) }

func openWebUIShowsWhatWentWrong(t *testing.T, api string) {
	t.Helper()
	pwd := []llmtest.ToolCall{{Name: "terminal", Arguments: `{"command":"pwd"}`}}
	mark := mark()
	look := llmtest.Reply{Chunks: []string{"Let me look."}, Calls: pwd}
	m := newMachineWith(t, webModel(map[string][]llmtest.Reply{
		"cut short":     {{Chunks: []string{"Half an "}, Finish: "length"}},
		"fail at once":  {{Status: 400, Message: "no such thing"}},
		"fail later":    {look, {Status: 400, Message: "no such thing"}},
		"break off":     {look, {Chunks: []string{"Here it"}, StreamError: "no such thing"}},
		"stop later":    {look, {Chunks: []string{"Here it"}, Hang: true}},
		"stop at once":  {{Hang: true}},
		"stop the tool": {{Chunks: []string{"Let me wait."}, Calls: []llmtest.ToolCall{{Name: "terminal", Arguments: `{"command":"sleep ` + mark + `"}`}}}},
	}))
	alice := m.create("alice")
	m.run("-p", "alice", "config", "set", "api_server.drain_timeout", "1s")
	g := m.gateway(1, "-p", "alice")
	next := func(t *testing.T, chat *webChat) string {
		t.Helper()
		if answer := chat.send("say go on"); answer.failure != "" || answer.said() != "go on" {
			t.Errorf("the next turn: %q %q", answer.failure, answer.said())
		}
		calls := m.turnCalls()
		return told(calls[len(calls)-1].Messages)
	}
	t.Run("cut short", func(t *testing.T) {
		chat := newOpenWebUI(t, alice, api).newChat()
		if answer := chat.send("cut short"); answer.failure != "" || !answer.ended || answer.said() != "Half an" {
			t.Errorf("a person sees %q and the error %q", answer.said(), answer.failure)
		}
		next(t, chat)
	})
	for question, said := range map[string]string{"fail at once": "", "fail later": "Let me look.", "break off": "Let me look.\nHere it"} {
		t.Run(question, func(t *testing.T) {
			chat := newOpenWebUI(t, alice, api).newChat()
			answer := chat.send(question)
			if !strings.Contains(answer.failure, "no such thing") || !answer.ended || lines(answer.said()) != said {
				t.Errorf("a person sees %q and the error %q", answer.said(), answer.failure)
			}
			if got := next(t, chat); said != "" && !strings.Contains(got, "\ntool: call_") {
				t.Errorf("the model does not know what its tools have done:\n%s", got)
			}
		})
	}
	for question, said := range map[string]string{"stop at once": "", "stop later": "Let me look.\nHere it", "stop the tool": "Let me wait."} {
		t.Run(question, func(t *testing.T) {
			chat := newOpenWebUI(t, alice, api).newChat()
			turn := chat.begin(&webMessage{text: question})
			eventually(t, patience, "the answer has come so far", func() bool {
				asked := slices.ContainsFunc(m.turnCalls(), func(call llmtest.Call) bool { return call.LastUser() == question })
				return asked && lines(turn.said()) == said && (question != "stop the tool" || turn.working("sleep"))
			})
			turn.stop()
			if answer := turn.wait(); lines(answer.said()) != said {
				t.Errorf("a person sees %q", answer.said())
			}
			eventually(t, promise(3*time.Second), "the model is left alone", func() bool { return m.upstream.Open() == 0 })
			eventually(t, promise(3*time.Second), "the tool is gone", func() bool { return len(processes(t, mark)) == 0 })
			// A person takes longer to go on than the turn takes to end.
			eventually(t, promise(5*time.Second), "the turn has ended", func() bool { return strings.Contains(alice.turns(t), "\nhermes_turns_running 0\n") })
			// Of a response, Open WebUI forgets a call that has no result.
			known := said != "" && (api == chatAPI || question != "stop the tool")
			if got := next(t, chat); known != strings.Contains(got, "\ntool: call_") {
				t.Errorf("the model knows what its tools have done, %v is wanted:\n%s", known, got)
			}
		})
	}
	t.Run("another key", func(t *testing.T) {
		ui := newOpenWebUI(t, alice, api)
		ui.p.key = "sk-old"
		chat := ui.newChat()
		chat.plain = true
		if answer := chat.send("say hi"); !strings.Contains(answer.failure, "key") {
			t.Errorf("a person sees the error %q", answer.failure)
		}
	})
	t.Run("the gateway stops", func(t *testing.T) {
		chat := newOpenWebUI(t, alice, api).newChat()
		chat.plain = true
		turn := chat.begin(&webMessage{text: "stop the tool"})
		eventually(t, patience, "the tool is shown", func() bool { return turn.working("sleep") })
		g.stop()
		if answer := turn.wait(); !answer.ended || answer.failure == "" || answer.said() != "Let me wait." {
			t.Errorf("a person sees %q and the error %q", answer.said(), answer.failure)
		}
	})
}
