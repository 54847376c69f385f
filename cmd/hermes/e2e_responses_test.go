package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"hermes/worker/openai"
)

// call sends a request with a body, and returns what came as far as it came.
func (p person) call(ctx context.Context, method, path, body string, header ...string) (*http.Response, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	req.Header.Set("Content-Type", "application/json")
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp, string(got), err
}

// respond makes a response and returns it, and its bytes.
func (p person) respond(t *testing.T, body string, header ...string) (openai.Response, string) {
	t.Helper()
	resp, got, err := p.call(t.Context(), http.MethodPost, "/v1/responses", body, header...)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("response: %v %s", err, got)
	}
	return readResponse(t, got), got
}

func readResponse(t *testing.T, body string) openai.Response {
	t.Helper()
	var response openai.Response
	if err := json.Unmarshal([]byte(body), &response); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return response
}

// stored fetches a response.
func (p person) stored(t *testing.T, id string) (int, string) {
	t.Helper()
	return p.get(t, "/v1/responses/"+id)
}

// What a client was told is stored is there after any number of kills: responses,
// heads of conversations, answers to requests with a key. Of what was not
// acknowledged nothing is shown as completed that is not whole.
func TestKilledWorkerLosesNoResponse(t *testing.T) {
	t.Parallel()
	const kills, writers = 4, 3
	m := newMachine(t, true)
	alice := m.create("alice")
	m.run("-p", "alice", "config", "set", "api_server.stored_responses", "100000")
	g := m.gateway(1, "--all")

	type promise struct{ id, key, request, body string }
	var mu sync.Mutex
	var promises []promise
	turns := make([][]string, writers) // of each conversation, in order
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(promises)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for writer := range writers {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				word := fmt.Sprintf("word-%d-%d", writer, n)
				p := promise{key: "key-" + word, request: fmt.Sprintf(`{"input":"say %s","conversation":"talk-%d"}`, word, writer)}
				resp, body, err := alice.call(t.Context(), http.MethodPost, "/v1/responses", p.request, "Idempotency-Key: "+p.key)
				if err != nil || resp.StatusCode != http.StatusOK { // it was killed
					continue
				}
				p.body, p.id = body, readResponse(t, body).ID
				mu.Lock()
				promises = append(promises, p)
				turns[writer] = append(turns[writer], word)
				mu.Unlock()
			}
		})
	}
	for range kills {
		before := count()
		eventually(t, patience, "alice answers", func() bool { return count() > before+3*writers })
		if err := syscall.Kill(g.worker(alice), syscall.SIGKILL); err != nil {
			t.Fatal("kill alice's worker: ", err)
		}
	}
	before := count()
	eventually(t, patience, "alice answers again", func() bool { return count() > before+writers })
	close(stop)
	wg.Wait()

	for _, p := range promises {
		if status, body := alice.stored(t, p.id); status != http.StatusOK || body != p.body {
			t.Errorf("response %s: %d %s, was %s", p.id, status, body, p.body)
		}
		resp, body, err := alice.call(t.Context(), http.MethodPost, "/v1/responses", p.request, "Idempotency-Key: "+p.key)
		if err != nil || body != p.body || resp.Header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("key %s: %v, and the answer is %s, was %s", p.key, err, body, p.body)
		}
	}
	for writer := range writers {
		alice.respond(t, fmt.Sprintf(`{"input":"say last","conversation":"talk-%d"}`, writer))
		calls := m.upstream.Calls()
		var history []string
		for _, message := range calls[len(calls)-1].Messages {
			if word, ok := strings.CutPrefix(message.Text, "say "); ok && message.Role == "user" {
				history = append(history, word)
			}
		}
		// Turns that were not acknowledged may be among them; none that was is
		// missing, and their order is the one in which they were answered.
		rest := history
		for _, word := range turns[writer] {
			found := false
			for len(rest) > 0 && !found {
				found, rest = rest[0] == word, rest[1:]
			}
			if !found {
				t.Errorf("conversation %d has lost %s: %v", writer, word, history)
				break
			}
		}
	}
}

