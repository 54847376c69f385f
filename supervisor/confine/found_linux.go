package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Found is the group of that name which a process is in, where somebody who may lie has
// said which that is: nothing is read, written or ended that is not a cgroup, kept by the
// kernel and made by Group, with that process in it.
func Found(m Mechanism, name string, files Files, pid int) (*Group, error) {
	if m != CgroupV1 && m != CgroupV2 {
		return nil, fmt.Errorf("find cgroup: %q is no mechanism of the kernel", m)
	}
	g := &Group{mechanism: m, memory: filepath.Dir(files.Memory), pids: filepath.Dir(files.Processes)}
	for _, dir := range []string{g.memory, g.pids} {
		if !strings.HasPrefix(filepath.Base(dir), name+"-") { // all of a machine may be in one that others have made
			return nil, fmt.Errorf("find cgroup: %s is not made for a %s", strconv.Quote(dir), name)
		}
		if err := isGroup(dir); err != nil {
			return nil, fmt.Errorf("find cgroup: %w", err)
		}
		inside, err := members(dir)
		if err == nil && !slices.Contains(inside, pid) {
			err = fmt.Errorf("process %d is not in %s", pid, strconv.Quote(dir))
		}
		if err != nil {
			return nil, fmt.Errorf("find cgroup: %w", err)
		}
	}
	g.before = g.Files().Counts()
	return g, nil
}

// isGroup makes sure that a path is that of a cgroup, without any link in it: what leads
// there now could lead elsewhere later.
func isGroup(dir string) (err error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	var kind unix.Statfs_t
	if err := unix.Fstatfs(fd, &kind); err != nil {
		return os.NewSyscallError("fstatfs", err)
	}
	at, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return err
	}
	if kind.Type != unix.CGROUP_SUPER_MAGIC && kind.Type != unix.CGROUP2_SUPER_MAGIC || at != dir {
		return fmt.Errorf("%s is no cgroup", strconv.Quote(dir))
	}
	return nil
}
