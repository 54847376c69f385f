package main_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// edit replaces a line of a profile's .env.
func (p person) edit(t *testing.T, name, value string) {
	t.Helper()
	path := filepath.Join(p.dir, ".env")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var after strings.Builder
	for line := range strings.Lines(string(before)) {
		if strings.HasPrefix(line, name+"=") {
			line = fmt.Sprintf("%s=%s\n", name, value)
		}
		after.WriteString(line)
	}
	if err := os.WriteFile(path+".new", []byte(after.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// asking has clients ask one after the other until stop is called, which returns
// how many answers they got. Each question must be answered.
func (p person) asking(t *testing.T, clients int) (stop func() int64) {
	t.Helper()
	var answered atomic.Int64
	var wg sync.WaitGroup
	over := make(chan struct{})
	for range clients {
		wg.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				resp, err := p.ask(t.Context(), "say hello", false)
				if err != nil {
					t.Errorf("a request was lost: %v", err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "hello") {
					t.Errorf("status %d, %v: %s", resp.StatusCode, err, body)
					return
				}
				answered.Add(1)
			}
		})
	}
	return func() int64 {
		close(over)
		wg.Wait()
		return answered.Load()
	}
}

// model returns the id on /v1/models.
func (p person) model(t *testing.T) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/v1/models", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+p.key)
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestEditUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice, bob := m.create("alice"), m.create("bob")
	g := m.gateway(2, "--all")
	stop, wait := alice.asking(t, 6), alice.streams(t, 6)
	bobs := bob.streams(t, 2)
	other := g.worker(bob)
	for i := range 3 {
		m.run("-p", "alice", "config", "set", "API_SERVER_MODEL_NAME", fmt.Sprintf("model-%d", i))
		m.run("gateway", "reload")
		if got := alice.model(t); !strings.Contains(got, fmt.Sprintf("model-%d", i)) {
			t.Errorf("after edit %d the models are %s", i, got)
		}
	}
	wait()
	if n := stop(); n < 10 {
		t.Errorf("only %d requests were answered meanwhile", n)
	}
	bobs()
	if pid := g.worker(bob); pid != other {
		t.Errorf("bob's worker changed from %d to %d", other, pid)
	}
}

func TestNewKeyCutsNoStreamAndStartsNoWorker(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	g := m.gateway(1, "-p", "alice")
	wait := alice.streams(t, 3)
	before := g.worker(alice)
	old := alice.key
	alice.key = "another-key-0123456789abcdefghij"
	alice.edit(t, "API_SERVER_KEY", alice.key)
	m.run("gateway", "reload")
	if status, body := alice.answer(t, "say hello"); status != 200 || !strings.Contains(body, upstreamHello) {
		t.Errorf("the new key gets %d: %s", status, body)
	}
	alice.key = old
	if status, _ := alice.answer(t, "say hello"); status != 401 {
		t.Errorf("the old key gets %d", status)
	}
	wait()
	if after := g.worker(alice); after != before {
		t.Errorf("the worker changed from %d to %d", before, after)
	}
}

func TestWorkerThatSleepsAnswersEveryRequest(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	m.run("-p", "alice", "config", "set", "supervisor.idle_stop", "20ms")
	g := m.gateway(1, "--all")
	if pid := g.worker(alice); pid != 0 {
		t.Errorf("a profile that nobody has asked has worker %d", pid)
	}
	slept := 0
	for range 8 {
		if status, body := alice.answer(t, "say hello"); status != 200 || !strings.Contains(body, upstreamHello) {
			t.Fatalf("status %d: %s", status, body)
		}
		// It is not put to sleep in the middle of a stream, which takes longer than it may idle.
		resp, err := alice.ask(t.Context(), "stream 20 8 20ms", true)
		if err != nil {
			t.Fatal(err)
		}
		text, err := content(resp.Body)
		resp.Body.Close()
		if err != nil || len(text) != 20*8 {
			t.Errorf("a stream was touched: %d bytes, %v", len(text), err)
		}
		eventually(t, patience, "the worker sleeps", func() bool { return g.worker(alice) == 0 })
		slept++
	}
	if slept != 8 {
		t.Errorf("it slept %d times", slept)
	}
}
