package api_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hermes/worker/agent"
	"hermes/worker/api"
)

// reply is an answer that was read in the background.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

// read reads an answer from c.
func read(c net.Conn) <-chan reply {
	out := make(chan reply, 1)
	go func() {
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			out <- reply{err: err}
			return
		}
		body, err := io.ReadAll(response.Body)
		out <- reply{response.StatusCode, response.Header, string(body), err}
	}()
	return out
}

// slow is a turn that says a word, takes a minute, and says another one.
func slow(ctx context.Context, _ agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
	emit(text("Hel"))
	select {
	case <-time.After(time.Minute):
	case <-ctx.Done():
		return agent.Result{}, context.Cause(ctx)
	}
	emit(text("lo"))
	return answered("Hello"), nil
}

func TestADrainWaitsForWhatRuns(t *testing.T) {
	t.Parallel()
	inBubble(t, fixed(runs(slow)), func(b *bubble) {
		began := time.Now()
		stream, whole := read(b.send(helloSSE)), read(b.send(hello))
		synctest.Wait()
		patient, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
		defer cancel()
		if err := b.server.Drain(patient); err != nil {
			b.Errorf("drain: %v", err)
		}
		// And a moment more: the connection is kept, and its client may ask again.
		if took := time.Since(began); took < time.Minute || took > time.Minute+time.Second {
			b.Errorf("the drain took %v, want 1m", took)
		}
		if got := <-stream; got.err != nil || checkStream(b, got.body) != "Hello" {
			b.Errorf("the stream is %+v", got)
		}
		if got := <-whole; got.err != nil || got.status != 200 {
			b.Errorf("the answer is %+v", got)
		}
		select {
		case b.accept <- nil:
			b.Error("a connection was accepted after the drain")
		default:
		}
	})
}

func TestADrainCutsWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	opts := fixed(runs(slow))
	opts.MaxConcurrentRuns = 2
	inBubble(t, opts, func(b *bubble) {
		began := time.Now()
		stream, whole := read(b.send(helloSSE)), read(b.send(hello))
		synctest.Wait()
		waiting := read(b.send(hello)) // for a place
		synctest.Wait()
		hasty, cancel := context.WithTimeout(b.Context(), 5*time.Second)
		defer cancel()
		if err := b.server.Drain(hasty); err != nil {
			b.Errorf("drain: %v", err)
		}
		if took := time.Since(began); took != 5*time.Second {
			b.Errorf("the drain took %v, want 5s", took)
		}
		got := <-stream
		if got.err != nil || !strings.Contains(got.body, `"code":"server_shutting_down"`) || checkStream(b, got.body) != "Hel" {
			b.Errorf("the stream is %+v", got)
		}
		for _, answer := range []<-chan reply{whole, waiting} {
			if got := <-answer; got.status != 503 || got.header.Get("Retry-After") != "5" || got.header.Get("Connection") != "close" && got.header.Get("Connection") != "" ||
				!strings.Contains(got.body, "server_shutting_down") {
				b.Errorf("the answer is %+v", got)
			}
		}
	})
}

func TestADrainCutsDetachedTurnsToo(t *testing.T) {
	t.Parallel()
	var ended error
	opts := fixed(runs(func(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
		result, err := slow(ctx, turn, emit)
		ended = err
		return result, err
	}))
	opts.OnDisconnect = api.Detach
	inBubble(t, opts, func(b *bubble) {
		c := b.send(helloSSE)
		synctest.Wait()
		c.Close()
		synctest.Wait()
		began := time.Now()
		hasty, cancel := context.WithTimeout(b.Context(), 5*time.Second)
		defer cancel()
		if err := b.server.Drain(hasty); err != nil {
			b.Errorf("drain: %v", err)
		}
		if took := time.Since(began); took != 5*time.Second || ended == nil || !strings.Contains(ended.Error(), "shutting down") {
			b.Errorf("the turn ended after %v with %v", took, ended)
		}
	})
}

func TestTheEndOfTheContextIsADrainWithoutTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		server := api.New(fixed(runs(slow)))
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error)
		go func() { served <- server.Serve(ctx, p) }()
		stream := read(p.send(helloSSE))
		synctest.Wait()
		began := time.Now()
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
		if got := <-stream; !strings.Contains(got.body, "server_shutting_down") {
			t.Errorf("the stream is %+v", got)
		}
		if err := server.Drain(ctx); err != nil {
			t.Errorf("drain after the drain: %v", err)
		}
	})
}

