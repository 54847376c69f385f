package main_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// size is how much load there is, and how much happens under it.
type size struct {
	pace     time.Duration // between two requests
	streams  int           // open at any time
	edits    int
	kills    int
	upgrades int
}

// sizeOf is small in an ordinary run. scripts/faults runs the tests with the real
// binary, which HERMES_FAULTS names, and at full size.
func sizeOf() size {
	if thorough() {
		return size{5 * time.Millisecond, 20, 60, 20, 5}
	}
	return size{25 * time.Millisecond, 4, 4, 2, 1}
}

func thorough() bool { return os.Getenv("HERMES_FAULTS") != "" }

// traffic is requests at a pace, whatever becomes of those before.
type traffic struct {
	sent, answered, failed, flying atomic.Int64
	mu                             sync.Mutex // guards errors
	errors                         []string
}

// reasons is why the first requests failed that did. It is for a traffic that has
// stopped.
func (l *traffic) reasons() string { return strings.Join(l.errors[:min(len(l.errors), 5)], "\n") }

// pace sends requests to a profile until stop is called, which waits for the last
// of them. Every fourth is a turn, the others are cheap.
func (p person) pace(t *testing.T, every time.Duration) (load *traffic, stop func()) {
	t.Helper()
	load = new(traffic)
	over := make(chan struct{})
	// Turns come on connections of their own: one that is sent on a kept connection
	// just as a server closes that is lost by the nature of HTTP/1.1. What only reads
	// is repeated then, by the client.
	kept := &http.Client{Transport: new(http.Transport)}
	var all, wg sync.WaitGroup
	all.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-over:
				return
			case <-tick.C:
			}
			load.sent.Add(1)
			load.flying.Add(1)
			wg.Go(func() {
				defer load.flying.Add(-1)
				if err := p.request(t.Context(), kept, n%4 == 0); err != nil {
					load.failed.Add(1)
					load.mu.Lock()
					defer load.mu.Unlock()
					load.errors = append(load.errors, err.Error())
					return
				}
				load.answered.Add(1)
			})
		}
	})
	return load, func() {
		close(over)
		all.Wait()
		wg.Wait()
		kept.CloseIdleConnections()
	}
}

// request asks for a turn or for the list of models.
func (p person) request(ctx context.Context, kept *http.Client, turn bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	want := p.name
	var resp *http.Response
	var err error
	if turn {
		want = upstreamHello
		resp, err = p.ask(ctx, "say hello", false)
	} else {
		var r *http.Request
		r, err = http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/v1/models", nil)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+p.key)
		resp, err = kept.Do(r)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) && turn {
		return fmt.Errorf("status %d: %.200s", resp.StatusCode, body)
	}
	return nil
}

// keep holds so many streams open until stop is called, which waits for their ends
// and returns how many there were. Every byte is compared.
func (p person) keep(t *testing.T, streams int) (stop func() int64) {
	t.Helper()
	var ended atomic.Int64
	var wg sync.WaitGroup
	over := make(chan struct{})
	resp, err := p.ask(t.Context(), "stream 100 8", true)
	if err != nil {
		t.Fatal(err)
	}
	want, err := content(resp.Body)
	resp.Body.Close()
	if err != nil || len(want) != 100*8 {
		t.Fatalf("the stream to compare with: %d bytes, %v", len(want), err)
	}
	for range streams {
		wg.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				resp, err := p.ask(t.Context(), "stream 100 8 10ms", true)
				if err != nil {
					t.Errorf("a stream of %s was lost: %v", p.name, err)
					return
				}
				got, err := content(resp.Body)
				resp.Body.Close()
				if err != nil || got != want {
					t.Errorf("a stream of %s was touched: %d of %d bytes, %v, ends in %q", p.name, len(got), len(want), err, got[max(0, len(got)-80):])
					return
				}
				ended.Add(1)
			}
		})
	}
	return func() int64 {
		close(over)
		wg.Wait()
		return ended.Load()
	}
}

