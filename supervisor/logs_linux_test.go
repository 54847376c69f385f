package supervisor

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// gatewayProcess is a gateway for all profiles of a home in a process of its own.
type gatewayProcess struct {
	*gateway // only what asks it something
	cmd      *exec.Cmd
}

// process starts a gateway in a process of its own and waits until it serves.
func (h home) process() gatewayProcess {
	h.Helper()
	cmd := exec.Command(os.Args[0], "gateway", h.dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.Fatal(err)
	}
	if err := kids.Start(cmd); err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() {
		cmd.Process.Signal(unix.SIGTERM)
		cmd.Process.Signal(unix.SIGTERM)
		kids.Wait(cmd)
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		h.Fatalf("gateway does not serve: %v", err)
	}
	return gatewayProcess{h.gateway(), cmd}
}

// figure returns a number that a file of /proc tells after a word.
func figure(t *testing.T, path, word string) int64 {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, found := strings.CutPrefix(line, word); found {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("%s does not tell %s", path, word)
	return 0
}

// A log that cannot be written harms nobody: the worker goes on, what is lost is
// counted, and when there is room again the log says how much that was.
func TestFullLogDiskIsCountedAndRecoversByItself(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "chatter")
	logs := filepath.Join(h.profile("alice"), "logs")
	var free func()
	if os.Getuid() == 0 && os.Mkdir(logs, 0o700) == nil && unix.Mount("tmpfs", logs, "tmpfs", 0, "size=32k") == nil {
		t.Cleanup(func() { unix.Unmount(logs, unix.MNT_DETACH) })
		filler := filepath.Join(logs, "filler")
		if os.WriteFile(filler, make([]byte, 1<<20), 0o600) == nil {
			t.Fatal("the disk is not full")
		}
		free = func() { os.Remove(filler) }
	} else { // a directory that cannot be written to
		os.Remove(logs)
		if err := os.WriteFile(logs, nil, 0o400); err != nil {
			t.Fatal(err)
		}
		free = func() { os.Remove(logs) }
	}
	g := h.gateway().run()
	pid := g.await("alice", StateReady).PID
	eventually(t, "lost lines are counted", func() bool { return g.status("alice").DroppedLines > 20 })
	if text := g.scrape(); strings.Contains(text, `hermes_log_dropped_lines_total{profile="alice"} 0`) {
		t.Error("metrics tell of no lost lines")
	}
	mustGet(t, port, "/")
	free()
	path := filepath.Join(logs, "worker.log")
	eventually(t, "the log is written again and tells what is missing", func() bool {
		log, _ := os.ReadFile(path)
		return strings.Contains(string(log), "lines\"") && strings.Contains(string(log), "still here")
	})
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, r := range parse(t, string(log)[:strings.LastIndexByte(string(log), '\n')+1]) {
		n := 0
		fmt.Sscanf(r.Msg, "dropped %d lines", &n)
		told += n
	}
	if p := g.status("alice"); p.PID != pid || told == 0 || told > p.DroppedLines {
		t.Errorf("the log tells of %d lost lines, status is %+v", told, p)
	}
	for _, want := range []string{"worker log cannot be written", "worker log can be written again"} {
		if n := strings.Count(g.log.String(), want); n != 1 {
			t.Errorf("the gateway's log says %d times %q, want once", n, want)
		}
	}
}

func TestTorrentOfAWorkerHarmsNobody(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "torrent")
	port := h.add("bob", "")
	g := h.process()
	pid := g.await("alice", StateReady).PID
	g.await("bob", StateReady)
	io := fmt.Sprintf("/proc/%d/io", pid)
	memory := fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid)
	var before, slowest int64
	asked, began := 0, time.Now()
	within(t, 5*time.Minute, "a gigabyte has been logged", func() bool {
		written := figure(t, io, "wchar:")
		if before == 0 && written > 100<<20 {
			before = figure(t, memory, "VmRSS:")
		}
		at := time.Now()
		mustGet(t, port, "/")
		if g.status("bob").State != StateReady {
			t.Error("bob is not served")
		}
		asked, slowest = asked+1, max(slowest, time.Since(at).Milliseconds())
		return written > 1<<30
	})
	after := figure(t, memory, "VmRSS:")
	t.Logf("1 GiB in %v; memory of the supervisor %d kB after 100 MB, %d kB after 1 GiB; bob and status asked %d times, slowest %d ms",
		time.Since(began).Round(time.Millisecond), before, after, asked, slowest)
	if after > before+16<<10 {
		t.Errorf("memory grew from %d to %d kB", before, after)
	}
	limit := patience // where others want the processors as well
	if thorough() {
		limit = 5 * time.Second
	}
	if slowest > limit.Milliseconds() {
		t.Errorf("an answer took %d ms", slowest)
	}
	if p := g.status("alice"); p.PID != pid || p.State != StateReady {
		t.Errorf("status is %+v", p)
	}
}
