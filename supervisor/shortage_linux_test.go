package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// openFiles is how many descriptors a process has.
func openFiles(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// A gateway that may open no further file says so, loses nothing, and goes on by
// itself when it may again.
func TestGatewayWithoutDescriptorsRecovers(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	other := h.add("bob", "")
	g := h.process()
	alice, bob := g.await("alice", StateReady), g.await("bob", StateReady)
	pid := g.cmd.Process.Pid
	eventually(t, "the gateway is at rest", func() bool { return g.status("bob").PID == bob.PID })
	calm := openFiles(t, pid)

	// Room for what a worker leaves at its death, which is less than a start takes: while
	// it starts there are the child's ends too.
	limit := unix.Rlimit{Cur: uint64(calm), Max: 1 << 20}
	var usual unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &usual); err != nil {
		t.Skip(err)
	}
	limit.Max = usual.Max
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		t.Skip(err)
	}
	if err := syscall.Kill(alice.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var blocked ProfileStatus
	eventually(t, "alice is blocked for want of files", func() bool {
		blocked = g.status("alice")
		return blocked.State == StateBlocked && strings.Contains(blocked.Reason, "files open") && !blocked.Retry.IsZero()
	})
	t.Log(blocked.Reason)
	// Room for one call of the control socket and little more: what alice's worker has left
	// could be enough for bob's next one, in a moment in which she does not try.
	rest := calm
	for range 100 {
		rest = min(rest, openFiles(t, pid))
	}
	limit.Cur = uint64(rest + 2)
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		t.Fatal(err)
	}
	// Settings that cannot be read are no bad settings.
	h.write("bob", "config.yaml", "agent: {max_iterations: 7}\n")
	tries := func() (n int) {
		for _, e := range eventsOf(t, g.gateway, "alice") {
			if e.To == StateBlocked {
				n++
			}
		}
		return n
	}
	before := tries()
	eventually(t, "alice has been tried some more", func() bool { return tries() >= before+3 })
	if n := openFiles(t, pid); n > rest+2 {
		t.Errorf("%d files are open, %d were before", n, rest)
	}
	if p := g.status("bob"); p.PID != bob.PID || p.State != StateReady {
		t.Errorf("bob was touched: %+v", p)
	}
	mustGet(t, other, "/")

	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &usual, nil); err != nil {
		t.Fatal(err)
	}
	g.await("alice", StateReady)
	mustGet(t, port, "/") // the listener has been there all the time
	next := g.awaitNext("bob", bob.PID)
	if next.Reason != "" {
		t.Errorf("bob is %+v", next)
	}
	eventually(t, "as many files are open as before", func() bool { return openFiles(t, pid) <= calm })
}

func eventsOf(t *testing.T, g *gateway, profile string) (all []Event) {
	t.Helper()
	err := g.client().Events(t.Context(), Event{}, false, func(e Event) error {
		if e.Profile == profile {
			all = append(all, e)
		}
		return nil
	})
	if err != nil && !strings.Contains(err.Error(), "EOF") {
		t.Log(err)
	}
	return all
}

func TestNoWorkerStartsWithoutMemory(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "")
	bob := h.add("bob", "")
	g := h.gateway()
	var free atomic.Int64
	free.Store(60)
	g.freeMemory = func() (float64, bool) { return float64(free.Load()), true }
	g.run()
	pid := g.await("alice", StateReady).PID
	worker := g.await("bob", StateReady).PID
	free.Store(3)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p := g.await("alice", StateBlocked)
	if want := "not started: 3 % of memory is free, and supervisor.min_free_memory wants 5 %"; !strings.Contains(p.Reason, want) {
		t.Errorf("reason is %q, want %q", p.Reason, want)
	}
	// What runs goes on, with the settings that it has.
	h.write("bob", "config.yaml", "agent: {max_iterations: 7}\n")
	eventually(t, "bob's new settings wait", func() bool { return strings.Contains(g.status("bob").Reason, "3 % of memory") })
	if p := g.status("bob"); p.State != StateReady || p.PID != worker {
		t.Errorf("bob is %+v", p)
	}
	mustGet(t, bob, "/")
	free.Store(5)
	g.await("alice", StateReady)
	g.awaitNext("bob", worker)
}

