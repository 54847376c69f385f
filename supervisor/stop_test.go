package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFirstSignalDrains(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	g := h.gateway("alice").run()
	g.await("alice", StateReady)
	said, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/once", port))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Body.Close()
	g.signals <- syscall.SIGTERM
	g.await("alice", StateDraining)
	eventually(t, "nobody new is let in", func() bool {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	h.write("alice", "go", "")
	if body, err := io.ReadAll(said.Body); err != nil || string(body) != "begun done" {
		t.Errorf("the running request got %q, %v", body, err)
	}
	if err := g.awaitEnd(); err != nil {
		t.Errorf("run returned %v", err)
	}
}

func TestSecondSignalHurries(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	alice, bob := h.add("alice", ""), h.add("bob", "")
	g := h.gateway()
	g.limits.hurry = 100 * time.Millisecond
	g.run()
	g.await("alice", StateReady)
	g.await("bob", StateReady)
	for path, port := range map[string]int{"/slow": alice, "/once": bob} { // bob's never ends
		said, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
		if err != nil {
			t.Fatal(err)
		}
		defer said.Body.Close()
	}
	g.signals <- syscall.SIGINT
	g.await("alice", StateDraining)
	g.await("bob", StateDraining)
	g.signals <- syscall.SIGINT
	if err := g.awaitEnd(); err != nil {
		t.Errorf("run returned %v", err)
	}
}

func TestWorkerThatDoesNotLeaveIsKilled(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "stubborn")
	g := h.gateway("alice")
	g.limits.hurry = 100 * time.Millisecond
	g.run()
	pid := g.await("alice", StateReady).PID
	lingers, err := strconv.Atoi(strings.TrimSpace(mustGet(t, port, "/linger")))
	if err != nil {
		t.Fatal(err)
	}
	g.signals <- syscall.SIGTERM
	g.await("alice", StateDraining)
	g.signals <- syscall.SIGTERM
	if err := g.awaitEnd(); err != nil {
		t.Errorf("run returned %v", err)
	}
	if alive(pid) || alive(lingers) || !strings.Contains(g.log.String(), "did not leave in time, killed by SIGKILL") {
		t.Error("the worker or what it started lives, or the reason is not told")
	}
}

func TestDrainHasALimit(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "stubborn")
	h.write("alice", "config.yaml", "api_server:\n  drain_timeout: 1s\n")
	g := h.gateway("alice")
	g.limits.grace = 50 * time.Millisecond
	g.run()
	g.await("alice", StateReady)
	g.signals <- syscall.SIGTERM
	if err := g.awaitEnd(); err != nil {
		t.Errorf("run returned %v", err)
	}
}

func TestStoppingAStoppedTerminalIsNobodysProblem(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "")
	g := h.gateway("alice")
	r, w := io.Pipe() // nobody reads
	defer r.Close()
	g.opts.Out = w
	g.run()
	p := g.await("alice", StateReady)
	syscall.Kill(p.PID, syscall.SIGKILL)
	g.awaitNext("alice", p.PID)
	if err := g.client().Stop(context.WithoutCancel(t.Context()), StopRequest{}); err != nil {
		t.Error(err)
	}
	g.awaitEnd()
}
