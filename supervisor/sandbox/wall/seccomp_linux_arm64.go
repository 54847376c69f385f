package wall

import "golang.org/x/sys/unix"

const (
	// seccompArch is the processor whose system calls are known.
	seccompArch = unix.AUDIT_ARCH_AARCH64
	// foreignBit is for processors that have two sets of numbers.
	foreignBit = 0
)

// refusedHere are calls that only this processor has.
func refusedHere() []uint32 { return nil }
