//go:build linux

package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hermes/worker/llm/llmtest"
)

// poor puts the home on a file system that shows its files to everybody as they are, and
// to nobody as somebody else's.
func (m *machine) poor() {
	m.t.Helper()
	if os.Getuid() != 0 {
		m.t.Skip("only root mounts, and has workers that are somebody else")
	}
	aside := m.home + "-aside"
	if err := errors.Join(os.Rename(m.home, aside), os.Mkdir(m.home, 0o700)); err != nil {
		m.t.Fatal(err)
	}
	if err := syscall.Mount("ramfs", m.home, "ramfs", 0, "mode=700"); err != nil {
		m.t.Skip("nothing can be mounted here: ", err)
	}
	m.t.Cleanup(func() { _ = syscall.Unmount(m.home, syscall.MNT_DETACH) })
	if out, err := exec.Command("cp", "-a", aside+"/.", m.home).CombinedOutput(); err != nil {
		m.t.Fatalf("%v: %s", err, out)
	}
}

// Namespaces of which a file system knows nothing are enough too: the worker is a user of
// its own, who owns what its agent writes, behind the whole wall. The next gateway finds
// it.
func TestWorkersOfRootOnAPoorFileSystem(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	m.poor()
	alice, bob := m.create("alice"), m.create("bob")
	g := m.gateway(2, "--all")
	taken := map[int]bool{0: true}
	for _, p := range []person{alice, bob} {
		if got := p.tool(t, "poor", "terminal", map[string]any{"command": "echo x > made"}); !strings.Contains(got, "no output") {
			t.Errorf("a command says %s", got)
		}
		if room := m.profile(p.name).Room; room == nil || room.Level != "FULL" && room.Level != "NAMESPACES" {
			t.Skipf("workers have no namespaces here: %+v", room)
		}
		user := ownerOf(t, filepath.Join(p.dir, "data"))
		if taken[user] {
			t.Errorf("the data of %s belong to user %d", p.name, user)
		}
		taken[user] = true
		for name, want := range map[string]int{"workspace/made": user, "data/state.db": user, "SOUL.md": 0, ".env": 0, "config.yaml": 0} {
			if got := ownerOf(t, filepath.Join(p.dir, name)); got != want {
				t.Errorf("%s of %s belongs to user %d, not %d", name, p.name, got, want)
			}
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.worker(p)))
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("\nUid:\t%d\t%[1]d\t%[1]d\t%[1]d\n", user); !strings.Contains(string(status), want) {
			t.Errorf("of the worker the kernel does not say %q: %s", want, status)
		}
	}
	if out := m.run("doctor"); !strings.Contains(out, "for workers") || !strings.Contains(out, "; 0 of 1") || strings.Contains(out, "report it") {
		t.Errorf("doctor says %s", out)
	}
	if err := g.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-g.done
	m.start("--all").await(2, "worker taken over from the former gateway")
	if status, body := alice.answer(t, "say hello"); status != 200 || !strings.Contains(body, upstreamHello) {
		t.Errorf("status %d: %s", status, body)
	}
}

// A file in the place of SOUL.md that its worker may not open counts from the next start
// on, and until then the one before.
func TestSoulOfAWorkerThatDoesNotOwnIt(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*machine){"poor": (*machine).poor, "contained": (*machine).contain} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachineWith(t, func(call llmtest.Call) llmtest.Reply {
				_, after, _ := strings.Cut(call.System(), "You are ")
				who, _, _ := strings.Cut(after, ".")
				return llmtest.Text("I am " + who)
			})
			prepare(m)
			alice := m.create("alice")
			alice.rename(t, "Zorbul")
			m.gateway(1, "--all")
			says := func(want string) {
				t.Helper()
				if _, said := alice.answer(t, "who are you"); !strings.Contains(said, "I am "+want+`"`) {
					t.Errorf("the model says %s", said)
				}
			}
			says("Zorbul")
			alice.rename(t, "Quamix")
			says("Zorbul")
			m.run("gateway", "restart", "alice")
			says("Quamix")
		})
	}
}

// contain has the machine be one that gives no namespaces.
func (m *machine) contain() {
	m.t.Helper()
	if os.Getuid() != 0 {
		m.t.Skip("only root has workers that are somebody else")
	}
	var err error
	if m.bin, err = exec.LookPath("hermes-contained"); err != nil {
		m.t.Fatal(err)
	}
	m.leave()
}
