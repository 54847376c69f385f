package attack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// absent is a path that is not there: the kernel says so once it has let a call pass.
const absent = "/hermes-doctor-absent"

// reached succeeds unless the call was refused before the kernel looked at what it is
// to do.
func reached(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EACCES) {
		return err
	}
	return nil
}

// call makes a system call on this thread.
func call(number uintptr, args ...uintptr) error {
	args = append(args, 0, 0, 0, 0, 0, 0)
	if _, _, errno := unix.RawSyscall6(number, args[0], args[1], args[2], args[3], args[4], args[5]); errno != 0 {
		return errno
	}
	return nil
}

// calling is an attack by one call, with arguments of which nothing can come.
func calling(name string, number uintptr, args ...uintptr) attack {
	return at(name, func() error { return reached(call(number, args...)) })
}

func onProcesses() []attack {
	of := func(name, file string, pid func(*scene) int, flags int) attack {
		return attack{name: name, try: func(s *scene) error { return opens(fmt.Sprintf("/proc/%d/%s", pid(s), file), flags) }}
	}
	worker, beside := func(s *scene) int { return s.Worker }, func(s *scene) int { return s.Victim }
	return []attack{
		of("open the memory of the worker", "mem", worker, unix.O_RDONLY),
		of("open the memory of a process beside it", "mem", beside, unix.O_RDWR),
		of("open the maps of the worker", "maps", worker, unix.O_RDONLY),
		of("open the variables of a process beside it", "environ", beside, unix.O_RDONLY),
		of("read the arguments of a process beside it", "cmdline", beside, unix.O_RDONLY),
		{name: "list the descriptors of the worker", try: func(s *scene) error { return shows(fmt.Sprintf("/proc/%d/fd", s.Worker)) }},
		{name: "find the secret in any process", try: func(s *scene) error {
			paths, _ := filepath.Glob("/proc/[0-9]*/environ")
			for _, path := range paths {
				if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, []byte(s.Canary)) {
					return nil
				}
			}
			return errors.New("none has it")
		}},
		{name: "signal a process beside it", try: func(s *scene) error { return unix.Kill(s.Victim, 0) }},
		{name: "signal the worker", try: func(s *scene) error { return unix.Kill(s.Worker, 0) }},
		{name: "signal by pidfd", try: func(s *scene) error {
			fd, err := unix.PidfdOpen(s.Victim, 0)
			if err != nil {
				return err
			}
			return errors.Join(unix.PidfdSendSignal(fd, 0, nil, 0), unix.Close(fd))
		}},
		{name: "take a descriptor by pidfd", try: func(s *scene) error {
			fd, err := unix.PidfdOpen(s.Worker, 0)
			if err != nil {
				return err
			}
			_, err = unix.PidfdGetfd(fd, s.Leaked, 0)
			return errors.Join(err, unix.Close(fd))
		}},
		{name: "trace a process beside it", apart: true, try: func(s *scene) error { return unix.PtraceAttach(s.Victim) }},
		calling("trace", unix.SYS_PTRACE, ^uintptr(0)),
		{name: "read memory of a process beside it", try: func(s *scene) error {
			return reached(call(unix.SYS_PROCESS_VM_READV, uintptr(s.Victim)))
		}},
		{name: "limit a process beside it", try: func(s *scene) error { return unix.Prlimit(s.Victim, unix.RLIMIT_CORE, &unix.Rlimit{}, nil) }},
		{name: "slow a process beside it", try: func(s *scene) error { return unix.Setpriority(unix.PRIO_PROCESS, s.Victim, 19) }},
		{name: "see a System V segment of the machine", try: func(s *scene) error { _, err := unix.SysvShmGet(s.Segment, 0, 0); return err }},
		at("hold a capability", func() error {
			status, err := os.ReadFile("/proc/thread-self/status")
			for line := range strings.SplitSeq(string(status), "\n") {
				if name, value, _ := strings.Cut(line, ":\t"); strings.HasPrefix(name, "Cap") && name != "CapBnd" && strings.Trim(value, "0") != "" {
					return nil
				}
			}
			return errors.Join(err, errors.New("none"))
		}),
		at("gain privileges by a program", func() error {
			on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
			if on == 1 {
				err = errors.New("no_new_privs is set")
			}
			return err
		}),
	}
}

