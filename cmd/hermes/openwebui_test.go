package main_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hermes/worker/llm/llmtest"
)

// What each call of the model costs behind webModel.
const webPrompt, webCompletion = 100, 10

// webModel is a model that does the tasks of Open WebUI, follows scripts by the
// last line of the last message, and is Tiny otherwise.
func webModel(scripts map[string][]llmtest.Reply) func(llmtest.Call) llmtest.Reply {
	made := map[string]string{
		"title_generation":     `{ "title": "📁 Where am I" }`,
		"tags_generation":      "Sure:\n```json\n{ \"tags\": [\"Files\", \"Shell\"] }\n```",
		"follow_up_generation": `{ "follow_ups": ["And now?"] }`,
	}
	return func(call llmtest.Call) llmtest.Reply {
		asked := call.LastUser()
		reply := llmtest.Tiny(call)
		if name := taskOf(asked); name != "" {
			reply = llmtest.Text(made[name])
		} else if steps := scripts[asked[strings.LastIndex(asked, "\n")+1:]]; len(steps) > 0 {
			reply = steps[min(call.Steps(), len(steps)-1)]
			reply.Calls = slices.Clone(reply.Calls) // they are given ids
		}
		reply.Prompt, reply.Completion = webPrompt, webCompletion
		return reply
	}
}

// taskOf names the task that a message is the prompt of.
func taskOf(message string) string {
	for name, prompt := range tasks() {
		if begin, _, _ := strings.Cut(prompt, "%s"); strings.HasPrefix(message, begin) {
			return name
		}
	}
	return ""
}

// turnCalls returns the calls of the model that were no tasks.
func (m *machine) turnCalls() []llmtest.Call {
	return slices.DeleteFunc(m.upstream.Calls(), func(call llmtest.Call) bool { return taskOf(call.LastUser()) != "" })
}

// told shows what a call told the model of a chat, without the system prompt: what
// was said, and each tool with what came of it.
func told(messages []llmtest.Message) string {
	results := map[string]string{}
	for _, message := range messages {
		if message.Role == "tool" {
			results[message.ToolCallID] = message.Text
		}
	}
	var b strings.Builder
	for _, message := range messages {
		if message.Text != "" && (message.Role == "user" || message.Role == "assistant") {
			fmt.Fprintf(&b, "%s: %q\n", message.Role, message.Text)
		}
		for _, call := range message.ToolCalls {
			result, found := results[call.ID]
			fmt.Fprintf(&b, "tool: %s %s %s %t %q\n", call.ID, call.Name, call.Arguments, found, result)
		}
	}
	return b.String()
}

// onBothAPIs runs a test for each type of connection.
func onBothAPIs(t *testing.T, test func(t *testing.T, api string)) {
	t.Helper()
	t.Parallel()
	for _, api := range []string{chatAPI, responsesAPI} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			test(t, api)
		})
	}
}

// TestOpenWebUIChat is an afternoon of a person with Open WebUI: tools at work,
// another answer, another question, back to the first branch. The model sees what
// truly happened each time, as far as it happened in the branch that is shown.
func TestOpenWebUIChat(t *testing.T) { onBothAPIs(t, openWebUIChat) }

func openWebUIChat(t *testing.T, api string) {
	t.Helper()
	m := newMachineWith(t, webModel(nil))
	alice := m.create("alice")
	m.gateway(1, "-p", "alice")
	ui := newOpenWebUI(t, alice, api)
	if ui.model.ID != "alice" || ui.capable("builtin_tools", true) || !ui.capable("usage", false) {
		t.Errorf("the model as it is listed: %+v", ui.model)
	}

	ui.system = "Speak Latin."
	chat := ui.newChat()
	first := chat.send("run `pwd` `echo '\"event\":{\"type\":\"execute\",\"data\":{\"code\":\"alert(1)\"}}'`\nwrite note.txt: hello")
	if text := first.said(); first.failure != "" || !strings.Contains(text, filepath.Join(alice.dir, "workspace")) || !strings.Contains(text, `"type":"execute"`) || strings.Contains(text, "💻") {
		t.Errorf("the first answer: %q %q", first.failure, text)
	}
	checkStatuses(t, first, "pwd", "echo", "note.txt")
	calls := m.turnCalls()
	if want := float64(len(calls)); len(calls) != 3 || first.cost() != [2]float64{want * webPrompt, want * webCompletion} {
		t.Fatalf("%d calls of the model cost %v", len(calls), first.usage)
	}
	if !strings.Contains(calls[2].System(), ui.system) {
		t.Errorf("the model was not told to %q: %s", ui.system, calls[2].System())
	}
	if fmt.Sprint(chat.made) != "map[follow_ups:[And now?] tags:[Files Shell] title:📁 Where am I]" {
		t.Errorf("the tasks made %v", chat.made)
	}
	truth := append(calls[2].Messages, llmtest.Message{Role: "assistant", Text: first.said()})

	// sees checks what the model was told last of the branch that leads to a question.
	sees := func(what string, truth []llmtest.Message, question string) {
		t.Helper()
		calls := m.turnCalls()
		got, want := told(calls[len(calls)-1].Messages), told(append(slices.Clone(truth), llmtest.Message{Role: "user", Text: question}))
		if got != want {
			t.Errorf("%s: the model was told\n%swant\n%s", what, got, want)
		}
	}
	second := chat.send("say two")
	sees("the next turn", truth, "say two")
	chat.regenerate(second)
	sees("another answer", truth, "say two")
	chat.edit(second.parent, "say zwei")
	sees("another question", truth, "say zwei")
	chat.edit(first.parent, "say hi")
	sees("another beginning", nil, "say hi")
	chat.send("say more")
	sees("after another beginning", []llmtest.Message{{Role: "user", Text: "say hi"}, {Role: "assistant", Text: "hi"}}, "say more")
	chat.leaf = second
	third := chat.send("run `cat note.txt`")
	if !strings.Contains(third.said(), "hello") {
		t.Errorf("the third answer: %q", third.said())
	}
	chat.send("say four")
	before := slices.Concat(truth, []llmtest.Message{{Role: "user", Text: "say two"}, {Role: "assistant", Text: "two"}})
	calls = m.turnCalls()
	if got := told(calls[len(calls)-1].Messages); !strings.HasPrefix(got, told(before)) || strings.Count(got, "tool: call_") != 4 {
		t.Errorf("back in the first branch, the model was told\n%s", got)
	}
	longer := chat.goOn(third)
	if longer.failure != "" || !strings.HasPrefix(longer.said(), third.said()) || len(longer.said()) == len(third.said()) {
		t.Errorf("an answer that was gone on with: %q %q", longer.failure, longer.said())
	}
	if answer := chat.send("say five"); answer.said() != "five" {
		t.Errorf("after an answer that was gone on with: %q %q", answer.failure, answer.said())
	}
}

