package supervisor

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestUpgradeToTheSameProgramChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	h.add("held", "")
	h.add("broken", "exit 3")
	h.write("wrong", "config.yaml", "agent:\n  max_iterations: many\n")
	a := h.alone()
	worker := a.await("alice", StateReady).PID
	a.await("held", StateReady)
	if _, err := a.client().Act(t.Context(), "held", ActionStop, ActionRequest{Wait: true}); err != nil {
		t.Fatal(err)
	}
	a.await("wrong", StateBadConfig)
	eventually(t, "broken has died", func() bool { return a.status("broken").Restarts > 0 })
	stop := stream(t, port)
	eventually(t, "the stream counts", func() bool { return a.status("alice").Busy == 1 })
	for range 3 {
		after := a.upgrade("")
		p := a.status("alice")
		if p.PID != worker || p.Generation != 1 || p.Busy != 1 || p.Outdated || p.Restarts != 0 || after.Version != "" {
			t.Errorf("alice after an upgrade: %+v", p)
		}
		if got := mustGet(t, port, "/"); got != fmt.Sprintf("alice %d", worker) {
			t.Errorf("alice answers %q", got)
		}
		if p := a.status("held"); p.State != StateStopped || p.Reason != "stopped by command" {
			t.Errorf("held after an upgrade: %+v", p)
		}
		if p := a.status("wrong"); p.State != StateBadConfig || !strings.Contains(p.Reason, "max_iterations") {
			t.Errorf("wrong after an upgrade: %+v", p)
		}
		if p := a.status("broken"); p.Restarts == 0 || p.LastExit == nil || p.LastExit.Code != 3 {
			t.Errorf("broken after an upgrade: %+v", p)
		}
	}
	if n := stop(); n == 0 {
		t.Error("the stream is empty")
	}
	// The worker is a child as before: its end is seen, and its successor begins.
	if err := syscall.Kill(worker, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another worker serves", func() bool { p := a.status("alice"); return p.State == StateReady && p.PID != worker })
	if p := a.status("alice"); p.LastExit == nil || p.LastExit.Signal != "SIGKILL" {
		t.Errorf("last exit is %+v", p.LastExit)
	}
}

func TestUpgradeReplacesWorkersUnderLoad(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	a := h.alone("TEST_RELOAD_DRAIN=3s")
	worker := a.await("alice", StateReady).PID
	var stops []func() int
	for range 20 {
		stops = append(stops, stream(t, port))
	}
	var wg sync.WaitGroup
	var asked atomic.Int64
	over := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			ticker := time.NewTicker(20 * time.Millisecond)
			defer ticker.Stop()
			for {
				select {
				case <-over:
					return
				case <-ticker.C:
				}
				if body, err := get(port, "/"); err != nil || !strings.HasPrefix(body, "alice ") {
					t.Errorf("a request got %q, %v", body, err)
				}
				asked.Add(1)
			}
		})
	}
	a.upgrade(wrapped(t, "TEST_OTHER=1"))
	if p := a.status("alice"); p.PID != worker || !p.Outdated {
		t.Errorf("right after the upgrade: %+v", p)
	}
	for _, stop := range stops {
		if n := stop(); n == 0 {
			t.Error("a stream is empty")
		}
	}
	eventually(t, "a worker of the new program serves", func() bool {
		p := a.status("alice")
		return p.State == StateReady && p.PID != worker && !p.Outdated && p.Generation == 2
	})
	eventually(t, "the one before is gone", func() bool { return !alive(worker) })
	close(over)
	wg.Wait()
	if n := asked.Load(); n < 20 {
		t.Errorf("only %d requests were made", n)
	}
}

func TestUpgradeWithOtherTablesStopsTheOldWorkerFirst(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	a := h.alone()
	worker := a.await("alice", StateReady).PID
	a.upgrade(wrapped(t, "TEST_SCHEMA=2"))
	eventually(t, "a worker of the new program serves", func() bool {
		p := a.status("alice")
		if p.PID != worker && p.PID != 0 && alive(worker) {
			t.Error("two workers with different tables lived at once")
		}
		return p.State == StateReady && p.PID != worker
	})
	if got := mustGet(t, port, "/"); !strings.HasPrefix(got, "alice ") {
		t.Errorf("alice answers %q", got)
	}
}

