package api_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/llm"
	"hermes/worker/store"
)

// protected is an endpoint with a request for it, streamed or not.
type protected struct{ name, path, whole, stream string }

func protectedRequests() []protected {
	return []protected{
		{"chat", "/v1/chat/completions", hello, helloSSE},
		{"responses", "/v1/responses", `{"input":"hello"}`, `{"input":"hello","stream":true}`},
	}
}

// counting is a turn that says how often it ran, with a tool in between.
func counting(ran *atomic.Int64) runs {
	return func(_ context.Context, _ agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
		words := fmt.Sprint("run ", ran.Add(1))
		emit(started("c1", "💻", "pwd"))
		emit(finished("c1", "💻", "pwd", false))
		emit(text(words))
		return answered(words), nil
	}
}

// The same key and the same request give the same answer, byte for byte, and one
// run; also after a restart.
func TestTheSameKeyRunsOnce(t *testing.T) {
	t.Parallel()
	for _, request := range protectedRequests() {
		t.Run(request.name, func(t *testing.T) {
			t.Parallel()
			var ran atomic.Int64
			path := filepath.Join(t.TempDir(), "state.db")
			opts := stored(t, fixed(counting(&ran)))
			before := store.Open(path, store.Options{})
			opts.Store = before
			server := api.New(opts)
			first := call(t, server, "POST", request.path, request.whole, "Idempotency-Key: key-1")
			if first.status != 200 || first.header.Get("Idempotency-Replayed") != "" {
				t.Fatalf("status %d, %v: %s", first.status, first.header, first.body)
			}
			if err := before.Close(); err != nil {
				t.Fatal(err)
			}
			opts.Store = openStore(t, path)
			server = api.New(opts)
			again := call(t, server, "POST", request.path, request.whole, "Idempotency-Key: key-1")
			if again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" || ran.Load() != 1 {
				t.Errorf("%d runs, %v, and the answer\n%s\nis not\n%s", ran.Load(), again.header, again.body, first.body)
			}
			other := call(t, server, "POST", request.path, request.stream, "Idempotency-Key: key-1")
			if e := other.error(t); other.status != 409 || e.Code != "idempotency_key_conflict" || other.header.Get("X-Should-Retry") != "false" {
				t.Errorf("status %d, %v: %s", other.status, other.header, other.body)
			}
			if fresh := call(t, server, "POST", request.path, request.whole, "Idempotency-Key: key-2"); fresh.body == first.body || ran.Load() != 2 {
				t.Errorf("%d runs, and a new key got %s", ran.Load(), fresh.body)
			}
		})
	}
}

// A stream is given again as a stream of what came of it.
func TestTheSameKeyOfAStream(t *testing.T) {
	t.Parallel()
	for _, request := range protectedRequests() {
		var ran atomic.Int64
		server := api.New(stored(t, fixed(counting(&ran))))
		first := call(t, server, "POST", request.path, request.stream, "Idempotency-Key: key-1")
		again := call(t, server, "POST", request.path, request.stream, "Idempotency-Key: key-1")
		third := call(t, server, "POST", request.path, request.stream, "Idempotency-Key: key-1")
		if ran.Load() != 1 || again.header.Get("Idempotency-Replayed") != "true" || again.body != third.body {
			t.Errorf("%s: %d runs, %v, %s", request.name, ran.Load(), again.header, again.body)
		}
		if request.name == "chat" {
			if said := checkStream(t, again.body); said != "run 1" || firstID(first.body) != firstID(again.body) {
				t.Errorf("the stream says %q: %s", said, again.body)
			}
			continue
		}
		if a, b := lastResponse(t, first.body), lastResponse(t, again.body); a.ID != b.ID || kinds(a) != kinds(b) || b.Status != "completed" {
			t.Errorf("%s is not %s", kinds(b), kinds(a))
		}
	}
}

