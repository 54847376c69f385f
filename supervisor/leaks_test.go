package supervisor

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNoZombieStays(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.settle("supervisor: {backoff_base: 50ms, backoff_cap: 100ms}\n")
	port := h.add("alice", "")
	h.add("bob", "exit 1")
	cmd, _ := h.gatewayProcess()
	dead := map[string]time.Time{} // since when each was seen dead
	for range 6 {
		_, _ = get(port, "/linger")
		_, _ = get(port, "/crash")
		eventually(t, "alice is back", func() bool {
			for pid, since := range zombies(cmd.Process.Pid, dead) {
				if thorough() && time.Since(since) > time.Second {
					t.Errorf("process %s was not reaped for %v", pid, time.Since(since))
				}
			}
			_, err := get(port, "/")
			return err == nil
		})
	}
	// Others die meanwhile, but each of these is reaped.
	last := maps.Clone(zombies(cmd.Process.Pid, dead))
	eventually(t, fmt.Sprintf("%d dead children are reaped", len(last)), func() bool {
		now := zombies(cmd.Process.Pid, dead)
		return !slices.ContainsFunc(slices.Collect(maps.Keys(last)), func(pid string) bool { return now[pid].Equal(last[pid]) })
	})
}

// zombies brings up to date since when dead children of a process were seen.
func zombies(parent int, seen map[string]time.Time) map[string]time.Time {
	now := map[string]bool{}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, task := range tasks {
		list, _ := os.ReadFile(task)
		for pid := range strings.FieldsSeq(string(list)) {
			stat, _ := os.ReadFile("/proc/" + pid + "/stat")
			if _, rest, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(rest, "Z") {
				now[pid] = true
				if seen[pid].IsZero() {
					seen[pid] = time.Now()
				}
			}
		}
	}
	for pid := range seen {
		if !now[pid] {
			delete(seen, pid)
		}
	}
	return seen
}

func TestRestartsLeaveNothingBehind(t *testing.T) {
	if !thorough() {
		t.Parallel()
	}
	restarts, number := 200, 4
	if thorough() {
		restarts = 10_000
	}
	h := newHome(t)
	for i := range number {
		h.add(fmt.Sprintf("p%d", i), "exit 1")
	}
	h.settle("supervisor: {backoff_base: 10ms, backoff_cap: 10ms}\n")
	cmd, client := h.gatewayProcess()
	total := func() (n int) {
		status, err := client.Status(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range status.Profiles {
			n += p.Restarts
			if p.Restarts > 0 && (p.LastExit == nil || p.LastExit.Reason != "ended with exit code 1") {
				t.Fatalf("%s died without a reason: %+v", p.Name, p.LastExit)
			}
		}
		return n
	}
	reach := func(n int) (rss, open int) {
		for total() < n {
			elapse(t, 50*time.Millisecond)
			if t.Context().Err() != nil {
				t.Fatal("not in time")
			}
		}
		return footprint(t, cmd.Process.Pid)
	}
	rss, open := reach(restarts / 4)
	later, opened := reach(restarts)
	t.Logf("after %d restarts %d KiB and %d descriptors, after %d: %d KiB and %d", restarts/4, rss, open, restarts, later, opened)
	// Of memory it has more just before its garbage is collected, and descriptors are
	// those of starts under way too.
	eventually(t, fmt.Sprintf("it has no more than the %d KiB and %d descriptors of before", rss, open), func() bool {
		later, opened = footprint(t, cmd.Process.Pid)
		return later <= rss+rss/4+4096 && opened <= open+8*number
	})
}

// footprint is the memory of a process that is no file, in KiB, and how many
// descriptors it has.
func footprint(t *testing.T, pid int) (rss, open int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	fmt.Sscan(rest, &rss)
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return rss, len(entries)
}
