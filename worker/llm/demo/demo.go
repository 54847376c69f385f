// Package demo answers where no language model is configured. It is none and
// does not pretend to be: it understands a handful of plain commands, carries
// them out by calling the agent's real tools, quotes what they gave back, and
// says in every reply how to configure a model. It is there so that a fresh
// installation can be tried, and so that everything but the model can be tested.
package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hermes/worker/llm"
)

// Model is the id that the demo goes by.
const Model = "demo"

// Options says whom the demo answers.
type Options struct {
	// Profile is the name of the profile, which the commands in its replies
	// must name. Empty and "default" need no naming.
	Profile string
}

// Client is an llm.Client without a model. Equal requests get equal answers. It
// may be used by many goroutines at once.
type Client struct {
	profile string
}

var _ llm.Client = (*Client)(nil)

// New makes a Client.
func New(opts Options) *Client {
	if opts.Profile == "default" {
		opts.Profile = ""
	}
	return &Client{profile: opts.Profile}
}

// Stream carries out the commands in the last message of the user, one tool
// call at a time, and then says what came of them. The text comes word by word.
// Token counts are guesses: a quarter of the bytes.
func (c *Client) Stream(ctx context.Context, req llm.Request, emit func(llm.Event) error) (llm.Message, error) {
	t := newTurn(req)
	message := llm.Message{Role: llm.Assistant, Finish: llm.FinishStop}
	for _, m := range req.Messages {
		message.Usage.Input += guess(m)
	}
	if call, ok := t.next(); ok {
		message.ToolCalls = []llm.ToolCall{call}
		message.Finish = llm.FinishToolCalls
		message.Usage.Output = guess(message)
		return message, nil
	}
	text := c.reply(t)
	said := 0
	for word := range strings.SplitAfterSeq(text, " ") {
		if ctx.Err() != nil {
			return spoken(message, text[:said]), fmt.Errorf("answer as demo: %w", context.Cause(ctx))
		}
		literal, err := json.Marshal(word)
		if err != nil {
			return llm.Message{}, fmt.Errorf("encode text: %w", err)
		}
		said += len(word)
		if err := emit(llm.Text{JSON: literal}); err != nil {
			return spoken(message, text[:said]), err
		}
	}
	return spoken(message, text), nil
}

// spoken is the message with what was said of it.
func spoken(message llm.Message, text string) llm.Message {
	message.Parts = []llm.Part{{Text: text}}
	message.Usage.Output = guess(message)
	return message
}

// guess is how many tokens a message may have.
func guess(m llm.Message) int {
	n := len(m.Text())
	for _, call := range m.ToolCalls {
		n += len(call.Name) + len(call.Arguments)
	}
	return (n + 3) / 4
}

// turn is what a request asks for, and how far it has been done.
type turn struct {
	said     string // by the user
	prompt   string // of the system
	commands []command
	rest     string // of what was said, behind the commands
	tools    []llm.ToolSpec
	results  map[int]string // of the commands that have been carried out
	messages int            // in the transcript; it grows, so it makes ids that are new
}

// newTurn reads the transcript: the last message of the user, and the calls and
// results behind it.
func newTurn(req llm.Request) *turn {
	t := &turn{tools: req.Tools, results: make(map[int]string), messages: len(req.Messages)}
	if len(req.Messages) > 0 && req.Messages[0].Role == llm.System {
		t.prompt = req.Messages[0].Text()
	}
	begin := lastSaid(req)
	if begin < 0 {
		return t
	}
	t.said = req.Messages[begin].Text()
	t.commands, t.rest = parse(t.said)
	texts := make(map[string]string)
	for _, m := range req.Messages[begin:] {
		if m.Role == llm.Tool {
			texts[m.ToolCallID] = m.Text()
		}
	}
	at := 0
	for _, m := range req.Messages[begin:] {
		for _, call := range m.ToolCalls {
			for at < len(t.commands) && t.commands[at].tool != call.Name {
				at++
			}
			if at < len(t.commands) {
				t.results[at] = texts[call.ID]
				at++
			}
		}
	}
	return t
}

// lastSaid is the index of the user's last message, -1 without any. In its last
// step an agent offers no tools and adds a message that says so; that is not
// what the user said.
func lastSaid(req llm.Request) int {
	last := -1
	for i, m := range slices.Backward(req.Messages) {
		if m.Role != llm.User {
			continue
		}
		last = i
		if len(req.Tools) > 0 || i == 0 || req.Messages[i-1].Role != llm.Tool {
			return i
		}
	}
	return last
}

// next is the call of the first command that has not been carried out and can be.
func (t *turn) next() (llm.ToolCall, bool) {
	for i, cmd := range t.commands {
		if _, done := t.results[i]; done {
			continue
		}
		if spec, ok := t.tool(cmd.tool); ok {
			return llm.ToolCall{ID: "demo_" + strconv.Itoa(t.messages), Name: cmd.tool, Arguments: cmd.arguments(spec)}, true
		}
	}
	return llm.ToolCall{}, false
}

// tool finds a tool that the request offers.
func (t *turn) tool(name string) (llm.ToolSpec, bool) {
	i := slices.IndexFunc(t.tools, func(s llm.ToolSpec) bool { return s.Name == name })
	if name == "" || i < 0 {
		return llm.ToolSpec{}, false
	}
	return t.tools[i], true
}
