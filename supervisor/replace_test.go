package supervisor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// load sends requests to a port, one after the other on some connections each,
// until stop is called, which returns how many were answered. The test fails with
// any of them.
func load(t *testing.T, port int) (stop func() int64) {
	t.Helper()
	var answered atomic.Int64
	var wg sync.WaitGroup
	over := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if _, err := get(port, "/"); err != nil {
					t.Errorf("a request was lost: %v", err)
					return
				}
				answered.Add(1)
			}
		})
	}
	return func() int64 {
		close(over)
		wg.Wait()
		return answered.Load()
	}
}

// once opens the answer of a worker that ends when the file "go" is there, and
// returns what waits for the rest of it.
func once(t *testing.T, port int) (rest func() string) {
	t.Helper()
	said, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/once", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { said.Body.Close() })
	return func() string {
		body, err := io.ReadAll(said.Body)
		if err != nil {
			return err.Error()
		}
		return string(body)
	}
}

func TestNewSettingsReplaceTheWorkerAndLoseNothing(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	bob := h.add("bob", "")
	g := h.gateway().run()
	p, other := g.await("alice", StateReady), g.await("bob", StateReady)
	rest := once(t, port)
	stop := load(t, port)
	for i := range 3 {
		h.write("alice", "config.yaml", fmt.Sprintf("model: {default: model-%d}\n", i))
		if _, err := g.client().Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		p = g.awaitNext("alice", p.PID)
		if got := mustGet(t, port, "/told"); !strings.HasPrefix(got, fmt.Sprintf("model-%d ", i)) {
			t.Errorf("worker was told %q", got)
		}
	}
	if n := stop(); n < 10 {
		t.Errorf("only %d requests were answered", n)
	}
	eventually(t, "only the worker of the open stream is left beside it", func() bool { return len(g.status("alice").Retiring) == 1 })
	now := g.status("alice")
	if now.Generation != 4 || now.Restarts != 0 || now.State != StateReady {
		t.Errorf("status is %+v", now)
	}
	if len(now.Retiring) != 1 || now.Retiring[0].Generation != 1 || time.Until(now.Retiring[0].Until) < 10*time.Minute {
		t.Errorf("the worker of the stream that is open is not shown: %+v", now.Retiring)
	}
	h.write("alice", "go", "")
	if got := rest(); got != "begun done" {
		t.Errorf("the stream of before got %q", got)
	}
	eventually(t, "the old worker has left", func() bool { return len(g.status("alice").Retiring) == 0 })
	if got := mustGet(t, bob, "/"); got != fmt.Sprintf("bob %d", other.PID) {
		t.Errorf("bob was touched: %q", got)
	}
}

func TestSettingsThatAWorkerCanTakeOverStartNoOther(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	g := h.gateway("alice").run()
	p := g.await("alice", StateReady)
	rest := once(t, port)
	h.write("alice", "config.yaml", "api_server: {max_concurrent_runs: 3}\n")
	eventually(t, "the worker is told", func() bool { return strings.HasSuffix(mustGet(t, port, "/told"), " 3") })
	h.write("alice", ".env", fmt.Sprintf("API_SERVER_ENABLED=true\nAPI_SERVER_PORT=%d\nAPI_SERVER_KEY=k7Qw9zXv2mNp4rTs8uYb\n", port))
	eventually(t, "status knows of the key", func() bool { return !g.status("alice").Keyless })
	h.write("alice", "config.yaml", "# only a comment\napi_server: {max_concurrent_runs: 3}\n")
	h.write("alice", "go", "")
	if got := rest(); got != "begun done" {
		t.Errorf("the stream got %q", got)
	}
	if now := g.status("alice"); now.PID != p.PID || now.Generation != 1 || now.Reason != "" {
		t.Errorf("status is %+v", now)
	}
}

func TestInvalidEditChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	g := h.gateway("alice").run()
	p := g.await("alice", StateReady)
	h.write("alice", "config.yaml", "agent: {max_iterations: many}\n")
	eventually(t, "the edit is rejected", func() bool { return strings.Contains(g.status("alice").Reason, "settings rejected") })
	now := g.status("alice")
	if now.PID != p.PID || now.State != StateReady || !strings.Contains(now.Reason, "agent.max_iterations") {
		t.Errorf("status is %+v", now)
	}
	// A worker that dies meanwhile comes back with the settings that were good.
	syscall.Kill(p.PID, syscall.SIGKILL)
	if now = g.awaitNext("alice", p.PID); !strings.Contains(now.Reason, "settings rejected") {
		t.Errorf("status is %+v", now)
	}
	mustGet(t, port, "/")
	h.write("alice", "config.yaml", "agent: {max_iterations: 7}\n")
	if now = g.awaitNext("alice", now.PID); now.Reason != "" {
		t.Errorf("status is %+v", now)
	}
}