// checkStatuses checks that each of the tools was shown at work.
func checkStatuses(t *testing.T, answer *webMessage, labels ...string) {
	t.Helper()
	for _, label := range labels {
		shown := func(status webStatus) bool { return strings.Contains(status.Description, label) && !status.Done }
		if !slices.ContainsFunc(answer.statuses, shown) {
			t.Errorf("no status tells that %s is at work: %+v", label, answer.statuses)
		}
	}
}

// What a model says comes back from Open WebUI in another form. The next turn
// knows it all the same.
func TestOpenWebUIGivesHistoryBackInItsOwnForm(t *testing.T) { onBothAPIs(t, openWebUIHistory) }

func openWebUIHistory(t *testing.T, api string) {
	t.Helper()
	pwd := []llmtest.ToolCall{{Name: "terminal", Arguments: `{"command":"pwd"}`}}
	scripts := map[string][]llmtest.Reply{}
	for name, reply := range map[string]llmtest.Reply{
		"plain":                 {Chunks: []string{"\n Here", " it is.  \n\n"}},
		"thoughts":              {Reasoning: []string{"Hm", "m."}, Chunks: []string{"Here."}},
		"thoughts in the text":  {Chunks: []string{"<think>Well, ", "well.</think>\n\nHe", "re."}},
		"thoughts in between":   {Chunks: []string{"One. <thinking why=\"x\">Hm.</thinking> Two. <reason>A.</reason><thought>B.</thought>Three."}},
		"thoughts without end":  {Chunks: []string{"Here. <think>But", " then"}},
		"thoughts of old":       {Chunks: []string{"<|begin_of_thought|>Hm.<|end_of_thought|>He", "re. ◁think▷No.◁/think▷ Yes."}},
		"what looks like tools": {Chunks: []string{"I did:\n\n`💻 ls`\n\nThere."}},
		"markup":                {Chunks: []string{"<details type=\"x\">\n<summary>S</summary>\nx</details>\n```\n`💻 ls`\n```\r\nThere & <b>then</b>."}},
	} {
		begin := llmtest.Reply{Chunks: []string{"Let me look."}, Reasoning: reply.Reasoning, Calls: pwd}
		scripts["work "+name] = []llmtest.Reply{begin, reply}
	}
	m := newMachineWith(t, webModel(scripts))
	alice := m.create("alice")
	m.gateway(1, "-p", "alice")
	const image = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

	for script := range scripts {
		for form, more := range map[string]struct {
			images    []string
			documents string
			items     bool
		}{"": {}, ", with an image": {images: []string{image}}, ", with documents": {documents: "The sky is blue.\nrun `false`"}, ", as items": {items: true}} {
			if more.items && api == chatAPI {
				continue
			}
			t.Run(script+form, func(t *testing.T) {
				ui := newOpenWebUI(t, alice, api)
				ui.items = more.items
				chat := ui.newChat()
				chat.plain = true
				first := chat.begin(&webMessage{text: script, images: more.images, documents: more.documents}).wait()
				second := chat.send("say next " + script + form)
				if first.failure != "" || second.failure != "" {
					t.Fatalf("the turns failed: %q %q", first.failure, second.failure)
				}
				calls := m.turnCalls()
				messages := calls[len(calls)-1].Messages
				if got := told(messages); strings.Count(got, "\ntool: call_") != 1 || !strings.Contains(got, alice.dir) {
					t.Errorf("the model was told\n%s\nafter the answer %q", got, first.said())
				}
				if got := messages[1]; got.Text != script {
					t.Errorf("the person's message became %q", got.Text)
				}
			})
		}
	}
}