func TestScarceMemory(t *testing.T) {
	t.Parallel()
	tests := []struct {
		least int
		free  float64
		known bool
		want  bool
	}{{5, 4.9, true, true}, {5, 5, true, false}, {0, 0, true, false}, {5, 0, false, false}, {90, 80, true, true}}
	for _, test := range tests {
		if got := scarce(test.least, func() (float64, bool) { return test.free, test.known }); (got != "") != test.want {
			t.Errorf("%+v: got %q", test, got)
		}
	}
}

func TestFreeMemoryIsThatOfTheTightestGroup(t *testing.T) {
	t.Parallel()
	const machine = "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\n"
	tests := []struct {
		name  string
		files map[string]string
		want  float64 // below 0: not known
	}{
		{"machine", map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n"}, 40},
		{"nothing is known", nil, -1},
		{"v2 with a limit above", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/a/b\n",
			"cg/a/memory.max": "2000\n", "cg/a/memory.current": "1900\n", "cg/a/memory.stat": "anon 7\ninactive_file 100\n",
			"cg/a/b/memory.max": "max\n", "cg/a/b/memory.current": "1900\n",
		}, 10},
		{"v1", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "5:cpu,memory:/x\n0::/\n",
			"cg/memory/memory.limit_in_bytes": "9223372036854771712\n", "cg/memory/memory.usage_in_bytes": "1\n",
			"cg/memory/x/memory.limit_in_bytes": "1000\n", "cg/memory/x/memory.usage_in_bytes": "980\n",
		}, 2},
		{"a container that sees its own group at the root", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/../../x\n", "cg/memory.max": "100\n", "cg/memory.current": "99\n",
		}, 1},
		{"more than the limit is used", map[string]string{
			"proc/self/cgroup": "0::/\n", "cg/memory.max": "100\n", "cg/memory.current": "120\n",
		}, 0},
	}
	for _, test := range tests {
		dir := t.TempDir()
		for name, content := range test.files {
			path := filepath.Join(dir, name)
			os.MkdirAll(filepath.Dir(path), 0o700)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, known := freeBelow(filepath.Join(dir, "proc"), filepath.Join(dir, "cg"))
		if known != (test.want >= 0) || known && (got < test.want-0.01 || got > test.want+0.01) {
			t.Errorf("%s: got %v, %v, want %v", test.name, got, known, test.want)
		}
	}
	if got, known := freeMemory(); !known || got <= 0 || got > 100 {
		t.Errorf("here it is %v, %v", got, known)
	}
}

func TestShortagesAreNamed(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		syscall.EMFILE: "ulimit -n", syscall.ENFILE: "fs.file-max", syscall.EAGAIN: "ulimit -u", syscall.ENOMEM: "no memory", syscall.ENOENT: "",
	} {
		got := shortage(fmt.Errorf("start worker: %w", &os.PathError{Op: "fork/exec", Path: "/bin/hermes", Err: err}))
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
	for _, err := range []error{nil, syscall.EAGAIN, &os.PathError{Op: "flock", Path: "/x", Err: syscall.EAGAIN}} {
		if got := shortage(err); got != "" {
			t.Errorf("%v: got %q", err, got)
		}
	}
}

// What goes to a worker must not change the listener for those that have it.
func TestListenerForAnotherProcessStaysNonblocking(t *testing.T) {
	t.Parallel()
	ln, err := bind(t.Context(), claim{host: "127.0.0.1"}, address{})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file, err := duplicate(ln, "listener")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	flags, err := unix.FcntlInt(file.Fd(), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("flags are %o, %v", flags, err)
	}
}
