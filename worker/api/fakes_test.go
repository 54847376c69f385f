package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
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

const (
	testKey  = "a-key-that-is-long-enough"
	hello    = `{"model":"any","messages":[{"role":"user","content":"hello"}]}`
	helloSSE = `{"model":"any","messages":[{"role":"user","content":"hello"}],"stream":true}`
)

// runs is a Runner that is one function.
type runs func(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error)

func (f runs) Run(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
	return f(ctx, turn, emit)
}

// Complete fails: most tests send messages of people.
func (f runs) Complete(context.Context, agent.Turn, func(agent.Event) error) (agent.Result, error) {
	return agent.Result{}, errors.New("a turn was taken for a task")
}

// HasTool knows one tool.
func (f runs) HasTool(name string) bool { return name == "terminal" }

// script plays events and ends with an error, or without one.
func script(events []agent.Event, result agent.Result, err error) runs {
	return func(ctx context.Context, _ agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
		for _, event := range events {
			if err := emit(event); err != nil {
				return agent.Result{}, err
			}
		}
		if ctx.Err() != nil {
			return agent.Result{}, context.Cause(ctx)
		}
		return result, err
	}
}

// says is a turn that answers with one text.
func says(text string) runs {
	return script([]agent.Event{agent.Text{JSON: quote(text)}}, answered(text), nil)
}

func answered(texts ...string) agent.Result {
	result := agent.Result{Finish: llm.FinishStop, Usage: llm.Usage{Input: 5, Output: 7}}
	for _, text := range texts {
		result.Messages = append(result.Messages, llm.TextMessage(llm.Assistant, text))
	}
	return result
}

func quote(text string) []byte {
	literal, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return literal
}

// fixed returns options of a server whose ids and clock stand still.
func fixed(runner api.Runner) api.Options {
	return api.Options{
		Agent: runner, ModelName: "alice", Settings: api.Settings{KeySHA256: digest(testKey), ToolProgress: "auto"}, Streaming: true,
		Log:   slog.New(slog.DiscardHandler),
		Now:   func() time.Time { return time.Unix(1_700_000_000, 0) },
		NewID: func() string { return "0001" },
	}
}

// stored gives options a database of their own, and ids that differ.
func stored(t *testing.T, opts api.Options) api.Options {
	t.Helper()
	opts.Store = openStore(t, filepath.Join(t.TempDir(), "state.db"))
	opts.NewID, opts.Now = nil, nil
	return opts
}

// openStore opens a database until the test ends.
func openStore(t *testing.T, path string) *store.Store {
	t.Helper()
	s := store.Open(path, store.Options{
		Recover: true, SettleAnswer: api.SettleAnswer,
		SettleResponse: api.SettleResponse(func(text string) string { return text }, time.Now),
	})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}

// serve runs a server until the test ends and returns its base URL.
func serve(t *testing.T, opts api.Options) (*api.Server, string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := api.New(opts)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(context.WithoutCancel(t.Context()), l); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		server.Drain(over)
		serving.Wait()
	})
	return server, "http://" + l.Addr().String()
}

// answer is what came back, as far as tests look at it.
type answer struct {
	status int
	header http.Header
	body   string
}

// param returns the error of an answer, or fails the test if it is not in the
// form that all errors have.
func (a answer) error(t *testing.T) openai.Error {
	t.Helper()
	var raw map[string]map[string]any
	if err := json.Unmarshal([]byte(a.body), &raw); err != nil {
		t.Fatalf("status %d, and the body is no error: %v\n%s", a.status, err, a.body)
	}
	for _, name := range []string{"message", "type", "param", "code"} {
		if _, ok := raw["error"][name]; !ok || len(raw) != 1 || len(raw["error"]) != 4 {
			t.Fatalf("error has other keys than message, type, param and code: %s", a.body)
		}
	}
	var body openai.ErrorBody
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		t.Fatal(err)
	}
	return body.Error
}

// call sends a request without a network. Header holds "Name: value" lines.
func call(t *testing.T, handler http.Handler, method, path, body string, header ...string) answer {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:8642"+path, reader)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+testKey)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case name == "Host":
			r.Host = value
		case value == "":
			r.Header.Del(name)
		default:
			r.Header.Set(name, value)
		}
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// post sends a chat request over the network and returns its answer, whose body
// the caller closes.
func post(ctx context.Context, base, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+testKey)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return client.Do(r)
}

// dial opens a raw connection.
func dial(t *testing.T, base string) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// exchange sends raw bytes and reads one answer.
func exchange(t *testing.T, c net.Conn, request string) answer {
	t.Helper()
	if request != "" {
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatalf("send: %v", err)
		}
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("read answer: %v", err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// receive waits for a value, with a limit that only a broken server reaches.
func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case value := <-c:
		return value
	case <-time.After(20 * time.Second):
		t.Fatalf("waited for %s in vain", what)
		panic("unreachable")
	}
}
