package main_test

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// copied is another program that does the same: a byte more makes its sum another.
func (m *machine) copied() string {
	m.t.Helper()
	program, err := os.ReadFile(m.bin)
	if err != nil {
		m.t.Fatal(err)
	}
	path := filepath.Join(m.t.TempDir(), "hermes")
	// A child that is forked meanwhile would have it open to write, and the kernel then
	// executes it for nobody.
	syscall.ForkLock.RLock()
	err = os.WriteFile(path, append(program, 0), 0o700)
	syscall.ForkLock.RUnlock()
	if err != nil {
		m.t.Fatal(err)
	}
	return path
}

// load asks 200 times a second, or a fifth of that where the race detector and other
// tests take the processors, until stop is called, which returns how many answers came.
// Each question must be answered.
func (p person) load(t *testing.T) (stop func() int64) {
	t.Helper()
	pace := 25 * time.Millisecond
	if thorough() {
		pace = 5 * time.Millisecond
	}
	var answered atomic.Int64
	var wg sync.WaitGroup
	over := make(chan struct{})
	wg.Go(func() {
		ticker := time.NewTicker(pace)
		defer ticker.Stop()
		for {
			select {
			case <-over:
				return
			case <-ticker.C:
			}
			wg.Go(func() {
				request, err := http.NewRequest(http.MethodGet, p.url+"/v1/models", nil)
				if err != nil {
					t.Error(err)
					return
				}
				request.Header.Set("Authorization", "Bearer "+p.key)
				request.Close = true
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Errorf("a request was lost: %v", err)
					return
				}
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != http.StatusOK {
					t.Errorf("status %d, %v", response.StatusCode, err)
				}
				answered.Add(1)
			})
		}
	})
	end := sync.OnceFunc(func() {
		close(over)
		wg.Wait()
	})
	t.Cleanup(end)
	return func() int64 {
		end()
		return answered.Load()
	}
}

func TestUpgradeUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	m.run("config", "set", "supervisor.reload_drain", "20s")
	alice := m.create("alice")
	m.run("-p", "alice", "config", "set", "api_server.max_concurrent_runs", "30")
	g := m.gateway(1, "--all")
	stop, wait := alice.load(t), alice.streams(t, 20)
	eventually(t, patience, "there is a worker", func() bool { return g.worker(alice) != 0 })
	worker := g.worker(alice)
	said := m.run("gateway", "upgrade", "--binary", m.copied())
	if !strings.Contains(said, "(pid "+strconv.Itoa(g.cmd.Process.Pid)+")") || !strings.Contains(said, "1 worker is replaced") {
		t.Errorf("upgrade said %q", said)
	}
	if pid := g.worker(alice); pid != worker {
		t.Errorf("the worker changed from %d to %d in the upgrade", worker, pid)
	}
	wait()
	eventually(t, patience, "the worker is replaced", func() bool {
		pid := g.worker(alice)
		return pid != 0 && pid != worker
	})
	if n := stop(); n < 10 {
		t.Errorf("only %d requests were answered meanwhile", n)
	}
	// What the new program reads is all that counts for a worker: the home's settings too.
	m.run("gateway", "restart", "alice")
	if exe, err := os.Readlink("/proc/" + strconv.Itoa(g.worker(alice)) + "/exe"); err != nil || exe == m.bin {
		t.Errorf("the new worker runs %s, %v", exe, err)
	}
	if status, body := alice.answer(t, "say hello"); status != 200 || !strings.Contains(body, upstreamHello) {
		t.Errorf("status %d: %s", status, body)
	}
}

func TestHangupOfAGatewayWithoutATerminalUpgrades(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	g := m.gateway(1, "--all")
	wait := alice.streams(t, 3)
	worker := g.worker(alice)
	var storm sync.WaitGroup
	for range 100 {
		storm.Go(func() { g.cmd.Process.Signal(syscall.SIGHUP) })
	}
	storm.Wait()
	g.await(1, "gateway is another program now")
	wait()
	if pid := g.worker(alice); pid != worker {
		t.Errorf("the same program replaced worker %d by %d", worker, pid)
	}
	if said := m.run("gateway", "status", "--json"); !strings.Contains(said, `"image": `) || strings.Contains(said, `"image": 1,`) {
		t.Errorf("status is %s", said)
	}
}

func TestUpgradeToABrokenProgramIsRefused(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	m.gateway(1, "--all")
	broken := filepath.Join(t.TempDir(), "hermes")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := m.command(t.Context(), "gateway", "upgrade", "--binary", broken).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "does not run here") {
		t.Errorf("upgrade said %q, %v", out, err)
	}
	if status, body := alice.answer(t, "say hello"); status != 200 || !strings.Contains(body, upstreamHello) {
		t.Errorf("status %d: %s", status, body)
	}
}

func TestProgramThatIsReplacedOnDiskIsTheNextOne(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	// As a package does it: a link, and behind it one directory for each version.
	first, second := m.copied(), m.copied()
	link := filepath.Join(t.TempDir(), "hermes")
	if err := os.Symlink(first, link); err != nil {
		t.Fatal(err)
	}
	m.bin = link
	g := m.gateway(1, "--all")
	if err := os.Symlink(second, link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	m.run("gateway", "upgrade")
	if exe, err := os.Readlink("/proc/" + strconv.Itoa(g.cmd.Process.Pid) + "/exe"); err != nil || exe != second {
		t.Errorf("the gateway runs %s, %v", exe, err)
	}
	if status, _ := alice.answer(t, "say hello"); status != 200 {
		t.Errorf("status %d", status)
	}
}

func TestClosedTerminalEndsTheGateway(t *testing.T) {
	t.Parallel()
	script, err := exec.LookPath("script")
	if err != nil {
		t.Skip("script, which makes terminals, is not here")
	}
	// Whoever runs the tests with nohup has children that SIGHUP does not reach; one
	// that is caught here has its usual meaning there.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(hangups) })
	m := newMachine(t, true)
	m.create("alice")
	cmd := exec.Command(script, "-qfc", m.bin+" gateway --all", "/dev/null")
	cmd.Env = m.command(t.Context()).Env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	client := func() string {
		out, _ := m.command(t.Context(), "gateway", "status", "--json").Output()
		return string(out)
	}
	eventually(t, patience, "the gateway answers", func() bool { return strings.Contains(client(), `"pid": `) })
	cmd.Process.Kill()
	cmd.Wait()
	eventually(t, patience, "the gateway ends with its terminal", func() bool { return !strings.Contains(client(), `"pid": `) })
}
