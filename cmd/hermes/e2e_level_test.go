package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"hermes/supervisor"
)

// patience is how long a test waits for what another process does, on a machine that
// does much else.
const patience = time.Minute

// promise is how long a test waits for what is promised within a time, and would not
// come by itself before a command's time is up: as long as was said where scripts/faults
// has a machine of its own, and longer where much else runs.
func promise(within time.Duration) time.Duration {
	if thorough() {
		return within
	}
	return max(20*time.Second, 3*within)
}

// fails runs hermes to an end that is none of success, and returns what it printed.
func (m *machine) fails(args ...string) (code int, said string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	out, err := m.command(ctx, args...).CombinedOutput()
	exit, failed := errors.AsType[*exec.ExitError](err)
	if !failed {
		m.t.Fatalf("hermes %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return exit.ExitCode(), string(out)
}

// The level is said at the start, in the status, in health, and in the record of each
// turn.
func TestLevelIsSaidEverywhere(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	m.create("bob")
	g := m.gateway(2, "--all")
	first, _, _ := strings.Cut(g.printed()[strings.Index(g.printed(), "[Isolation] "):], "\n")
	level := strings.Fields(strings.TrimPrefix(first, "[Isolation] level "))[0]
	if !strings.HasPrefix(first, "[Isolation] level ") || strings.Index(g.printed(), first) > strings.Index(g.printed(), "[API Server]") {
		t.Errorf("the gateway begins with\n%s", g.printed())
	}
	before, _, said := strings.Cut(g.printed(), " for workers")
	if !said {
		t.Fatalf("the level of workers is not said:\n%s", g.printed())
	}
	room := before[strings.LastIndexByte(before, ' ')+1:]
	alice.tool(t, "level", "terminal", map[string]any{"command": "true"})
	if _, health := alice.get(t, "/health/detailed"); !strings.Contains(health, "commands: "+level) || !strings.Contains(health, "worker: "+room) {
		t.Errorf("health says %s, the gateway %s", health, level)
	}
	var status supervisor.ProfileStatus
	eventually(t, patience, "the worker has told its level", func() bool {
		status = m.profile("alice")
		return status.Walls != nil
	})
	if status.Walls.Level != level || status.Room == nil || status.Room.Level != room {
		t.Errorf("the status says %+v and %+v, the gateway %s and %s", status.Walls, status.Room, level, room)
	}
	if found := m.status().Isolation; found.Walls.Level != level || found.Rooms.Level != room {
		t.Errorf("of the machine the status says %+v", found)
	}
	if out := m.run("gateway", "status"); !strings.Contains(out, "WALLS") || !strings.Contains(out, level) {
		t.Errorf("the table is\n%s", out)
	}
	if out := m.run("gateway", "status", "alice"); !strings.Contains(out, "walls of commands  "+level) || !strings.Contains(out, "walls of worker    "+room) {
		t.Errorf("of alice it says\n%s", out)
	}
	var sessions []struct{ ID string }
	if err := json.Unmarshal([]byte(m.run("-p", "alice", "session", "list", "--json")), &sessions); err != nil || len(sessions) == 0 {
		t.Fatalf("%d sessions, %v", len(sessions), err)
	}
	if out := m.run("-p", "alice", "session", "show", sessions[0].ID); !strings.Contains(out, "Walls of level: commands "+level+", worker "+room+".") {
		t.Errorf("the record says\n%s", out)
	}
}

// On a machine without walls the second profile waits for somebody's consent, and
// every place says so.
func TestSecondProfileWaitsForConsentWithoutWalls(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere there are never walls")
	}
	m := newMachine(t, true)
	var err error
	if m.bin, err = exec.LookPath("hermes-without-walls"); err != nil {
		t.Fatal(err)
	}
	alice, bob := m.create("alice"), m.create("bob")
	g := m.gateway(1, "--all")
	if out := g.printed(); !strings.Contains(out, "[Isolation] level WEAK for commands of agents, because namespaces are refused (clone: operation not permitted), the kernel has no Landlock; what to do about it: hermes doctor") {
		t.Errorf("the gateway prints\n%s", out)
	}
	eventually(t, patience, "bob is refused", func() bool { return m.profile("bob").State == supervisor.StateBadConfig })
	if _, health := alice.get(t, "/health/detailed"); !strings.Contains(health, "commands: WEAK") || !strings.Contains(health, `"degraded"`) {
		t.Errorf("health says %s", health)
	}
	const consent = "isolation.accept profiles-can-read-each-other"
	table := m.run("gateway", "status")
	for _, want := range []string{"bad_config", "its commands could read the files of profile alice", "level WEAK", "hermes -p default config set " + consent} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
	if code, said := m.fails("doctor"); code != 1 || !strings.Contains(said, consent) {
		t.Errorf("doctor ends with %d:\n%s", code, said)
	}
	// A profile cannot consent for the others.
	if code, said := m.fails(append([]string{"-p", "bob", "config", "set"}, strings.Fields(consent)...)...); code == 0 || !strings.Contains(said, "only the home's settings can say it") {
		t.Errorf("bob's consent ends with %d: %s", code, said)
	}
	m.run(append([]string{"-p", "default", "config", "set"}, strings.Fields(consent)...)...)
	eventually(t, patience, "bob is served", func() bool {
		return m.profile("bob").State == supervisor.StateReady || m.profile("bob").State == supervisor.StateSleeping
	})
	if status, _ := bob.get(t, "/health/detailed"); status != 200 {
		t.Errorf("bob answers %d", status)
	}
	if out := m.run("doctor"); !strings.Contains(out, "accepted") {
		t.Errorf("doctor says\n%s", out)
	}
}

// Two gateways are no way around that: the second one ends with exit code 78.
func TestSecondGatewayIsRefusedWithoutWalls(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere there are never walls")
	}
	m := newMachine(t, true)
	var err error
	if m.bin, err = exec.LookPath("hermes-without-walls"); err != nil {
		t.Fatal(err)
	}
	m.create("alice")
	m.create("bob")
	m.gateway(1, "-p", "alice")
	code, said := m.fails("-p", "bob", "gateway")
	if code != 78 || strings.Count(strings.TrimSpace(said[strings.Index(said, "hermes: "):]), "\n") != 0 || !strings.Contains(said, "another gateway of this home serves a profile") {
		t.Errorf("it ends with %d: %s", code, said)
	}
}
