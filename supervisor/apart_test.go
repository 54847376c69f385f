package supervisor

import (
	"context"
	"errors"
	"strings"
	"testing"

	"hermes/profiles"
	"hermes/supervisor/handoff"
)

// behind makes the machine one of that level.
func (g *gateway) behind(level string) *gateway {
	g.opts.Walls = func(context.Context) handoff.Walls {
		return handoff.Walls{Level: level, Why: "a test says so", Mend: "change the test"}
	}
	return g
}

// Below REDUCED one profile is served, and the second only after the home has accepted
// that, in words; which takes effect at once.
func TestSecondProfileIsRefusedWithoutWalls(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"WEAK", handoff.LevelNone, "a word of tomorrow"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.add("alice", "serve")
			h.add("bob", "serve")
			g := h.gateway().behind(level).run()
			g.await("alice", StateReady)
			refused := g.await("bob", StateBadConfig)
			for _, want := range []string{"could read the files of profile alice", "level " + level, "a test says so", "hermes doctor", "isolation.accept profiles-can-read-each-other"} {
				if !strings.Contains(refused.Reason, want) {
					t.Errorf("the reason lacks %q: %s", want, refused.Reason)
				}
			}
			if out := g.out.String(); !strings.HasPrefix(out, "[Isolation] level "+level+" for commands of agents, because a test says so") {
				t.Errorf("the gateway prints %s", out)
			}
			h.accept()
			g.await("bob", StateReady)
			if alice := g.status("alice"); alice.State != StateReady {
				t.Errorf("alice is %s", alice.State)
			}
		})
	}
}

func (h home) accept() {
	h.Helper()
	h.write("../.", "config.yaml", "isolation: {accept: profiles-can-read-each-other}\n")
}

// At REDUCED and above everybody is served, and nothing is asked of anybody.
func TestProfilesAreServedTogetherBehindWalls(t *testing.T) {
	t.Parallel()
	for _, level := range []string{handoff.LevelFull, "NAMESPACES", "REDUCED"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.add("alice", "serve")
			h.add("bob", "serve")
			g := h.gateway().behind(level).run()
			g.await("alice", StateReady)
			g.await("bob", StateReady)
			if status, err := g.client().Status(t.Context()); err != nil || status.Isolation.Walls.Level != level {
				t.Errorf("the status says %+v, %v", status.Isolation, err)
			}
		})
	}
}

// A profile can take its own walls away, but not those of others: it waits, and the
// others are served, whatever the order of their names.
func TestProfileWithoutWallsIsServedAlone(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "serve")
	h.write("alice", "config.yaml", "isolation: {tools: off}\n")
	h.add("bob", "serve")
	h.add("carol", "serve")
	g := h.gateway().behind(handoff.LevelFull).run()
	g.await("bob", StateReady)
	g.await("carol", StateReady)
	if refused := g.await("alice", StateBadConfig); !strings.Contains(refused.Reason, "isolation.tools is off") {
		t.Errorf("alice waits because %s", refused.Reason)
	}
	// One that serves already keeps the walls that it has.
	h.write("bob", "config.yaml", "isolation: {tools: off}\n")
	eventually(t, "bob's change is refused", func() bool { return strings.Contains(g.status("bob").Reason, "could read the files of profile carol") })
	if bob := g.status("bob"); bob.State != StateReady || bob.Generation != 1 {
		t.Errorf("bob is %s in generation %d", bob.State, bob.Generation)
	}
	// What a profile says for all is no setting of it.
	h.write("alice", "config.yaml", "isolation: {tools: off, accept: profiles-can-read-each-other}\n")
	eventually(t, "alice's consent is refused", func() bool { return strings.Contains(g.status("alice").Reason, "only the home's settings can say it") })
}

// The rule holds between gateways too, in either order.
func TestGatewaysOfAHomeAreKeptApart(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "serve")
	h.add("bob", "serve")
	h.gateway("alice").behind("WEAK").run().await("alice", StateReady)
	for _, level := range []string{"WEAK", handoff.LevelFull} {
		err := h.gateway("bob").behind(level).run().awaitEnd()
		if _, refused := errors.AsType[*ExposedError](err); !refused {
			t.Errorf("a second gateway at level %s ends with %v", level, err)
		}
	}
	h.accept()
	h.gateway(profiles.Name("bob")).behind("WEAK").run().await("bob", StateReady)
}

// A worker that finds less than the machine should have is believed: it leaves where
// others are served, and is shown as it is where the home accepts that; whether it says
// so when it is ready, or had said it before.
func TestWorkerThatFindsNoWallsLeaves(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"walls NONE", "early NONE"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.add("alice", "serve")
			h.add("bob", script)
			g := h.gateway().behind(handoff.LevelFull).run()
			g.await("alice", StateReady)
			refused := g.await("bob", StateBadConfig)
			if !strings.Contains(refused.Reason, "level NONE, because the script says so") {
				t.Errorf("bob waits because %s", refused.Reason)
			}
			h.accept()
			g.await("bob", StateReady)
			eventually(t, "the level is shown", func() bool {
				walls := g.status("bob").Walls
				return walls != nil && walls.Level == handoff.LevelNone
			})
		})
	}
}
