//go:build linux && !amd64 && !arm64

package wall

const (
	// seccompArch says that the system calls of this processor are not known.
	seccompArch = 0
	foreignBit  = 0
)

// refusedHere are calls that only this processor has.
func refusedHere() []uint32 { return nil }
