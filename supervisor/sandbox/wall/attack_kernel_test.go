package wall_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func processAttacks() []attack {
	return []attack{
		{"read the variables of 1", func(*scene) error { _, err := os.ReadFile("/proc/1/environ"); return err }},
		{"read the variables of the worker", func(s *scene) error { return reads(fmt.Sprintf("/proc/%d/environ", s.Worker)) }},
		{"read the variables of a process beside it", func(s *scene) error { return reads(fmt.Sprintf("/proc/%d/environ", s.Victim)) }},
		{"read the arguments of a process beside it", func(s *scene) error { return reads(fmt.Sprintf("/proc/%d/cmdline", s.Victim)) }},
		{"find a canary in any process", func(*scene) error {
			paths, _ := filepath.Glob("/proc/[0-9]*/environ")
			for _, path := range paths {
				if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, []byte("SECRET="+canary)) {
					return nil
				}
			}
			return errors.New("none has it")
		}},
		{"open the memory of 1", func(*scene) error { return openOnly("/proc/1/mem") }},
		{"open the memory of the worker", func(s *scene) error { return openOnly(fmt.Sprintf("/proc/%d/mem", s.Worker)) }},
		{"open the maps of the worker", func(s *scene) error { return reads2(fmt.Sprintf("/proc/%d/maps", s.Worker)) }},
		{"open a descriptor of 1", func(*scene) error {
			found, err := filepath.Glob("/proc/1/fd/*")
			for _, path := range found {
				if _, err := os.Readlink(path); err == nil || openOnly(path) == nil {
					return nil
				}
			}
			return errors.Join(err, errors.New("none"))
		}},
		{"list the descriptors of the worker", func(s *scene) error { return shows(fmt.Sprintf("/proc/%d/fd", s.Worker)) }},
		{"kill a process beside it", func(s *scene) error { return unix.Kill(s.Victim, 0) }},
		{"kill the worker", func(s *scene) error { return unix.Kill(s.Worker, 0) }},
		{"signal by pidfd", func(s *scene) error {
			fd, err := unix.PidfdOpen(s.Victim, 0)
			if err != nil {
				return err
			}
			return unix.PidfdSendSignal(fd, 0, nil, 0)
		}},
		{"take a descriptor by pidfd", func(s *scene) error { return pidfdGetfd(s.Worker, s.Leaked) }},
		{"take a descriptor of 1 by pidfd", func(*scene) error { return pidfdGetfd(1, 0) }},
		{"trace a process beside it", func(s *scene) error { return unix.PtraceAttach(s.Victim) }},
		{"trace 1", func(*scene) error { return unix.PtraceAttach(1) }},
		{"be traced", func(*scene) error { return called(syscallOf(unix.SYS_PTRACE, unix.PTRACE_TRACEME)) }},
		{"read memory of the worker", func(s *scene) error {
			return reached(syscallOf(unix.SYS_PROCESS_VM_READV, uintptr(s.Worker), 0, 0, 0, 0, 0))
		}},
		{"write memory of 1", func(*scene) error { return reached(syscallOf(unix.SYS_PROCESS_VM_WRITEV, 1, 0, 0, 0, 0, 0)) }},
		{"limit a process beside it", func(s *scene) error {
			return unix.Prlimit(s.Victim, unix.RLIMIT_CORE, &unix.Rlimit{}, nil)
		}},
		{"slow a process beside it", func(s *scene) error { return unix.Setpriority(unix.PRIO_PROCESS, s.Victim, 19) }},
		{"see a System V segment of the machine", func(s *scene) error { _, err := unix.SysvShmGet(s.ShmKey, 0, 0); return err }},
		{"hold a capability", func(*scene) error {
			status, err := os.ReadFile("/proc/thread-self/status")
			for line := range strings.SplitSeq(string(status), "\n") {
				if name, value, _ := strings.Cut(line, ":\t"); strings.HasPrefix(name, "Cap") && name != "CapBnd" && strings.Trim(value, "0") != "" {
					return nil
				}
			}
			return errors.Join(err, errors.New("none"))
		}},
		{"gain privileges by a program", func(*scene) error {
			on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
			if on == 1 {
				err = errors.New("no_new_privs is set")
			}
			return err
		}},
	}
}

