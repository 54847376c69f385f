package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/llm"
	"hermes/worker/openai"
	"hermes/worker/store"
)

// memory is Transcripts without a database.
type memory struct {
	mu    sync.Mutex
	turns map[string]api.KeptTurn
	err   error
}

func newMemory() *memory { return &memory{turns: map[string]api.KeptTurn{}} }

func (m *memory) Lookup(_ context.Context, hashes [][]byte) ([]api.KeptTurn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := make([]api.KeptTurn, len(hashes))
	for i, hash := range hashes {
		found[i] = m.turns[string(hash)]
	}
	return found, m.err
}

func (m *memory) Put(ctx context.Context, hash []byte, turn api.KeptTurn) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := ctx.Deadline(); !ok || ctx.Err() != nil {
		return errors.New("the write may take for ever, or not happen")
	}
	m.turns[string(hash)] = turn
	return m.err
}

func (m *memory) Unheard(context.Context, [][]byte) ([]store.Unheard, error) { return nil, nil }

func (m *memory) Heard(context.Context, string) error { return nil }

// worked is a turn that used a tool between two texts.
func worked(n int) agent.Result {
	calls := []llm.ToolCall{{ID: fmt.Sprintf("c%d", n), Name: "terminal", Arguments: `{"command":"pwd"}`}}
	result := agent.Result{Finish: llm.FinishStop, Messages: []llm.Message{
		{Role: llm.Assistant, Parts: []llm.Part{{Text: fmt.Sprintf("Let me look %d.", n)}}, ToolCalls: calls},
		{Role: llm.Tool, Parts: []llm.Part{{Text: fmt.Sprintf("/x/%d", n)}}, ToolCallID: calls[0].ID},
		llm.TextMessage(llm.Assistant, fmt.Sprintf("You are in /x/%d.", n)),
	}}
	result.Message = result.Messages[2]
	return result
}

// play shows a turn that ended as result.
func play(result agent.Result, emit func(agent.Event) error) error {
	for _, message := range result.Messages {
		if message.Role != llm.Assistant {
			continue
		}
		if message.Text() != "" {
			if err := emit(text(message.Text())); err != nil {
				return err
			}
		}
		for _, call := range message.ToolCalls {
			if slices.ContainsFunc(result.ClientCalls, func(left llm.ToolCall) bool { return left.ID == call.ID }) {
				continue
			}
			if err := errors.Join(emit(started(call.ID, "💻", "pwd")), emit(finished(call.ID, "💻", "pwd", false))); err != nil {
				return err
			}
		}
	}
	return nil
}

// frontend is a chat with a client that keeps the history itself.
type frontend struct {
	t        tester
	server   *api.Server
	messages []openai.Message
	header   string
	stream   bool
	seen     []llm.Message // the history that the last turn was given
	next     agent.Result  // how the next turn ends
	err      error
}

func newFrontend(t tester, opts api.Options) *frontend {
	f := &frontend{t: t, stream: true}
	opts.Agent = runs(func(_ context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
		f.seen = turn.History
		if err := play(f.next, emit); err != nil {
			return agent.Result{}, err
		}
		return f.next, f.err
	})
	f.server = api.New(opts)
	return f
}

// send sends the history with one more message, takes in what comes back, and
// returns it.
func (f *frontend) send(t *testing.T, message openai.Message, result agent.Result) string {
	t.Helper()
	f.messages = append(f.messages, message)
	f.next = result
	body, err := json.Marshal(openai.ChatRequest{Model: "any", Messages: f.messages, Stream: f.stream})
	if err != nil {
		t.Fatal(err)
	}
	got := call(t, f.server, "POST", "/v1/chat/completions", string(body), f.header)
	said := openai.Message{Role: "assistant"}
	if f.stream {
		said.Content = openai.TextContent(checkStream(f.t, got.body))
		for _, call := range gathered(t, got.body) {
			said.ToolCalls = append(said.ToolCalls, openai.ToolCall{ID: call.ID, Type: "function", Function: openai.FunctionCall{Name: call.Name, Arguments: openai.Arguments(call.Arguments)}})
		}
	} else {
		var whole openai.Completion
		if err := json.Unmarshal([]byte(got.body), &whole); err != nil || len(whole.Choices) == 0 {
			t.Fatalf("got %s: %v", got.body, err)
		}
		said.Content, said.ToolCalls = whole.Choices[0].Message.Content, whole.Choices[0].Message.ToolCalls
	}
	f.messages = append(f.messages, said)
	return said.Content.String()
}

