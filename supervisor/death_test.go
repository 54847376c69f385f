package supervisor

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestKilledWorkerCostsNobodyElseAnything(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	alice, bob := h.add("alice", ""), h.add("bob", "")
	g := h.gateway()
	g.limits.backoff.base = 500 * time.Millisecond // time for clients to queue up
	g.run()
	old := g.await("alice", StateReady).PID
	other := g.await("bob", StateReady).PID

	// A stream of bob's runs on all the while.
	stream, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/slow", bob))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	ticks := bufio.NewReader(stream.Body)
	tick := func() {
		t.Helper()
		if word, err := ticks.ReadString(' '); err != nil || word != "tick " {
			t.Fatalf("bob's stream: %q, %v", word, err)
		}
	}
	tick()
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	dead := g.await("alice", StateBackoff)
	if dead.LastExit == nil || dead.LastExit.Signal != "SIGKILL" || dead.LastExit.PID != old || dead.LastExit.Code != -1 {
		t.Errorf("last exit is %+v", dead.LastExit)
	}
	if dead.Retry.IsZero() || !strings.Contains(dead.Reason, "SIGKILL") {
		t.Errorf("status is %+v", dead)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			body, err := get(alice, "/")
			if err != nil || !strings.HasPrefix(body, "alice ") || strings.HasSuffix(body, strconv.Itoa(old)) {
				t.Errorf("a client that came while there was no worker got %q, %v", body, err)
			}
		})
	}
	wg.Wait()
	now := g.await("alice", StateReady)
	if now.Restarts != 1 || now.Generation != 2 {
		t.Errorf("alice after one death: %+v", now)
	}
	for range 3 {
		tick()
	}
	if p := g.status("bob"); p.PID != other || p.Generation != 1 || p.Restarts != 0 || p.Busy != 1 {
		t.Errorf("bob after alice's death: %+v", p)
	}
}

func TestCrashingWorkerIsStartedAgainAndAgain(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "exit 3")
	bob := h.add("bob", "")
	g := h.gateway().run()
	eventually(t, "alice has died five times", func() bool { return g.status("alice").Restarts >= 5 })
	p := g.status("alice")
	if p.LastExit == nil || p.LastExit.Code != 3 || strings.Join(p.LastExit.Lines, "") != "I do not like it here" {
		t.Errorf("last exit is %+v", p.LastExit)
	}
	if !strings.Contains(g.log.String(), `reason="ended with exit code 3: I do not like it here"`) {
		t.Error("the log does not say why alice died")
	}
	if got := mustGet(t, bob, "/"); !strings.HasPrefix(got, "bob ") || g.status("bob").Generation != 1 {
		t.Errorf("bob answers %q", got)
	}
	h.write("alice", "script", "")
	g.await("alice", StateReady)
}

func TestFloodOfAWorkerStaysSmall(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "flood")
	g := h.gateway().run()
	g.await("alice", StateReady) // after 54 MB: nobody waited for the disk
	path := filepath.Join(h.profile("alice"), "logs/worker.log")
	eventually(t, "the log tells of dropped lines", func() bool {
		log, _ := os.ReadFile(path)
		return strings.Contains(string(log), "dropped ")
	})
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 15*testRate || info.Mode().Perm() != 0o600 {
		t.Errorf("log has %d bytes and mode %v", info.Size(), info.Mode())
	}
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parse(t, string(log)) // every line is a record
}

func TestNothingThatAWorkerStartedOutlivesIt(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	g := h.gateway("alice").run()
	p := g.await("alice", StateReady)
	for _, how := range []string{"killed", "crashed", "stopped"} {
		pid, err := strconv.Atoi(strings.TrimSpace(mustGet(t, port, "/linger")))
		if err != nil || !alive(pid) {
			t.Fatalf("no process %d: %v", pid, err)
		}
		switch how {
		case "killed":
			syscall.Kill(p.PID, syscall.SIGKILL)
			p = g.awaitNext("alice", p.PID)
		case "crashed":
			get(port, "/crash")
			p = g.awaitNext("alice", p.PID)
			if p.LastExit.Code != 3 || !strings.Contains(strings.Join(p.LastExit.Lines, "\n"), "giving up") {
				t.Errorf("last exit is %+v", p.LastExit)
			}
		case "stopped":
			g.signals <- syscall.SIGTERM
			if err := g.awaitEnd(); err != nil {
				t.Error(err)
			}
		}
		if alive(pid) {
			t.Errorf("a process of a %s worker still lives", how)
		}
	}
}

func TestHungWorkerIsDumpedAndReplaced(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "stall")
	g := h.gateway("alice")
	g.limits.silence = 300 * time.Millisecond
	g.run()
	p := g.await("alice", StateReady)
	h.write("alice", "script", "")
	eventually(t, "the worker is replaced", func() bool {
		now := g.status("alice")
		return now.LastExit != nil && now.LastExit.PID == p.PID
	})
	if last := g.status("alice").LastExit; !strings.Contains(last.Reason, "no sign of life for 300ms") {
		t.Errorf("last exit is %+v", last)
	}
	eventually(t, "its goroutines are in the log", func() bool { // which nobody waits for
		log, err := os.ReadFile(filepath.Join(h.profile("alice"), "logs/worker.log"))
		return err == nil && strings.Contains(string(log), "goroutine 1 ")
	})
}

func TestStoppedWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "")
	g := h.gateway("alice")
	g.limits.silence, g.limits.dump = 500*time.Millisecond, 50*time.Millisecond
	g.run()
	p := g.await("alice", StateReady)
	syscall.Kill(p.PID, syscall.SIGSTOP)
	if next := g.awaitNext("alice", p.PID); !strings.Contains(next.LastExit.Reason, "no sign of life for 500ms") {
		t.Errorf("last exit is %+v", next.LastExit)
	}
}

func TestWorkerThatIsNeverReadyIsReplaced(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"mute", "deaf"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.add("alice", script)
			g := h.gateway("alice")
			g.limits.start, g.limits.dump = 300*time.Millisecond, 100*time.Millisecond
			g.run()
			g.await("alice", StateBackoff)
			if last := g.status("alice").LastExit; last == nil || !strings.Contains(last.Reason, "not ready after 300ms") {
				t.Errorf("last exit is %+v", last)
			}
		})
	}
}

func TestKilledGatewayTakesItsWorkersAlong(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	cmd := exec.Command(os.Args[0], "gateway", h.dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := kids.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() }) // if the test fails before it does
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.Contains(line, strconv.Itoa(port)) {
		t.Fatalf("gateway said %q, %v", line, err)
	}
	client := newClient(filepath.Join(h.dir, runDir, "all.sock"))
	status, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pid := status.Profiles[0].PID
	if !alive(pid) {
		t.Fatal("no worker")
	}
	cmd.Process.Kill()
	kids.Wait(cmd)
	eventually(t, "the worker is gone too", func() bool { return !alive(pid) })

	// What is left lying about is in nobody's way.
	g := h.gateway().run()
	g.await("alice", StateReady)
	if got := mustGet(t, port, "/"); !strings.HasPrefix(got, "alice ") {
		t.Errorf("the next gateway answers %q", got)
	}
}
