//go:build amd64 || arm64

package inside

import (
	"errors"
	"syscall"
	"unsafe"

	"hermes/supervisor/sandbox/wall/inside/unix"
)

// Where things are in what the kernel shows a filter (struct seccomp_data).
const (
	offsetNumber   = 0
	offsetArch     = 4
	offsetArgument = 16 // the lower half of the first one; both processors are little-endian
)

// newNamespaces are the flags of clone and unshare that make a namespace.
const newNamespaces = syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUSER |
	syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWCGROUP

// tiocLinux is an ioctl that types into a console, as TIOCSTI does.
const tiocLinux = 0x541c

// refusedCalls are those that no command needs, and with which one has left its
// wall, or the kernel was broken.
func refusedCalls() []uint32 {
	return append([]uint32{
		// other processes
		syscall.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP,
		// mounts and namespaces
		syscall.SYS_MOUNT, syscall.SYS_UMOUNT2, syscall.SYS_PIVOT_ROOT, syscall.SYS_CHROOT, unix.SYS_SETNS, unix.SYS_FSOPEN, unix.SYS_FSCONFIG,
		unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_OPEN_TREE, unix.SYS_OPEN_TREE_ATTR, unix.SYS_MOVE_MOUNT, unix.SYS_MOUNT_SETATTR,
		unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT,
		// large parts of the kernel that were broken before
		unix.SYS_BPF, syscall.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, syscall.SYS_KEYCTL, syscall.SYS_ADD_KEY, syscall.SYS_REQUEST_KEY,
		unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, syscall.SYS_FANOTIFY_INIT, syscall.SYS_LOOKUP_DCOOKIE,
		// the machine
		syscall.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, syscall.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, syscall.SYS_DELETE_MODULE, syscall.SYS_REBOOT,
		syscall.SYS_SWAPON, syscall.SYS_SWAPOFF, syscall.SYS_ACCT, syscall.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, syscall.SYS_SYSLOG, syscall.SYS_SETTIMEOFDAY,
		syscall.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, syscall.SYS_ADJTIMEX, syscall.SYS_SETHOSTNAME, syscall.SYS_SETDOMAINNAME, syscall.SYS_VHANGUP,
		syscall.SYS_NFSSERVCTL,
	}, refusedHere()...)
}

// program is a filter in the making.
type program []syscall.SockFilter

func (p *program) add(code uint16, k uint32, onTrue, onFalse uint8) {
	*p = append(*p, syscall.SockFilter{Code: code, Jt: onTrue, Jf: onFalse, K: k})
}

// load takes a word of what the kernel shows.
func (p *program) load(offset uint32) {
	p.add(syscall.BPF_LD|syscall.BPF_W|syscall.BPF_ABS, offset, 0, 0)
}

// answer ends the filter.
func (p *program) answer(what uint32) { p.add(syscall.BPF_RET|syscall.BPF_K, what, 0, 0) }

// refuse ends the filter with an error number.
func (p *program) refuse(errno syscall.Errno) {
	p.answer(unix.SECCOMP_RET_ERRNO | uint32(errno)&unix.SECCOMP_RET_DATA) //nolint:gosec // error numbers are small
}

// when puts the following steps under a condition.
func (p *program) when(test uint16, k uint32, steps func(*program)) {
	var inner program
	steps(&inner)
	p.add(syscall.BPF_JMP|test|syscall.BPF_K, k, 0, uint8(len(inner))) //nolint:gosec // no block has more than a few steps
	*p = append(*p, inner...)
}

// unless is the contrary of when.
func (p *program) unless(test uint16, k uint32, steps func(*program)) {
	var inner program
	steps(&inner)
	p.add(syscall.BPF_JMP|test|syscall.BPF_K, k, uint8(len(inner)), 0) //nolint:gosec // see when
	*p = append(*p, inner...)
}

