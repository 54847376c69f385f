package attack_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox/wall"
	"hermes/supervisor/sandbox/wall/attack"
)

// elsewhere is the first argument of this binary where it attacks the wall of a worker on
// another machine than this one.
const elsewhere = "elsewhere"

// elsewhereMain attacks there: the home is on that machine.
func elsewhereMain(machine, home string) int {
	var err error
	switch machine {
	case "contained": // as in most containers
		err = loseNamespaces(unix.SYS_ACCT)
	case "old": // and with an older kernel
		err = loseNamespaces(unix.SYS_LANDLOCK_CREATE_RULESET)
	case "poor": // with a file system that shows files to all as they are
		err = unix.Mount("ramfs", home, "ramfs", 0, "mode=700")
	}
	var out attack.Outcome
	if err == nil {
		out, err = attack.RunWorker(context.Background(), attack.Options{Home: home})
	}
	if left, _ := os.ReadDir(home); err == nil && len(left) > 0 {
		err = errors.New("they leave something in the home: " + left[0].Name())
	}
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error())
		return 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		return 1
	}
	return 0
}

// loseNamespaces makes the kernel refuse namespaces to this process and what it starts,
// and not know one more call.
func loseNamespaces(unknown uint32) error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unknown, Jt: 6},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLONE3, Jt: 5}, // its flags cannot be looked at
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLONE, Jt: 1},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_UNSHARE, Jf: 4},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 16}, // its flags
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: unix.CLONE_NEWUSER, Jf: 2},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return nil
}

// attackElsewhere has the wall of a worker attacked on a machine of that kind, which has a
// home of that mode, below a directory of the other.
func attackElsewhere(t *testing.T, machine string, mode, above os.FileMode) (out attack.Outcome) {
	t.Helper()
	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	if err := errors.Join(os.Mkdir(home, 0o700), os.Chmod(home, mode), os.Chmod(dir, 0o711), os.Chmod(filepath.Dir(dir), above)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], elsewhere, machine, home)
	if machine == "poor" {
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS} // what it mounts ends with it
	}
	var failed strings.Builder
	cmd.Stderr = &failed
	said, err := cmd.Output()
	if err != nil || json.Unmarshal(said, &out) != nil {
		t.Fatalf("%v: %s %s", err, said, &failed)
	}
	return out
}

// Where a gateway of root gives each profile a user, doctor attacks as such a user, to whom
// neither another profile nor another's processes belong. Else it says why not, and what
// is only forbidden to others succeeds.
func TestRootIsAttackedAsAUserOfAProfile(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	for name, test := range map[string]struct {
		machine     string
		mode, above os.FileMode
		level       wall.Level
		hits        []string
		shared      bool // whose profiles are one user's
	}{
		"contained":             {"contained", 0o700, 0o711, wall.Reduced, []string{"stat .env", "read the arguments of a process beside it"}, false},
		"contained, open":       {"contained", 0o711, 0o711, wall.Reduced, []string{"stat .env", "read the arguments of a process beside it"}, false},
		"contained, closed":     {"contained", 0o700, 0o700, wall.Reduced, []string{"stat a file of another profile", "enter another profile"}, true},
		"contained, old":        {"old", 0o700, 0o711, wall.Weak, []string{"speak to an abstract socket", "list the home as a worker"}, false},
		"old, contained, open":  {"old", 0o711, 0o711, wall.Weak, []string{"speak to an abstract socket", "list the home as a worker"}, false},
		"no owners of files":    {"poor", 0o700, 0o711, wall.Full, nil, false},
		"no owners, and closed": {"poor", 0o700, 0o700, wall.Full, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := attackElsewhere(t, test.machine, test.mode, test.above)
			if cgo := strings.Contains(out.Why, "cgo"); out.Level != test.level && !cgo || out.Tried < 160 {
				t.Errorf("%d attacks at level %s, because %s", out.Tried, out.Level, out.Why)
			}
			if shared := strings.Contains(out.Why, "not as a user each"); shared != test.shared {
				t.Errorf("who attacks is told as %s", out.Why)
			}
			for _, want := range test.hits {
				if !slices.Contains(out.Hits, want) {
					t.Errorf("%q does not succeed; these do: %q", want, out.Hits)
				}
			}
			for _, hit := range out.Hits {
				if !test.shared && slices.ContainsFunc(ofOthers(), func(part string) bool { return strings.Contains(hit, part) }) {
					t.Errorf("%q succeeds", hit)
				}
			}
		})
	}
}

// ofOthers are parts of the names of attacks that only the owner of something can do.
func ofOthers() []string {
	return []string{
		"another profile", "the profiles", "the true home", ".env by", "read .env", "config.yaml", "write to", "make a ", "in place of", "list run",
		"logs/", "signal", "trace", "memory of", "limit ", "slow ", "prefer", "the worker", "its shim", "setuid program", "a terminal", "the control socket", "/etc/shadow",
	}
}
