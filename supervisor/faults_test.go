package supervisor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The faults that scripts/faults.md lists and that no test about something else
// causes. Those that take long are caused by scripts/faults alone.

// thorough reports whether scripts/faults runs, which has the time for the full
// size of a fault.
func thorough() bool { return os.Getenv("HERMES_FAULTS") != "" }

// elapse waits until time has passed that nothing can be waited for in.
func elapse(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

func TestKilledWorkerFailsOnlyItsOwnClients(t *testing.T) {
	t.Parallel()
	const clients = 50
	h := newHome(t)
	ports := map[string]int{"alice": h.add("alice", ""), "bob": h.add("bob", "")}
	g := h.gateway()
	g.limits.backoff.base, g.limits.backoff.most = 500*time.Millisecond, 500*time.Millisecond
	g.run()
	old, other := g.await("alice", StateReady).PID, g.await("bob", StateReady).PID

	var answered, failed [2]atomic.Int64
	over := make(chan struct{})
	var wg sync.WaitGroup
	for i, name := range []string{"alice", "bob"} {
		for range clients {
			wg.Go(func() {
				for {
					select {
					case <-over:
						return
					default:
					}
					switch _, err := get(ports[name], "/"); {
					case err == nil:
						answered[i].Add(1)
					case errors.Is(err, syscall.ECONNREFUSED):
						t.Errorf("a client of %s was refused", name)
					default:
						failed[i].Add(1)
					}
				}
			})
		}
	}
	busy := func(i int) {
		t.Helper()
		before := answered[i].Load()
		eventually(t, "clients are answered", func() bool { return answered[i].Load() > before+2*clients })
	}
	busy(0)
	busy(1)
	killed := time.Now()
	syscall.Kill(old, syscall.SIGKILL)
	p := g.awaitNext("alice", old)
	took := time.Since(killed)
	busy(0)
	busy(1)
	close(over)
	wg.Wait()
	if failed[1].Load() != 0 || failed[0].Load() > clients {
		t.Errorf("%d requests of alice failed, of %d that could be under way, and %d of bob", failed[0].Load(), clients, failed[1].Load())
	}
	if thorough() && took > 6*time.Second { // 0.5 s of backoff, and 100 clients on the same processors
		t.Errorf("alice was served again after %v", took)
	}
	if now := g.status("bob"); now.PID != other || now.Generation != 1 || p.Generation != 2 {
		t.Errorf("alice is %+v, bob is %+v", p, now)
	}
}

// gatewayProcess starts a gateway in a process of its own and returns it when it
// answers.
func (h home) gatewayProcess() (*exec.Cmd, *Client) {
	h.Helper()
	cmd := exec.Command(os.Args[0], "gateway", h.dir)
	cmd.Stderr = os.Stderr
	if err := kids.Start(cmd); err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGCONT)
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Process.Signal(syscall.SIGTERM)
		kids.Wait(cmd)
	})
	client := newClient(filepath.Join(h.dir, runDir, "all.sock"))
	eventually(h.T, "the gateway answers", func() bool {
		_, err := client.Status(context.Background())
		return err == nil
	})
	return cmd, client
}

// profileOf is what a gateway says of a profile.
func profileOf(t *testing.T, client *Client, name string) ProfileStatus {
	t.Helper()
	status, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range status.Profiles {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("%s is not served", name)
	return ProfileStatus{}
}

// settle writes the settings of the home itself.
func (h home) settle(config string) {
	h.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, "config.yaml"), []byte(config), 0o600); err != nil {
		h.Fatal(err)
	}
}