func TestNewWorkerThatFailsLeavesTheOldOne(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		"exit 3": "exit code 3", "exit 78": "refused the settings", "mute": "not ready after 2s",
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			port := h.add("alice", "")
			g := h.gateway("alice")
			g.limits.start, g.limits.dump = 2*time.Second, 100*time.Millisecond
			p := g.run().await("alice", StateReady)
			stop := load(t, port)
			h.write("alice", "script", script)
			h.write("alice", "config.yaml", "agent: {max_iterations: 7}\n")
			eventually(t, "status says why", func() bool { return strings.Contains(g.status("alice").Reason, want) })
			if now := g.status("alice"); now.PID != p.PID || now.State != StateReady {
				t.Errorf("status is %+v", now)
			}
			h.write("alice", "script", "")
			h.write("alice", "config.yaml", "agent: {max_iterations: 8}\n") // acts at once
			if now := g.awaitNext("alice", p.PID); now.Reason != "" {
				t.Errorf("status is %+v", now)
			}
			stop()
		})
	}
}

func TestPortThatChangesIsServedBeforeTheOldOneIsLeft(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	old := h.add("alice", "")
	g := h.gateway("alice").run()
	p := g.await("alice", StateReady)
	rest := once(t, old)
	stranger, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t))))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	taken := stranger.Addr().(*net.TCPAddr).Port
	move := func(port int, host string) {
		h.write("alice", ".env", fmt.Sprintf("API_SERVER_ENABLED=true\nAPI_SERVER_PORT=%d\nAPI_SERVER_HOST=%s\nAPI_SERVER_KEY=k7Qw9zXv2mNp4rTs8uYb\n", port, host))
	}
	move(taken, "127.0.0.1")
	eventually(t, "status says why", func() bool {
		return strings.Contains(g.status("alice").Reason, fmt.Sprintf("port %d is taken", taken))
	})
	if now := g.status("alice"); now.PID != p.PID || now.State != StateReady || now.Port != old {
		t.Errorf("status is %+v", now)
	}
	mustGet(t, old, "/")
	port := freePort(t)
	move(port, "127.0.0.1")
	now := g.awaitNext("alice", p.PID)
	if now.Port != port || now.URL != fmt.Sprintf("http://127.0.0.1:%d", port) {
		t.Errorf("status is %+v", now)
	}
	mustGet(t, port, "/")
	eventually(t, "the old port is left", func() bool {
		_, err := get(old, "/")
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	// The kernel takes these two addresses for one.
	stop := load(t, port)
	move(port, "0.0.0.0")
	g.awaitNext("alice", now.PID)
	mustGet(t, port, "/")
	stop()
	if ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
		ln.Close()
		t.Error("another program may take the port")
	}
	h.write("alice", "go", "")
	if got := rest(); got != "begun done" {
		t.Errorf("the stream of before got %q", got)
	}
}

func TestProfileThatIsDisabledDrainsAndStops(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	h.add("bob", "")
	g := h.gateway().run()
	p := g.await("alice", StateReady)
	rest := once(t, port)
	h.write("alice", ".env", fmt.Sprintf("API_SERVER_ENABLED=false\nAPI_SERVER_PORT=%d\n", port))
	g.await("alice", StateDraining)
	h.write("alice", "go", "")
	if got := rest(); got != "begun done" {
		t.Errorf("the stream got %q", got)
	}
	if now := g.await("alice", StateStopped); !strings.Contains(now.Reason, "not enabled") || alive(p.PID) || now.URL != "" {
		t.Errorf("status is %+v", now)
	}
	h.write("alice", ".env", fmt.Sprintf("API_SERVER_ENABLED=true\nAPI_SERVER_PORT=%d\n", port))
	g.await("alice", StateReady)
}

func TestAnotherProfileInThePlaceOfOneIsNotWrittenInto(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	h.add("bob", "")
	g := h.gateway().run()
	p := g.await("alice", StateReady)
	once(t, port)
	away := filepath.Join(h.dir, "away")
	if err := os.Rename(h.profile("alice"), away); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(h.profile("alice"), 0o700); err != nil {
		t.Fatal(err)
	}
	h.write("alice", ".env", fmt.Sprintf("API_SERVER_ENABLED=true\nAPI_SERVER_PORT=%d\n", port))
	h.write("alice", "config.yaml", "# another\n")
	now := g.awaitNext("alice", p.PID)
	if alive(p.PID) || now.Generation != 1 {
		t.Errorf("the worker of the profile before lives, or the new one is taken for it: %+v", now)
	}
	log, err := os.ReadFile(filepath.Join(h.profile("alice"), "logs/worker.log"))
	if err != nil || strings.Contains(string(log), strconv.Itoa(p.PID)) {
		t.Errorf("the log of the new profile tells of the old worker: %s, %v", log, err)
	}
}

func TestWorkerWithABackgroundJobMayFinishIt(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	g := h.gateway("alice").run()
	p := g.await("alice", StateReady)
	mustGet(t, port, "/job")
	eventually(t, "the job is known", func() bool { return g.status("alice").Jobs == 1 })
	h.write("alice", "config.yaml", "agent: {max_iterations: 7}\n")
	g.awaitNext("alice", p.PID)
	if now := g.status("alice"); len(now.Retiring) != 1 || now.Retiring[0].Jobs != 1 || now.Jobs != 1 {
		t.Errorf("status is %+v", now)
	}
	h.write("alice", "go", "")
	eventually(t, "the worker has left with its job", func() bool { return !alive(p.PID) })
}