// Filter is the list of what is refused.
func Filter(behind Who) program {
	var p program
	p.load(offsetArch)
	p.unless(syscall.BPF_JEQ, SeccompArch, func(p *program) { p.answer(unix.SECCOMP_RET_KILL_PROCESS) })
	p.load(offsetNumber)
	if foreignBit != 0 {
		p.when(syscall.BPF_JSET, foreignBit, func(p *program) { p.refuse(syscall.ENOSYS) })
	}
	for _, call := range refusedCalls() {
		p.when(syscall.BPF_JEQ, call, func(p *program) { p.refuse(syscall.EPERM) })
	}
	// Its flags lie in memory, where a filter cannot look. The C libraries go on with
	// clone.
	p.when(syscall.BPF_JEQ, unix.SYS_CLONE3, func(p *program) { p.refuse(syscall.ENOSYS) })
	p.when(syscall.BPF_JEQ, syscall.SYS_CLONE, func(p *program) { p.flags(newNamespaces) })
	p.when(syscall.BPF_JEQ, syscall.SYS_UNSHARE, func(p *program) { p.flags(newNamespaces | syscall.CLONE_NEWTIME) })
	p.when(syscall.BPF_JEQ, syscall.SYS_IOCTL, func(p *program) {
		p.load(offsetArgument + 8)
		p.when(syscall.BPF_JEQ, syscall.TIOCSTI, func(p *program) { p.refuse(syscall.EPERM) })
		p.when(syscall.BPF_JEQ, tiocLinux, func(p *program) { p.refuse(syscall.EPERM) })
		p.answer(unix.SECCOMP_RET_ALLOW)
	})
	switch behind {
	case OfflineWorker:
		p.when(syscall.BPF_JEQ, syscall.SYS_SOCKET, func(p *program) { p.refuse(syscall.EACCES) })
	case Command, OfflineCommand, Worker, LocalWorker:
		p.when(syscall.BPF_JEQ, syscall.SYS_SOCKET, func(p *program) { p.sockets(behind == OfflineCommand || behind == LocalWorker) })
	}
	if behind == Worker || behind == OfflineWorker || behind == LocalWorker {
		p.alone()
	}
	p.answer(unix.SECCOMP_RET_ALLOW)
	return p
}

// alone refuses what changes how another process runs: for that the kernel asks for the
// same user and nothing else, which the shim is. Commands may do so among themselves.
func (p *program) alone() {
	for _, call := range []uint32{
		syscall.SYS_SETPRIORITY, syscall.SYS_IOPRIO_SET, syscall.SYS_SCHED_SETAFFINITY, syscall.SYS_SCHED_SETSCHEDULER, syscall.SYS_SCHED_SETPARAM, unix.SYS_SCHED_SETATTR,
		syscall.SYS_MIGRATE_PAGES, syscall.SYS_MOVE_PAGES, unix.SYS_PROCESS_MRELEASE,
	} {
		p.when(syscall.BPF_JEQ, call, func(p *program) { p.refuse(syscall.EPERM) })
	}
	p.when(syscall.BPF_JEQ, syscall.SYS_PRLIMIT64, func(p *program) {
		p.load(offsetArgument)
		p.unless(syscall.BPF_JEQ, 0, func(p *program) { p.refuse(syscall.EPERM) })
		p.answer(unix.SECCOMP_RET_ALLOW)
	})
}

// flags refuses a call whose first argument has one of them.
func (p *program) flags(forbidden uint32) {
	p.load(offsetArgument)
	p.when(syscall.BPF_JSET, forbidden, func(p *program) { p.refuse(syscall.EPERM) })
	p.answer(unix.SECCOMP_RET_ALLOW)
}

// sockets lets through what programs need: local ones, TCP and UDP, and the question
// which addresses the machine has. MPTCP goes around rules that are about TCP.
func (p *program) sockets(offline bool) {
	p.load(offsetArgument)
	p.when(syscall.BPF_JEQ, syscall.AF_UNIX, func(p *program) { p.answer(unix.SECCOMP_RET_ALLOW) })
	internet := func(p *program) {
		if offline {
			p.refuse(syscall.EACCES)
			return
		}
		p.load(offsetArgument + 16)
		p.when(syscall.BPF_JEQ, unix.IPPROTO_MPTCP, func(p *program) { p.refuse(syscall.EPROTONOSUPPORT) })
		p.answer(unix.SECCOMP_RET_ALLOW)
	}
	p.when(syscall.BPF_JEQ, syscall.AF_INET, internet)
	p.when(syscall.BPF_JEQ, syscall.AF_INET6, internet)
	p.when(syscall.BPF_JEQ, syscall.AF_NETLINK, func(p *program) {
		p.load(offsetArgument + 16)
		p.when(syscall.BPF_JEQ, syscall.NETLINK_ROUTE, func(p *program) { p.answer(unix.SECCOMP_RET_ALLOW) })
	})
	p.refuse(syscall.EAFNOSUPPORT)
}

// ApplySeccomp makes the filter hold for this thread, or for all of the process, and
// what they start.
func ApplySeccomp(filter program, all bool) error {
	if len(filter) > syscall.BPF_MAXINSNS {
		return errors.New("the filter is too long")
	}
	var flags uintptr
	if all {
		flags = unix.SECCOMP_FILTER_FLAG_TSYNC
	}
	fprog := syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}                                               //nolint:gosec // checked above
	_, _, errno := syscall.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog))) //nolint:gosec // the kernel reads the address
	if errno != 0 {
		return &failure{"set filter", errno}
	}
	return nil
}
