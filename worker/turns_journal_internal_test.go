package worker

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"hermes/worker/llm/llmtest"
)

// journal writes a story down while it happens. What differs from run to run gets
// names: ids, addresses, times.
type journal struct {
	mu      sync.Mutex
	text    strings.Builder
	prompts []string          // that the models were sent, one after the other
	before  []llmtest.Message // of the model's last request
	tools   []string          // of the first one
}

func (j *journal) title(about string) { fmt.Fprintf(&j.text, "%s\n", about) }

// section begins a part of the story.
func (j *journal) section(heading string) { fmt.Fprintf(&j.text, "\n== %s ==\n", heading) }

// lines writes texts. Of each the lines after its first are indented.
func (j *journal) lines(texts ...string) {
	for _, text := range texts {
		for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
			if i > 0 {
				line = "    " + line
			}
			j.text.WriteString(strings.TrimRight(line, " ") + "\n")
		}
	}
}

// shown writes what a person sees, as it is.
func (j *journal) shown(text string) {
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		j.text.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
}

// history says that n messages come before what is shown.
func (j *journal) history(n int) {
	if n > 0 {
		j.lines(fmt.Sprintf("(%d messages before)", n))
	}
}

// asked writes down a request to a model.
func (j *journal) asked(name string, call llmtest.Call) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.section(name + " is asked")
	messages := call.Messages
	if n := len(j.before); n > 0 && n <= len(messages) && same(j.before, messages[:n]) {
		j.history(n)
		messages = messages[n:]
	}
	for _, message := range messages {
		switch {
		case message.Role == "system":
			j.prompt(message.Text)
		case message.Role == "tool":
			j.lines("tool " + message.ToolCallID + ": " + message.Text)
		case message.Text != "" || len(message.ToolCalls) == 0:
			j.lines(message.Role + ": " + message.Text)
		}
		for _, call := range message.ToolCalls {
			j.lines(fmt.Sprintf("%s calls %s: %s %s", message.Role, call.ID, call.Name, call.Arguments))
		}
	}
	j.offered(call.Tools)
	if call.ToolChoice != "" {
		j.lines("with tool_choice: " + call.ToolChoice)
	}
	j.before = call.Messages
}

func same(a, b []llmtest.Message) bool {
	return slices.EqualFunc(a, b, func(a, b llmtest.Message) bool {
		return a.Role == b.Role && a.Text == b.Text && a.ToolCallID == b.ToolCallID && slices.Equal(a.ToolCalls, b.ToolCalls)
	})
}

// prompt names a system prompt, and says in which lines it differs from the first.
func (j *journal) prompt(text string) {
	if i := slices.Index(j.prompts, text); i >= 0 {
		j.lines(fmt.Sprintf("system: prompt %d", i+1))
		return
	}
	j.prompts = append(j.prompts, text)
	j.lines(fmt.Sprintf("system: prompt %d", len(j.prompts)))
	if len(j.prompts) == 1 {
		return
	}
	first, now := strings.Split(j.prompts[0], "\n"), strings.Split(text, "\n")
	for _, line := range first {
		if !slices.Contains(now, line) {
			j.lines("    - " + line)
		}
	}
	for _, line := range now {
		if !slices.Contains(first, line) {
			j.lines("    + " + line)
		}
	}
}

// offered names the tools of a request, and those of the first one as all.
func (j *journal) offered(tools []string) {
	if j.tools == nil {
		j.tools = tools
	}
	text := "none"
	switch {
	case len(tools) == 0:
	case slices.Equal(tools, j.tools):
		text = "as before"
		if len(j.prompts) == 1 && len(j.before) == 0 {
			text = strings.Join(tools, " ")
		}
	default:
		text = strings.Join(tools, " ")
	}
	j.lines("with tools: " + text)
}

// answered writes down what a model answers.
func (j *journal) answered(name string, reply llmtest.Reply) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.section(name + " answers")
	if reply.Status != 0 {
		j.lines(fmt.Sprintf("HTTP %d: %s", reply.Status, reply.Message))
	}
	if reply.Raw != "" {
		for line := range strings.Lines(reply.Raw) {
			if line != "\n" {
				j.lines(line)
			}
		}
	}
	for _, piece := range reply.Chunks {
		j.lines(fmt.Sprintf("says %q", piece))
	}
	for _, call := range reply.Calls {
		j.lines(fmt.Sprintf("calls %s: %s %s", call.ID, call.Name, call.Arguments))
	}
	switch {
	case reply.Cut:
		j.lines("and the connection breaks")
	case reply.Hang:
		j.lines("and goes on thinking")
	case reply.Finish != "":
		j.lines("finish reason: " + reply.Finish)
	case reply.Status == 0 && reply.Raw == "" && len(reply.Chunks)+len(reply.Calls) == 0:
		j.lines("nothing")
	}
}

// told is the whole story, with names for what differs from run to run.
func (j *journal) told(dir string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	text := strings.ReplaceAll(j.text.String(), dir, "/PROFILE")
	text = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(text, "127.0.0.1:PORT")
	text = regexp.MustCompile(`\b\d+(\.\d+)?( s\b|ms\b|µs\b|s\b)`).ReplaceAllString(text, "TIME")
	for _, kind := range []struct{ name, form string }{
		{"call", `call_[0-9A-Za-z]{20,}`},
		{"job", `job_[0-9a-z]+`},
	} {
		names := map[string]string{}
		text = regexp.MustCompile(kind.form).ReplaceAllStringFunc(text, func(id string) string {
			if names[id] == "" {
				names[id] = fmt.Sprintf("%s-%d", kind.name, len(names)+1)
			}
			return names[id]
		})
	}
	return text
}
