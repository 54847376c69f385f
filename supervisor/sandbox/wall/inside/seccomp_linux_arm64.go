package inside

import "hermes/supervisor/sandbox/wall/inside/unix"

const (
	// SeccompArch is the processor whose system calls are known.
	SeccompArch = unix.AUDIT_ARCH_AARCH64
	// foreignBit is for processors that have two sets of numbers.
	foreignBit = 0
)

// refusedHere are calls that only this processor has.
func refusedHere() []uint32 { return nil }
