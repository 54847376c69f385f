package confine

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// maxTree bounds how many processes of a tree are looked at; a bomb has more, and
// is over the limit with fewer.
const maxTree = 20_000

// tree lists a process and all that descend from it, parents before their
// children. What comes and goes meanwhile may be missing.
func tree(root int) ([]process, error) {
	first, ok := inspect(root)
	if !ok {
		return nil, errors.New("this process is not in /proc")
	}
	all := []process{first}
	for i := 0; i < len(all) && len(all) < maxTree; i++ {
		pids, err := children(all[i].pid)
		if errors.Is(err, errNoList) {
			return scan(first)
		}
		if err != nil {
			continue // it has ended
		}
		for _, pid := range pids {
			if p, ok := inspect(pid); ok {
				p.parent = all[i].pid // it may have changed since
				all = append(all, p)
			}
		}
	}
	return all, nil
}

// errNoList says that the kernel was built without CONFIG_PROC_CHILDREN.
var errNoList = errors.New("no list of children")

func children(pid int) ([]int, error) {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, task := range tasks {
		list, err := os.ReadFile(dir + "/" + task.Name() + "/children")
		if errors.Is(err, fs.ErrNotExist) {
			if _, gone := os.Stat(dir + "/" + task.Name()); gone == nil {
				return nil, errNoList
			}
		}
		for word := range bytes.FieldsSeq(list) {
			if pid, err := strconv.Atoi(string(word)); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids, nil
}

// scan is tree for kernels that tell parents only: it looks at every process.
func scan(first process) ([]process, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	byParent := map[int][]process{}
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid != first.pid {
			if p, ok := inspect(pid); ok {
				byParent[p.parent] = append(byParent[p.parent], p)
			}
		}
	}
	all := []process{first}
	for i := 0; i < len(all) && len(all) < maxTree; i++ {
		all = append(all, byParent[all[i].pid]...)
		delete(byParent, all[i].pid)
	}
	return all, nil
}

// inspect reads what /proc says of a process. Zombies have no memory, but count.
func inspect(pid int) (p process, ok bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return p, false
	}
	// The program's name stands in parentheses and may hold anything.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 22 {
		return p, false
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(fields[i], 10, 64) // the kernel writes numbers
		return n
	}
	return process{
		pid: pid, parent: int(number(1)), group: int(number(2)), threads: int(number(17)),
		born: uint64(number(19)), resident: number(21) * int64(os.Getpagesize()), //nolint:gosec // the kernel counts from 0
	}, true
}

// proportional sums up what a tree has in memory, with shared pages counted in
// parts. It costs a millisecond for each hundred megabytes, so it is asked last.
func proportional(all []process) int64 {
	var sum int64
	for _, p := range all {
		sum += pss(p)
	}
	return sum
}

func pss(p process) int64 {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/smaps_rollup")
	if err != nil {
		return p.resident
	}
	for line := range bytes.Lines(data) {
		if fields := strings.Fields(string(line)); len(fields) > 1 && fields[0] == "Pss:" {
			if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				return n << 10
			}
		}
	}
	return p.resident
}

// killAll kills processes, and the groups that they are in: a group is killed at
// once, however fast it forks. This process and its own group are spared.
func killAll(processes []process) {
	mine := []int{0, 1, syscall.Getpgrp()}
	var groups []int
	for _, p := range processes {
		if now, ok := inspect(p.pid); !ok || now.born != p.born {
			continue // another one has its number by now
		}
		if !slices.Contains(mine, p.group) && !slices.Contains(groups, p.group) {
			groups = append(groups, p.group)
			_ = syscall.Kill(-p.group, syscall.SIGKILL) // it may be gone already
		}
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
}
