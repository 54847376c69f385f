package confine

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// find returns a Confiner of one mechanism, or skips with what is in the way.
func find(t *testing.T, mechanism Mechanism) *Confiner {
	t.Helper()
	c := Find(mechanism)
	if c.Mechanism() != mechanism {
		t.Skipf("%s cannot be used here: %s", mechanism, c.Why())
	}
	t.Cleanup(c.Close)
	return c
}

// run runs a shell in a group, as a worker is started: it is admitted before it
// starts anything.
func run(t *testing.T, g *Group, script string) (string, error) {
	t.Helper()
	cmd := exec.Command("sh", "-c", "read go; "+script)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	g.Prepare(cmd.SysProcAttr)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := g.Admit(cmd.Process.Pid); err != nil {
		t.Error(err)
	}
	_, _ = stdin.Write([]byte("\n"))
	_ = stdin.Close()
	err = cmd.Wait()
	return out.String(), err
}

func TestKernelHoldsLimits(t *testing.T) {
	for _, mechanism := range []Mechanism{CgroupV2, CgroupV1} {
		t.Run(string(mechanism), func(t *testing.T) {
			c := find(t, mechanism)
			g, err := c.Group("test", Limits{Memory: 64 << 20, Processes: 16})
			if err != nil {
				t.Fatal(err)
			}
			if out, err := run(t, g, "echo fine"); err != nil || out != "fine\n" || g.OutOfMemory() {
				t.Errorf("what is within limits: %q, %v", out, err)
			}
			if out, err := run(t, g, "head -c 200000000 /dev/zero | tail; echo $?"); !g.OutOfMemory() {
				t.Errorf("a hog of 200 MB in 64 MiB: %q, %v", out, err)
			}
			// Bounded: at most 200, each of which ends with its parent's file.
			out, err := run(t, g, "i=0; while [ $i -lt 200 ]; do sleep 5 >/dev/null 2>&1 & i=$((i+1)); done; echo all")
			if err == nil && strings.Contains(out, "all") || g.Files().Counts().Processes == 0 {
				t.Errorf("200 processes where %d may be: %q, %v", 16+own, out, err)
			}
			if err := g.Kill(); err != nil {
				t.Error(err)
			}
			if left, _ := members(g.memory); len(left) > 0 {
				t.Errorf("killed, there is %v", left)
			}
			if err := g.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(g.memory); err == nil {
				t.Error("the directory is left")
			}
		})
	}
}

// Where the hierarchy of v2 has no controllers, being born in a group and dying
// with it still work.
func TestGroupOfV2EndsWhole(t *testing.T) {
	at, err := place("cgroup2", "")
	if err != nil {
		t.Skipf("no cgroup v2: %v", err)
	}
	c := &Confiner{mechanism: CgroupV2, memory: at, pids: at}
	g, err := c.Group("test", Limits{})
	if err != nil {
		t.Skipf("no rights: %v", err)
	}
	cmd := exec.Command("sh", "-c", "setsid sleep 86396.5 & setsid sleep 86396.5 & wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	g.Prepare(cmd.SysProcAttr)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(20 * time.Second); ; {
		if pids, _ := members(g.memory); len(pids) == 3 {
			break
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("they were not born in the group")
		}
	}
	if err := g.Kill(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the shell was not killed")
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

func TestPlacesAreRead(t *testing.T) {
	t.Parallel()
	groups := []byte("12:pids:/a\n4:memory,hugetlb:/b:c\n1:name=systemd:/d\n0::/user.slice/x.scope\n")
	mounts := []byte("30 23 0:26 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 none rw,nsdelegate\n" +
		"31 23 0:27 /b:c /sys/fs/cgroup/memory rw shared:9 - cgroup none rw,memory,hugetlb\n")
	if got, _ := groupOf(groups, "memory"); got != "/b:c" {
		t.Errorf("memory is in %q", got)
	}
	if got, _ := groupOf(groups, ""); got != "/user.slice/x.scope" {
		t.Errorf("v2 is in %q", got)
	}
	if root, point, _ := mountOf(mounts, "cgroup", "memory"); root != "/b:c" || point != "/sys/fs/cgroup/memory" {
		t.Errorf("memory is mounted at %q of %q", point, root)
	}
	if _, point, _ := mountOf(mounts, "cgroup2", ""); point != "/sys/fs/cgroup/unified" {
		t.Errorf("v2 is mounted at %q", point)
	}
	if _, _, found := mountOf(mounts, "cgroup", "pids"); found {
		t.Error("pids is mounted")
	}
}

func TestFindFallsBack(t *testing.T) {
	t.Parallel()
	c := Find(Watched)
	if g, err := c.Group("x", Limits{Memory: 1}); c.Mechanism() != Watched || g != nil || err != nil || g.Close() != nil || g.Kill() != nil || g.OutOfMemory() {
		t.Errorf("got %v, %v", g, err)
	}
	dir := t.TempDir()
	ro := &Confiner{mechanism: CgroupV1, memory: filepath.Join(dir, "not"), pids: filepath.Join(dir, "there")}
	if g, err := ro.Group("x", Limits{Memory: 1}); err == nil || g != nil {
		t.Errorf("without rights: %v, %v", g, err)
	}
}

func TestTreeFindsDescendants(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", "sleep 86395.5 & sleep 86395.5 & wait")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	find := func(list func() ([]process, error)) (found []process) {
		all, err := list()
		if err != nil || all[0].pid != os.Getpid() || all[0].resident == 0 {
			t.Fatalf("got %+v, %v", all, err)
		}
		for _, p := range all[1:] {
			if p.pid == cmd.Process.Pid || p.parent == cmd.Process.Pid {
				found = append(found, p)
			}
		}
		return found
	}
	whole := func() ([]process, error) { return tree(os.Getpid()) }
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(20 * time.Second); len(find(whole)) != 3; {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("got %+v", find(whole))
		}
	}
	first, _ := inspect(os.Getpid())
	if got := find(func() ([]process, error) { return scan(first) }); len(got) != 3 {
		t.Errorf("a scan finds %+v", got)
	}
	if proportional(find(whole)) <= 0 {
		t.Error("they have nothing in memory")
	}
	// Of another process that has the number by now nothing is killed.
	killAll([]process{{pid: cmd.Process.Pid, born: 1, group: cmd.Process.Pid}})
	if len(find(whole)) != 3 {
		t.Error("another process was killed")
	}
	found := find(whole)
	killAll(found)
	if err := cmd.Wait(); err == nil {
		t.Error("the shell was not killed")
	}
}

