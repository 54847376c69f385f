package main_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// files counts the descriptors of a process.
func files(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Skip(err) // not root: the process hides itself
	}
	return len(entries)
}

// mostTaken is how many MiB a process may keep of a storm. The race detector takes much
// for what Go would give back.
const mostTaken = 256

// resident is the memory of a process in MiB.
func resident(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatalf("process %d is gone: %v", pid, err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib >> 10
}

// neighbour asks a profile again and again, and tells when it is stopped how it went.
func neighbour(t *testing.T, p person) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	asked, slowest := 0, time.Duration(0)
	asking.Go(func() {
		for tick := time.NewTicker(20 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			began := time.Now()
			resp, err := p.ask(context.WithoutCancel(ctx), "say hello", false)
			if err != nil {
				t.Errorf("the neighbour: %v", err)
				return
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), upstreamHello) {
				t.Errorf("the neighbour is answered %d: %s", resp.StatusCode, body)
				return
			}
			asked, slowest = asked+1, max(slowest, time.Since(began))
		}
	})
	return func() {
		cancel()
		asking.Wait()
		t.Logf("the neighbour asked %d times, the slowest answer took %v", asked, slowest)
		if asked < 10 || slowest > promise(10*time.Second) {
			t.Error("the neighbour was hindered")
		}
	}
}

// storms has the worker of a profile throw garbage, and returns what it says of that.
func (p person) storms(t *testing.T, target string, seed uint64) string {
	t.Helper()
	done := filepath.Join(p.dir, "workspace", "storm.done")
	_ = os.Remove(done)
	fresh := filepath.Join(p.dir, "storm.new")
	if err := os.WriteFile(fresh, fmt.Appendf(nil, "%s %d", target, seed), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fresh, filepath.Join(p.dir, "workspace", "storm")); err != nil {
		t.Fatal(err)
	}
	var said []byte
	eventually(t, 2*patience, "the storm at "+target+" is over", func() bool {
		said, _ = os.ReadFile(done)
		return len(said) > 0
	})
	t.Logf("at %s: %s", target, said)
	return string(said)
}

// behindShim is the shim of a profile's worker, 0 if it has none.
func (g *gateway) behindShim(p person) (shim int) {
	worker := g.worker(p)
	for _, child := range childrenOf(g.cmd.Process.Pid) {
		if worker != 0 && slices.Contains(childrenOf(child), worker) {
			return child
		}
	}
	return 0
}

// A worker that somebody has taken over throws all that it can at its shim, at the
// egress process and at the supervisor, from where it stands. They live, keep nothing
// of it, and serve its neighbour and its successor as before.
func TestTakenWorkerHarmsNobody(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice, mallory := m.create("alice"), m.create("mallory")
	var err error
	if m.bin, err = exec.LookPath("hermes-taken"); err != nil {
		t.Fatal(err)
	}
	m.run("-p", "default", "config", "set", "supervisor.backoff_base", "10ms")
	m.run("-p", "mallory", "config", "set", "agent.approvals", "allow")
	g := m.gateway(2, "--all")
	for _, p := range []person{alice, mallory} {
		if status, body := p.answer(t, "say hello"); status != http.StatusOK {
			t.Fatalf("got %d: %s", status, body)
		}
	}
	shim, egress, supervisor := g.behindShim(mallory), g.egress(), g.cmd.Process.Pid
	if shim == 0 {
		t.Skip("workers have no shim here")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("the seed is %d", seed)
	processes := map[string]int{"shim": shim, "egress": egress, "supervisor": supervisor}
	calm, small := map[string]int{}, map[string]int{}
	for name, pid := range processes {
		calm[name], small[name] = files(t, pid), resident(t, pid)
	}
	recovers := func(name string) {
		t.Helper()
		pid := processes[name]
		// Connections of the neighbour come and go.
		eventually(t, patience, name+" keeps nothing", func() bool { return files(t, pid) <= calm[name]+16 })
		now := resident(t, pid)
		t.Logf("%s has %d descriptors and %d MiB; before it had %d and %d", name, files(t, pid), now, calm[name], small[name])
		if now > small[name]+mostTaken {
			t.Errorf("%s has taken too much", name)
		}
	}
	stop := neighbour(t, alice)
	mallory.storms(t, "egress", seed)
	recovers("egress")
	if now := g.egress(); now != egress {
		t.Errorf("egress was process %d and is %d", egress, now)
	}
	mallory.storms(t, "shim", seed)
	if got := mallory.tool(t, "after", "terminal", map[string]any{"command": "echo served after all"}); !strings.Contains(got, `"served after all\n`) {
		t.Errorf("the shim starts no command any more: %s", got)
	}
	recovers("shim")
	stages := childrenOf(shim) // such as wait for the rest of their plan
	if n := len(stages); n > 256 {
		t.Errorf("%d processes are left", n)
	}
	mallory.storms(t, "supervisor", seed)
	worker := g.worker(mallory)
	if err := syscall.Kill(worker, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "there is another worker", func() bool {
		status, _ := mallory.get(t, "/health")
		return status == http.StatusOK && g.worker(mallory) != worker
	})
	for _, pid := range append(stages, shim) {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d has outlived its worker", pid)
		}
	}
	if status, body := mallory.answer(t, "say hello"); status != http.StatusOK {
		t.Errorf("its successor answers %d: %s", status, body)
	}
	stop()
	recovers("supervisor")
	if out := m.run("gateway", "status"); strings.Contains(out, "\x1b") || strings.Count(out, "ready") != 2 {
		t.Errorf("the status is %q", out)
	}
	audit, _ := os.ReadFile(filepath.Join(m.home, "logs", "egress.log"))
	if strings.Contains(string(audit), "goroutine ") || strings.Contains(g.printed(), "goroutine ") || strings.Contains(g.printed(), "egress process has died") {
		t.Errorf("somebody has panicked:\n%s", g.printed())
	}
}