func TestRequestsThatComeDuringADrain(t *testing.T) {
	t.Parallel()
	inBubble(t, fixed(runs(slow)), func(b *bubble) {
		keeps := func() (net.Conn, *bufio.Reader) {
			mine, theirs := net.Pipe()
			b.accept <- theirs
			return mine, bufio.NewReader(mine)
		}
		ask := func(c net.Conn, r *bufio.Reader, path string) *http.Response {
			io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+testKey+"\r\n\r\n")
			response, err := http.ReadResponse(r, nil)
			if err != nil {
				b.Fatalf("%s: %v", path, err)
			}
			body, err := io.ReadAll(response.Body)
			if err != nil {
				b.Fatalf("%s: %v", path, err)
			}
			response.Body = io.NopCloser(strings.NewReader(string(body)))
			return response
		}
		kept, keptReader := keeps()
		if got := ask(kept, keptReader, "/v1/models"); got.StatusCode != http.StatusOK {
			b.Errorf("before: %d", got.StatusCode)
		}
		fresh, freshReader := keeps() // accepted, and silent so far
		running := read(b.send(helloSSE))
		synctest.Wait()
		drained := make(chan error, 1)
		go func() { drained <- b.server.Drain(b.Context()) }()
		synctest.Wait()

		got := ask(kept, keptReader, "/v1/models")
		if got.StatusCode != http.StatusOK || !got.Close {
			b.Errorf("the next request on a connection that was kept: %d %v", got.StatusCode, got.Header)
		}
		if got := ask(fresh, freshReader, "/v1/models"); got.StatusCode != http.StatusOK || !got.Close {
			b.Errorf("the first request on a connection: %d %v", got.StatusCode, got.Header)
		}
		if err := <-drained; err != nil {
			b.Errorf("drain: %v", err)
		}
		if got := <-running; checkStream(b, got.body) != "Hello" {
			b.Errorf("the stream is %+v", got)
		}
		kept.Close()
		fresh.Close()
	})
}

func TestADrainAnswersOnceMoreOnKeptConnections(t *testing.T) {
	t.Parallel()
	inBubble(t, fixed(runs(slow)), func(b *bubble) {
		mine, theirs := net.Pipe()
		defer mine.Close()
		b.accept <- theirs
		reader := bufio.NewReader(mine)
		ask := func() *http.Response {
			b.Helper()
			io.WriteString(mine, "GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+testKey+"\r\n\r\n")
			response, err := http.ReadResponse(reader, nil)
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(io.Discard, response.Body)
			return response
		}
		ask()
		synctest.Wait() // until the connection waits for the next request
		drained := make(chan error, 1)
		go func() { drained <- b.server.Drain(b.Context()) }()
		synctest.Wait() // nothing runs: but for the connection that was kept it would be over
		if got := ask(); got.StatusCode != http.StatusOK || !got.Close {
			b.Errorf("a request that crosses the drain: %d %v", got.StatusCode, got.Header)
		}
		if err := <-drained; err != nil {
			b.Errorf("drain: %v", err)
		}
	})
}

func TestADrainDoesNotWaitForSilentConnections(t *testing.T) {
	t.Parallel()
	inBubble(t, fixed(says("hi")), func(b *bubble) {
		mine, theirs := net.Pipe()
		b.accept <- theirs
		synctest.Wait()
		began := time.Now()
		if err := b.server.Drain(b.Context()); err != nil {
			b.Errorf("drain: %v", err)
		}
		if took := time.Since(began); took != time.Second {
			b.Errorf("the drain took %v, want 1s", took)
		}
		mine.Close()
	})
}

func TestADrainGivesUpOnClientsThatDoNotRead(t *testing.T) {
	t.Parallel()
	inBubble(t, fixed(runs(slow)), func(b *bubble) {
		c := b.send(helloSSE) // and reads nothing
		synctest.Wait()
		began := time.Now()
		hasty, cancel := context.WithTimeout(b.Context(), 5*time.Second)
		defer cancel()
		if err := b.server.Drain(hasty); err == nil {
			b.Error("the drain says that all went well")
		}
		if took := time.Since(began); took != 8*time.Second {
			b.Errorf("the drain took %v, want 8s", took)
		}
		c.Close()
		time.Sleep(time.Minute)
	})
}

func TestADrainBeforeServing(t *testing.T) {
	t.Parallel()
	server := api.New(fixed(says("hi")))
	if err := server.Drain(t.Context()); err != nil {
		t.Errorf("drain: %v", err)
	}
	if err := server.Serve(t.Context(), newPipes()); err != nil {
		t.Errorf("serve: %v", err)
	}
}

// brokenListener cannot accept.
type brokenListener struct{ *pipes }

var errBroken = errors.New("out of order")

func (brokenListener) Accept() (net.Conn, error) { return nil, errBroken }

func TestABrokenListenerEndsServing(t *testing.T) {
	t.Parallel()
	err := api.New(fixed(says("hi"))).Serve(t.Context(), brokenListener{newPipes()})
	if !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

// No request that was accepted is lost when a server drains under load and
// another one takes over its port, as happens when a worker is replaced.
func TestNoRequestIsLostWhenServersChange(t *testing.T) {
	t.Parallel()
	first, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// The supervisor's copy, from which each worker gets its own.
	file, err := first.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	first.Close()

	stop := make(chan struct{})
	var clients, servers sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				body := hello
				if n%2 == 0 {
					body = helloSSE
				}
				response, err := post(t.Context(), "http://"+first.Addr().String(), body)
				if err != nil {
					t.Errorf("a request got no answer: %v", err)
					return
				}
				if _, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
					t.Errorf("got %d, %v", response.StatusCode, err)
				}
				response.Body.Close()
			}
		})
	}
	var old *api.Server
	for range 20 {
		l, err := net.FileListener(file)
		if err != nil {
			t.Fatal(err)
		}
		next := api.New(fixed(says("hi")))
		servers.Go(func() {
			if err := next.Serve(context.WithoutCancel(t.Context()), l); err != nil {
				t.Errorf("serve: %v", err)
			}
		})
		if old != nil {
			if err := old.Drain(t.Context()); err != nil {
				t.Errorf("drain: %v", err)
			}
		}
		old = next
	}
	close(stop)
	clients.Wait()
	old.Drain(t.Context())
	servers.Wait()
}
