package inside

import (
	"syscall"

	"hermes/supervisor/sandbox/wall/inside/unix"
)

const (
	// SeccompArch is the processor whose system calls are known.
	SeccompArch = unix.AUDIT_ARCH_X86_64
	// foreignBit marks the calls of x32, a second set of numbers for the same calls.
	foreignBit = 0x40000000
)

// refusedHere are calls that only this processor has.
func refusedHere() []uint32 {
	return []uint32{
		syscall.SYS_IOPL, syscall.SYS_IOPERM, syscall.SYS_MODIFY_LDT, syscall.SYS_USELIB, syscall.SYS_USTAT, syscall.SYS_SYSFS, syscall.SYS__SYSCTL,
		syscall.SYS_CREATE_MODULE, syscall.SYS_GET_KERNEL_SYMS, syscall.SYS_QUERY_MODULE,
	}
}