// firstID is the id of the first chunk of a chat stream.
func firstID(stream string) string {
	_, rest, _ := strings.Cut(stream, `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// Requests that come while the first one runs wait for its answer.
func TestDuplicatesAreJoined(t *testing.T) {
	t.Parallel()
	for _, request := range protectedRequests() {
		for _, header := range []string{"Idempotency-Key: k", "X-Stainless-Retry-Count: 1"} {
			var ran atomic.Int64
			begun, open := make(chan bool, 10), make(chan bool)
			count := counting(&ran)
			server := api.New(stored(t, fixed(runs(func(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
				begun <- true
				<-open
				return count(ctx, turn, emit)
			}))))
			answers := make([]answer, 5)
			var clients sync.WaitGroup
			for i := range answers {
				clients.Go(func() { answers[i] = call(t, server, "POST", request.path, request.whole, header) })
			}
			receive(t, begun, "a run")
			close(open)
			clients.Wait()
			replayed := 0
			for _, answer := range answers {
				if answer.body != answers[0].body || answer.status != 200 {
					t.Errorf("%s, %s: status %d: %s", request.name, header, answer.status, answer.body)
				}
				if answer.header.Get("Idempotency-Replayed") != "" {
					replayed++
				}
			}
			if ran.Load() != 1 || replayed != 4 {
				t.Errorf("%s, %s: %d runs, %d replays", request.name, header, ran.Load(), replayed)
			}
		}
	}
}

// An SDK that sends a request again by itself gets the answer of the first try. A
// person who says the same thing twice is answered twice.
func TestRetriesOfSDKs(t *testing.T) {
	t.Parallel()
	for _, request := range protectedRequests() {
		var ran atomic.Int64
		server := api.New(stored(t, fixed(counting(&ran))))
		send := func(count string) answer {
			return call(t, server, "POST", request.path, request.whole, "X-Stainless-Retry-Count: "+count)
		}
		first := send("0")
		if again := send("1"); again.body != first.body || ran.Load() != 1 {
			t.Errorf("%s: a retry ran (%d): %s", request.name, ran.Load(), again.body)
		}
		second := send("0")
		if second.body == first.body || ran.Load() != 2 {
			t.Errorf("%s: a new request did not run (%d): %s", request.name, ran.Load(), second.body)
		}
		if again := send("2"); again.body != second.body || ran.Load() != 2 {
			t.Errorf("%s: a retry got %s", request.name, again.body)
		}
		if odd := send("many"); odd.status != 200 || ran.Load() != 3 {
			t.Errorf("%s: status %d, %d runs", request.name, odd.status, ran.Load())
		}
	}
}

// What failed before a tool ran may be tried again; what failed later may not, and
// says so again.
func TestFailuresAndKeys(t *testing.T) {
	t.Parallel()
	broken := &llm.Error{Class: llm.Overloaded, Message: "Overloaded."}
	for _, request := range protectedRequests() {
		for _, body := range []string{request.whole, request.stream} {
			for _, header := range []string{"Idempotency-Key: k", "X-Stainless-Retry-Count: 1"} {
				var ran atomic.Int64
				runner := &toolRecord{}
				opts := stored(t, fixed(runner))
				runner.store = opts.Store.(*store.Store)
				server := api.New(opts)
				send := func() answer { return call(t, server, "POST", request.path, body, header) }

				runner.run = script(nil, agent.Result{}, broken)
				if got := send(); !strings.Contains(got.body, "Overloaded.") {
					t.Errorf("the first answer is %s", got.body)
				}
				runner.run, runner.tool = script([]agent.Event{started("c1", "💻", "pwd"), finished("c1", "💻", "pwd", false)}, agent.Result{}, broken), true
				acted := send()
				if !strings.Contains(acted.body, "Overloaded.") || acted.header.Get("Idempotency-Replayed") != "" {
					t.Errorf("%s: what failed at once was not tried again: %s", request.name, acted.body)
				}
				runner.run = counting(&ran)
				got := send()
				if ran.Load() != 0 || got.header.Get("Idempotency-Replayed") != "true" || !strings.Contains(got.body, "Overloaded.") {
					t.Errorf("%s %s: %d runs, %v: %s", request.name, header, ran.Load(), got.header, got.body)
				}
				if got.status >= 400 && got.header.Get("X-Should-Retry") != "false" {
					t.Errorf("%s: SDKs would go on: %v", request.name, got.header)
				}
			}
		}
	}
}

// toolRecord is a Runner that records as an agent does, as far as claims look at
// it.
type toolRecord struct {
	store *store.Store
	run   runs
	tool  bool
}

func (r *toolRecord) Run(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
	begin := store.Run{ID: turn.RunID, Began: time.Now()}
	if err := r.store.BeginRun(ctx, store.Session{ID: turn.RunID}, begin, store.Message{Body: []byte("{}")}); err != nil {
		return agent.Result{}, err
	}
	if r.tool {
		call := []store.ToolCall{{ID: "c1", Name: "terminal", Arguments: "{}"}}
		if err := r.store.AppendAssistant(ctx, turn.RunID, store.Message{Body: []byte("{}")}, call); err != nil {
			return agent.Result{}, err
		}
		if err := r.store.StartTool(ctx, turn.RunID, "c1", time.Now()); err != nil {
			return agent.Result{}, err
		}
	}
	return r.run(ctx, turn, emit)
}

func (r *toolRecord) Complete(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
	return r.run.Complete(ctx, turn, emit)
}

func (r *toolRecord) HasTool(name string) bool { return r.run.HasTool(name) }

// Who sends a key counts on the answer: the run goes on when the connection is
// lost, and the next try gets it.
func TestAKeyOutlivesItsConnection(t *testing.T) {
	t.Parallel()
	for _, endpoint := range protectedRequests() {
		g := newGated()
		_, base := serve(t, stored(t, fixed(runs(g.run))))
		ctx, leave := context.WithCancel(t.Context())
		go func() {
			<-g.began
			leave()
		}()
		if response, err := tryRequest(ctx, "POST", base+endpoint.path, endpoint.whole, "Idempotency-Key: k"); err == nil {
			t.Errorf("%s: the client got %d", endpoint.name, response.StatusCode)
			response.Body.Close()
		}
		close(g.open) // only now, lest the answer is faster than the leaving
		got := readAll(t, request(t.Context(), t, "POST", base+endpoint.path, endpoint.whole, "Idempotency-Key: k"))
		if !strings.Contains(got, "It is done") || len(g.began) != 0 {
			t.Errorf("%s: the second try got %s", endpoint.name, got)
		}
	}
}

func TestBackgroundResponsesWithKeys(t *testing.T) {
	t.Parallel()
	g := newGated()
	server := api.New(stored(t, fixed(runs(g.run))))
	const body = `{"input":"x","background":true}`
	first := call(t, server, "POST", "/v1/responses", body, "Idempotency-Key: k")
	again := call(t, server, "POST", "/v1/responses", body, "Idempotency-Key: k")
	if first.body != again.body || decodeResponse(t, again.body).Status != "queued" {
		t.Errorf("again it is %s", again.body)
	}
	const streamed = `{"input":"x","background":true,"stream":true}`
	follow := make(chan answer, 2)
	for range 2 {
		go func() { follow <- call(t, server, "POST", "/v1/responses", streamed, "Idempotency-Key: s") }()
	}
	receive(t, g.began, "a turn")
	receive(t, g.began, "a turn")
	close(g.open)
	one, two := receive(t, follow, "a stream"), receive(t, follow, "a stream")
	if one.body != two.body || lastResponse(t, one.body).Status != "completed" || len(g.began) != 0 {
		t.Errorf("the streams are\n%s\nand\n%s", one.body, two.body)
	}
}

func TestWrongKeys(t *testing.T) {
	t.Parallel()
	for _, request := range protectedRequests() {
		server := api.New(stored(t, fixed(says("hi"))))
		for name, key := range map[string]string{"long": strings.Repeat("k", 256), "spaces": "a b", "not ASCII": "schlüssel", "control": "a\x01"} {
			got := call(t, server, "POST", request.path, request.whole, "Idempotency-Key: "+key)
			if got.status != 400 || got.error(t).Code != "invalid_idempotency_key" {
				t.Errorf("%s: status %d: %s", name, got.status, got.body)
			}
		}
		if got := call(t, server, "POST", request.path, request.whole, "Idempotency-Key: "+strings.Repeat("k", 255)); got.status != 200 {
			t.Errorf("the longest key: status %d: %s", got.status, got.body)
		}
		// Of a request that is refused, nothing is kept.
		if got := call(t, server, "POST", request.path, `{}`, "Idempotency-Key: wrong"); got.status != 400 {
			t.Errorf("status %d", got.status)
		}
		if got := call(t, server, "POST", request.path, request.whole, "Idempotency-Key: wrong"); got.status != 200 {
			t.Errorf("after a refused request: status %d: %s", got.status, got.body)
		}
	}
}

// The answer to a request whose process died after a tool had begun.
func TestKeysOfADeadProcess(t *testing.T) {
	t.Parallel()
	for _, request := range protectedRequests() {
		path := filepath.Join(t.TempDir(), "state.db")
		dead := store.Open(path, store.Options{})
		runner := &toolRecord{store: dead, tool: true}
		hang := make(chan bool)
		runner.run = func(ctx context.Context, _ agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
			emit(started("c1", "💻", "pwd"))
			hang <- true
			<-hang
			return agent.Result{}, context.Canceled
		}
		opts := stored(t, fixed(runner))
		opts.Store = dead
		first := make(chan bool)
		go func() {
			call(t, api.New(opts), "POST", request.path, request.whole, "Idempotency-Key: k")
			first <- true
		}()
		receive(t, hang, "the run")
		dead.Close() // as a process that is gone: its rows stay in flight

		opts.Store = openStore(t, path)
		server := api.New(opts)
		for range 2 {
			got := call(t, server, "POST", request.path, request.whole, "Idempotency-Key: k")
			if got.status != 500 || got.error(t).Code != "run_interrupted" || got.header.Get("X-Should-Retry") != "false" {
				t.Errorf("%s: status %d, %v: %s", request.name, got.status, got.header, got.body)
			}
		}
		hang <- true
		receive(t, first, "the first request")
	}
}

// fullDisk is a store whose disk can be full.
type fullDisk struct {
	api.Store
	full atomic.Bool
}

func (f *fullDisk) PutResponse(ctx context.Context, r store.Response, put store.Put) error {
	if f.full.Load() {
		return store.ErrFull
	}
	return f.Store.PutResponse(ctx, r, put)
}

func (f *fullDisk) FinishIdempotent(ctx context.Context, finish store.Finish) error {
	if f.full.Load() {
		return store.ErrFull
	}
	return f.Store.FinishIdempotent(ctx, finish)
}

func (f *fullDisk) ForgetIdempotent(ctx context.Context, scope, key string) (bool, error) {
	if f.full.Load() {
		return false, store.ErrFull
	}
	return f.Store.ForgetIdempotent(ctx, scope, key)
}

// A claim whose end could not be stored does not hold its key for as long as the
// process lives. What ran before a tool began may run again, nothing else.
func TestAKeyOutlivesAFullDisk(t *testing.T) {
	t.Parallel()
	for _, request := range protectedRequests() {
		for _, header := range []string{"Idempotency-Key: k", "X-Stainless-Retry-Count: 1"} {
			var ran atomic.Int64
			opts := stored(t, fixed(nil))
			disk := &fullDisk{Store: opts.Store}
			opts.Store = disk
			opts.Agent = runs(func(context.Context, agent.Turn, func(agent.Event) error) (agent.Result, error) {
				disk.full.Store(ran.Add(1) == 1)
				return answered("done"), nil
			})
			server := api.New(opts)
			call(t, server, "POST", request.path, request.whole, header)
			disk.full.Store(false)
			again := make(chan answer, 1)
			go func() { again <- call(t, server, "POST", request.path, request.whole, header) }()
			if got := receive(t, again, "the answer"); got.status != 200 || ran.Load() != 2 {
				t.Errorf("%s, %s: %d runs, status %d: %s", request.name, header, ran.Load(), got.status, got.body)
			}
		}
	}
}