// ticks is the processor time of a process and of its children that are dead, in
// hundredths of a second.
func ticks(t *testing.T, pid int) int {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	sum := 0
	for _, field := range strings.Fields(rest)[11:15] {
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

func TestWorkerThatAlwaysDiesCostsNothing(t *testing.T) {
	if !thorough() {
		t.Skip("takes two minutes; run scripts/faults crash-loop")
	}
	h := newHome(t)
	h.add("alice", "exit 1")
	bob := h.add("bob", "")
	cmd, client := h.gatewayProcess()
	eventually(t, "bob is served beside it", func() bool { _, err := get(bob, "/"); return err == nil })
	elapse(t, 20*time.Second) // the delays have grown
	before, began := ticks(t, cmd.Process.Pid), time.Now()
	elapse(t, 100*time.Second)
	used, passed := ticks(t, cmd.Process.Pid)-before, time.Since(began)
	share := float64(used) / 100 / passed.Seconds()
	t.Logf("%.2f %% of a processor", 100*share)
	if share > 0.01 {
		t.Errorf("a worker that always dies costs %.2f %% of a processor", 100*share)
	}
	p := profileOf(t, client, "alice")
	if p.Restarts < 5 || p.Restarts > 12 || p.LastExit == nil || strings.Join(p.LastExit.Lines, "") != "I do not like it here" {
		t.Errorf("status is %+v", p)
	}
}

func TestGatewayThatWasStoppedRestartsNobody(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes 12 seconds")
	}
	h := newHome(t)
	port := h.add("alice", "")
	h.settle("supervisor: {heartbeat_timeout: 10s}\n")
	cmd, client := h.gatewayProcess()
	eventually(t, "alice is served", func() bool { return profileOf(t, client, "alice").State == StateReady })
	before := mustGet(t, port, "/")
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	elapse(t, 11*time.Second) // as in a suspend: beats wait unread, deadlines pass
	if got := mustGet(t, port, "/"); got != before {
		t.Errorf("while its gateway stands still the worker answers %q", got)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for range 5 { // each look waits for a turn of the loop
		if p := profileOf(t, client, "alice"); p.State != StateReady || p.Restarts != 0 || p.Generation != 1 {
			t.Errorf("status is %+v", p)
		}
		elapse(t, 200*time.Millisecond)
	}
	if got := mustGet(t, port, "/"); got != before {
		t.Errorf("afterwards the worker answers %q, before %q", got, before)
	}
}

func TestStopTakesAsLongAsTheSlowestWorker(t *testing.T) {
	t.Parallel()
	const number = 12
	h := newHome(t)
	for i := range number {
		name := fmt.Sprintf("p%02d", i)
		h.add(name, "stubborn")
		h.write(name, "config.yaml", "api_server: {drain_timeout: 1s}\n")
	}
	g := h.gateway()
	g.limits.grace = time.Second
	g.run()
	for i := range number {
		g.await(fmt.Sprintf("p%02d", i), StateReady)
	}
	began := time.Now()
	g.signals <- syscall.SIGTERM
	if err := g.awaitEnd(); err != nil {
		t.Error(err)
	}
	// Two seconds each, were they stopped one after the other.
	if took := time.Since(began); took < 2*time.Second || took > number*time.Second {
		t.Errorf("%d workers that take 2 s each took %v", number, took)
	}
}

func TestDeletedDirectoryEndsItsWorkerAlone(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port, bob := h.add("alice", ""), h.add("bob", "")
	g := h.gateway().run()
	p, other := g.await("alice", StateReady), g.await("bob", StateReady)
	said, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/slow", port))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Body.Close()
	stream := bufio.NewReader(said.Body)
	if err := os.RemoveAll(h.profile("alice")); err != nil {
		t.Fatal(err)
	}
	g.await("alice", StateDraining)
	for range 3 { // what runs goes on
		if word, err := stream.ReadString(' '); err != nil || word != "tick " {
			t.Fatalf("the running request got %q, %v", word, err)
		}
	}
	said.Body.Close()
	eventually(t, "alice is forgotten", func() bool { return g.status("alice").Name == "" && !alive(p.PID) })
	if _, err := os.Stat(h.profile("alice")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written into its place: %v", err)
	}
	if got := mustGet(t, bob, "/"); got != fmt.Sprintf("bob %d", other.PID) {
		t.Errorf("bob was touched: %q", got)
	}
}
