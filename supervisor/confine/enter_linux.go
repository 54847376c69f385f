package confine

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// ownGroup is the cgroup that the supervisor itself is in, below the one that it
// was given.
const ownGroup = "supervisor"

// enterV2 makes room for groups below this process's own cgroup. A cgroup that
// has groups with limits below it holds no processes itself, so this process
// moves into one of its own first. That works where nobody else is in it, as
// under systemd with Delegate=yes.
func (c *Confiner) enterV2() error {
	at, err := place("cgroup2", "")
	if err != nil {
		return err
	}
	available, err := os.ReadFile(filepath.Join(at, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, controller := range []string{"memory", "pids"} {
		if !slices.Contains(strings.Fields(string(available)), controller) {
			return fmt.Errorf("the controller %s is not delegated to this process", controller)
		}
	}
	home := filepath.Join(at, ownGroup)
	if err := makeDir(home); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	leave := leaveV2(at)
	c.leave = leave[:1]
	if err := write(home, "cgroup.procs", strconv.Itoa(os.Getpid())); err != nil {
		return err
	}
	c.leave = leave[:2]
	if err := write(at, "cgroup.subtree_control", "+memory +pids"); err != nil {
		return err
	}
	c.leave = leave
	c.memory, c.pids = at, at
	return nil
}

// enterV1 makes a directory for groups in the hierarchies of memory and of pids.
func (c *Confiner) enterV1() error {
	name := fmt.Sprintf(prefix+"%d-%s", os.Getpid(), strings.ToLower(rand.Text()[:8]))
	for controller, dir := range map[string]*string{"memory": &c.memory, "pids": &c.pids} {
		at, err := place("cgroup", controller)
		if err != nil {
			return err
		}
		sweep(at)
		made := filepath.Join(at, name)
		if err := makeDir(made); err != nil {
			return err
		}
		*dir = made
		c.leave = append(c.leave, func() { _ = remove(made) })
	}
	return nil
}

// prefix begins the names of directories that hold groups of v1; the pid of whose
// they are follows.
const prefix = "hermes-"

// sweep removes the directories of supervisors that were killed, once their last
// workers have left. What is not empty, the kernel keeps.
func sweep(at string) {
	left, err := filepath.Glob(filepath.Join(at, prefix+"*-*"))
	if err != nil {
		return
	}
	for _, dir := range left {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), prefix), "-")
		if n, err := strconv.Atoi(pid); err != nil || !errors.Is(syscall.Kill(n, 0), syscall.ESRCH) {
			continue
		}
		groups, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, group := range groups {
			if group.IsDir() {
				_ = syscall.Rmdir(filepath.Join(dir, group.Name()))
			}
		}
		_ = syscall.Rmdir(dir)
	}
}

// place is the directory of this process's cgroup: in the one hierarchy of v2,
// or in that of a controller.
func place(kind, controller string) (string, error) {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	mine, found := groupOf(groups, controller)
	if !found {
		return "", errors.New("there is no such hierarchy")
	}
	root, point, found := mountOf(mounts, kind, controller)
	if !found {
		return "", errors.New("its hierarchy is not mounted")
	}
	// In a container the mount may show a part of the hierarchy only.
	below, inside := strings.CutPrefix(mine, strings.TrimSuffix(root, "/"))
	if !inside {
		return "", fmt.Errorf("this process's cgroup %s is not in what is mounted at %s", mine, point)
	}
	return filepath.Join(point, below), nil
}

// groupOf finds a line of /proc/PID/cgroup: number, controllers, path.
func groupOf(groups []byte, controller string) (string, bool) {
	for lines := bufio.NewScanner(bytes.NewReader(groups)); lines.Scan(); {
		parts := strings.SplitN(lines.Text(), ":", 3)
		if len(parts) == 3 && (controller == "" && parts[0] == "0" && parts[1] == "" ||
			controller != "" && slices.Contains(strings.Split(parts[1], ","), controller)) {
			return parts[2], true
		}
	}
	return "", false
}

// mountOf finds a mount of cgroups in /proc/PID/mountinfo: its root in the
// hierarchy, and where it is. A controller of v1 stands among the options.
func mountOf(mounts []byte, kind, controller string) (root, point string, found bool) {
	for lines := bufio.NewScanner(bytes.NewReader(mounts)); lines.Scan(); {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 3 || right[0] != kind {
			continue
		}
		if controller == "" || slices.Contains(strings.Split(right[2], ","), controller) {
			return left[3], left[4], true
		}
	}
	return "", "", false
}
