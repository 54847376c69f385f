package supervisor

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// listener is a service manager: a socket, and what was said to it.
type listening struct {
	mu   sync.Mutex
	said []string // lines
}

func listenAs(t *testing.T, at string) *listening {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: at, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	l := &listening{}
	var wg sync.WaitGroup
	wg.Go(func() {
		buffer := make([]byte, 4096)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			l.mu.Lock()
			l.said = append(l.said, strings.Split(string(buffer[:n]), "\n")...)
			l.mu.Unlock()
		}
	})
	t.Cleanup(func() { conn.Close(); wg.Wait() })
	return l
}

func (l *listening) count(line string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, said := range l.said {
		if said == line {
			n++
		}
	}
	return n
}

func TestServiceManagerIsTold(t *testing.T) {
	t.Parallel()
	for kind, at := range map[string]string{
		"path":     filepath.Join(t.TempDir(), "notify"),
		"abstract": fmt.Sprintf("@hermes-test-%d", os.Getpid()),
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			manager := listenAs(t, at)
			h := newHome(t)
			port := h.add("alice", "serve")
			h.write("broken", "config.yaml", "agent:\n  max_iterations: many\n")
			g := h.gateway()
			g.opts.Environ = append(slices.Clone(g.opts.Environ), "NOTIFY_SOCKET="+at, "WATCHDOG_USEC=900000")
			g.run()
			eventually(t, "READY", func() bool { return manager.count("READY=1") > 0 })
			if g.status("alice").State != StateReady {
				t.Errorf("READY was said while alice is %v", g.status("alice").State)
			}
			eventually(t, "signs of life", func() bool { return manager.count("WATCHDOG=1") >= 3 })
			if manager.count("STATUS=1 of 2 profiles are served; in trouble: broken (bad_config)") != 1 {
				t.Errorf("it was told %q", manager.said)
			}
			if got := mustGet(t, port, "/born"); strings.Contains(got, "NOTIFY_SOCKET") || !strings.Contains(got, "PATH=") {
				t.Errorf("the worker has the environment %q", got)
			}
			g.signals <- syscall.SIGTERM
			if err := g.awaitEnd(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "STOPPING", func() bool { return manager.count("STOPPING=1") == 1 })
			if manager.count("READY=1") != 1 || manager.count("EXTEND_TIMEOUT_USEC=30000000") == 0 {
				t.Errorf("it was told %q", manager.said)
			}
		})
	}
}

// A loop that hangs says nothing, and a manager that does not read holds up
// nobody.
func TestServiceManagerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	at := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: at, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	m := findManager([]string{"NOTIFY_SOCKET=" + at, "WATCHDOG_USEC=1000", "WATCHDOG_PID=" + fmt.Sprint(os.Getpid())}, slog.New(slog.DiscardHandler))
	defer m.close()
	began, unsent := time.Now(), 0
	for now := began; unsent < 2; now = now.Add(time.Second) { // its queue has room for some
		before := m.lastSign
		m.tell(&fleet{}, now)
		if m.lastSign.Equal(before) {
			unsent++
		}
		if time.Since(began) > patience {
			t.Fatal("the queue has no end")
		}
	}
	if m.conn == nil {
		t.Error("a full queue counts as a manager that is gone")
	}
	conn.Close()
	m.tell(&fleet{}, began.Add(time.Hour))
	if m.conn != nil {
		t.Error("it is told on, though it is gone")
	}
	for _, environ := range [][]string{nil, {"NOTIFY_SOCKET=relative"}, {"NOTIFY_SOCKET=/nowhere/at/all"}} {
		findManager(environ, slog.New(slog.DiscardHandler)).tell(&fleet{}, began) // must not panic
	}
}
