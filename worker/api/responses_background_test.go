package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
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

// gated is a turn that says one thing, waits, and says another.
type gated struct {
	began chan agent.Turn
	open  chan struct{}
	ended chan error
}

func newGated() *gated {
	return &gated{make(chan agent.Turn, 10), make(chan struct{}), make(chan error, 10)}
}

func (g *gated) run(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
	call := llm.ToolCall{ID: "c1", Name: "terminal", Arguments: "{}"}
	emit(agent.ToolStarted{Call: call, Emoji: "💻", Label: "wait"})
	g.began <- turn
	select {
	case <-g.open:
	case <-ctx.Done():
		g.ended <- context.Cause(ctx)
		partial := answered("stopped")
		return partial, context.Cause(ctx)
	}
	emit(agent.ToolFinished{Call: call, Emoji: "💻", Label: "wait", Output: "ok"})
	for _, word := range strings.SplitAfter("It is done, after quite some time and many words. ", " ") {
		emit(text(word))
	}
	g.ended <- nil
	return answered("It is done, after quite some time and many words. "), nil
}

// tryRequest sends a request over the network and returns the answer, whose body
// the caller closes.
func tryRequest(ctx context.Context, method, url, body string, header ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+testKey)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	return (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
}

// request is tryRequest where there must be an answer.
func request(ctx context.Context, t *testing.T, method, url, body string, header ...string) *http.Response {
	t.Helper()
	response, err := tryRequest(ctx, method, url, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func readAll(t *testing.T, response *http.Response) string {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	return string(body)
}

// A response in the background is there at once, goes on without its client, and
// can be read and followed from any event while it runs and afterwards.
func TestResponsesInTheBackground(t *testing.T) {
	t.Parallel()
	for _, conversation := range []string{"", `,"conversation":"c"`} {
		g := newGated()
		_, base := serve(t, stored(t, fixed(runs(g.run))))
		ctx := t.Context()
		queued := decodeResponse(t, readAll(t, request(ctx, t, "POST", base+"/v1/responses", `{"input":"x","background":true`+conversation+`}`)))
		if queued.Status != "queued" || !queued.Background {
			t.Fatalf("it began as %+v", queued)
		}
		url := base + "/v1/responses/" + queued.ID
		receive(t, g.began, "the turn")
		if now := decodeResponse(t, readAll(t, request(ctx, t, "GET", url, ""))); now.Status != "in_progress" || kinds(now) != "function_call terminal" {
			t.Errorf("meanwhile it is %s, %s", now.Status, kinds(now))
		}
		beyond := request(ctx, t, "GET", url+"?stream=true&starting_after=9223372036854775807", "")
		var followers []*http.Response
		for _, after := range []string{"", "&starting_after=0", "&starting_after=5", "&starting_after=7"} {
			followers = append(followers, request(ctx, t, "GET", url+"?stream=true"+after, ""))
		}
		close(g.open)
		whole := readAll(t, followers[0])
		if got := readAll(t, beyond); got != "" {
			t.Errorf("after the highest number there is came %q", got)
		}
		events := strings.SplitAfter(whole, "\n\n")
		for i, after := range []int{0, 5, 7} {
			if got, want := readAll(t, followers[i+1]), strings.Join(events[after+1:], ""); got != want {
				t.Errorf("after %d came %q, want %q", after, got, want)
			}
		}
		for after := -1; after < len(events)-3; after++ {
			query := "?stream=true"
			if after >= 0 {
				query += fmt.Sprint("&starting_after=", after)
			}
			if got, want := readAll(t, request(ctx, t, "GET", url+query, "")), strings.Join(events[after+1:], ""); got != want {
				t.Errorf("afterwards, after %d came\n%s\nwant\n%s", after, got, want)
			}
		}
		end := lastResponse(t, whole)
		if end.Status != "completed" || kinds(end) != "function_call terminal, function_call_output ok, message It is done, after quite some time and many words. " {
			t.Errorf("it ended as %s, %s", end.Status, kinds(end))
		}
		stored := decodeResponse(t, readAll(t, request(ctx, t, "GET", url, "")))
		if stored.Status != "completed" || kinds(stored) != kinds(end) {
			t.Errorf("stored is %s", kinds(stored))
		}
	}
}

// The client that asked may go: only the stream ends.
func TestABackgroundStreamOutlivesItsClient(t *testing.T) {
	t.Parallel()
	g := newGated()
	_, base := serve(t, stored(t, fixed(runs(g.run))))
	ctx, leave := context.WithCancel(t.Context())
	stream := request(ctx, t, "POST", base+"/v1/responses", `{"input":"x","background":true,"stream":true}`)
	line, err := bufio.NewReader(stream.Body).ReadString('\n')
	if line != "event: response.created\n" {
		t.Fatalf("the stream begins with %q (%v)", line, err)
	}
	turn := receive(t, g.began, "the turn")
	leave()
	stream.Body.Close()
	close(g.open)
	if err := receive(t, g.ended, "the end"); err != nil {
		t.Errorf("the turn was stopped: %v", err)
	}
	id := "resp_" + strings.TrimPrefix(turn.RunID, "run_")
	if got := readAll(t, request(t.Context(), t, "GET", base+"/v1/responses/"+id+"?stream=true", "")); lastResponse(t, got).Status != "completed" {
		t.Errorf("it ended as %s", got)
	}
}

// Requests in the background wait without a limit of time, but not without one of
// number.
func TestTooManyInTheBackground(t *testing.T) {
	t.Parallel()
	g := newGated()
	opts := stored(t, fixed(runs(g.run)))
	opts.MaxConcurrentRuns = 1
	server := api.New(opts)
	var ids []string
	for range 2 {
		ids = append(ids, respond(t, server, `{"input":"x","background":true}`).ID)
	}
	got := call(t, server, "POST", "/v1/responses", `{"input":"x","background":true}`)
	if got.status != 429 || got.header.Get("Retry-After") == "" || got.error(t).Code != "rate_limit_exceeded" {
		t.Errorf("status %d: %s", got.status, got.body)
	}
	close(g.open)
	for _, id := range ids {
		if got := lastResponse(t, call(t, server, "GET", "/v1/responses/"+id+"?stream=true", "").body); got.Status != "completed" {
			t.Errorf("it ended as %s", got.Status)
		}
	}
}

// Who polls sees a turn of a conversation leave the queue, whatever the moment.
func TestPollsWhileTheQueueIsLeft(t *testing.T) {
	t.Parallel()
	server := api.New(stored(t, fixed(says("x"))))
	for i := range 20 {
		url := "/v1/responses/" + respond(t, server, fmt.Sprintf(`{"input":"%d","background":true,"conversation":"c"}`, i)).ID
		for decodeResponse(t, call(t, server, "GET", url, "").body).Status != "completed" {
		}
	}
}

// reading lets a test do something after a response was read and before it is used.
type reading struct {
	api.Store
	after func()
}

func (r *reading) Response(ctx context.Context, id string) (store.Response, error) {
	response, err := r.Store.Response(ctx, id)
	r.after()
	return response, err
}

// A turn that panics ends its response, and nothing else: not the process, and not
// the line of its conversation.
func TestAPanicEndsAResponse(t *testing.T) {
	t.Parallel()
	for _, how := range []string{``, `,"stream":true`, `,"background":true`, `,"background":true,"stream":true`} {
		for _, acts := range []bool{true, false} {
			ids := make(chan string, 1)
			first := sync.OnceFunc(func() { panic("on purpose") })
			server := api.New(stored(t, fixed(runs(func(_ context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
				if acts {
					emit(started("c1", "💻", "pwd"))
				}
				select {
				case ids <- "resp_" + strings.TrimPrefix(turn.RunID, "run_"):
					first()
				default:
				}
				return answered("x"), nil
			}))))
			request := `{"input":"x","conversation":"c"` + how + `}`
			got := call(t, server, "POST", "/v1/responses", request)
			id := receive(t, ids, "the turn")
			if how == "" && !acts {
				if got.status != 500 {
					t.Errorf("status %d: %s", got.status, got.body)
				}
			} else if end := lastResponse(t, call(t, server, "GET", "/v1/responses/"+id+"?stream=true", "").body); end.Status != "failed" {
				t.Errorf("%s: it ended as %s", request, end.Status)
			}
			ids <- ""
			if next := respond(t, server, `{"input":"y","conversation":"c"}`); next.Status != "completed" {
				t.Errorf("the next one ended as %s", next.Status)
			}
		}
	}
}

// A response that ends on a full disk has failed, for whoever asks, and is stored
// so when there is room again.
func TestAnEndOnAFullDisk(t *testing.T) {
	t.Parallel()
	for _, stop := range []bool{false, true} {
		g := newGated()
		opts := stored(t, fixed(runs(g.run)))
		disk := &fullDisk{Store: opts.Store}
		opts.Store = disk
		server := api.New(opts)
		url := "/v1/responses/" + respond(t, server, `{"input":"x","background":true,"conversation":"c"}`).ID
		receive(t, g.began, "the turn")
		disk.full.Store(true)
		if stop {
			if got := decodeResponse(t, call(t, server, "POST", url+"/cancel", "").body); got.Status != "failed" {
				t.Errorf("the cancellation left it %s", got.Status)
			}
		} else {
			close(g.open)
		}
		if last := lastResponse(t, call(t, server, "GET", url+"?stream=true", "").body); last.Status != "failed" {
			t.Errorf("its stream ended with %s", last.Status)
		}
		if now := decodeResponse(t, call(t, server, "GET", url, "").body); now.Status != "failed" {
			t.Errorf("on the full disk it is %s", now.Status)
		}
		disk.full.Store(false)
		if status := untilStored(t, opts.Store, strings.TrimPrefix(url, "/v1/responses/")); status != "failed" {
			t.Errorf("it is stored as %s", status)
		}
		if now := decodeResponse(t, call(t, server, "GET", url, "").body); now.Status != "failed" || now.Error == nil {
			t.Errorf("later it is %s", now.Status)
		}
	}
}

// While one process takes over from another, a response that waits in the old one
// can be deleted in the new one.
func TestADeletionByAnotherProcess(t *testing.T) {
	t.Parallel()
	g := newGated()
	opts := stored(t, fixed(runs(g.run)))
	opts.MaxConcurrentRuns = 1
	server := api.New(opts)
	respond(t, server, `{"input":"x","background":true}`)
	receive(t, g.began, "the turn")
	id := respond(t, server, `{"input":"y","background":true,"conversation":"c"}`).ID
	if err := opts.Store.DeleteResponse(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	close(g.open)
	next := make(chan answer, 1)
	go func() { next <- call(t, server, "POST", "/v1/responses", `{"input":"z","conversation":"c"}`) }()
	if got := receive(t, next, "the next answer"); got.status != http.StatusOK {
		t.Errorf("status %d: %s", got.status, got.body)
	}
	receive(t, g.began, "the next turn")
	if len(g.began) > 0 {
		t.Error("the deleted one ran")
	}
}

// The number holds too for requests that come at once.
func TestAFloodInTheBackground(t *testing.T) {
	t.Parallel()
	g := newGated()
	opts := stored(t, fixed(runs(g.run)))
	opts.MaxConcurrentRuns = 1
	server := api.New(opts)
	var accepted atomic.Int64
	var clients sync.WaitGroup
	for range 30 {
		clients.Go(func() {
			if call(t, server, "POST", "/v1/responses", `{"input":"x","background":true}`).status == http.StatusOK {
				accepted.Add(1)
			}
		})
	}
	clients.Wait()
	close(g.open)
	if n := accepted.Load(); n != 2 {
		t.Errorf("%d of 30 were accepted, and there is room for 2", n)
	}
}

// Turns of a conversation run in the order in which they were asked for, also in
// the background, where nobody waits for one before asking for the next.
func TestTheBackgroundKeepsTheOrder(t *testing.T) {
	t.Parallel()
	g := newGated()
	server := api.New(stored(t, fixed(runs(g.run))))
	var last string
	for i := range 8 {
		last = respond(t, server, fmt.Sprintf(`{"input":"%d","background":true,"conversation":"c"}`, i)).ID
	}
	close(g.open)
	if got := lastResponse(t, call(t, server, "GET", "/v1/responses/"+last+"?stream=true", "").body); got.Status != "completed" {
		t.Fatalf("the last one ended as %s", got.Status)
	}
	for i := range 8 {
		turn := receive(t, g.began, "a turn")
		if got := turn.History[len(turn.History)-1].Text(); got != fmt.Sprint(i) || len(turn.History) != 2*i+1 {
			t.Errorf("turn %d answers %s after %d messages", i, got, len(turn.History)-1)
		}
	}
}

// untilStored waits until the end of a response is stored, and returns its status.
func untilStored(t *testing.T, s api.Store, id string) string {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		response, err := s.Response(t.Context(), id)
		if err == nil && !response.InFlight() {
			return response.Status
		}
		<-tick.C
	}
	t.Fatal("the end of the response is not stored")
	return ""
}
