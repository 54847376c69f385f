package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hermes/supervisor"
)

// served is how the running gateway says that a profile stands.
func (m *machine) served(name string) supervisor.ProfileStatus {
	out, err := m.command(m.t.Context(), "gateway", "status", "--json").Output()
	if err != nil {
		return supervisor.ProfileStatus{}
	}
	var gateways []supervisor.Status
	if json.Unmarshal(out, &gateways) != nil {
		return supervisor.ProfileStatus{}
	}
	for _, gateway := range gateways {
		for _, p := range gateway.Profiles {
			if p.Name == name {
				return p
			}
		}
	}
	return supervisor.ProfileStatus{}
}

func TestKilledSupervisorsWorkersAreTakenOver(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice, bob := m.create("alice"), m.create("bob")
	g := m.gateway(2, "--all")
	waitAlice, waitBob := alice.streams(t, 6), bob.streams(t, 3)
	stop := alice.load(t)
	workers := map[string]int{"alice": g.worker(alice), "bob": g.worker(bob)}
	if err := g.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-g.done
	began := time.Now()
	next := m.start("--all")
	next.await(2, "worker taken over from the former gateway")
	eventually(t, patience, "the next gateway answers", func() bool { return m.served("alice").State != "" })
	if took := time.Since(began); thorough() && took > 2*time.Second {
		t.Errorf("the next gateway took %v", took)
	}
	for name, pid := range workers {
		if p := m.served(name); p.PID != pid || p.State != supervisor.StateReady || !p.Outdated || p.Adopted != 1 {
			t.Errorf("%s has worker %d, state %s; it was %d", name, p.PID, p.State, pid)
		}
	}
	if out, err := m.command(t.Context(), "gateway", "--all").CombinedOutput(); err == nil ||
		!strings.Contains(string(out), fmt.Sprintf("pid %d", next.cmd.Process.Pid)) {
		t.Errorf("another gateway: %v, %s", err, out)
	}
	waitAlice()
	waitBob()
	eventually(t, patience, "children of the next gateway serve", func() bool {
		return next.worker(alice) != 0 && next.worker(bob) != 0 && m.served("alice").PID == next.worker(alice)
	})
	if n := stop(); n < 10 {
		t.Errorf("only %d requests were answered meanwhile", n)
	}
	for name, pid := range workers {
		eventually(t, patience, name+"'s first worker is gone", func() bool { return !runs(pid) })
	}
	log, err := os.ReadFile(filepath.Join(alice.dir, "logs/worker.log"))
	if err != nil || !strings.Contains(string(log), "drain ended") {
		t.Errorf("the worker's last words are not in its log: %v", err)
	}
	sockets, _ := filepath.Glob(filepath.Join(m.home, "run", "*.orphan"))
	if len(sockets) > 0 {
		t.Errorf("%v were left", sockets)
	}
}

