package main_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"hermes/supervisor"
)

// confined is a gateway for alice, who has little, and bob, whose limits are
// held in one way; "" is the best that there is.
func confined(t *testing.T, mechanism string) (m *machine, alice, bob person, g *gateway) {
	t.Helper()
	m = newMachine(t, true)
	alice, bob = m.create("alice"), m.create("bob")
	m.run("-p", "alice", "config", "set", "limits.memory", "192MiB")
	m.run("-p", "alice", "config", "set", "limits.processes", "32")
	args := []string{"--all"}
	if mechanism != "" {
		args = append(args, "--limits-by", mechanism)
	}
	return m, alice, bob, m.gateway(2, args...)
}

// status is what the gateway says of itself.
func (m *machine) status() supervisor.Status {
	m.t.Helper()
	var list []supervisor.Status
	if err := json.Unmarshal([]byte(m.run("gateway", "status", "--json")), &list); err != nil || len(list) != 1 {
		m.t.Fatalf("status: %v", err)
	}
	return list[0]
}

// undisturbed asks a profile again and again until the test says that it is
// over, and checks that it was answered each time.
func undisturbed(t *testing.T, p person) (over func()) {
	t.Helper()
	stop := make(chan struct{})
	var asked atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			response, _, err := p.call(t.Context(), http.MethodGet, "/v1/models", "")
			if err != nil || response.StatusCode != http.StatusOK {
				t.Errorf("%s: %v", p.name, err)
				return
			}
			asked.Add(1)
		}
	})
	return func() {
		close(stop)
		wg.Wait()
		if asked.Load() == 0 {
			t.Errorf("%s was never asked", p.name)
		}
	}
}

func TestLimitsTouchOneProfileOnly(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"watch", ""} {
		t.Run("by "+mechanism, func(t *testing.T) {
			t.Parallel()
			m, alice, bob, g := confined(t, mechanism)
			seconds := mark()
			status := m.status()
			switch {
			case mechanism != "" && status.Isolation.Limits != mechanism:
				t.Fatalf("limits are held by %+v", status.Isolation)
			case mechanism == "" && status.Isolation.Limits == "watch":
				t.Skipf("the kernel cannot hold limits for this user: %s", status.Isolation.Why)
			}
			_, health := alice.get(t, "/health/detailed")
			if !strings.Contains(health, "memory 192 MiB, 32 processes and threads, ") {
				t.Errorf("health says %s", health)
			}
			pid := g.worker(alice)
			over := undisturbed(t, bob)

			// A gigabyte and a half, if nobody stops it.
			got := alice.tool(t, "one", "terminal", map[string]any{"command": "head -c 1500000000 /dev/zero | tail"})
			if !strings.Contains(got, "[killed: the profile's memory limit of 192 MiB was reached]") {
				t.Errorf("the hog came to %s", got)
			}
			// 300 processes, if nobody stops it.
			got = alice.tool(t, "one", "terminal", map[string]any{
				"command": `sh -c 'i=0; while [ $i -lt 300 ]; do sleep ` + seconds + ` & i=$((i+1)); done; wait'`,
			})
			if !strings.Contains(got, "the profile's limit of 32 processes and threads was reached") {
				t.Errorf("the bomb came to %s", got)
			}
			if left := processes(t, seconds); len(left) > 0 {
				t.Errorf("of the bomb there is %v", left)
			}
			// A hog that has left its group and its parent.
			_ = alice.tool(t, "one", "terminal", map[string]any{
				"command": "setsid sh -c 'head -c 1500000000 /dev/zero | tail' & sleep 100", "background": true,
			})
			eventually(t, patience, "the hog in the background is gone", func() bool {
				_, health = alice.get(t, "/health/detailed")
				return strings.Contains(health, "the last time the profile's memory limit")
			})
			over()
			if got := alice.tool(t, "two", "terminal", map[string]any{"command": "echo as before"}); !strings.Contains(got, "as before") {
				t.Errorf("afterwards: %s", got)
			}
			if now := g.worker(alice); now != pid {
				t.Errorf("alice has another worker: %d and then %d", pid, now)
			}
		})
	}
}