func TestPlannedChangesUnderLoadLoseNothing(t *testing.T) {
	size := sizeOf()
	if !thorough() {
		t.Parallel()
	}
	m := newMachine(t, true)
	alice := m.create("alice")
	m.run("-p", "alice", "config", "set", "api_server.max_concurrent_runs", "500")
	m.gateway(1, "--all")
	stopStreams := alice.keep(t, size.streams)
	load, stop := alice.pace(t, size.pace)
	programs, upgrades := []string{m.bin, m.copied()}, 0
	for i := range size.edits {
		if i%2 == 0 { // starts another worker
			m.run("-p", "alice", "config", "set", "API_SERVER_MODEL_NAME", fmt.Sprintf("model-%d", i))
		} else { // does not
			m.run("-p", "alice", "config", "set", "api_server.max_concurrent_runs", fmt.Sprint(500+i))
		}
		m.run("gateway", "reload")
		if (i+1)%(size.edits/size.upgrades) == 0 { // to one that has another sum each time, so that workers are outdated
			programs[0], programs[1] = programs[1], programs[0]
			m.run("gateway", "upgrade", "--binary", programs[0])
			upgrades++
		}
		// Of those that were replaced four may take their time, see DESIGN.md.
		eventually(t, patience, "not too many workers finish their turns", func() bool { return len(m.profile("alice").Retiring) < 4 })
	}
	stop()
	ended := stopStreams()
	t.Logf("%d requests and %d streams during %d edits and %d upgrades; %d requests failed", load.sent.Load(), ended, size.edits, upgrades, load.failed.Load())
	if load.failed.Load() > 0 || load.answered.Load() != load.sent.Load() {
		t.Errorf("%d of %d requests were lost: %s", load.failed.Load(), load.sent.Load(), load.reasons())
	}
	// Each upgrade replaces a worker too, unless an edit comes first.
	edited := 1 + (size.edits+1)/2
	if p := m.profile("alice"); p.Restarts != 0 || p.Generation < edited || p.Generation > edited+upgrades || upgrades != size.upgrades {
		t.Errorf("status is %+v after %d upgrades", p, upgrades)
	}
}

func TestKillsUnderLoadLoseOnlyWhatWasInFlight(t *testing.T) {
	size := sizeOf()
	if !thorough() {
		t.Parallel()
	}
	m := newMachine(t, true)
	alice, bob := m.create("alice"), m.create("bob")
	m.run("config", "set", "supervisor.backoff_cap", "500ms")
	for _, p := range []person{alice, bob} {
		m.run("-p", p.name, "config", "set", "api_server.max_concurrent_runs", "500")
	}
	g := m.gateway(2, "--all")
	stopStreams := bob.keep(t, size.streams)
	others, stopOthers := bob.pace(t, 2*size.pace)
	load, stop := alice.pace(t, 2*size.pace)
	other := g.worker(bob)
	allowed := int64(0)
	for range size.kills {
		before := load.answered.Load()
		eventually(t, patience, "alice answers", func() bool { return load.answered.Load() > before+30 && load.flying.Load() < 30 })
		// What is sent while the kill takes effect may be read by the dying worker too.
		worker, sent := g.worker(alice), load.sent.Load()
		allowed += load.flying.Load() + 5
		if err := syscall.Kill(worker, syscall.SIGKILL); err != nil {
			t.Fatal("kill alice's worker: ", err)
		}
		allowed += load.sent.Load() - sent // more than none if this process had to wait for a processor
		eventually(t, patience, "alice has another worker", func() bool { pid := g.worker(alice); return pid != 0 && pid != worker })
	}
	before := load.answered.Load()
	eventually(t, patience, "alice answers again", func() bool { return load.answered.Load() > before+30 })
	stop()
	stopOthers()
	ended := stopStreams()
	t.Logf("%d kills: of %d requests of alice %d failed, %d could be in flight; bob had %d requests and %d streams, of which %d requests failed",
		size.kills, load.sent.Load(), load.failed.Load(), allowed, others.sent.Load(), ended, others.failed.Load())
	if load.failed.Load() > allowed {
		t.Errorf("%d requests failed, at most %d were in flight: %s", load.failed.Load(), allowed, load.reasons())
	}
	for _, text := range load.errors {
		if strings.Contains(text, "refused") {
			t.Errorf("a client was refused: %s", text)
		}
	}
	if others.failed.Load() > 0 {
		t.Errorf("bob lost %d requests: %s", others.failed.Load(), others.reasons())
	}
	if now := g.worker(bob); now != other {
		t.Errorf("bob's worker changed from %d to %d", other, now)
	}
}