func TestUpgradeToWhatIsNoProgramIsRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	a := h.alone()
	worker := a.await("alice", StateReady).PID
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for binary, want := range map[string]string{
		filepath.Join(dir, "missing"):                            "does not run here (no such file or directory)",
		write("broken", "\x7fELF and nothing more"):              "does not run here (exec format error)",
		write("fails", "#!/bin/sh\nexit 3\n"):                    "does not run here (exit status 3)",
		write("other", "#!/bin/sh\necho hello\n"):                "is no hermes",
		write("old", "#!/bin/sh\necho '{\"version\":\"v0\"}'\n"): "cannot take over from a running gateway",
		"hermes": "no absolute path",
	} {
		_, _, err := a.client().Upgrade(t.Context(), binary)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("upgrade to %s: %v, want %q", binary, err, want)
		}
	}
	if s := a.whole(); s.Image != 1 || s.PID != a.cmd.Process.Pid {
		t.Errorf("status is %+v", s)
	}
	if got := mustGet(t, port, "/"); got != fmt.Sprintf("alice %d", worker) {
		t.Errorf("alice answers %q", got)
	}
}

func TestStormOfHangups(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	a := h.alone()
	worker := a.await("alice", StateReady).PID
	stop := stream(t, port)
	for range 100 {
		a.cmd.Process.Signal(syscall.SIGHUP)
		if body := mustGet(t, port, "/"); body != fmt.Sprintf("alice %d", worker) {
			t.Fatalf("alice answers %q", body)
		}
	}
	eventually(t, "the gateway is another program", func() bool { return a.whole().Image > 1 })
	if n := stop(); n == 0 {
		t.Error("the stream is empty")
	}
	if s := a.whole(); s.PID != a.cmd.Process.Pid || s.Image > 10 {
		t.Errorf("after 100 signals: %+v", s)
	}
}

func TestFailedExecChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	g := h.gateway()
	g.exec = func(string, []string, []string) error { return syscall.ENOMEM }
	g.run()
	worker := g.await("alice", StateReady).PID
	stop := stream(t, port)
	for range 3 {
		_, _, err := g.client().Upgrade(t.Context(), "")
		if err == nil || !strings.Contains(err.Error(), "cannot allocate memory") {
			t.Errorf("upgrade: %v", err)
		}
	}
	if s := g.await("alice", StateReady); s.PID != worker {
		t.Errorf("alice: %+v", s)
	}
	h.write("alice", ".env", fmt.Sprintf("API_SERVER_ENABLED=true\nAPI_SERVER_PORT=%d\nAPI_SERVER_MODEL_NAME=other\n", port))
	g.awaitNext("alice", worker)
	if n := stop(); n == 0 {
		t.Error("the stream is empty")
	}
}

func TestUpgradeWhileAWorkerStarts(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "mute")
	bob := h.add("bob", "")
	a := h.alone()
	a.await("bob", StateReady)
	before := a.await("alice", StateStarting)
	eventually(t, "alice has a worker", func() bool { before = a.status("alice"); return before.PID != 0 })
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/once", bob))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	h.write("bob", ".env", fmt.Sprintf("API_SERVER_ENABLED=true\nAPI_SERVER_PORT=%d\nAPI_SERVER_MODEL_NAME=other\n", bob))
	eventually(t, "bob's first worker retires", func() bool { return len(a.status("bob").Retiring) == 1 })
	a.upgrade("")
	if p := a.status("alice"); p.PID != before.PID || p.State != StateStarting || p.Generation != 1 {
		t.Errorf("alice after the upgrade: %+v, before %+v", p, before)
	}
	if p := a.status("bob"); len(p.Retiring) != 1 {
		t.Errorf("bob after the upgrade: %+v", p)
	}
	h.write("bob", "go", "")
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "begun done" {
		t.Errorf("what bob's first worker had begun: %q, %v", body, err)
	}
	eventually(t, "bob's first worker is gone", func() bool { return len(a.status("bob").Retiring) == 0 })
	h.write("alice", "script", "")
	if _, err := a.client().Act(t.Context(), "alice", ActionRestart, ActionRequest{Wait: true, Now: true}); err != nil {
		t.Fatal(err)
	}
	a.await("alice", StateReady)
}

func TestServiceManagerIsToldOfAnUpgrade(t *testing.T) {
	t.Parallel()
	at := filepath.Join(t.TempDir(), "notify")
	manager := listenAs(t, at)
	h := newHome(t)
	h.add("alice", "")
	a := h.alone("NOTIFY_SOCKET=" + at)
	a.await("alice", StateReady)
	eventually(t, "READY", func() bool { return manager.count("READY=1") == 1 })
	a.upgrade("")
	eventually(t, "READY once more", func() bool { return manager.count("READY=1") == 2 })
	if manager.count("RELOADING=1") != 1 {
		t.Errorf("it was told %q", manager.said)
	}
	manager.mu.Lock()
	defer manager.mu.Unlock()
	for i, line := range manager.said {
		if line == "RELOADING=1" && (i+1 == len(manager.said) || !strings.HasPrefix(manager.said[i+1], "MONOTONIC_USEC=")) {
			t.Errorf("the time of the reload is missing: %q", manager.said)
		}
	}
}
