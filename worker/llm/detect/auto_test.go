package detect

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hermes/worker/llm"
)

// clock is a clock that is set by hand.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Unix(1_700_000_000, 0).Add(time.Duration(c.offset.Load()))
}

func (c *clock) pass(d time.Duration) { c.offset.Add(int64(d)) }

// server is a vLLM that can be switched on and off at one address.
type server struct {
	address string
	model   string
	lists   atomic.Int32
	running *httptest.Server
}

func (s *server) start(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	model := s.model
	s.running = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.URL.Path == "/v1/models":
			s.lists.Add(1)
			io.WriteString(w, strings.ReplaceAll(vllmModels, "Qwen/Qwen3-8B", model))
		case r.URL.Path == "/v1/chat/completions" && strings.Contains(string(body), `"model":"`+model+`"`):
			io.WriteString(w, `data: {"choices":[{"index":0,"delta":{"content":"I am `+model+`"},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
		default:
			http.Error(w, `{"error":{"message":"The model does not exist."}}`, http.StatusNotFound)
		}
	}))
	s.running.Listener.Close()
	s.running.Listener = listener
	s.running.Start()
	t.Cleanup(s.stop)
}

func (s *server) stop() {
	s.running.CloseClientConnections()
	s.running.Close()
}

// newAuto makes an Auto that looks at one address.
func newAuto(t *testing.T) (*Auto, *server, *clock) {
	t.Helper()
	s, c := &server{address: closed(t), model: "m1"}, &clock{}
	where := nowhere()
	where.VLLM = s.address
	auto := NewAuto(AutoOptions{Where: where, Profile: "alice", Streaming: true, Now: c.now})
	t.Cleanup(auto.Close)
	return auto, s, c
}

// say asks, and returns what was said.
func say(t *testing.T, auto *Auto) (string, error) {
	t.Helper()
	req := llm.Request{Messages: []llm.Message{llm.TextMessage(llm.User, "hello")}}
	message, err := auto.Stream(t.Context(), req, func(llm.Event) error { return nil })
	return message.Text(), err
}

func expect(t *testing.T, auto *Auto, want string) {
	t.Helper()
	got, err := say(t, auto)
	if err != nil || !strings.Contains(got, want) {
		t.Fatalf("heard %.100q, %v, want %q", got, err, want)
	}
}

const demoSays = "hermes -p alice config set model.base_url"

func TestAutoUsesTheServerThatIsThere(t *testing.T) {
	t.Parallel()
	auto, server, _ := newAuto(t)
	server.start(t)
	if _, ok := auto.Found(); ok {
		t.Error("Found before anything was asked")
	}
	for range 3 {
		expect(t, auto, "I am m1")
	}
	if n := server.lists.Load(); n != 1 {
		t.Errorf("it looked %d times", n)
	}
	if found, ok := auto.Found(); !ok || found.Model != "m1" {
		t.Errorf("Found = %+v, %v", found, ok)
	}
	want := Description{Provider: "openai-compatible", Model: "m1", Source: "vLLM found at http://" + server.address}
	if got := auto.Describe(t.Context()); got != want {
		t.Errorf("Describe = %+v, want %+v", got, want)
	}
}

func TestAutoFallsBackToTheDemoAndLooksAgain(t *testing.T) {
	t.Parallel()
	auto, server, clock := newAuto(t)
	got := auto.Describe(t.Context())
	if !got.Degraded || got.Provider != "demo" || got.Model != "demo" || !strings.Contains(got.Source, "no model") {
		t.Errorf("Describe = %+v", got)
	}
	expect(t, auto, demoSays)
	server.start(t)
	clock.pass(again - time.Second)
	expect(t, auto, demoSays) // it has looked just now
	clock.pass(2 * time.Second)
	expect(t, auto, "I am m1")
	if auto.Describe(t.Context()).Degraded {
		t.Error("degraded with a server")
	}
}

func TestAutoForgetsAServerThatIsGone(t *testing.T) {
	t.Parallel()
	auto, server, clock := newAuto(t)
	server.start(t)
	expect(t, auto, "I am m1")

	// Away for a moment: the error says so, and it is looked for at every call.
	server.stop()
	for range 2 {
		_, err := say(t, auto)
		if llm.ClassOf(err) != llm.Network || !strings.Contains(err.Error(), "cannot reach http://"+server.address+": connection refused") {
			t.Fatalf("error is %v", err)
		}
		if got := auto.Describe(t.Context()); !got.Degraded || !strings.Contains(got.Source, "connection refused") {
			t.Errorf("Describe = %+v", got)
		}
	}
	server.model = "m2"
	server.start(t)
	expect(t, auto, "I am m2")

	// Started anew between two calls, with another model: one call finds out.
	server.stop()
	server.model = "m3"
	server.start(t)
	expect(t, auto, "I am m3")

	// Gone for good: the demo takes over.
	server.stop()
	if _, err := say(t, auto); err == nil {
		t.Fatal("no error without a server")
	}
	clock.pass(again + time.Second)
	expect(t, auto, demoSays)
}

func TestAutoPassesOtherErrorsOn(t *testing.T) {
	t.Parallel()
	auto, server, _ := newAuto(t)
	server.start(t)
	gone := errors.New("gone")
	_, err := auto.Stream(t.Context(), llm.Request{}, func(llm.Event) error { return gone })
	if !errors.Is(err, gone) {
		t.Errorf("error of emit is %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if _, err := auto.Stream(ctx, llm.Request{}, func(llm.Event) error { return nil }); !errors.Is(err, gone) {
		t.Errorf("error of the context is %v", err)
	}
	// A look that was broken off has found nothing out.
	fresh, other, _ := newAuto(t)
	other.start(t)
	if _, err := fresh.Stream(ctx, llm.Request{}, func(llm.Event) error { return nil }); !errors.Is(err, gone) {
		t.Errorf("error of the context is %v", err)
	}
	expect(t, fresh, "I am m1")
}

func TestAutoLooksOnceForMany(t *testing.T) {
	t.Parallel()
	auto, server, _ := newAuto(t)
	server.start(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got, err := say(t, auto); err != nil || got != "I am m1" {
				t.Errorf("heard %q, %v", got, err)
			}
			auto.Describe(t.Context())
		})
	}
	wg.Wait()
	if n := server.lists.Load(); n != 1 {
		t.Errorf("it looked %d times", n)
	}
}

// TestAutoSpeaksOllamasOwnAPI finds an Ollama and asks it with the context that
// its own API can be told.
func TestAutoSpeaksOllamasOwnAPI(t *testing.T) {
	t.Parallel()
	answers := ollamaAnswers()
	bodies := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/api/chat":
			bodies <- string(body)
			io.WriteString(w, `{"message":{"role":"assistant","content":"I am here"},"done":true,"done_reason":"stop"}`+"\n")
		case "/api/show":
			var asked struct{ Model string }
			_ = json.Unmarshal(body, &asked)
			io.WriteString(w, answers["/api/show "+asked.Model])
		default:
			io.WriteString(w, answers[r.URL.Path])
		}
	}))
	t.Cleanup(server.Close)
	where := nowhere()
	where.Ollama = server.Listener.Addr().String()
	auto := NewAuto(AutoOptions{Where: where, Streaming: true})
	t.Cleanup(auto.Close)
	expect(t, auto, "I am here")
	if body := <-bodies; !strings.Contains(body, `"model":"qwen3:8b"`) || !strings.Contains(body, `"num_ctx":16384`) {
		t.Errorf("asked with %s", body)
	}
	want := llm.Capabilities{ContextLength: 16_384, Tools: llm.Supported, Vision: llm.Unsupported, Reasoning: llm.Supported}
	if got := auto.Capabilities(t.Context()); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