// runs reports whether pid is a process that is not dead.
func runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestToolsOfAWorkerThatWasTakenOverEndWithIt(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	g := m.gateway(1, "--all")
	mark := mark()
	leave := begin(t, alice, "run `setsid sleep "+mark+" & sleep "+mark+"`", true)
	defer leave()
	eventually(t, patience, "the tool runs", func() bool { return len(processes(t, mark)) >= 2 })
	worker := g.worker(alice)
	if err := g.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-g.done
	next := m.start("--all")
	next.await(1, "worker taken over from the former gateway")
	if err := syscall.Kill(worker, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	next.await(1, "nobody knows how")
	if left := processes(t, mark); len(left) > 0 {
		t.Errorf("processes %v are left of the worker's tools", left)
	}
	if status, body := alice.answer(t, "say hello"); status != 200 {
		t.Errorf("after its death: %d %s", status, body)
	}
}

func TestStrangersAreNotTakenOver(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	decoy := exec.Command("sleep", "600")
	if err := decoy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { decoy.Process.Kill(); decoy.Wait() })
	run := filepath.Join(m.home, "run")
	if err := os.MkdirAll(run, 0o700); err != nil {
		t.Fatal(err)
	}
	// What a gateway that was killed may leave: pids that are others by now.
	lock, err := filepath.Glob(filepath.Join(alice.dir, "*.lock"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(lock, filepath.Join(run, "all.lock")) {
		if err := os.WriteFile(path, fmt.Appendf(nil, "%d\n%d\nnonce\n", decoy.Process.Pid, decoy.Process.Pid), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, says := range []string{
		"", "\n", strings.Repeat("x", 3<<20), `{"kind":"hello","version":1,"profile":"alice","generation":1}` + "\n",
		`{"kind":"hello","version":1,"profile":"../../etc","generation":1}` + "\n" + `{"kind":"report","start":{}}` + "\n",
	} {
		ln, err := net.Listen("unix", filepath.Join(run, fmt.Sprintf("%d.orphan", i)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		go func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				go func() { io.WriteString(conn, says); io.Copy(io.Discard, conn); conn.Close() }()
			}
		}()
	}
	m.gateway(1, "--all")
	if status, body := alice.answer(t, "say hello"); status != 200 {
		t.Errorf("status %d: %s", status, body)
	}
	if !runs(decoy.Process.Pid) {
		t.Error("a process that only had a worker's number was ended")
	}
}

func TestOrphanListensToNobodyElse(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	g := m.gateway(1, "--all")
	wait := alice.streams(t, 2)
	worker := g.worker(alice)
	if err := g.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-g.done
	socket := ""
	eventually(t, patience, "the worker waits for another gateway", func() bool {
		sockets, _ := filepath.Glob(filepath.Join(m.home, "run", "*.orphan"))
		if len(sockets) == 1 {
			socket = sockets[0]
		}
		return socket != ""
	})
	for _, says := range []string{"garbage\n", `{"kind":"claim","proof":""}` + "\n", `{"kind":"claim","proof":"0123"}` + "\n", `{"kind":"stop"}` + "\n"} {
		var conn net.Conn
		eventually(t, patience, "the worker answers", func() (ok bool) {
			var err error
			conn, err = net.Dial("unix", socket)
			return err == nil
		})
		io.WriteString(conn, says)
		heard, _ := io.ReadAll(conn)
		conn.Close()
		if strings.Contains(string(heard), "start") || strings.Contains(string(heard), m.upstream.Key) {
			t.Errorf("a stranger who said %q was told %q", says, heard)
		}
	}
	next := m.start("--all")
	next.await(1, "worker taken over from the former gateway")
	eventually(t, patience, "the next gateway answers", func() bool { return m.served("alice").State != "" })
	if p := m.served("alice"); p.PID != worker {
		t.Errorf("alice has worker %d; it was %d", p.PID, worker)
	}
	wait()
}

func TestUpgradeOfAGatewayThatTookOver(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	g := m.gateway(1, "--all")
	wait := alice.streams(t, 4)
	worker := g.worker(alice)
	if err := g.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-g.done
	next := m.start("--all")
	next.await(1, "worker taken over from the former gateway")
	eventually(t, patience, "the next gateway answers", func() bool { return m.served("alice").State != "" })
	m.run("gateway", "upgrade")
	if p := m.served("alice"); p.PID != worker || p.State != supervisor.StateReady {
		t.Errorf("alice has worker %d, state %s; it was %d", p.PID, p.State, worker)
	}
	wait()
	eventually(t, patience, "a child of the next gateway serves", func() bool { return next.worker(alice) != 0 })
	eventually(t, patience, "the worker that was taken over is gone", func() bool { return !runs(worker) })
}

func TestOrphanOfAProfileThatIsDisabledDrains(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice, bob := m.create("alice"), m.create("bob")
	g := m.gateway(2, "--all")
	wait := alice.streams(t, 2)
	worker := g.worker(alice)
	if err := g.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-g.done
	alice.edit(t, "API_SERVER_ENABLED", "false")
	next := m.start("--all")
	next.await(1, "worker taken over from the former gateway")
	wait()
	eventually(t, patience, "alice's worker is gone", func() bool { return !runs(worker) })
	if _, err := alice.ask(t.Context(), "say hello", false); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("alice, who is disabled, answers: %v", err)
	}
	if status, body := bob.answer(t, "say hello"); status != 200 {
		t.Errorf("bob: %d %s", status, body)
	}
}
