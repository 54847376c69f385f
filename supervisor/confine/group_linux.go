package confine

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// own is how many processes and threads a worker may have itself.
	own = 64
	// killLimit bounds how long a group is killed again and again.
	killLimit = 2 * time.Second
	pause     = 5 * time.Millisecond
)

// Confiner makes a group for each worker.
type Confiner struct {
	mechanism Mechanism
	// why says what keeps a better mechanism from being used.
	why string
	// trees are directories that hold the groups: one with cgroup v2, one for each
	// controller with v1.
	memory, pids string
	// leave undoes what was done to have them.
	leave []func()
}

// Find looks for the best mechanism that works here, or for one alone unless it
// is "". It always returns one that does: at the last Watched, which needs
// nothing.
func Find(only Mechanism) *Confiner {
	var reasons []string
	for _, try := range []struct {
		mechanism Mechanism
		enter     func(*Confiner) error
	}{{CgroupV2, (*Confiner).enterV2}, {CgroupV1, (*Confiner).enterV1}} {
		if only != "" && only != try.mechanism {
			continue
		}
		c := &Confiner{mechanism: try.mechanism}
		err := try.enter(c)
		if err == nil {
			err = c.rehearse()
		}
		if err == nil {
			return c
		}
		c.Close()
		reasons = append(reasons, fmt.Sprintf("%s: %v", try.mechanism, err))
	}
	return &Confiner{mechanism: Watched, why: strings.Join(reasons, "; ")}
}

// Mechanism is what was found.
func (c *Confiner) Mechanism() Mechanism { return c.mechanism }

// Why says what keeps a better mechanism from being used.
func (c *Confiner) Why() string { return c.why }

// Close gives up what Find made. There must be no group left.
func (c *Confiner) Close() {
	for _, undo := range slices.Backward(c.leave) {
		undo()
	}
	c.leave = nil
}

// rehearse makes a group and removes it: what the files say of one's rights is
// not always so.
func (c *Confiner) rehearse() error {
	g, err := c.Group("rehearsal", Limits{Memory: 64 << 20, Processes: 16})
	if err != nil {
		return err
	}
	return g.Close()
}

// Group is the cgroup of one worker.
type Group struct {
	mechanism Mechanism
	memory    string // the directory; with v2 it is that for pids too
	pids      string
	dir       *os.File // of v2
	before    Counts
}

// Group makes a group. It is nil, and its methods do nothing, with Watched.
func (c *Confiner) Group(name string, l Limits) (g *Group, err error) {
	if c.mechanism == Watched {
		return nil, nil //nolint:nilnil // a nil group is one that does nothing
	}
	name += "-" + strings.ToLower(rand.Text()[:8]) // the one before may not be gone yet
	g = &Group{mechanism: c.mechanism, memory: filepath.Join(c.memory, name), pids: filepath.Join(c.pids, name)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make cgroup: %w", err), g.Close())
			g = nil
		}
	}()
	if err := makeDir(g.memory); err != nil {
		return g, err
	}
	if g.pids != g.memory {
		if err := makeDir(g.pids); err != nil {
			return g, err
		}
	}
	if err := g.Limit(l); err != nil {
		return g, err
	}
	if g.mechanism == CgroupV2 {
		if g.dir, err = os.Open(g.memory); err != nil {
			return g, err
		}
	}
	g.before = g.Files().Counts()
	return g, nil
}

// Limit sets the limits of a group that has none yet. There is no memory.high: it
// makes who is over it slow for minutes instead of ending it.
func (g *Group) Limit(l Limits) error {
	if g == nil {
		return nil
	}
	memory, swap := "memory.max", "memory.swap.max"
	swapped := "0"
	if g.mechanism == CgroupV1 {
		memory, swap = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
		swapped = strconv.FormatInt(l.Memory, 10)
	}
	if l.Memory > 0 {
		if err := write(g.memory, memory, strconv.FormatInt(l.Memory, 10)); err != nil {
			return err
		}
		// Kernels without accounting of swap have no such file.
		if err := write(g.memory, swap, swapped); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if l.Processes > 0 {
		return write(g.pids, "pids.max", strconv.Itoa(l.Processes+own))
	}
	return nil
}

// Files are where the kernel counts for the group.
func (g *Group) Files() Files {
	switch {
	case g == nil:
		return Files{}
	case g.mechanism == CgroupV2:
		return Files{Memory: filepath.Join(g.memory, "memory.events"), Processes: filepath.Join(g.pids, "pids.events")}
	default:
		return Files{Memory: filepath.Join(g.memory, "memory.oom_control"), Processes: filepath.Join(g.pids, "pids.events")}
	}
}

// Prepare has a process born in the group, where that can be.
func (g *Group) Prepare(attr *syscall.SysProcAttr) {
	if g != nil && g.dir != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, int(g.dir.Fd())
	}
}

// Admit puts a process into the group that was not born there. It must not have
// started others.
func (g *Group) Admit(pid int) error {
	if g == nil || g.dir != nil {
		return nil
	}
	return errors.Join(write(g.memory, "cgroup.procs", strconv.Itoa(pid)), write(g.pids, "cgroup.procs", strconv.Itoa(pid)))
}

// AdmitMissing is Admit for a process that may have been started before its parent was
// in the group.
func (g *Group) AdmitMissing(pid int) error {
	if g == nil || g.dir != nil {
		return nil
	}
	for _, dir := range []string{g.memory, g.pids} {
		inside, err := members(dir)
		if err != nil {
			return err
		}
		if slices.Contains(inside, pid) {
			continue
		}
		if err := write(dir, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return err
		}
	}
	return nil
}

// OutOfMemory reports whether a process of the group was killed for its memory.
func (g *Group) OutOfMemory() bool {
	return g != nil && g.Files().Counts().Memory > g.before.Memory
}

// Kill ends everything in the group.
func (g *Group) Kill() error {
	if g == nil {
		return nil
	}
	for deadline := time.Now().Add(killLimit); ; <-time.After(pause) {
		if g.mechanism == CgroupV2 {
			if err := write(g.memory, "cgroup.kill", "1"); err != nil && !errors.Is(err, fs.ErrNotExist) { // before 5.14
				return err
			}
		}
		members, err := members(g.memory)
		if err != nil || len(members) == 0 {
			return err
		}
		for _, pid := range members {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone, and is asked after again
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("kill cgroup: %d processes do not end", len(members))
		}
	}
}

// Close removes the group, which must be empty but for processes that are just
// ending.
func (g *Group) Close() error {
	if g == nil {
		return nil
	}
	if g.dir != nil {
		_ = g.dir.Close()
	}
	return errors.Join(remove(g.memory), remove(g.pids))
}

// remove removes a directory of cgroups. The kernel takes a moment to let go of
// processes that are dead.
func remove(dir string) error {
	for deadline := time.Now().Add(killLimit); ; <-time.After(pause) {
		err := syscall.Rmdir(dir)
		switch {
		case err == nil, errors.Is(err, fs.ErrNotExist):
			return nil
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline):
			return fmt.Errorf("remove cgroup %s: %w", dir, err)
		}
	}
}

func members(dir string) ([]int, error) {
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var pids []int
	for word := range bytes.FieldsSeq(data) {
		if pid, err := strconv.Atoi(string(word)); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func write(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// makeDir makes a directory of cgroups that all may enter, as all of them are, whatever
// the umask is: a worker reads its counts, and may be another user.
func makeDir(path string) error {
	if err := os.Mkdir(path, 0o755); err != nil { //nolint:gosec // see above
		return err
	}
	return os.Chmod(path, 0o755) //nolint:gosec // see above
}
