package main_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// worker returns the pid of a profile's worker: the child of the gateway that
// runs in the profile's directory. 0 means that there is none right now.
func (g *gateway) worker(p person) int {
	for _, child := range childrenOf(g.cmd.Process.Pid) {
		// A worker behind a wall is the child of its shim.
		for _, pid := range append([]int{child}, childrenOf(child)...) {
			if dir, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); dir == p.dir {
				return pid
			}
		}
	}
	return 0
}

func childrenOf(pid int) (pids []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		children, _ := os.ReadFile(task)
		for child := range strings.FieldsSeq(string(children)) {
			pid, _ := strconv.Atoi(child)
			pids = append(pids, pid)
		}
	}
	return pids
}

// content reads a chat stream to its end and returns the text in it.
func content(body io.Reader) (string, error) {
	var text strings.Builder
	scanner := bufio.NewScanner(body)
	for scanner.Scan() {
		data, ok := strings.CutPrefix(scanner.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			return text.String(), nil
		}
		_, piece, ok := strings.Cut(data, `"content":"`)
		if ok {
			piece, _, _ = strings.Cut(piece, `"`)
			text.WriteString(piece)
		}
	}
	return text.String(), errors.Join(errors.New("the stream ended without [DONE]"), scanner.Err())
}

func TestKilledWorkerRefusesNobody(t *testing.T) {
	t.Parallel()
	const clients, kills, streams = 20, 3, 5
	m := newMachine(t, true)
	alice, bob := m.create("alice"), m.create("bob")
	g := m.gateway(2, "--all")
	waitBob := bob.streams(t, streams)
	var wg sync.WaitGroup
	var answered, failed, refused atomic.Int64
	stop := make(chan struct{})
	for range clients {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := alice.ask(t.Context(), "say hello", false)
				if err == nil {
					var body []byte
					body, err = io.ReadAll(resp.Body)
					resp.Body.Close()
					if err == nil && !strings.Contains(string(body), "hello") {
						t.Errorf("alice answered %d: %s", resp.StatusCode, body)
					}
				}
				switch {
				case err == nil:
					answered.Add(1)
				case errors.Is(err, syscall.ECONNREFUSED):
					refused.Add(1)
				default:
					failed.Add(1)
				}
			}
		})
	}
	before := g.worker(bob)
	for range kills {
		count := answered.Load()
		eventually(t, patience, "alice answers", func() bool { return answered.Load() > count+clients })
		if err := syscall.Kill(g.worker(alice), syscall.SIGKILL); err != nil {
			t.Fatal("kill alice's worker: ", err)
		}
	}
	count := answered.Load()
	eventually(t, patience, "alice answers again", func() bool { return answered.Load() > count+clients })
	close(stop)
	wg.Wait()
	waitBob()

	if refused.Load() > 0 {
		t.Errorf("%d clients were refused", refused.Load())
	}
	if most := int64(kills * clients); failed.Load() > most {
		t.Errorf("%d requests failed, at most %d were in flight", failed.Load(), most)
	}
	if after := g.worker(bob); after != before {
		t.Errorf("bob's worker changed from %d to %d", before, after)
	}
}

func TestKilledSupervisorLeavesNothing(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	m.run("-p", "alice", "config", "set", "api_server.drain_timeout", "2s")
	m.run("-p", "alice", "config", "set", "supervisor.orphan_grace", "1s")
	g := m.gateway(1, "--all")
	mark := mark()
	leave := begin(t, alice, "run `setsid sleep "+mark+" & sleep "+mark+"`", true)
	defer leave()
	eventually(t, patience, "the tool runs", func() bool { return len(processes(t, mark)) >= 2 })
	worker := g.worker(alice)
	if worker == 0 {
		t.Fatal("alice has no worker")
	}

	if err := g.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "worker and tools are gone", func() bool {
		return syscall.Kill(worker, 0) != nil && len(processes(t, mark)) == 0
	})
	// Everything is free for the next one: lock, port, control socket.
	m.gateway(1, "--all")
	if status, body := alice.answer(t, "say hello"); status != 200 {
		t.Errorf("after a new start: %d %s", status, body)
	}
}

