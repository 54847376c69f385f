package openaichat

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
	"hermes/worker/llm/upstream"
)

func TestWithoutStreamingTheTextComesAtOnce(t *testing.T) {
	t.Parallel()
	up := llmtest.NewUpstream(func(llmtest.Call) llmtest.Reply {
		return llmtest.Reply{Reasoning: []string{"h", "m"}, Chunks: []string{"Hello, ", "you"}, Prompt: 7, Completion: 3}
	})
	t.Cleanup(up.Close)
	client := New(Options{BaseURL: up.URL + "/v1", Model: "m"})
	t.Cleanup(client.Close)
	got, message, err := ask(t, client, llm.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.events) != 2 || got.text != "Hello, you" || got.thinking != "hm" {
		t.Errorf("heard %+v, want one thought and one text", got)
	}
	if message.Text() != "Hello, you" || message.Usage != (llm.Usage{Input: 7, Output: 3}) || message.Finish != llm.FinishStop {
		t.Errorf("message is %+v", message)
	}
}

func TestAWholeTurnWithTools(t *testing.T) {
	t.Parallel()
	for _, streaming := range []bool{true, false} {
		up := llmtest.NewUpstream(func(call llmtest.Call) llmtest.Reply {
			if results := call.ToolResults(); len(results) > 0 {
				return llmtest.Reply{Chunks: []string{"It is ", results[0]}}
			}
			return llmtest.Reply{Calls: []llmtest.ToolCall{{ID: "a", Name: "clock", Arguments: `{"zone":"é"}`}}}
		})
		t.Cleanup(up.Close)
		client := New(Options{BaseURL: up.URL + "/v1", Model: "m", Streaming: streaming})
		t.Cleanup(client.Close)
		messages := []llm.Message{llm.TextMessage(llm.User, "What time is it?")}
		_, first, err := ask(t, client, llm.Request{Messages: messages})
		if err != nil || len(first.ToolCalls) != 1 || first.ToolCalls[0].Arguments != `{"zone":"é"}` {
			t.Fatalf("first answer is %+v, %v", first, err)
		}
		result := llm.TextMessage(llm.Tool, "noon")
		result.ToolCallID = "a"
		got, second, err := ask(t, client, llm.Request{Messages: append(messages, first, result)})
		if err != nil || got.text != "It is noon" || second.Text() != "It is noon" {
			t.Errorf("streaming %v: second answer is %q, %v", streaming, got.text, err)
		}
	}
}

// TestALeavingReaderStopsTheUpstream lets emit fail, and the context end, while
// the upstream is in the middle of an answer.
func TestALeavingReaderStopsTheUpstream(t *testing.T) {
	t.Parallel()
	gone := errors.New("the reader has gone")
	tests := []struct {
		name  string
		leave func(cancel context.CancelCauseFunc) error
	}{
		{"emit fails", func(context.CancelCauseFunc) error { return gone }},
		{"the context ends", func(cancel context.CancelCauseFunc) error { cancel(gone); return nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			stopped := make(chan struct{})
			client := serve(t, Options{Streaming: true}, func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "data: "+content("half")+"\n\n")
				http.NewResponseController(w).Flush()
				<-r.Context().Done() // the server sees the connection close
				close(stopped)
			})
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			message, err := client.Stream(ctx, llm.Request{}, func(llm.Event) error { return tt.leave(cancel) })
			if !errors.Is(err, gone) || llm.ClassOf(err) != "" {
				t.Errorf("error is %v, want the one that the reader left with", err)
			}
			if message.Text() != "half" {
				t.Errorf("what had arrived is %q", message.Text())
			}
			<-stopped
		})
	}
}

func TestASilentServerIsGivenUp(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opts Options
		head string // what is sent before the silence
		want string
	}{
		{"before the answer", Options{HeaderTimeout: 20 * time.Millisecond}, "", "cannot reach http://127.0.0.1:"},
		{"in the answer", Options{IdleTimeout: 20 * time.Millisecond}, "data: " + content("half") + "\n\n", "broke off"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.opts.Streaming = true
			client := serve(t, tt.opts, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.ReadAll(r.Body) // so that the server notices when the client leaves
				if tt.head != "" {
					io.WriteString(w, tt.head)
					http.NewResponseController(w).Flush()
				}
				<-r.Context().Done()
			})
			_, _, err := ask(t, client, llm.Request{})
			e := failed(t, err)
			if e.Class != llm.Network || !strings.Contains(e.Message, tt.want) || !strings.Contains(e.Message, "no sign of life for 20ms") {
				t.Errorf("error is %s, %q", e.Class, e.Message)
			}
		})
	}
}

