package wall

import "golang.org/x/sys/unix"

const (
	// seccompArch is the processor whose system calls are known.
	seccompArch = unix.AUDIT_ARCH_X86_64
	// foreignBit marks the calls of x32, a second set of numbers for the same calls.
	foreignBit = 0x40000000
)

// refusedHere are calls that only this processor has.
func refusedHere() []uint32 {
	return []uint32{
		unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_USELIB, unix.SYS_USTAT, unix.SYS_SYSFS, unix.SYS__SYSCTL,
		unix.SYS_CREATE_MODULE, unix.SYS_GET_KERNEL_SYMS, unix.SYS_QUERY_MODULE,
	}
}