// What a supervisor that was killed has left is removed by the next, but for
// groups that somebody is still in, and those of supervisors that live.
func TestSweepRemovesWhatTheDeadLeft(t *testing.T) {
	t.Parallel()
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	at := func(pid int, group string) string {
		path := filepath.Join(dir, fmt.Sprintf("%s%d-abc", prefix, pid), group)
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	gone, kept := at(dead.Process.Pid, "alice-1"), at(os.Getpid(), "bob-1")
	full := at(1<<30, "carol-1")
	if err := os.WriteFile(filepath.Join(full, "member"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sweep(dir)
	for path, want := range map[string]bool{filepath.Dir(gone): false, kept: true, full: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v", path, err == nil)
		}
	}
}

// A worker that outlived its gateway says which cgroup it is in. Whatever it says, no
// process is ended but those of a group that was made for workers and that it is in.
func TestGroupIsNotBelievedToBeAnything(t *testing.T) {
	bystander := exec.Command("sleep", "600")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bystander.Process.Kill(); _ = bystander.Wait() })
	named := func(dir string) Files {
		return Files{Memory: filepath.Join(dir, "memory.events"), Processes: filepath.Join(dir, "pids.events")}
	}
	ofItsOwn := filepath.Join(t.TempDir(), "worker-abc")
	if err := os.Mkdir(ofItsOwn, 0o700); err != nil {
		t.Fatal(err)
	}
	lies := fmt.Appendf(nil, "%d\n%d\n", bystander.Process.Pid, os.Getpid())
	if err := os.WriteFile(filepath.Join(ofItsOwn, "cgroup.procs"), lies, 0o600); err != nil {
		t.Fatal(err)
	}
	pipes := filepath.Join(t.TempDir(), "worker-abc") // which would be waited for
	if err := os.Mkdir(pipes, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cgroup.procs", "memory.events", "memory.oom_control", "pids.events"} {
		if err := syscall.Mkfifo(filepath.Join(pipes, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(what string, m Mechanism, files Files, pid int) {
		if g, err := Found(m, "worker", files, pid); err == nil {
			t.Errorf("%s is taken for the group of a worker: %+v", what, g)
		}
	}
	for _, m := range []Mechanism{CgroupV2, CgroupV1} {
		refused("a directory of its own", m, named(ofItsOwn), os.Getpid())
		refused("a directory of pipes", m, named(pipes), os.Getpid())
		refused("nothing", m, Files{}, os.Getpid())
	}
	for _, mechanism := range []Mechanism{CgroupV2, CgroupV1} {
		t.Run(string(mechanism), func(t *testing.T) {
			c := find(t, mechanism)
			g, err := c.Group("worker", Limits{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = g.Close() })
			if _, err := run(t, g, "true"); err != nil {
				t.Fatal(err)
			}
			refused("the group of another worker", mechanism, g.Files(), os.Getpid())
			link := filepath.Join(t.TempDir(), "worker-link")
			if err := os.Symlink(g.memory, link); err != nil {
				t.Fatal(err)
			}
			refused("a link to a group", mechanism, named(link), os.Getpid())
			at := exec.Command("sleep", "600")
			at.SysProcAttr = &syscall.SysProcAttr{}
			g.Prepare(at.SysProcAttr)
			if err := at.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = at.Process.Kill(); _ = at.Wait() })
			if err := g.Admit(at.Process.Pid); err != nil {
				t.Fatal(err)
			}
			refused("a group that is not for workers", mechanism, named(filepath.Dir(g.memory)), at.Process.Pid)
			found, err := Found(mechanism, "worker", g.Files(), at.Process.Pid)
			if err != nil {
				t.Fatalf("its own group: %v", err)
			}
			if err := found.Kill(); err != nil || at.Wait() == nil {
				t.Errorf("its own group is not ended: %v", err)
			}
		})
	}
	if err := bystander.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("a process that only was named was ended: %v", err)
	}
}
