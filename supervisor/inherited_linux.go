package supervisor

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// keepDescriptors makes sure that no worker inherits what this process was
// started with beyond stdin, stdout and stderr: a shell, a test runner or an
// init system may have left any number of descriptors open. Those that Go opens
// are closed on exec anyway.
func keepDescriptors() error {
	err := unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
	// Kernels before 5.11 cannot do it.
	if err == nil || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return fmt.Errorf("keep descriptors from workers: %w", err)
}
