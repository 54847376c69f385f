package wall_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox/wall"
)

// direct starts processes as they are.
type direct struct{}

func (direct) Start(cmd *exec.Cmd) error { return cmd.Start() }

func (direct) Wait(cmd *exec.Cmd) error { return cmd.Wait() }

// faultyMain makes system calls fail for this process and all that it starts, as on
// machines that are different from this one, and tells which wall a worker gets then.
func faultyMain() int {
	runtime.LockOSThread()
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}}
	fail := func(call uint32, errno syscall.Errno) {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)})
	}
	for fault := range strings.SplitSeq(os.Args[2], ",") {
		switch fault {
		case "namespaces": // as where they are forbidden: any clone that makes one
			filter = append(filter,
				unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLONE, Jf: 4},
				unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 16},
				unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: unix.CLONE_NEWUSER, Jf: 1},
				unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
				unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0})
			fail(unix.SYS_CLONE3, unix.ENOSYS)
		case "mounts": // as under AppArmor
			fail(unix.SYS_MOUNT, unix.EACCES)
		case "landlock":
			fail(unix.SYS_LANDLOCK_CREATE_RULESET, unix.ENOSYS)
		case "seccomp":
			fail(unix.SYS_SECCOMP, unix.EINVAL)
		}
	}
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 1
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return 1
	}
	exe, err := os.Executable()
	if err != nil {
		return 1
	}
	report := wall.ProbeRoom(context.Background(), exe, os.Args[3], wall.Identity{UID: os.Getuid(), GID: os.Getgid()}, true, direct{})
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		return 1
	}
	return 0
}

// Where the kernel lacks something, the level is what is left, and what is missing is
// said with what can be done.
func TestLevelOfARoomIsFoundByBuildingIt(t *testing.T) {
	t.Parallel()
	needsRoom(t)
	tests := map[string]struct {
		level wall.Level
		says  []string
	}{
		"":                            {wall.Full, nil},
		"landlock":                    {wall.Namespaces, []string{"no Landlock"}},
		"namespaces":                  {wall.Reduced, []string{"clone: operation not permitted", "user namespaces"}},
		"mounts":                      {wall.Reduced, []string{"build the root", "user namespaces"}},
		"namespaces,landlock":         {wall.Weak, []string{"no Landlock", "user namespaces"}},
		"namespaces,landlock,seccomp": {wall.None, []string{"apply seccomp"}},
		"seccomp":                     {wall.None, []string{"apply seccomp"}},
	}
	for fault, test := range tests {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			uid := users()["ordinary user"]
			s := newScene(t, uid)
			cmd := exec.CommandContext(t.Context(), s.Own, "faulty", fault, s.Home)
			if uid != os.Getuid() {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
			}
			said, err := cmd.CombinedOutput()
			var got wall.Report
			if err != nil || json.Unmarshal(said, &got) != nil {
				t.Fatalf("%v: %s", err, said)
			}
			all := fmt.Sprint(got.Why, got.Mend)
			if got.Level != test.level || slices.ContainsFunc(test.says, func(part string) bool { return !strings.Contains(all, part) }) {
				t.Errorf("level %s (%s; %s), want %s with %q", got.Level, got.Why, got.Mend, test.level, test.says)
			}
		})
	}
}
