package api_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hermes/worker/agent"
	"hermes/worker/api"
)

// pipes is a listener in memory, so that a server's timers can be watched by
// synctest.
type pipes struct {
	accept chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// dial connects and sends a chat request.
func (p *pipes) send(body string) net.Conn {
	mine, theirs := net.Pipe()
	p.accept <- theirs
	head := "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAuthorization: Bearer " + testKey + "\r\n"
	go io.WriteString(mine, head+"Content-Length: "+itoa(len(body))+"\r\n\r\n"+body)
	return mine
}

func itoa(n int) string {
	digits := ""
	for ; n > 0; n /= 10 {
		digits = string(rune('0'+n%10)) + digits
	}
	return digits
}

// bubble is a server whose clock stands still until everybody waits.
type bubble struct {
	*testing.T
	*pipes
	server *api.Server
}

// inBubble serves while test runs.
func inBubble(t *testing.T, opts api.Options, test func(*bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		server := api.New(opts)
		served := make(chan error)
		go func() { served <- server.Serve(context.Background(), p) }()
		test(&bubble{t, p, server})
		over, cancel := context.WithCancel(t.Context())
		cancel()
		server.Drain(over)
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

func TestAClientThatGoesStopsItsTurn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, body string }{{"stream", helloSSE}, {"no stream", hello}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			running := make(chan agent.Turn, 1)
			stopped := make(chan time.Time, 1)
			_, base := serve(t, fixed(runs(func(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
				emit(text("Hel"))
				running <- turn
				<-ctx.Done()
				stopped <- time.Now()
				return agent.Result{}, ctx.Err()
			})))
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				response, err := post(ctx, base, test.body)
				if err == nil {
					_, err = io.ReadAll(response.Body)
					response.Body.Close()
				}
				done <- err
			}()
			receive(t, running, "the turn")
			left := time.Now()
			cancel()
			if took := receive(t, stopped, "the end of the turn").Sub(left); took > 10*time.Second {
				t.Errorf("the turn went on for %v", took)
			}
			if err := receive(t, done, "the client"); err == nil {
				t.Error("the client got a whole answer")
			}
		})
	}
}

func TestDetachedTurnsOutliveTheirClient(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, body string }{{"stream", helloSSE}, {"no stream", hello}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			running, goOn := make(chan context.Context, 1), make(chan struct{})
			ended := make(chan error, 1)
			opts := fixed(runs(func(ctx context.Context, _ agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
				running <- ctx
				<-goOn
				for range 10_000 {
					if err := emit(text("to nobody")); err != nil {
						ended <- err
						return agent.Result{}, err
					}
				}
				ended <- ctx.Err()
				return answered("done"), nil
			}))
			opts.OnDisconnect = api.Detach
			_, base := serve(t, opts)
			ctx, cancel := context.WithCancel(t.Context())
			left := make(chan struct{})
			go func() {
				defer close(left)
				if response, err := post(ctx, base, test.body); err == nil {
					io.ReadAll(response.Body)
					response.Body.Close()
				}
			}()
			turn := receive(t, running, "the turn")
			cancel()
			receive(t, left, "the client to go")
			close(goOn)
			if err := receive(t, ended, "the end of the turn"); err != nil {
				t.Errorf("the turn was stopped: %v", err)
			}
			if turn.Value(http.ServerContextKey) == nil {
				t.Error("the turn lost the values of its request")
			}
		})
	}
}

func TestSilenceIsFilledWithComments(t *testing.T) {
	t.Parallel()
	opts := fixed(runs(func(_ context.Context, _ agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
		time.Sleep(35 * time.Second) // of synctest's clock
		emit(text("Hel"))
		time.Sleep(9 * time.Second)
		emit(text("lo"))
		time.Sleep(9 * time.Second)
		return answered("Hello"), nil
	}))
	inBubble(t, opts, func(b *bubble) {
		began := time.Now()
		response, err := http.ReadResponse(bufio.NewReader(b.send(helloSSE)), nil)
		if err != nil {
			b.Fatal(err)
		}
		if took := time.Since(began); took != 0 {
			b.Errorf("the headers took %v", took)
		}
		var got []string
		lines := bufio.NewScanner(response.Body)
		for lines.Scan() {
			switch line := lines.Text(); {
			case strings.HasPrefix(line, ":"):
				got = append(got, line+" at "+time.Since(began).String())
			case strings.Contains(line, `"content":"`) && !strings.Contains(line, `"role"`):
				got = append(got, "text at "+time.Since(began).String())
			}
		}
		want := []string{": keepalive at 10s", ": keepalive at 20s", ": keepalive at 30s", "text at 35s", "text at 44s"}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			b.Errorf("got\n%s", strings.Join(got, "\n"))
		}
	})
}