func TestKilledSupervisorsWorkerFinishesAlone(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	m.run("-p", "alice", "config", "set", "supervisor.orphan_grace", "0s")
	g := m.gateway(1, "--all")
	wait := alice.streams(t, 1)
	worker := g.worker(alice)
	if worker == 0 {
		t.Fatal("alice has no worker")
	}
	outer := worker
	for _, child := range childrenOf(g.cmd.Process.Pid) {
		if slices.Contains(childrenOf(child), worker) {
			outer = child // whose end is the end of both
		}
	}
	if err := g.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-g.done

	reason := fmt.Sprintf("a worker of the former gateway (pid %d) still finishes its turns", outer)
	next := m.start("--all")
	next.await(1, reason)
	out, err := m.command(t.Context(), "-p", "alice", "profile", "rename", "alice", "anne").CombinedOutput()
	if err == nil || !strings.Contains(string(out), reason) {
		t.Errorf("rename while the worker lives: %v\n%s", err, out)
	}
	if pid := next.worker(alice); pid != 0 {
		t.Errorf("worker %d was started beside worker %d", pid, worker)
	}
	wait()
	next.await(1, "[API Server] API server listening on ")
	// A dead process that nobody has reaped yet has no directory.
	if dir, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", worker)); dir == alice.dir {
		t.Errorf("worker %d still lives", worker)
	}
	if status, body := alice.answer(t, "say hello"); status != 200 {
		t.Errorf("after the takeover: %d %s", status, body)
	}
}

func TestFiftyCreatesAtOnce(t *testing.T) {
	t.Parallel()
	const profiles = 50
	m := newMachine(t, false)
	var wg sync.WaitGroup
	for i := range profiles {
		wg.Go(func() {
			out, err := m.command(t.Context(), "profile", "create", fmt.Sprintf("user%02d", i)).CombinedOutput()
			if err != nil {
				t.Errorf("create user%02d: %v\n%s", i, err, out)
			}
		})
	}
	wg.Wait()
	ports := map[string]string{}
	for i := range profiles {
		env, err := os.ReadFile(filepath.Join(m.home, "profiles", fmt.Sprintf("user%02d", i), ".env"))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(env), "API_SERVER_PORT=")
		port, _, _ := strings.Cut(rest, "\n")
		if other, taken := ports[port]; port == "" || taken {
			t.Errorf("user%02d has port %q, and so has %s", i, port, other)
		}
		ports[port] = fmt.Sprintf("user%02d", i)
	}
	entries, err := os.ReadDir(filepath.Join(m.home, "profiles"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), "user") {
			t.Errorf("%s was left behind", entry.Name())
		}
	}
}

func TestSecondGatewayIsRefused(t *testing.T) {
	t.Parallel()
	m := newMachine(t, false)
	m.create("alice")
	g := m.gateway(1, "-p", "alice")
	out, err := m.command(t.Context(), "-p", "alice", "gateway").CombinedOutput()
	if err == nil || !strings.Contains(string(out), strconv.Itoa(g.cmd.Process.Pid)) {
		t.Errorf("the second gateway: %v\n%s\nwant a refusal that names pid %d", err, out, g.cmd.Process.Pid)
	}
}

func TestFreshWorkerHoldsNothingOfOthers(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice, bob := m.create("alice"), m.create("bob")
	g := m.gateway(2, "--all")
	for _, p := range []person{alice, bob} {
		if _, err := http.Get(p.url + "/health"); err != nil {
			t.Fatal(err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if _, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.worker(bob))); errors.Is(err, fs.ErrPermission) {
		t.Skip("workers behind walls are not to be looked at, but by root")
	}
	theirs := sockets(t, g.worker(bob))
	pid := g.worker(alice)
	for _, file := range []string{"environ", "cmdline"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{alice.key, bob.key, m.upstream.Key, "API_SERVER", "HERMES_HOME", "bob"} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s of a worker holds %q: %q", file, secret, text)
			}
		}
	}
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(open) == 0 {
		t.Fatal("no descriptors: ", err)
	}
	for _, fd := range open {
		target, err := os.Readlink(fd)
		if err != nil {
			continue // closed meanwhile
		}
		if theirs[target] {
			t.Errorf("%s is %s, as in bob's worker", fd, target)
		}
		if strings.HasPrefix(target, m.home) && !strings.HasPrefix(target, alice.dir) {
			t.Errorf("%s is %s", fd, target)
		}
	}
}

// sockets are the sockets and pipes that a process has open.
func sockets(t *testing.T, pid int) map[string]bool {
	t.Helper()
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, fd := range open {
		if target, _ := os.Readlink(fd); strings.HasPrefix(target, "socket:") || strings.HasPrefix(target, "pipe:") {
			all[target] = true
		}
	}
	if len(all) == 0 {
		t.Fatalf("process %d has no sockets", pid)
	}
	return all
}