func says1(text string) openai.Message {
	return openai.Message{Role: "user", Content: openai.TextContent(text)}
}

// roles shows a history in short.
func roles(history []llm.Message) string {
	var all []string
	for _, message := range history {
		all = append(all, string(message.Role)+":"+message.Text())
	}
	return strings.Join(all, " | ")
}

const (
	truth1 = "user:a | assistant:Let me look 1. | tool:/x/1 | assistant:You are in /x/1."
	truth2 = "user:b | assistant:Let me look 2. | tool:/x/2 | assistant:You are in /x/2."
)

func TestToolCallsComeBackThatClientsDoNotSend(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, progress, header string
		stream, whole          bool
	}{
		{name: "inline", progress: "inline", stream: true},
		{name: "both", progress: "both", stream: true},
		{name: "events", progress: "event", stream: true},
		{name: "off", progress: "off", stream: true},
		{name: "one piece", progress: "inline", stream: true, whole: true},
		{name: "JSON", progress: "inline"},
		{name: "Open WebUI", progress: "auto", stream: true, header: "X-OpenWebUI-Chat-Id: 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := fixed(nil)
			opts.ToolProgress, opts.Streaming, opts.Transcripts = test.progress, !test.whole, newMemory()
			f := newFrontend(t, opts)
			f.stream, f.header = test.stream, test.header
			f.send(t, says1("a"), worked(1))
			f.send(t, says1("b"), worked(2))
			f.send(t, says1("c"), answered("bye"))
			if got, want := roles(f.seen), truth1+" | "+truth2+" | user:c"; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if call := f.seen[1].ToolCalls; len(call) != 1 || call[0].Arguments != `{"command":"pwd"}` || f.seen[2].ToolCallID != call[0].ID {
				t.Errorf("the call came back as %+v", f.seen[1:3])
			}
		})
	}
}

