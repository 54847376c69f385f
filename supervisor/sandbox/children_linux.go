package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BecomeSubreaper prepares this process to be a parent of programs that it does
// not trust: descendants that lose their parent become its children, where Sweep
// finds them; the descriptors that it was born with, other than the first three,
// are not passed on; and neither it nor its children write core files, which
// would hold secrets.
func BecomeSubreaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become subreaper: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("switch off core files: %w", err)
	}
	descriptors, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("close descriptors to children: %w", err)
	}
	for _, descriptor := range descriptors {
		if fd, err := strconv.Atoi(descriptor.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// reapsOrphans reports whether orphans come to this process.
func reapsOrphans() bool {
	if os.Getpid() == 1 {
		return true
	}
	var on int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&on)), 0, 0, 0) //nolint:gosec // the kernel writes to the address
	return err == nil && on != 0
}

// awaitExit returns when the child pid has ended, and leaves it to be reaped. The
// runtime waits for it as for a connection: a call that waits in the kernel keeps
// a thread for each child.
func awaitExit(pid int) {
	if awaitPidfd(pid) == nil {
		return
	}
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// awaitPidfd is awaitExit where the kernel has pidfds, and there is room for
// another descriptor.
func awaitPidfd(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // or the runtime would not wait for it
		return errors.Join(err, unix.Close(fd))
	}
	file := os.NewFile(uintptr(fd), "pidfd")
	defer func() { _ = file.Close() }()
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	return conn.Read(func(uintptr) bool {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
		return err != nil && !errors.Is(err, unix.EINTR) || info.Signo != 0
	})
}

// childless reports whether this process has no child at all, not even a dead
// one. It costs one system call where reading /proc costs hundreds.
func childless() bool {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG|unix.WALL, nil)
	return errors.Is(err, unix.ECHILD)
}

// bury reaps the dead child pid and reports whether it did. It never waits for
// "any child": that would take the exit of a command from os/exec.
func bury(pid int) bool {
	for {
		got, err := unix.Wait4(pid, nil, unix.WNOHANG|unix.WALL, nil)
		if !errors.Is(err, unix.EINTR) {
			return got == pid
		}
	}
}

// childPIDs lists the children of this process. Kernels that are built without
// CONFIG_PROC_CHILDREN make it look at every process there is.
func childPIDs() ([]int, error) { return childrenIn("/proc/self/task") }

// childrenIn lists the children of the threads in a directory of them.
func childrenIn(dir string) ([]int, error) {
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, task := range tasks {
		list, err := os.ReadFile(dir + "/" + task.Name() + "/children")
		if errors.Is(err, fs.ErrNotExist) {
			if _, gone := os.Stat(dir + "/" + task.Name()); gone != nil {
				continue // the thread has ended
			}
			return scanPIDs()
		}
		if err != nil {
			return nil, err
		}
		for field := range bytes.FieldsSeq(list) {
			if pid, err := strconv.Atoi(string(field)); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids, nil
}

// FirstChild is the oldest child of a process, 0 if there is none (yet). The error says
// that the process is gone.
func FirstChild(parent int) (first int, err error) {
	pids, err := childrenIn("/proc/" + strconv.Itoa(parent) + "/task")
	if err != nil {
		return 0, err
	}
	oldest := uint64(0)
	for _, pid := range pids {
		fields := stat(pid)
		if len(fields) > statBorn && fields[statParent] == strconv.Itoa(parent) && (first == 0 || ticks(fields) < oldest) {
			first, oldest = pid, ticks(fields)
		}
	}
	return first, nil
}

// scanPIDs lists all processes, children or not; inspect sorts them out. The
// newest come first: a stray that starts another and exits is best caught early.
func scanPIDs() ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	pids := make([]int, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	slices.Reverse(pids)
	return pids, nil
}

// inspect describes a child of this process. It returns false for the ok of a
// process that is none, or is gone.
func inspect(pid int) (stray Stray, dead, ok bool) {
	fields := stat(pid)
	if len(fields) <= statBorn || fields[statParent] != strconv.Itoa(os.Getpid()) {
		return Stray{}, false, false
	}
	pgid, err := strconv.Atoi(fields[statGroup])
	if err != nil {
		return Stray{}, false, false
	}
	state := fields[statState]
	return Stray{PID: pid, PGID: pgid, Born: ticks(fields)}, state == "Z" || state == "X", true
}

// born returns when a process was forked, see Stray.Born.
func born(pid int) uint64 { return ticks(stat(pid)) }

// Fields of /proc/PID/stat, counted from behind the program's name.
const (
	statState   = 0
	statParent  = 1
	statGroup   = 2
	statSession = 3
	statBorn    = 19
)

// stat returns the fields of /proc/PID/stat that follow the program's name,
// which stands in parentheses and may hold anything, parentheses too.
func stat(pid int) []string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
}

func ticks(fields []string) uint64 {
	if len(fields) <= statBorn {
		return 0
	}
	born, err := strconv.ParseUint(fields[statBorn], 10, 64)
	if err != nil {
		return 0
	}
	return born
}

// Env returns a variable of the environment that the stray's program was started
// with, "" if it has none, or hides it.
func (s Stray) Env(name string) string {
	environ, err := os.ReadFile("/proc/" + strconv.Itoa(s.PID) + "/environ")
	if err != nil {
		return ""
	}
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if value, ok := strings.CutPrefix(string(entry), name+"="); ok {
			return value
		}
	}
	return ""
}