func onKernel() []attack {
	namespace := func(name string, flags uintptr) attack {
		return attack{name: name, apart: true, try: func(*scene) error {
			cmd := exec.CommandContext(context.Background(), "/proc/self/exe") // who waits for it ends this process
			cmd.Args = []string{os.Args[0], Subcommand, nothing}
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
			return cmd.Run()
		}}
	}
	var char byte = 'x'
	return []attack{
		namespace("a user namespace by clone", unix.CLONE_NEWUSER),
		namespace("a network by clone", unix.CLONE_NEWNET),
		calling("a namespace by clone3", unix.SYS_CLONE3),
		at("a user namespace by unshare", func() error { return reached(unix.Unshare(unix.CLONE_NEWUSER)) }),
		calling("enter a namespace", unix.SYS_SETNS, ^uintptr(0)),
		at("mount", func() error { return reached(unix.Mount("x", absent, "tmpfs", 0, "")) }),
		at("take a mount away", func() error { return reached(unix.Unmount(absent, unix.MNT_DETACH)) }),
		at("change root", func() error { return reached(unix.PivotRoot(absent, absent)) }),
		at("escape by chroot", func() error { return reached(unix.Chroot(absent)) }),
		calling("open a file system", unix.SYS_FSOPEN),
		calling("clone a mount", unix.SYS_OPEN_TREE, ^uintptr(0)),
		calling("move a mount", unix.SYS_MOVE_MOUNT, ^uintptr(0), 0, ^uintptr(0)),
		calling("change a mount", unix.SYS_MOUNT_SETATTR, ^uintptr(0)),
		calling("open a file by its handle", unix.SYS_OPEN_BY_HANDLE_AT, ^uintptr(0)),
		calling("io_uring", unix.SYS_IO_URING_SETUP, 1),
		calling("bpf", unix.SYS_BPF, ^uintptr(0)),
		calling("ask for a key", unix.SYS_KEYCTL),
		calling("add a key", unix.SYS_ADD_KEY),
		calling("count events", unix.SYS_PERF_EVENT_OPEN),
		calling("userfaultfd", unix.SYS_USERFAULTFD, ^uintptr(0)),
		calling("watch a file system", unix.SYS_FANOTIFY_INIT, ^uintptr(0)),
		calling("load a module", unix.SYS_FINIT_MODULE, ^uintptr(0)),
		calling("load a kernel", unix.SYS_KEXEC_LOAD, 0, 0, 0, ^uintptr(0)),
		calling("read the kernel's log by a call", unix.SYS_SYSLOG, 10),
		calling("set the clock", unix.SYS_CLOCK_SETTIME),
		at("type into a terminal", func() error {
			return reached(call(unix.SYS_IOCTL, ^uintptr(0), unix.TIOCSTI, uintptr(unsafe.Pointer(&char)))) //nolint:gosec // the call takes an address
		}),
		{name: "calls of another architecture", apart: true, try: func(*scene) error { return call(0x40000000 | 39) }}, // getpid of x32
		at("become somebody else", func() error { return call(unix.SYS_SETUID, 12345) }),
	}
}

func onMachine() []attack {
	writes := func(path string) func() error { return func() error { return opens(path, unix.O_WRONLY) } }
	limit := func(resource int, to uint64) func() error {
		return func() error { return unix.Setrlimit(resource, &unix.Rlimit{Cur: to, Max: to}) }
	}
	return []attack{
		at("write core_pattern", writes("/proc/sys/kernel/core_pattern")),
		at("write modprobe", writes("/proc/sys/kernel/modprobe")),
		at("press the magic key", writes("/proc/sysrq-trigger")),
		at("write a release agent", func() error {
			return anyOpens(unix.O_WRONLY, "/sys/fs/cgroup/*/release_agent", "/sys/fs/cgroup/release_agent")
		}),
		at("leave the cgroup", func() error {
			return anyOpens(unix.O_WRONLY, "/sys/fs/cgroup/*/cgroup.procs", "/sys/fs/cgroup/cgroup.procs")
		}),
		at("write to /sys", writes("/sys/kernel/uevent_helper")),
		{name: "write cores", apart: true, try: func(*scene) error { return limit(unix.RLIMIT_CORE, 1<<20)() }},
		{name: "raise the limit of files", apart: true, try: func(*scene) error { return limit(unix.RLIMIT_NOFILE, 1<<17)() }},
	}
}

// opensSocket succeeds if there can be such a socket.
func opensSocket(domain, kind, protocol int) error {
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// dials succeeds if somebody there tells the secret.
func (s *scene) dials(network, address string) error {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), network, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	data, err := io.ReadAll(io.LimitReader(conn, 1024))
	if !strings.Contains(string(data), s.Canary) {
		return errors.Join(err, io.EOF)
	}
	return nil
}

func onSockets() []attack {
	open := func(name string, domain, kind, protocol int) attack {
		return at(name, func() error { return opensSocket(domain, kind, protocol) })
	}
	return []attack{
		{name: "speak to the control socket", try: func(s *scene) error { return s.dials("unix", s.Socket) }},
		{name: "speak to an abstract socket", try: func(s *scene) error { return s.dials("unix", s.Abstract) }},
		open("a socket of the virtual machine", unix.AF_VSOCK, unix.SOCK_STREAM, 0),
		open("a socket of packets", unix.AF_PACKET, unix.SOCK_DGRAM, 0),
		open("a raw socket", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP),
		open("a socket of the kernel's cryptography", unix.AF_ALG, unix.SOCK_SEQPACKET, 0),
		open("MPTCP", unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP),
		open("list all sockets", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_SOCK_DIAG),
		open("hear the audit", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT),
	}
}
