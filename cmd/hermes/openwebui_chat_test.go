package main_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// webChat is a chat of a person in Open WebUI: a tree of messages, of which one
// branch is shown.
type webChat struct {
	ui   *openWebUI
	leaf *webMessage // the last one of the branch that is shown
	// plain is a chat without tasks.
	plain bool

	mu   sync.Mutex // guards made
	made object     // what tasks have made: title, tags, follow_ups
}

// webMessage is a message as Open WebUI keeps it.
type webMessage struct {
	parent *webMessage
	role   string

	// Of a person.
	text      string
	images    []string // data URIs
	documents string   // what was found for it in the person's files

	// Of an answer.
	mu       sync.Mutex // guards what follows while the answer comes
	output   []object   // items
	statuses []webStatus
	usage    map[string]float64
	failure  string // what is shown in red
	ended    bool   // the stream was read to its end
}

// webStatus is a line above an answer. The last one shimmers until it is done.
type webStatus struct {
	Description string
	Done        bool
}

func (ui *openWebUI) newChat() *webChat { return &webChat{ui: ui, made: object{}} }

// branch is the messages that lead to one, oldest first, as they are sent.
func (m *webMessage) branch(ui *openWebUI) []object {
	ui.t.Helper()
	var all []object
	for at := m; at != nil; at = at.parent {
		all = slices.Concat(at.sent(ui, at == m), all)
	}
	return all
}

// sent is a message as it is sent again. Only the last message of a request gets
// the documents that were found for it.
func (m *webMessage) sent(ui *openWebUI, last bool) []object {
	ui.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.role == "assistant" {
		if ui.items && len(m.output) > 0 {
			return []object{{"role": "assistant", "output": m.output}}
		}
		if messages := outputMessages(ui.t, m.output); len(messages) > 0 {
			return messages
		}
		return []object{{"role": "assistant", "content": ""}}
	}
	text := m.text
	if last && m.documents != "" {
		text = "### Task:\nRespond to the user query using the provided context, incorporating inline citations in the format [id].\n\n" +
			"### Output:\nProvide a clear and direct response to the user's query.\n\n<context>\n<source id=\"1\" name=\"a.txt\">" + m.documents + "</source>\n</context>\n" + text
	}
	if len(m.images) == 0 {
		return []object{{"role": "user", "content": text}}
	}
	parts := []object{{"type": "text", "text": text}}
	for _, image := range m.images {
		parts = append(parts, object{"type": "image_url", "image_url": object{"url": image}})
	}
	return []object{{"role": "user", "content": parts}}
}

// outputMessages makes messages of the items of an answer: their texts joined,
// thoughts left out, calls with their results in the form of chat completions.
func outputMessages(t *testing.T, output []object) []object {
	t.Helper()
	results := map[any]string{}
	for _, item := range output {
		if item["type"] == "function_call_output" {
			results[item["call_id"]] = resultText(t, item)
		}
	}
	var messages, calls []object
	var texts []string
	flush := func() {
		if len(texts) > 0 || len(calls) > 0 {
			message := object{"role": "assistant", "content": strings.Join(texts, "\n")}
			if len(calls) > 0 {
				message["tool_calls"] = calls
			}
			messages = append(messages, message)
		}
		texts, calls = nil, nil
	}
	called := map[any]bool{} // calls that are whole
	for _, item := range output {
		_, answered := results[item["call_id"]]
		if item["type"] == "function_call" && answered && (item["status"] == "completed" || item["status"] == "failed") {
			called[item["call_id"]] = true
		}
	}
	for _, item := range output {
		id := item["call_id"]
		switch {
		case item["type"] == "message":
			if text := outputText([]object{item}); text != "" {
				texts = append(texts, text)
			}
		case item["type"] == "function_call" && called[id]:
			calls = append(calls, object{"id": id, "type": "function", "function": object{"name": item["name"], "arguments": item["arguments"]}})
		case item["type"] == "function_call_output" && called[id]:
			flush()
			messages = append(messages, object{"role": "tool", "tool_call_id": id, "content": results[id]})
		}
	}
	flush()
	return messages
}

// resultText reads the result of a call as a list of parts. Anything else breaks
// the next turn of the chat.
func resultText(t *testing.T, item object) string {
	t.Helper()
	parts, ok := item["output"].([]any)
	if !ok {
		t.Errorf("the result of a call is no list; the next turn breaks with an AttributeError: %v", item)
	}
	text := ""
	for _, part := range parts {
		part, _ := part.(object)
		if part["type"] != "input_text" {
			t.Errorf("a part of a result is lost from the history: %v", part)
		}
		said, _ := part["text"].(string)
		text += said
	}
	return text
}

