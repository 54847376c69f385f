package wall

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where things are in what the kernel shows a filter (struct seccomp_data).
const (
	offsetNumber   = 0
	offsetArch     = 4
	offsetArgument = 16 // the lower half of the first one; both processors are little-endian
)

// newNamespaces are the flags of clone and unshare that make a namespace.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
	unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP

// tiocLinux is an ioctl that types into a console, as TIOCSTI does.
const tiocLinux = 0x541c

// refusedCalls are those that no command needs, and with which one has left its
// wall, or the kernel was broken.
func refusedCalls() []uint32 {
	return append([]uint32{
		// other processes
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP,
		// mounts and namespaces
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_SETNS, unix.SYS_FSOPEN, unix.SYS_FSCONFIG,
		unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_OPEN_TREE, unix.SYS_OPEN_TREE_ATTR, unix.SYS_MOVE_MOUNT, unix.SYS_MOUNT_SETATTR,
		unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT,
		// large parts of the kernel that were broken before
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
		unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, unix.SYS_FANOTIFY_INIT, unix.SYS_LOOKUP_DCOOKIE,
		// the machine
		unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_REBOOT,
		unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_SYSLOG, unix.SYS_SETTIMEOFDAY,
		unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_VHANGUP,
		unix.SYS_NFSSERVCTL,
	}, refusedHere()...)
}

// program is a filter in the making.
type program []unix.SockFilter

func (p *program) add(code uint16, k uint32, onTrue, onFalse uint8) {
	*p = append(*p, unix.SockFilter{Code: code, Jt: onTrue, Jf: onFalse, K: k})
}

// load takes a word of what the kernel shows.
func (p *program) load(offset uint32) { p.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset, 0, 0) }

// answer ends the filter.
func (p *program) answer(what uint32) { p.add(unix.BPF_RET|unix.BPF_K, what, 0, 0) }

// refuse ends the filter with an error number.
func (p *program) refuse(errno unix.Errno) {
	p.answer(unix.SECCOMP_RET_ERRNO | uint32(errno)&unix.SECCOMP_RET_DATA) //nolint:gosec // error numbers are small
}

// when puts the following steps under a condition.
func (p *program) when(test uint16, k uint32, steps func(*program)) {
	var inner program
	steps(&inner)
	p.add(unix.BPF_JMP|test|unix.BPF_K, k, 0, uint8(len(inner))) //nolint:gosec // no block has more than a few steps
	*p = append(*p, inner...)
}

// unless is the contrary of when.
func (p *program) unless(test uint16, k uint32, steps func(*program)) {
	var inner program
	steps(&inner)
	p.add(unix.BPF_JMP|test|unix.BPF_K, k, uint8(len(inner)), 0) //nolint:gosec // see when
	*p = append(*p, inner...)
}

// who is behind a filter.
type who int

const (
	command        who = iota
	offlineCommand     // without network, where a namespace could not be had for that
	worker
	offlineWorker // it gets its connections from others and makes none
	localWorker   // the same, where what it starts needs local sockets
)

// filter is the list of what is refused.
func filter(behind who) program {
	var p program
	p.load(offsetArch)
	p.unless(unix.BPF_JEQ, seccompArch, func(p *program) { p.answer(unix.SECCOMP_RET_KILL_PROCESS) })
	p.load(offsetNumber)
	if foreignBit != 0 {
		p.when(unix.BPF_JSET, foreignBit, func(p *program) { p.refuse(unix.ENOSYS) })
	}
	for _, call := range refusedCalls() {
		p.when(unix.BPF_JEQ, call, func(p *program) { p.refuse(unix.EPERM) })
	}
	// Its flags lie in memory, where a filter cannot look. The C libraries go on with
	// clone.
	p.when(unix.BPF_JEQ, unix.SYS_CLONE3, func(p *program) { p.refuse(unix.ENOSYS) })
	p.when(unix.BPF_JEQ, unix.SYS_CLONE, func(p *program) { p.flags(newNamespaces) })
	p.when(unix.BPF_JEQ, unix.SYS_UNSHARE, func(p *program) { p.flags(newNamespaces | unix.CLONE_NEWTIME) })
	p.when(unix.BPF_JEQ, unix.SYS_IOCTL, func(p *program) {
		p.load(offsetArgument + 8)
		p.when(unix.BPF_JEQ, unix.TIOCSTI, func(p *program) { p.refuse(unix.EPERM) })
		p.when(unix.BPF_JEQ, tiocLinux, func(p *program) { p.refuse(unix.EPERM) })
		p.answer(unix.SECCOMP_RET_ALLOW)
	})
	switch behind {
	case offlineWorker:
		p.when(unix.BPF_JEQ, unix.SYS_SOCKET, func(p *program) { p.refuse(unix.EACCES) })
	case command, offlineCommand, worker, localWorker:
		p.when(unix.BPF_JEQ, unix.SYS_SOCKET, func(p *program) { p.sockets(behind == offlineCommand || behind == localWorker) })
	}
	if behind == worker || behind == offlineWorker || behind == localWorker {
		p.alone()
	}
	p.answer(unix.SECCOMP_RET_ALLOW)
	return p
}