func reads2(path string) error {
	data, err := os.ReadFile(path)
	if err == nil && len(data) == 0 {
		err = io.EOF
	}
	return err
}

func pidfdGetfd(pid, fd int) error {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	_, err = unix.PidfdGetfd(pidfd, fd, 0)
	return err
}

func kernelAttacks() []attack {
	flags := func(flags uintptr) func(*scene) error {
		return func(*scene) error {
			cmd := exec.Command("/proc/self/exe", "victim")
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
			return cmd.Run()
		}
	}
	call := func(name string, number uintptr, args ...uintptr) attack {
		return attack{name, func(*scene) error { return reached(syscallOf(number, args...)) }}
	}
	return []attack{
		{"a user namespace by clone", flags(unix.CLONE_NEWUSER)},
		{"a process namespace by clone", flags(unix.CLONE_NEWPID)},
		{"a network by clone", flags(unix.CLONE_NEWNET)},
		call("a user namespace by clone3", unix.SYS_CLONE3, 0, 0),
		{"a user namespace by unshare", func(*scene) error { return unix.Unshare(unix.CLONE_NEWUSER) }},
		{"mounts by unshare", func(*scene) error { return unix.Unshare(unix.CLONE_NEWNS) }},
		{"enter the mounts of 1", func(*scene) error { return enter("/proc/1/ns/mnt") }},
		{"enter the user namespace of the worker", func(s *scene) error { return enter(fmt.Sprintf("/proc/%d/ns/user", s.Worker)) }},
		call("setns", unix.SYS_SETNS, ^uintptr(0), 0),
		{"mount", func(*scene) error { return unix.Mount("x", "/tmp", "tmpfs", 0, "") }},
		{"open the root for writing", func(*scene) error { return unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, "") }},
		{"open the skills for writing", func(s *scene) error { return unix.Mount("", s.at("skills"), "", unix.MS_REMOUNT|unix.MS_BIND, "") }},
		{"take a mask away", func(*scene) error { return unix.Unmount("/etc/shadow", unix.MNT_DETACH) }},
		{"take /tmp away", func(*scene) error { return unix.Unmount("/tmp", unix.MNT_DETACH) }},
		call("open a file system", unix.SYS_FSOPEN, 0, 0),
		call("clone a mount", unix.SYS_OPEN_TREE, ^uintptr(0), 0, 0),
		call("move a mount", unix.SYS_MOVE_MOUNT, ^uintptr(0), 0, ^uintptr(0), 0, 0),
		call("change a mount", unix.SYS_MOUNT_SETATTR, ^uintptr(0), 0, 0, 0, 0),
		{"escape by chroot", func(*scene) error { return unix.Chroot("/tmp") }},
		{"change root", func(*scene) error { return unix.PivotRoot("/tmp", "/tmp") }},
		call("io_uring", unix.SYS_IO_URING_SETUP, 1, 0),
		call("bpf", unix.SYS_BPF, ^uintptr(0), 0, 0),
		call("keyctl", unix.SYS_KEYCTL, 0, 0, 0),
		call("add a key", unix.SYS_ADD_KEY, 0, 0, 0, 0, 0),
		call("count events", unix.SYS_PERF_EVENT_OPEN, 0, 0, 0, 0, 0),
		call("userfaultfd", unix.SYS_USERFAULTFD, ^uintptr(0)),
		call("fanotify", unix.SYS_FANOTIFY_INIT, ^uintptr(0), 0),
		call("load a module", unix.SYS_FINIT_MODULE, ^uintptr(0), 0, 0),
		call("load a kernel", unix.SYS_KEXEC_LOAD, 0, 0, 0, ^uintptr(0)),
		call("read the log of the kernel", unix.SYS_SYSLOG, 10),
		{"type into a terminal", func(*scene) error {
			var char byte = 'x'
			return reached(syscallOf(unix.SYS_IOCTL, 0, unix.TIOCSTI, uintptr(unsafe.Pointer(&char))))
		}},
		{"type into a console", func(*scene) error { return reached(syscallOf(unix.SYS_IOCTL, 0, 0x541c, 0)) }},
		{"calls of another architecture", func(*scene) error {
			_, _, errno := unix.RawSyscall6(0x40000000|39, 0, 0, 0, 0, 0, 0) // getpid of x32
			return called(errno)
		}},
		{"name the machine", func(*scene) error { return unix.Sethostname([]byte("eve")) }},
	}
}