// outputText is what items say.
func outputText(output []object) string {
	var texts []string
	for _, item := range output {
		if item["type"] != "message" {
			continue
		}
		text := ""
		parts, _ := item["content"].([]any)
		for _, part := range parts {
			if part, _ := part.(object); part["type"] == "output_text" {
				said, _ := part["text"].(string)
				text += said
			}
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "\n")
}

// said is the text of an answer.
func (m *webMessage) said() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.TrimSpace(outputText(m.output))
}

// lines is a text without empty lines: what the model says after its tools is a
// paragraph of a completion, and an item of its own of a response.
func lines(text string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return line == "" }), "\n")
}

// cost is how many tokens an answer has cost, in and out.
func (m *webMessage) cost() [2]float64 {
	return [2]float64{m.usage["prompt_tokens"] + m.usage["input_tokens"], m.usage["completion_tokens"] + m.usage["output_tokens"]}
}

// running is an answer on its way.
type running struct {
	*webMessage
	chat    *webChat
	stop    context.CancelFunc
	arrived chan struct{} // closed when the stream and the tasks after it have ended
}

// begin sends a message of a person below the leaf.
func (c *webChat) begin(question *webMessage) *running {
	question.parent, question.role = c.leaf, "user"
	return c.answer(question)
}

// answer asks for an answer to a message. With a message of an answer, it asks to
// go on with it.
func (c *webChat) answer(to *webMessage) *running {
	c.ui.t.Helper()
	ctx, stop := context.WithCancel(c.ui.t.Context())
	r := &running{webMessage: &webMessage{parent: to, role: "assistant", usage: map[string]float64{}}, chat: c, stop: stop, arrived: make(chan struct{})}
	messages := to.branch(c.ui)
	if to.role == "assistant" { // the same message grows
		r.parent, r.output = to.parent, slices.Clip(to.output)
	}
	first := c.leaf == nil
	c.leaf = r.webMessage
	go func() {
		defer close(r.arrived)
		defer stop()
		var beside sync.WaitGroup
		defer beside.Wait()
		if first && !c.plain { // does not wait for the answer
			c.background(context.WithoutCancel(ctx), &beside, messages, "title_generation")
		}
		r.stream(ctx, messages)
		if c.plain || ctx.Err() != nil || r.failure != "" {
			return
		}
		names := []string{"follow_up_generation"}
		if first {
			names = append(names, "tags_generation")
		}
		c.background(ctx, &beside, r.branch(c.ui), names...)
	}()
	return r
}

// stream sends a request and reads its answer to the end.
func (r *running) stream(ctx context.Context, messages []object) {
	ui := r.chat.ui
	path, body := "/chat/completions", ui.request(messages)
	if ui.responses {
		path, body = "/responses", responsesRequest(ui.t, body)
	}
	answer, failure := ui.ask(ctx, http.MethodPost, path, body, "")
	if failure != "" {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.failure = failure
		return
	}
	defer answer.Close()
	reader := streamReader{t: ui.t, message: r.webMessage, prior: len(r.output), responses: ui.responses}
	reader.read(ctx, answer)
}

// wait waits until the answer is there and everything that follows it is done.
func (r *running) wait() *webMessage {
	r.chat.ui.t.Helper()
	select {
	case <-r.arrived:
	case <-time.After(2 * patience):
		r.stop()
		r.chat.ui.t.Fatal("the answer did not end")
	}
	return r.webMessage
}

// send sends a text and waits for the answer.
func (c *webChat) send(text string) *webMessage { return c.begin(&webMessage{text: text}).wait() }

// regenerate asks for another answer in place of one.
func (c *webChat) regenerate(answer *webMessage) *webMessage { return c.answer(answer.parent).wait() }

// edit sends a person's message again with another text.
func (c *webChat) edit(question *webMessage, text string) *webMessage {
	return c.answer(&webMessage{parent: question.parent, role: "user", text: text}).wait()
}

// goOn asks to go on with an answer.
func (c *webChat) goOn(answer *webMessage) *webMessage { return c.answer(answer).wait() }

// working reports whether a tool is shown as running.
func (r *running) working(label string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.statuses) > 0 && !r.statuses[len(r.statuses)-1].Done && strings.Contains(r.statuses[len(r.statuses)-1].Description, label)
}
