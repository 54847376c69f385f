package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"hermes/profiles"
	"hermes/supervisor/sandbox"
)

// patience is how long a test waits for real processes on a busy machine.
const patience = time.Minute

// eventually waits for a condition that other processes bring about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	within(t, patience, what, condition)
}

// within is eventually for what takes longer than patience on a busy machine.
func within(t *testing.T, limit time.Duration, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("waited %v in vain until %s", limit, what)
		}
	}
}

// kids are the children of the test process. All gateways that run in it share
// them, or each would take the others' workers for strays.
var kids = new(sandbox.Children)

var nextPort atomic.Int32

// freePort returns a port that no other test uses.
func freePort(t *testing.T) int {
	t.Helper()
	for {
		port := 20000 + int(nextPort.Add(1)) + os.Getpid()%1000*10
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			ln.Close()
			return port
		}
	}
}

// home is a home with profiles in it.
type home struct {
	*testing.T
	dir string
}

func newHome(t *testing.T) home {
	t.Helper()
	return home{t, t.TempDir()}
}

// add makes an enabled profile with a worker that follows the script, and
// returns its port.
func (h home) add(name, script string) int {
	h.Helper()
	port := freePort(h.T)
	h.write(name, "config.yaml", "# nothing\n")
	h.write(name, "script", script)
	h.write(name, ".env", fmt.Sprintf("API_SERVER_ENABLED=true\nAPI_SERVER_PORT=%d\n", port))
	return port
}

func (h home) profile(name string) string { return filepath.Join(h.dir, "profiles", name) }

// write replaces a file of a profile, as an editor does.
func (h home) write(name, file, content string) {
	h.Helper()
	path := filepath.Join(h.profile(name), file)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		h.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		h.Fatal(err)
	}
}

func (h home) open() profiles.Home {
	h.Helper()
	opened, err := profiles.Open(h.dir)
	if err != nil {
		h.Fatal(err)
	}
	return opened
}

// gateway is a Supervisor that runs in the test process.
type gateway struct {
	*testing.T
	*Supervisor
	home    home
	out     *buffer
	log     *buffer
	signals chan os.Signal
	ended   chan struct{} // closed when Run has returned
	err     error         // what it returned
}

// buffer is written and read by several goroutines.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// gateway makes a gateway for the named profiles, or for all, that does
// everything in a fraction of the usual times.
func (h home) gateway(names ...profiles.Name) *gateway {
	h.Helper()
	g := &gateway{
		T: h.T, home: h, out: new(buffer), log: new(buffer),
		signals: make(chan os.Signal, 2), ended: make(chan struct{}),
	}
	g.Supervisor = New(Options{
		Exe: os.Args[0], Home: h.open(), Profiles: names, Environ: os.Environ(), Version: "test",
		Log: slog.New(slog.NewTextHandler(g.log, nil)), Out: g.out, Signals: g.signals,
		Overrides: map[string]string{"supervisor.start": "always"}, // most tests are about workers that run
	})
	g.children = kids
	g.limits.backoff.base, g.limits.backoff.most = 50*time.Millisecond, 400*time.Millisecond
	return g
}

// run starts the gateway and stops it when the test ends.
func (g *gateway) run() *gateway {
	g.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(g.ended)
		g.err = g.Supervisor.Run(ctx)
	}()
	g.Cleanup(func() {
		cancel()
		g.signals <- syscall.SIGTERM
		g.signals <- syscall.SIGTERM
		select {
		case <-g.ended:
		case <-time.After(patience):
			g.Error("gateway does not end")
			stacks := make([]byte, 4<<20)
			g.Logf("%s", stacks[:runtime.Stack(stacks, true)])
		}
		if g.Failed() {
			g.Logf("log:\n%s", g.log)
		}
	})
	eventually(g.T, "the gateway answers or ends", func() bool {
		if _, err := g.client().Status(context.Background()); err == nil {
			return true
		}
		select {
		case <-g.ended:
			return true
		default:
			return false
		}
	})
	return g
}

func (g *gateway) client() *Client {
	return newClient(filepath.Join(g.home.dir, runDir, g.name()+".sock"))
}

// status returns the state of one profile; a stopped gateway has none.
func (g *gateway) status(name string) ProfileStatus {
	status, err := g.client().Status(context.Background())
	if err != nil {
		return ProfileStatus{}
	}
	for _, p := range status.Profiles {
		if p.Name == name {
			return p
		}
	}
	return ProfileStatus{}
}

// await waits until a profile is in a state.
func (g *gateway) await(name string, state State) ProfileStatus {
	g.Helper()
	var last ProfileStatus
	eventually(g.T, fmt.Sprintf("%s is %s", name, state), func() bool {
		last = g.status(name)
		return last.State == state
	})
	return last
}

// awaitNext waits until another worker than pid serves a profile.
func (g *gateway) awaitNext(name string, pid int) ProfileStatus {
	g.Helper()
	var last ProfileStatus
	eventually(g.T, name+" has another worker", func() bool {
		last = g.status(name)
		return last.State == StateReady && last.PID != pid
	})
	return last
}

func (g *gateway) awaitEnd() error {
	g.Helper()
	select {
	case <-g.ended:
		return g.err
	case <-time.After(patience):
		g.Fatal("gateway does not end")
		return nil
	}
}

// get fetches a path from a worker.
func get(port int, path string) (string, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func mustGet(t *testing.T, port int, path string) string {
	t.Helper()
	body, err := get(port, path)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// alive reports whether there is a process pid that is no zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