func TestAClientThatDoesNotReadIsDropped(t *testing.T) {
	t.Parallel()
	var stopped time.Time
	opts := fixed(runs(func(ctx context.Context, _ agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
		for ctx.Err() == nil {
			if err := emit(text(strings.Repeat("x", 10_000))); err != nil {
				break
			}
		}
		<-ctx.Done()
		stopped = time.Now()
		return agent.Result{}, context.Cause(ctx)
	}))
	inBubble(t, opts, func(b *bubble) {
		began := time.Now()
		c := b.send(helloSSE)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if took := stopped.Sub(began); took != 30*time.Second {
			b.Errorf("the turn was stopped after %v, want 30s", took)
		}
		c.Close()
	})
}

func TestASlowBodyIsNotWaitedForForever(t *testing.T) {
	t.Parallel()
	inBubble(t, fixed(says("hi")), func(b *bubble) {
		mine, theirs := net.Pipe()
		b.accept <- theirs
		began := time.Now()
		go func() {
			io.WriteString(mine, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+testKey+"\r\nContent-Length: 9\r\n\r\n")
			for _, piece := range []string{"{", " ", " "} { // slow, but it moves
				time.Sleep(20 * time.Second)
				io.WriteString(mine, piece)
			}
		}()
		response, err := http.ReadResponse(bufio.NewReader(mine), nil)
		if err != nil {
			b.Fatal(err)
		}
		response.Body.Close()
		if took := time.Since(began); response.StatusCode != http.StatusRequestTimeout || took != 90*time.Second {
			b.Errorf("got %d after %v, want 408 after 90s", response.StatusCode, took)
		}
		mine.Close()
	})
}

func TestAConnectionThatSaysNothingIsClosed(t *testing.T) {
	t.Parallel()
	inBubble(t, fixed(says("hi")), func(b *bubble) {
		began := time.Now()
		mine, theirs := net.Pipe()
		b.accept <- theirs
		io.WriteString(mine, "GET / HTTP/1.1\r\n")
		io.ReadAll(mine)
		if took := time.Since(began); took != 10*time.Second {
			b.Errorf("half a header is waited for %v", took)
		}
		mine.Close()
	})
}

// A panic after the first byte must not look like the end of the answer.
func TestAPanicInAStreamCutsIt(t *testing.T) {
	t.Parallel()
	_, base := serve(t, fixed(runs(func(_ context.Context, _ agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
		emit(text("Hel"))
		panic("out of order")
	})))
	response, err := post(t.Context(), base, helloSSE)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(string(body), "Hel") {
		t.Errorf("got %q, %v", body, err)
	}
}

func TestMoreHoldsTheFlushBack(t *testing.T) {
	t.Parallel()
	var goOn chan struct{} // of the bubble
	opts := fixed(runs(func(_ context.Context, _ agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
		emit(agent.Text{JSON: quote("one"), More: true})
		emit(agent.Text{JSON: quote("two"), More: true})
		<-goOn
		emit(agent.Text{JSON: quote("three")})
		<-goOn
		return answered("x"), nil
	}))
	inBubble(t, opts, func(b *bubble) {
		goOn = make(chan struct{})
		response, err := http.ReadResponse(bufio.NewReader(b.send(helloSSE)), nil)
		if err != nil {
			b.Fatal(err)
		}
		var got strings.Builder
		done := make(chan struct{})
		go func() {
			defer close(done)
			io.Copy(&got, response.Body)
		}()
		synctest.Wait()
		if strings.Contains(got.String(), "one") || !strings.Contains(got.String(), `"role"`) {
			b.Errorf("before the flush: %s", got.String())
		}
		goOn <- struct{}{}
		synctest.Wait()
		if !strings.Contains(got.String(), "one") || !strings.Contains(got.String(), "three") {
			b.Errorf("after the flush: %s", got.String())
		}
		goOn <- struct{}{}
		<-done
		checkStream(b, got.String())
	})
}