func TestWhatCannotBeReachedIsNamed(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	listener.Close()
	plain := httptest.NewServer(say("text/plain", "hi"))
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(say("text/plain", "hi"))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains about the client's distrust
	secure.StartTLS()
	t.Cleanup(secure.Close)
	abort := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(abort.Close)

	tests := []struct {
		name, base, want string
		class            llm.Class
	}{
		{"refused", "http://user:pass@" + closed + "/v1?key=secret", "cannot reach http://" + closed + ": connection refused", llm.Network},
		{"no such host", "http://hermes-test.invalid/v1", "cannot reach http://hermes-test.invalid: ", llm.Network},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), "the server speaks no TLS; use http:// in model.base_url", llm.Network},
		{"an unknown certificate", secure.URL, "its certificate is not trusted", llm.Network},
		{"a connection that closes", abort.URL, "the connection was closed", llm.Network},
		{"no address", "localhost:11434/v1", "model.base_url is no address", llm.BadRequest},
		{"no host", "http://", "model.base_url is no address", llm.BadRequest},
		{"another scheme", "file:///etc/passwd", "model.base_url is no address", llm.BadRequest},
		{"nothing", "", "model.base_url is no address", llm.BadRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := New(Options{BaseURL: tt.base, Model: "m"})
			t.Cleanup(client.Close)
			_, _, err := ask(t, client, llm.Request{})
			e := failed(t, err)
			if e.Class != tt.class || !strings.Contains(e.Message, tt.want) {
				t.Errorf("error is %s, %q, want %s, %q", e.Class, e.Message, tt.class, tt.want)
			}
			if strings.Contains(e.Message, "secret") || strings.Contains(e.Message, "pass") {
				t.Errorf("error %q tells too much", e.Message)
			}
			if tt.name == "refused" && !errors.Is(err, syscall.ECONNREFUSED) {
				t.Error("the cause is lost")
			}
		})
	}
}

func TestTheKeyStaysWithItsHost(t *testing.T) {
	t.Parallel()
	var strangers atomic.Int32
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strangers.Add(1) }))
	t.Cleanup(stranger.Close)
	tests := []struct {
		name     string
		status   int
		location string
		follow   bool
	}{
		{"to another host", 307, stranger.URL + "/v1/chat/completions?x=1", false},
		{"to another host for good", 308, stranger.URL, false},
		{"as a GET", 302, "/elsewhere", false},
		{"on the same host", 307, "/elsewhere", true},
		{"in a circle", 307, "/v1/chat/completions", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := serve(t, Options{APIKey: "sk-0123456789"}, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/elsewhere" {
					if r.Method != http.MethodPost || r.Header.Get("Authorization") == "" {
						t.Errorf("redirected request is %s with %v", r.Method, r.Header)
					}
					io.WriteString(w, stream(content("a"), finish("stop")))
					return
				}
				http.Redirect(w, r, tt.location, tt.status)
			})
			got, _, err := ask(t, client, llm.Request{})
			if tt.follow {
				if err != nil || got.text != "a" {
					t.Errorf("heard %q, %v", got.text, err)
				}
				return
			}
			e := failed(t, err)
			if e.Class != llm.BadRequest || !strings.Contains(e.Message, "redirects to http://127.0.0.1:") || !strings.Contains(e.Message, "model.base_url") {
				t.Errorf("error is %s, %q", e.Class, e.Message)
			}
		})
	}
	t.Cleanup(func() {
		if n := strangers.Load(); n > 0 {
			t.Errorf("%d requests went to another host", n)
		}
	})
}

// TestConnectionsAreUsedAgain asks many times, one after the other and side by
// side.
func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(say("text/event-stream", stream(content("a"), finish("stop"))))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client := New(Options{BaseURL: server.URL + "/v1", Model: "m", Streaming: true})
	t.Cleanup(client.Close)
	for range 20 {
		if got, _, err := ask(t, client, llm.Request{}); err != nil || got.text != "a" {
			t.Fatalf("heard %q, %v", got.text, err)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("20 calls took %d connections", n)
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if got, _, err := ask(t, client, llm.Request{}); err != nil || got.text != "a" {
				t.Errorf("heard %q, %v", got.text, err)
			}
		})
	}
	wg.Wait()
}

// TestAServerThatNeverClosesItsStream must not keep the answer from its reader.
func TestAServerThatNeverClosesItsStream(t *testing.T) {
	t.Parallel()
	client := serve(t, Options{Streaming: true}, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, stream(content("a"), finish("stop")))
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	if got, _, err := ask(t, client, llm.Request{}); err != nil || got.text != "a" {
		t.Errorf("heard %q, %v", got.text, err)
	}
}

func TestAnAnswerWithoutEndIsCut(t *testing.T) {
	t.Parallel()
	client := serve(t, Options{Streaming: true}, func(w http.ResponseWriter, _ *http.Request) {
		chunk := []byte("data: " + content(strings.Repeat("x", 100_000)) + "\n\n")
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	size := 0
	_, err := client.Stream(t.Context(), llm.Request{}, func(event llm.Event) error {
		if text, ok := event.(llm.Text); ok {
			size += len(text.JSON)
		}
		return nil
	})
	if e := failed(t, err); e.Class != llm.Malformed || !strings.Contains(e.Message, "longer than 32 MiB") || size > upstream.MaxAnswer {
		t.Errorf("after %d bytes the error is %v", size, err)
	}
}