// pester is a command that opens connections to its proxy by the hundred, says nonsense
// on them, half of something, or nothing, and listens to none.
const pester = `/usr/bin/python3 - <<'X'
import random, resource, socket
resource.setrlimit(resource.RLIMIT_NOFILE, (2048, 4096))
dice = random.Random(%d)
heads = [b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\n\r\n", b"GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST http://x/ HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n{", b"GET / HTTP/1.1\r\nA: " + b"a" * 30000, b"CONNECT [::1]:1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n"]
opened = 0
for round in range(3):
    held = []
    for i in range(700):
        try:
            s = socket.create_connection(("127.0.0.1", 3128), timeout=5)
            s.setblocking(False)
            head = dice.choice(heads)
            s.send([b"", head, head[:dice.randrange(len(head))], dice.randbytes(200)][dice.randrange(4)])
            held.append(s)
        except OSError:
            pass
    opened += len(held)
    for s in held:
        s.close()
print("opened", opened > 1500)
X`

// A command does the same to its proxy, and hinders nobody but for a moment itself.
func TestPesteredProxyServesOn(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("/usr/bin/python3"); err != nil {
		t.Skip(err)
	}
	m := newMachine(t, true)
	alice, bob := m.create("alice"), m.create("bob")
	m.run("-p", "bob", "config", "set", "agent.approvals", "allow")
	g := m.gateway(2, "--all")
	if _, health := bob.get(t, "/health/detailed"); !strings.Contains(health, "commands: FULL") {
		t.Skipf("this machine has no walls: %s", health)
	}
	if status, body := alice.answer(t, "say hello"); status != http.StatusOK {
		t.Fatalf("got %d: %s", status, body)
	}
	egress := g.egress()
	calm, small := files(t, egress), resident(t, egress)
	stop := neighbour(t, alice)
	if got := bob.tool(t, "pester", "terminal", map[string]any{"command": fmt.Sprintf(pester, 7)}); !strings.Contains(got, "opened True") {
		t.Errorf("the command says %s", got)
	}
	eventually(t, patience, "egress keeps nothing", func() bool { return files(t, egress) <= calm+16 })
	if status, body := bob.answer(t, "say hello"); status != http.StatusOK {
		t.Errorf("bob is answered %d: %s", status, body)
	}
	stop()
	if now := resident(t, egress); now > small+mostTaken || g.egress() != egress {
		t.Errorf("egress has taken %d MiB, it had %d", now, small)
	}
}
