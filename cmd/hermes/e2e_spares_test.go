package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// spares are the processes that wait to become workers: children of the gateway that
// are in no profile's directory.
func (g *gateway) spares() (found []int) {
	g.t.Helper()
	for _, child := range childrenOf(g.cmd.Process.Pid) {
		pid := child
		if inner := childrenOf(child); len(inner) > 0 { // behind a wall it is the child of its shim
			pid = inner[0]
		}
		words, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if !strings.HasSuffix(strings.TrimRight(string(words), "\x00"), "\x00worker") {
			continue // a shim that has yet to start it, or something else
		}
		if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err == nil && dir == "/" {
			found = append(found, pid)
		}
	}
	return found
}

// spare waits until the one is ready that a gateway has by default.
func (m *machine) spare(g *gateway) int {
	m.t.Helper()
	var found []int
	eventually(m.t, patience, "there is a spare worker", func() bool {
		found = g.spares()
		return len(found) == 1 && m.status().Spares == 1
	})
	return found[0]
}

func TestSpareBecomesTheWorkerThatIsWoken(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice, bob := m.create("alice"), m.create("bob")
	g := m.gateway(2, "--all")
	spare := m.spare(g)
	// It is nobody's: it has a null device, two ends of the log's pipe, and the control
	// socket.
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", spare))
	if err != nil {
		t.Fatal(err)
	}
	sockets := 0
	for _, fd := range fds {
		target, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", spare, fd.Name()))
		if strings.HasPrefix(target, "socket:") {
			sockets++
		}
		if strings.HasPrefix(target, filepath.Dir(m.home)) {
			t.Errorf("the spare has %s open", target)
		}
	}
	if sockets != 1 && sockets != 2 { // the second one is that to its shim
		t.Errorf("the spare has %d sockets", sockets)
	}
	if status, body := alice.answer(t, "say hello"); status != 200 || !strings.Contains(body, upstreamHello) {
		t.Errorf("status %d: %s", status, body)
	}
	if worker := g.worker(alice); worker != spare {
		t.Errorf("alice was woken as %d, the spare was %d", worker, spare)
	}
	next := m.spare(g)
	if next == spare {
		t.Error("the spare is alice's worker and a spare")
	}
	// A restart takes it as well.
	m.run("gateway", "restart", "alice")
	if worker := m.profile("alice").PID; worker != next {
		t.Errorf("alice was started again as %d, the spare was %d", worker, next)
	}
	if status, body := bob.answer(t, "say hello"); status != 200 || !strings.Contains(body, upstreamHello) {
		t.Errorf("status %d: %s", status, body)
	}
	if p := m.profile("alice"); p.Generation != 2 || p.Restarts != 0 {
		t.Errorf("alice: %+v", p)
	}
}

// A spare may be killed at any time: before somebody wants it, and as it is taken.
func TestSpareThatWasKilledIsNotMissed(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice, bob := m.create("alice"), m.create("bob")
	g := m.gateway(2, "--all")
	for _, p := range []person{alice, bob} {
		spare := m.spare(g)
		if err := syscall.Kill(spare, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if p == alice {
			g.await(1, "spare worker died")
		}
		if status, body := p.answer(t, "say hello"); status != 200 || !strings.Contains(body, upstreamHello) {
			t.Errorf("status %d: %s", status, body)
		}
		if s := m.profile(p.name); s.Restarts != 0 || s.LastExit != nil || s.PID == spare {
			t.Errorf("%s: %+v", p.name, s)
		}
		eventually(t, patience, "nothing is left of it", func() bool { return syscall.Kill(spare, 0) != nil })
	}
}

func TestSpareLeavesWithItsGateway(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	m.run("-p", "alice", "config", "set", "supervisor.orphan_grace", "1s")
	gone := func(pid int) func() bool { return func() bool { return syscall.Kill(pid, 0) != nil } }
	// One that stops needs none, however long its workers take.
	g := m.gateway(1, "--all")
	leave := begin(t, alice, "stream 1500 8 20ms", true)
	defer leave()
	eventually(t, patience, "the first spare is alice's worker", func() bool { return g.worker(alice) != 0 })
	spare := m.spare(g)
	g.cmd.Process.Signal(syscall.SIGTERM)
	eventually(t, patience, "the spare is gone", gone(spare))
	eventually(t, patience, "the worker is seen, which did not go with it", func() bool { return g.worker(alice) != 0 })
	g.cmd.Process.Signal(syscall.SIGTERM)
	<-g.done
	// Nor does one outlive a gateway that was killed: nobody could adopt it.
	g = m.gateway(1, "--all")
	spare = m.spare(g)
	if err := g.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "the spare is gone", gone(spare))
}

func TestUpgradeReplacesTheSpare(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	g := m.gateway(1, "--all")
	spare, other := m.spare(g), m.copied()
	m.run("gateway", "upgrade", "--binary", other)
	eventually(t, patience, "the spare of before is gone", func() bool { return syscall.Kill(spare, 0) != nil })
	next := m.spare(g)
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", next)); err != nil || exe == m.bin {
		t.Errorf("the spare runs %s, %v", exe, err)
	}
	if status, body := alice.answer(t, "say hello"); status != 200 || !strings.Contains(body, upstreamHello) {
		t.Errorf("status %d: %s", status, body)
	}
	if worker := g.worker(alice); worker != next {
		t.Errorf("alice was woken as %d, the spare was %d", worker, next)
	}
}

func TestSparesAreASetting(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	m.run("config", "set", "supervisor.spares", "3")
	g := m.gateway(1, "--all")
	eventually(t, patience, "there are three spares", func() bool { return len(g.spares()) == 3 && m.status().Spares == 3 })
	g.stop()
	m.run("config", "set", "supervisor.spares", "0")
	g = m.gateway(1, "--all")
	if status, _ := alice.answer(t, "say hello"); status != 200 {
		t.Errorf("status %d", status)
	}
	if spares := g.spares(); len(spares) > 0 || m.status().Spares != 0 {
		t.Errorf("there are spares: %d", spares)
	}
}