func TestOnlyTheUnchangedBeginningIsRestored(t *testing.T) {
	t.Parallel()
	const flat1 = "user:a | assistant:Let me look 1.\n\nYou are in /x/1."
	const flat2 = "user:b | assistant:Let me look 2.\n\nYou are in /x/2."
	tests := []struct {
		name   string
		change func([]openai.Message) []openai.Message
		want   string
	}{
		{"nothing changed", slices.Clone[[]openai.Message], truth1 + " | " + truth2},
		{"another system prompt", func(m []openai.Message) []openai.Message {
			return append([]openai.Message{{Role: "system", Content: openai.TextContent("It is 12:01.")}}, m...)
		}, truth1 + " | " + truth2},
		{"regenerated", func(m []openai.Message) []openai.Message { return m[:2] }, truth1},
		{"question edited", func(m []openai.Message) []openai.Message {
			m[2].Content = openai.TextContent("b?")
			return m
		}, truth1 + " | " + strings.Replace(flat2, "user:b", "user:b?", 1)},
		{"answer edited", func(m []openai.Message) []openai.Message {
			m[1].Content = openai.TextContent("You are in /y.")
			return m
		}, "user:a | assistant:You are in /y. | " + flat2},
		{"beginning cut off", func(m []openai.Message) []openai.Message { return m[2:] }, flat2},
		{"first question edited", func(m []openai.Message) []openai.Message {
			m[0].Content = openai.TextContent("a?")
			return m
		}, strings.Replace(flat1, "user:a", "user:a?", 1) + " | " + flat2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := fixed(nil)
			opts.Transcripts, opts.ToolProgress = newMemory(), "off"
			f := newFrontend(t, opts)
			f.send(t, says1("a"), worked(1))
			f.send(t, says1("b"), worked(2))
			f.messages = test.change(slices.Clone(f.messages))
			f.send(t, says1("c"), answered("bye"))
			if got, want := roles(f.seen), test.want+" | user:c"; got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestATurnThatWasLeftToTheClientComesBackWhole(t *testing.T) {
	t.Parallel()
	opts := fixed(nil)
	opts.Transcripts = newMemory()
	f := newFrontend(t, opts)
	step := worked(1)
	asks := llm.ToolCall{ID: "k1", Name: "ask", Arguments: "{}"}
	step.Messages = append(step.Messages[:2], llm.Message{Role: llm.Assistant, ToolCalls: []llm.ToolCall{asks, {ID: "c2", Name: "terminal"}}},
		llm.Message{Role: llm.Tool, Parts: []llm.Part{{Text: "/y"}}, ToolCallID: "c2"})
	step.Message, step.ClientCalls, step.Finish = step.Messages[2], []llm.ToolCall{asks}, llm.FinishToolCalls
	f.send(t, says1("a"), step)
	f.send(t, openai.Message{Role: "tool", ToolCallID: "k1", Content: openai.TextContent("blue")}, worked(4))
	if got, want := roles(f.seen), "user:a | assistant:Let me look 1. | tool:/x/1 | assistant: | tool:/y | tool:blue"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	f.send(t, says1("c"), answered("bye"))
	if got := roles(f.seen); !strings.HasSuffix(got, "| tool:blue | assistant:Let me look 4. | tool:/x/4 | assistant:You are in /x/4. | user:c") {
		t.Errorf("got  %s", got)
	}
}

func TestATurnThatFailedComesBackTooWhereItWasSeen(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{true, false} {
		m := newMemory()
		opts := fixed(nil)
		opts.Transcripts = m
		f := newFrontend(t, opts)
		f.stream = true
		f.err = &llm.Error{Class: llm.Network, Message: "cut"}
		if stream {
			f.send(t, says1("a"), worked(1))
		} else {
			f.next = worked(1)
			call(t, f.server, "POST", "/v1/chat/completions", hello)
		}
		if len(m.turns) == 1 != stream {
			t.Errorf("stream: %v, %d turns were kept", stream, len(m.turns))
		}
	}
}

// waited is Transcripts that tell when something was put.
type waited struct {
	*memory
	put chan struct{}
}

func (w waited) Put(ctx context.Context, hash []byte, turn api.KeptTurn) error {
	if len(turn.Messages) > 0 {
		defer close(w.put)
	}
	return w.memory.Put(ctx, hash, turn)
}

// Whoever stops an answer and goes on has its tools in the history all the same.
func TestATurnThatWasStoppedComesBackToo(t *testing.T) {
	t.Parallel()
	kept := waited{newMemory(), make(chan struct{})}
	var seen []llm.Message
	opts := fixed(runs(func(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
		seen = turn.History
		if len(turn.History) > 1 {
			return answered("bye"), nil
		}
		result := worked(1)
		result.Messages = result.Messages[:2] // its tool was at work
		if err := play(result, emit); err != nil {
			return result, err
		}
		<-ctx.Done()
		return result, ctx.Err()
	}))
	opts.Transcripts, opts.ToolProgress = kept, "event"
	server, url := serve(t, opts)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(`{"model":"m","stream":true,"messages":[{"role":"user","content":"a"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+testKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	leave()
	select {
	case <-kept.put:
	case <-time.After(10 * time.Second):
		t.Fatal("the turn was not kept")
	}
	call(t, server, "POST", "/v1/chat/completions",
		`{"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"Let me look 1."},{"role":"user","content":"b"}]}`)
	if got, want := roles(seen), "user:a | assistant:Let me look 1. | tool:/x/1 | user:b"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWhatCannotBeRestoredStaysAsItCame(t *testing.T) {
	t.Parallel()
	const flat = "user:a | assistant:Let me look 1.\n\nYou are in /x/1. | user:c"
	tests := []struct {
		name string
		harm func(*memory)
	}{
		{"no store", func(m *memory) { m.err = errors.New("disk is gone") }},
		{"forgotten", func(m *memory) { clear(m.turns) }},
		{"damaged", func(m *memory) {
			for hash := range m.turns {
				m.turns[hash] = api.KeptTurn{Messages: []byte(`[{"role":`)}
			}
		}},
		{"empty", func(m *memory) {
			for hash := range m.turns {
				m.turns[hash] = api.KeptTurn{Messages: []byte(`[]`)}
			}
		}},
		{"too large", func(m *memory) {
			for hash := range m.turns {
				m.turns[hash] = api.KeptTurn{Messages: []byte(`[{"role":"assistant","parts":[{"text":"` + strings.Repeat("a", 13<<20) + `"}]}]`)}
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			opts := fixed(nil)
			opts.Transcripts, opts.ToolProgress = m, "off"
			f := newFrontend(t, opts)
			f.send(t, says1("a"), worked(1))
			test.harm(m)
			f.send(t, says1("c"), answered("bye"))
			if got := roles(f.seen); got != flat {
				t.Errorf("got  %q\nwant %q", got, flat)
			}
		})
	}
}
