package main_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hijacker tries to bind an address, in every way that there is, until it is stopped,
// and answers whoever comes to it. It counts how often it could.
func hijacker(t *testing.T, address string) (hijacks *atomic.Int64, stop func()) {
	t.Helper()
	hijacks = new(atomic.Int64)
	ctx, cancel := context.WithCancel(t.Context())
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	shared := func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}
	var trying sync.WaitGroup
	for _, config := range []net.ListenConfig{{}, {Control: shared}} {
		for _, place := range []string{address, "0.0.0.0:" + port, "[::]:" + port, "127.0.0.2:" + port} {
			trying.Go(func() {
				own := strings.HasPrefix(place, "127.0.0.2:") // it is nobody's: the control
				for tick := time.NewTicker(time.Millisecond); ctx.Err() == nil; <-tick.C {
					listener, err := config.Listen(ctx, "tcp", place)
					if err != nil {
						continue
					}
					if !own {
						hijacks.Add(1)
						t.Errorf("%s was taken", place)
					}
					_ = listener.Close()
					if own {
						return
					}
				}
			})
		}
	}
	return hijacks, func() { cancel(); trying.Wait() }
}

// A worker is killed again and again while a neighbour wants its port: no client is
// refused, and the neighbour gets it never.
func TestKillsDoNotOpenThePort(t *testing.T) {
	t.Parallel()
	kills, clients := 10, 4
	if thorough() {
		kills, clients = 100, 20
	}
	m := newMachine(t, true)
	alice := m.create("alice")
	m.run("config", "set", "supervisor.backoff_base", "10ms")
	m.run("config", "set", "supervisor.backoff_cap", "10ms")
	g := m.gateway(1, "--all")
	hijacks, release := hijacker(t, strings.TrimPrefix(alice.url, "http://"))

	var asked, answered, cut atomic.Int64
	done := make(chan struct{})
	var asking sync.WaitGroup
	for range clients {
		asking.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				asked.Add(1)
				resp, err := alice.ask(t.Context(), "say hello", false)
				var body []byte
				if err == nil {
					body, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				switch {
				case errors.Is(err, syscall.ECONNREFUSED):
					t.Error("a client was refused")
				case err != nil:
					cut.Add(1) // it was in flight
				case resp.Header.Get("X-Request-Id") == "" || !strings.Contains(string(body), "hello"):
					t.Errorf("somebody answers %d: %s", resp.StatusCode, body)
				default:
					answered.Add(1)
				}
			}
		})
	}
	last := 0
	for range kills {
		pid := 0
		eventually(t, patience, "another worker serves", func() bool {
			pid = g.worker(alice)
			return pid != 0 && pid != last && m.profile("alice").State == "ready"
		})
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		last = pid
	}
	before := answered.Load()
	eventually(t, patience, "clients are answered again", func() bool { return answered.Load() > before })
	close(done)
	asking.Wait()
	release()
	t.Logf("%d kills: %d requests, %d answered, %d in flight when a worker was killed, 0 refused, %d hijacks",
		kills, asked.Load(), answered.Load(), cut.Load(), hijacks.Load())
}

// quantile is the time within which that share of requests was answered.
func quantile(times []time.Duration, share float64) time.Duration {
	slices.Sort(times)
	return times[min(int(share*float64(len(times))), len(times)-1)]
}

// A neighbour that uses up all that it can get costs others little: their slowest
// requests take at most twice the time. In small it only must not hurt them: on a
// machine that does other things besides, a hundredth of a few requests is one.
func TestNeighboursAreKeptFromEachOther(t *testing.T) {
	t.Parallel()
	rounds, requests := 1, 40
	if thorough() {
		rounds, requests = 5, 300
	}
	m := newMachine(t, true)
	alice, bob := m.create("alice"), m.create("bob")
	for key, value := range map[string]string{"agent.approvals": "allow", "limits.memory": "256MiB", "limits.processes": "64"} {
		m.run("-p", "alice", "config", "set", key, value)
	}
	g := m.gateway(2, "--all")
	slowest := func() time.Duration {
		times := make([]time.Duration, requests)
		for i := range times {
			began := time.Now()
			if code, body := bob.answer(t, "say hello"); code != 200 || !strings.Contains(body, "hello") {
				t.Fatalf("bob answers %d: %s", code, body)
			}
			times[i] = time.Since(began)
		}
		return quantile(times, 0.99)
	}
	slowest() // what is slow once
	for _, hog := range []struct{ name, command string }{
		{"a fork bomb", `b() { b | b & }; while :; do b; sleep 0.1; done`},
		{"a memory hog", `while :; do head -c 600M /dev/zero | tail | wc -c; done`},
		{"a disk that is filled", `while :; do head -c 100M /dev/zero >> /tmp/fill || rm /tmp/fill; test $(wc -c < /tmp/fill) -lt 500000000 || rm /tmp/fill; done`},
		{"a flood of descriptors", `while :; do for i in $(seq 10 250); do eval "exec $i</dev/null"; done; done`},
	} {
		var ratios []float64
		var quiet, beside time.Duration
		for range rounds { // in turns: what else the machine does changes with the minutes
			quiet = slowest()
			alice.tool(t, "hog", "terminal", map[string]any{"command": hog.command, "background": true})
			beside = slowest()
			ratios = append(ratios, float64(beside)/float64(quiet))
			if g.worker(bob) == 0 {
				t.Errorf("%s ends the worker of another profile", hog.name)
			}
			m.run("gateway", "restart", "alice", "--now")
			eventually(t, patience, "alice is served again", func() bool { code, _ := alice.get(t, "/health"); return code == 200 })
		}
		slices.Sort(ratios)
		ratio := ratios[len(ratios)/2]
		t.Logf("beside %s the slowest hundredth of requests takes %.1f times as long (the last time %v instead of %v)",
			hog.name, ratio, beside.Round(time.Microsecond), quiet.Round(time.Microsecond))
		if thorough() && ratio > 2 {
			t.Errorf("beside %s requests take %.1f times as long", hog.name, ratio)
		}
	}
	if status := m.profile("bob"); status.Restarts != 0 {
		t.Errorf("bob's worker died %d times", status.Restarts)
	}
}