// A turn in the background that a crash breaks off goes on in the next worker, under
// its id and with what it has done; its conversation goes on from there. One that has
// a client does not run again by itself.
func TestKilledWorkerGoesOnInTheBackground(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	g := m.gateway(1, "--all")
	background, waited := mark(), mark()
	first, _ := alice.respond(t, `{"input":"run `+"`echo one`\\nrun `sleep "+background+"`"+`","background":true,"conversation":"c"}`)
	eventually(t, patience, "the tool runs", func() bool { return len(processes(t, background)) > 0 })
	keyed := make(chan error, 1)
	go func() {
		_, _, err := alice.call(context.WithoutCancel(t.Context()), http.MethodPost, "/v1/responses", `{"input":"run `+"`sleep "+waited+"`"+`"}`, "Idempotency-Key: k")
		keyed <- err
	}()
	eventually(t, patience, "the second tool runs", func() bool { return len(processes(t, waited)) > 0 })
	if err := syscall.Kill(g.worker(alice), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-keyed; err == nil {
		t.Error("the client of a killed worker got an answer")
	}

	var body string
	eventually(t, patience, "the response has ended", func() bool {
		_, body = alice.stored(t, first.ID)
		return readResponse(t, body).Status == "completed"
	})
	for _, want := range []string{`"output":"one\n"`, "interrupted", "sleep " + background, "You said: [The server stopped"} {
		if !strings.Contains(body, want) {
			t.Errorf("there is no %q in %s", want, body)
		}
	}
	// While its worker still has the events it sends those that came after the crash.
	if status, stream := alice.get(t, "/v1/responses/"+first.ID+"?stream=true&starting_after=1000"); status != 200 ||
		strings.Contains(stream, "event: response.created\n") || strings.Count(stream, "event: response.completed\n") != 1 {
		t.Errorf("who comes back late gets %d %s", status, stream)
	}
	if calls, left := strings.Count(body, `"type":"function_call"`), processes(t, background); calls != 2 || len(left) > 0 {
		t.Errorf("it has %d calls, and there is %v: %s", calls, left, body)
	}
	resp, body, err := alice.call(t.Context(), http.MethodPost, "/v1/responses", `{"input":"run `+"`sleep "+waited+"`"+`"}`, "Idempotency-Key: k")
	if err != nil || resp.StatusCode != http.StatusInternalServerError || !strings.Contains(body, "run_interrupted") || len(processes(t, waited)) > 0 {
		t.Errorf("a repeated request after the crash: %v %s", err, body)
	}
	alice.respond(t, `{"input":"say on","conversation":"c"}`)
	calls := m.upstream.Calls()
	var results []string
	for _, message := range calls[len(calls)-1].Messages {
		if message.Role == "tool" {
			results = append(results, message.Text)
		}
	}
	if len(results) != 2 || results[0] != "one\n" || !strings.Contains(results[1], "interrupted") {
		t.Errorf("the conversation goes on with the results %q", results)
	}
}

// A disk that no longer does as it is told ends the worker, which alone can find
// out what was written: nothing is served from a database in doubt, and no answer
// claims to be stored that may not be.
func TestFailingDiskStartsTheWorkerAnew(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only on Linux a process can make its own system calls fail")
	}
	m := newMachine(t, true)
	alice := m.create("alice")
	g := m.gateway(1, "--all")
	before, _ := alice.respond(t, `{"input":"say before","conversation":"c"}`)
	g.stop()

	hermes := m.bin
	var err error
	if m.bin, err = exec.LookPath("hermes-failing-syncs"); err != nil {
		t.Fatal(err)
	}
	g = m.gateway(1, "--all")
	worker := g.worker(alice)
	resp, body, err := alice.call(t.Context(), http.MethodPost, "/v1/responses", `{"input":"say during","conversation":"c"}`)
	if err == nil && (resp.StatusCode != http.StatusInternalServerError || resp.Header.Get("X-Request-Id") == "") {
		t.Errorf("an answer that was not stored: %d %s", resp.StatusCode, body)
	}
	g.await(1, "worker died")
	eventually(t, patience, "there is another worker", func() bool { pid := g.worker(alice); return pid != 0 && pid != worker })
	if status, body := alice.get(t, "/v1/models"); status != http.StatusOK {
		t.Errorf("after the failure: %d %s", status, body)
	}
	g.stop()

	m.bin = hermes
	m.gateway(1, "--all")
	if status, body := alice.stored(t, before.ID); status != http.StatusOK || readResponse(t, body).Status != "completed" {
		t.Errorf("what was stored before: %d %s", status, body)
	}
	// Whether the turn in doubt was written, nobody can say; half of it was not.
	alice.respond(t, `{"input":"say after","conversation":"c"}`)
	calls := m.upstream.Calls()
	var history []string
	for _, message := range calls[len(calls)-1].Messages {
		if message.Role != "system" {
			history = append(history, message.Text)
		}
	}
	got := strings.Join(history, "|")
	if got != "say before|before|say after" && got != "say before|before|say during|during|say after" {
		t.Errorf("the conversation goes on with %s", got)
	}
}
