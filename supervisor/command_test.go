package supervisor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func (g *gateway) act(name, action string, now bool) Outcome {
	g.Helper()
	outcome, err := g.client().Act(g.Context(), name, action, ActionRequest{Now: now, Wait: true})
	if err != nil {
		g.Fatal(err)
	}
	return outcome
}

func TestReloadReturnsWhenEverythingIsInEffect(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	alice := h.add("alice", "")
	h.add("bob", "")
	h.add("carol", "")
	g := h.gateway().run()
	p := g.await("alice", StateReady)
	g.await("bob", StateReady)
	g.await("carol", StateReady)
	for i := range 5 {
		h.write("alice", "config.yaml", fmt.Sprintf("model: {default: model-%d}\n", i))
		h.write("bob", "config.yaml", fmt.Sprintf("api_server: {max_concurrent_runs: %d}\n", i+1))
		h.write("carol", "config.yaml", "agent: {max_iterations: many}\n")
		dave := h.add(fmt.Sprintf("dave-%d", i), "")
		outcomes, err := g.client().Reload(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := mustGet(t, alice, "/told"); !strings.HasPrefix(got, fmt.Sprintf("model-%d ", i)) {
			t.Errorf("after a reload alice's worker was told %q", got)
		}
		mustGet(t, dave, "/")
		byName := map[string]Outcome{}
		for _, o := range outcomes {
			byName[o.Name] = o
		}
		if o := byName["alice"]; o.Failed || o.State != StateReady || o.Generation != i+2 || o.PID == p.PID {
			t.Errorf("alice: %+v", o)
		}
		if o := byName["carol"]; !o.Failed || !strings.Contains(o.Reason, "settings rejected") || o.State != StateReady {
			t.Errorf("carol: %+v", o)
		}
		if o := byName[fmt.Sprintf("dave-%d", i)]; o.State != StateReady {
			t.Errorf("dave: %+v", o)
		}
	}
	if now := g.status("bob"); now.Generation != 1 {
		t.Errorf("bob: %+v", now)
	}
}

func TestCommandsForOneProfile(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	h.add("bob", "")
	g := h.gateway().run()
	first, bob := g.await("alice", StateReady), g.await("bob", StateReady)

	stop := load(t, port)
	second := g.act("alice", ActionRestart, false)
	if second.Failed || second.PID == first.PID || second.Generation != 2 {
		t.Errorf("restart: %+v", second)
	}
	stop()
	rest := once(t, port)
	stopped := make(chan Outcome, 1)
	go func() { stopped <- g.act("alice", ActionStop, false) }()
	g.await("alice", StateDraining)
	h.write("alice", "go", "")
	if got := rest(); got != "begun done" {
		t.Errorf("the stream got %q", got)
	}
	if o := <-stopped; o.State != StateStopped || o.Reason != "stopped by command" {
		t.Errorf("stop: %+v", o)
	}
	if _, err := get(port, "/"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a stopped profile's port gives %v", err)
	}
	h.write("alice", "config.yaml", "agent: {max_iterations: 7}\n")
	if _, err := g.client().Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := g.status("alice"); now.State != StateStopped {
		t.Errorf("a stopped profile was started by an edit: %+v", now)
	}
	if o := g.act("alice", ActionStart, false); o.State != StateReady || o.Generation != 3 {
		t.Errorf("start: %+v", o)
	}
	if o := g.act("alice", ActionStart, false); o.State != StateReady || o.Generation != 3 {
		t.Errorf("start of what runs: %+v", o)
	}
	slow := once(t, port)
	os.Remove(h.profile("alice") + "/go")
	if o := g.act("alice", ActionRestart, true); o.Generation != 4 {
		t.Errorf("restart now: %+v", o)
	}
	slow()
	if now := g.status("bob"); now.PID != bob.PID {
		t.Errorf("bob was touched: %+v", now)
	}
	for _, bad := range [][2]string{{"nobody", ActionStart}, {"alice", "explode"}} {
		if _, err := g.client().Act(t.Context(), bad[0], bad[1], ActionRequest{}); err == nil {
			t.Errorf("%s %s was done", bad[1], bad[0])
		}
	}
}

func TestCommandDoesNotWaitForTheBackoff(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "exit 3")
	g := h.gateway("alice")
	g.limits.backoff.base, g.limits.backoff.most = time.Hour, time.Hour
	g.run()
	g.await("alice", StateBackoff)
	h.write("alice", "script", "") // which is no setting
	if o := g.act("alice", ActionStart, false); o.State != StateReady {
		t.Errorf("start: %+v", o)
	}
}

func TestManyProfilesComeAndGoAtRandom(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("anchor", "")
	g := h.gateway().run()
	number, steps := 30, 120
	if thorough() {
		number, steps = 200, 800
	}
	ports := map[string]int{}
	var names []string
	for i := range number {
		names = append(names, fmt.Sprintf("p%03d", i))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for step := range steps {
		name := names[random.IntN(number)]
		switch port, there := ports[name]; {
		case !there:
			ports[name] = h.add(name, "")
		case random.IntN(3) == 0:
			// In one step: what still writes there would keep the rest of it alive.
			if err := os.Rename(h.profile(name), fmt.Sprintf("%s/gone-%d", h.dir, step)); err != nil {
				t.Fatal(err)
			}
			delete(ports, name)
		case random.IntN(2) == 0:
			other := names[random.IntN(number)]
			if _, taken := ports[other]; !taken && os.Rename(h.profile(name), h.profile(other)) == nil {
				delete(ports, name)
				ports[other] = port
			}
		default:
			h.write(name, "config.yaml", fmt.Sprintf("agent: {max_iterations: %d}\n", 1+random.IntN(100)))
		}
	}
	var status Status
	t.Cleanup(func() {
		if t.Failed() {
			for _, p := range status.Profiles {
				t.Logf("%s port %d (%d): %s %s", p.Name, p.Port, ports[p.Name], p.State, p.Reason)
			}
		}
	})
	eventually(t, "the gateway serves what is there and nothing else", func() bool {
		var err error
		status, err = g.client().Status(context.Background())
		if err != nil || len(status.Profiles) != len(ports)+1 {
			return false
		}
		for _, p := range status.Profiles {
			if p.State != StateReady || p.Name != "anchor" && ports[p.Name] != p.Port {
				return false
			}
		}
		return true
	})
	for name, port := range ports {
		if got := mustGet(t, port, "/"); !strings.HasPrefix(got, name+" ") {
			t.Errorf("port %d of %s answers %q", port, name, got)
		}
	}
}
