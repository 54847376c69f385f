package worker

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"hermes/supervisor/handoff"
)

func TestLimitsAreCountedByTheKernel(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	dir := t.TempDir()
	memory, processes := filepath.Join(dir, "memory.events"), filepath.Join(dir, "pids.events")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(memory, "oom 0\noom_kill 0\n")
	write(processes, "max 0\n")
	var said bytes.Buffer
	l := newLimits(handoff.Resources{
		Memory: 512 << 20, Processes: 40, Mechanism: "cgroup2", MemoryEvents: memory, ProcessesEvents: processes,
	}, false, slog.New(slog.NewTextHandler(&said, nil)))
	if got := debug.SetMemoryLimit(-1); got != 384<<20 {
		t.Errorf("Go may have %d bytes", got)
	}
	if times, which := l.reached(); times != 0 || which != "" {
		t.Errorf("reached %d times, %q", times, which)
	}
	write(processes, "max 3\n")
	if times, which := l.reached(); times != 3 || which != "the profile's limit of 40 processes and threads was reached" {
		t.Errorf("reached %d times, %q", times, which)
	}
	write(memory, "oom 1\noom_kill 1\n")
	if times, which := l.reached(); times != 4 || which != "the profile's memory limit of 512 MiB was reached" {
		t.Errorf("reached %d times, %q", times, which)
	}
	_, _ = l.reached()
	if got := strings.Count(said.String(), "limit was reached"); got != 2 {
		t.Errorf("it was said %d times:\n%s", got, said.String())
	}
	if got := l.health(); got.Status != "ok" || !strings.Contains(got.Detail, "memory 512 MiB, 40 processes and threads, held by the kernel (cgroup v2); reached 4 times") {
		t.Errorf("health is %+v", got)
	}
}

func TestWorkerOverItsLimitHasAnExitCode(t *testing.T) {
	t.Parallel()
	l := &limits{over: make(chan struct{})}
	close(l.over)
	if err := l.run(t.Context()); ExitCode(err) != handoff.ExitMemory {
		t.Errorf("got %v", err)
	}
}
