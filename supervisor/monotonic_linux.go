package supervisor

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is the clock that service managers compare messages by.
func monotonic() (time.Duration, bool) {
	var now unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return time.Duration(now.Nano()), err == nil
}
