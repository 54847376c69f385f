package supervisor

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// onDemand makes the gateway of a home start workers as it does by itself.
func (h home) onDemand() *gateway {
	h.Helper()
	g := h.gateway()
	delete(g.opts.Overrides, "supervisor.start")
	return g
}

func TestSleepingProfileIsWokenByItsFirstConnection(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	alice, bob := h.add("alice", ""), h.add("bob", "")
	g := h.onDemand().run()
	p := g.await("alice", StateSleeping)
	g.await("bob", StateSleeping)
	if p.PID != 0 || p.Generation != 0 || p.Port != alice || p.URL == "" || p.Start != "on-demand" {
		t.Errorf("status is %+v", p)
	}
	line := fmt.Sprintf("API server listening on http://127.0.0.1:%d (alice)\n", alice)
	eventually(t, "it is said where alice listens", func() bool { return strings.Contains(g.out.String(), line) })
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got, err := get(alice, "/"); err != nil || !strings.HasPrefix(got, "alice ") {
				t.Errorf("a client that woke alice got %q, %v", got, err)
			}
		})
	}
	wg.Wait()
	if p := g.await("alice", StateReady); p.Generation != 1 {
		t.Errorf("status is %+v", p)
	}
	if p := g.status("bob"); p.State != StateSleeping {
		t.Errorf("bob was woken: %+v", p)
	}
	// A profile that sleeps takes new settings and a new port in its sleep.
	moved := freePort(t)
	h.write("bob", ".env", fmt.Sprintf("API_SERVER_ENABLED=true\nAPI_SERVER_PORT=%d\n", moved))
	eventually(t, "bob has moved", func() bool { return g.status("bob").Port == moved && g.status("bob").State == StateSleeping })
	if _, err := get(bob, "/"); err == nil {
		t.Error("bob's old port answers")
	}
	mustGet(t, moved, "/")
	if n := strings.Count(g.out.String(), line); n != 1 {
		t.Errorf("it was said %d times where alice listens", n)
	}
}

func TestIdleWorkerSleepsAndLosesNoRequest(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	h.write("alice", "config.yaml", "supervisor: {idle_stop: 50ms}\n")
	g := h.onDemand().run()
	g.await("alice", StateSleeping)
	rest := once(t, port) // which the worker does not count
	g.await("alice", StateSleeping)
	if now := g.status("alice"); len(now.Retiring) != 0 && now.PID == 0 {
		t.Errorf("status is %+v", now)
	}
	// Requests come all the while, at the pace at which it falls asleep.
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			tick := time.NewTicker(time.Duration(40+i*7) * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				if _, err := get(port, "/"); err != nil {
					t.Errorf("a request was lost: %v", err)
				}
			}
		})
	}
	eventually(t, "it has slept three times", func() bool { return g.status("alice").Generation >= 4 })
	close(stop)
	wg.Wait()
	h.write("alice", "go", "")
	if got := rest(); got != "begun done" {
		t.Errorf("the stream got %q", got)
	}
	g.await("alice", StateSleeping)
	if now := g.status("alice"); now.Restarts != 0 {
		t.Errorf("status is %+v", now)
	}
}

func TestWorkerWithABackgroundJobDoesNotSleep(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	h.write("alice", "config.yaml", "supervisor: {idle_stop: 300ms}\n")
	g := h.onDemand().run()
	g.await("alice", StateSleeping)
	mustGet(t, port, "/job")
	eventually(t, "the job is known", func() bool { return g.status("alice").Jobs == 1 })
	p := g.status("alice")
	until := time.Now().Add(time.Second)
	eventually(t, "a second has passed", func() bool { return time.Now().After(until) })
	if now := g.status("alice"); now.State != StateReady || now.PID != p.PID {
		t.Errorf("status is %+v", now)
	}
	h.write("alice", "go", "")
	g.await("alice", StateSleeping)
}

func TestProfileThatOnlyACommandStarts(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	h.add("bob", "")
	h.write("alice", "config.yaml", "supervisor: {start: never}\n")
	g := h.onDemand().run()
	if p := g.await("alice", StateStopped); !strings.Contains(p.Reason, "hermes gateway start alice") {
		eventually(t, "the reason is told", func() bool { return strings.Contains(g.status("alice").Reason, "hermes gateway start alice") })
	}
	if _, err := get(port, "/"); err == nil {
		t.Error("its port answers")
	}
	if o := g.act("alice", ActionStart, false); o.State != StateReady {
		t.Errorf("start: %+v", o)
	}
	mustGet(t, port, "/")
}

func TestCrashedWorkerIsStartedAgainThoughNobodyAsks(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	g := h.onDemand().run()
	g.await("alice", StateSleeping)
	get(port, "/crash")
	eventually(t, "there is another worker", func() bool {
		now := g.status("alice")
		return now.State == StateReady && now.Restarts == 1
	})
}

func TestSleepersCostNothing(t *testing.T) {
	t.Parallel()
	number := 200
	h := newHome(t)
	for i := range number {
		h.add(fmt.Sprintf("p%03d", i), "")
	}
	before := runtime.NumGoroutine()
	g := h.onDemand().run()
	for i := range number {
		g.await(fmt.Sprintf("p%03d", i), StateSleeping)
	}
	// A log of each has a goroutine that waits.
	if n := runtime.NumGoroutine() - before; n > number+200 {
		t.Errorf("%d goroutines for %d profiles", n, number)
	}
}
