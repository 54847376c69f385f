package supervisor

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// follower collects what a stream of events says.
type follower struct {
	mu     sync.Mutex
	events []Event
	ended  chan error
}

func (g *gateway) follow(after Event) *follower {
	f := &follower{ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	g.Cleanup(cancel)
	go func() {
		f.ended <- g.client().Events(ctx, after, true, func(e Event) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.events = append(f.events, e)
			return nil
		})
	}()
	return f
}

// of is what was said of a profile: the states in order.
func (f *follower) of(profile string) (all []Event, states string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var words []string
	for _, e := range f.events {
		if e.Profile == profile {
			all, words = append(all, e), append(words, string(e.To))
		}
	}
	return all, strings.Join(words, " ")
}

func TestEventsTellEveryChange(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	g := h.gateway().run()
	g.await("alice", StateReady)
	f := g.follow(Event{}) // a late reader gets what was before
	eventually(t, "the history is there", func() bool { _, states := f.of("alice"); return states == "starting ready" })
	get(port, "/crash")
	eventually(t, "the death and the restart are there", func() bool {
		_, states := f.of("alice")
		return states == "starting ready backoff starting ready"
	})
	events, _ := f.of("alice")
	death := events[2]
	if death.From != StateReady || !strings.Contains(death.Reason, "ended with exit code 3: giving up: asked to") || death.Restarts != 1 || death.Time.IsZero() {
		t.Errorf("the death is %+v", death)
	}
	if again := events[4]; again.PID == events[1].PID || again.PID != g.status("alice").PID || again.Generation != 2 {
		t.Errorf("ready again is %+v", again)
	}

	// A replacement is no change of the state, and an event all the same.
	h.write("alice", "config.yaml", "agent: {max_iterations: 7}\n")
	eventually(t, "the replacement is there", func() bool {
		events, _ := f.of("alice")
		last := events[len(events)-1]
		return last.From == StateReady && last.To == StateReady && last.Generation == 3
	})
	h.write("alice", "config.yaml", "agent: {max_iterations: many}\n")
	eventually(t, "what is wrong with the settings is there", func() bool {
		events, _ := f.of("alice")
		return strings.Contains(events[len(events)-1].Reason, "settings rejected: ")
	})
	h.add("bob", "")
	eventually(t, "the new one is there", func() bool { _, states := f.of("bob"); return states == "starting ready" })

	// Numbers have no gaps, and who comes again gets what is new only.
	f.mu.Lock()
	for i, e := range f.events {
		if e.Seq != int64(i+1) || e.Gateway != syscall.Getpid() {
			t.Errorf("event %d is number %d of %d", i, e.Seq, e.Gateway)
		}
	}
	last := f.events[len(f.events)-1]
	f.mu.Unlock()
	for after, want := range map[Event]int{last: 0, {}: int(last.Seq), {Gateway: 1, Seq: last.Seq}: int(last.Seq)} {
		n := 0
		if err := g.client().Events(t.Context(), after, false, func(Event) error { n++; return nil }); err != nil || n != want {
			t.Errorf("after %+v: got %d events, %v, want %d", after, n, err, want)
		}
	}

	// The stream ends with the gateway, and tells of its end.
	if err := g.client().Stop(t.Context(), StopRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := <-f.ended; !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
	if _, states := f.of("alice"); !strings.HasSuffix(states, "draining stopped") {
		t.Errorf("alice went through %q", states)
	}
}

// A reader that does not read is cut off, and nobody waits for it.
func TestReaderOfEventsThatSleepsIsCutOff(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "")
	g := h.gateway()
	hub := new(events)
	socket := control{
		status: func(context.Context) (Status, error) { return Status{PID: 1}, nil },
		events: hub, calls: new(calls), log: g.opts.Log,
	}
	ln, err := openSocket(t.Context(), h.dir, "all")
	if err != nil {
		t.Fatal(err)
	}
	server := socket.server()
	go socket.serve(server, ln)
	t.Cleanup(func() { server.Close() })
	conn, err := net.Dial("unix", filepath.Join(h.dir, runDir, "all.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /v1/events?follow=true HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	readers := func() int {
		hub.mu.Lock()
		defer hub.mu.Unlock()
		return len(hub.readers)
	}
	eventually(t, "it has begun to read", func() bool { return readers() == 1 })
	const many = 20_000
	for range many { // returns: nobody waits
		hub.add(Event{Profile: "alice", Reason: strings.Repeat("x", 1000)})
	}
	if n := readers(); n != 0 {
		t.Errorf("%d readers are left after %d events that nobody read", n, many)
	}
	var seen []int64
	if err := g.client().Events(t.Context(), Event{}, false, func(e Event) error { seen = append(seen, e.Seq); return nil }); err != nil {
		t.Error(err)
	}
	if len(seen) != keptEvents || seen[0] != many-keptEvents+1 || !slices.IsSorted(seen) {
		t.Errorf("%d events are kept, want the last %d", len(seen), keptEvents)
	}
	for _, query := range []string{"since=-1", "since=x", "follow=maybe"} {
		if err := g.client().call(t.Context(), "GET", pathEvents+"?"+query, nil, nil); err == nil || !strings.Contains(err.Error(), "since must be") {
			t.Errorf("%s gave %v", query, err)
		}
	}
}