func enter(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Setns(fd, 0)
}

func machineAttacks() []attack {
	return []attack{
		{"make a device", func(*scene) error { return unix.Mknod("device", unix.S_IFBLK|0o600, int(unix.Mkdev(8, 0))) }},
		{"make a character device", func(*scene) error { return unix.Mknod("memory", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 1))) }},
		{"write core_pattern", func(*scene) error { return writes("/proc/sys/kernel/core_pattern") }},
		{"write modprobe", func(*scene) error { return writes("/proc/sys/kernel/modprobe") }},
		{"press the magic key", func(*scene) error { return writes("/proc/sysrq-trigger") }},
		{"read the kernel's core", func(*scene) error { return openOnly("/proc/kcore") }},
		{"write a release agent", func(*scene) error {
			found, _ := filepath.Glob("/sys/fs/cgroup/*/release_agent")
			for _, path := range append(found, "/sys/fs/cgroup/release_agent") {
				if writes(path) == nil {
					return nil
				}
			}
			return errors.New("none")
		}},
		{"leave the cgroup", func(*scene) error {
			found, _ := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
			for _, path := range append(found, "/sys/fs/cgroup/cgroup.procs") {
				if writes(path) == nil {
					return nil
				}
			}
			return errors.New("none")
		}},
		{"write to /sys", func(*scene) error { return writes("/sys/kernel/uevent_helper") }},
		{"open a disk", func(*scene) error {
			for _, disk := range []string{"/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/loop0"} {
				if openOnly(disk) == nil {
					return nil
				}
			}
			return errors.New("none")
		}},
		{"open a terminal of the machine", func(*scene) error {
			found, _ := filepath.Glob("/dev/pts/[0-9]*")
			for _, path := range found {
				if openOnly(path) == nil {
					return nil
				}
			}
			return errors.New("none")
		}},
		{"write cores", func(*scene) error {
			return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20})
		}},
		{"raise the limit of files", func(*scene) error {
			return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1 << 17, Max: 1 << 17})
		}},
		{"write a file without an end", func(*scene) error {
			signal.Ignore(unix.SIGXFSZ)
			file, err := os.Create("endless")
			if err != nil {
				return err
			}
			return errors.Join(file.Truncate(1<<40), file.Close(), os.Remove("endless"))
		}},
		{"become somebody else", func(*scene) error { return called(syscallOf(unix.SYS_SETUID, 12345)) }},
		{"change the owner of a file", func(*scene) error {
			_ = os.WriteFile("owned", nil, 0o600)
			return os.Chown("owned", 12345, 12345)
		}},
		{"leave a setuid program", func(*scene) error {
			if os.Getuid() != 0 {
				return errors.New("it would be this user's own")
			}
			var info unix.Statfs_t
			if err := unix.Statfs(".", &info); err != nil || info.Flags&unix.ST_NOSUID != 0 {
				return errors.New("setuid means nothing here")
			}
			return nil
		}},
	}
}

func socketAttacks() []attack {
	open := func(name string, domain, kind, protocol int) attack {
		return attack{name, func(*scene) error {
			fd, err := unix.Socket(domain, kind, protocol)
			if err != nil {
				return err
			}
			return unix.Close(fd)
		}}
	}
	dial := func(address string) error {
		conn, err := net.DialTimeout("unix", address, time.Second)
		if err != nil {
			return err
		}
		defer conn.Close()
		data, err := io.ReadAll(conn)
		if !strings.Contains(string(data), canary) {
			return errors.Join(err, io.EOF)
		}
		return nil
	}
	return []attack{
		{"speak to the control socket", func(s *scene) error { return dial(s.Socket) }},
		{"speak to an abstract socket", func(s *scene) error { return dial(s.Abstract) }},
		open("a socket of the virtual machine", unix.AF_VSOCK, unix.SOCK_STREAM, 0),
		open("a socket of packets", unix.AF_PACKET, unix.SOCK_DGRAM, 0),
		open("a raw socket", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP),
		open("a socket of the kernel's cryptography", unix.AF_ALG, unix.SOCK_SEQPACKET, 0),
		open("MPTCP", unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP),
		open("list all sockets", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_SOCK_DIAG),
		open("audit", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT),
	}
}