// alone refuses what changes how another process runs: for that the kernel asks for the
// same user and nothing else, which the shim is. Commands may do so among themselves.
func (p *program) alone() {
	for _, call := range []uint32{
		unix.SYS_SETPRIORITY, unix.SYS_IOPRIO_SET, unix.SYS_SCHED_SETAFFINITY, unix.SYS_SCHED_SETSCHEDULER, unix.SYS_SCHED_SETPARAM, unix.SYS_SCHED_SETATTR,
		unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES, unix.SYS_PROCESS_MRELEASE,
	} {
		p.when(unix.BPF_JEQ, call, func(p *program) { p.refuse(unix.EPERM) })
	}
	p.when(unix.BPF_JEQ, unix.SYS_PRLIMIT64, func(p *program) {
		p.load(offsetArgument)
		p.unless(unix.BPF_JEQ, 0, func(p *program) { p.refuse(unix.EPERM) })
		p.answer(unix.SECCOMP_RET_ALLOW)
	})
}

// flags refuses a call whose first argument has one of them.
func (p *program) flags(forbidden uint32) {
	p.load(offsetArgument)
	p.when(unix.BPF_JSET, forbidden, func(p *program) { p.refuse(unix.EPERM) })
	p.answer(unix.SECCOMP_RET_ALLOW)
}

// sockets lets through what programs need: local ones, TCP and UDP, and the question
// which addresses the machine has. MPTCP goes around rules that are about TCP.
func (p *program) sockets(offline bool) {
	p.load(offsetArgument)
	p.when(unix.BPF_JEQ, unix.AF_UNIX, func(p *program) { p.answer(unix.SECCOMP_RET_ALLOW) })
	internet := func(p *program) {
		if offline {
			p.refuse(unix.EACCES)
			return
		}
		p.load(offsetArgument + 16)
		p.when(unix.BPF_JEQ, unix.IPPROTO_MPTCP, func(p *program) { p.refuse(unix.EPROTONOSUPPORT) })
		p.answer(unix.SECCOMP_RET_ALLOW)
	}
	p.when(unix.BPF_JEQ, unix.AF_INET, internet)
	p.when(unix.BPF_JEQ, unix.AF_INET6, internet)
	p.when(unix.BPF_JEQ, unix.AF_NETLINK, func(p *program) {
		p.load(offsetArgument + 16)
		p.when(unix.BPF_JEQ, unix.NETLINK_ROUTE, func(p *program) { p.answer(unix.SECCOMP_RET_ALLOW) })
	})
	p.refuse(unix.EAFNOSUPPORT)
}

// applySeccomp makes the filter hold for this thread, or for all of the process, and
// what they start.
func applySeccomp(filter program, all bool) error {
	if len(filter) > unix.BPF_MAXINSNS {
		return errors.New("the filter is too long")
	}
	var flags uintptr
	if all {
		flags = unix.SECCOMP_FILTER_FLAG_TSYNC
	}
	fprog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}                                               //nolint:gosec // checked above
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog))) //nolint:gosec // the kernel reads the address
	if errno != 0 {
		return fmt.Errorf("set filter: %w", errno)
	}
	return nil
}
