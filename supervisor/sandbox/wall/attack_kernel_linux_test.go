package wall_test

import (
	"fmt"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

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
