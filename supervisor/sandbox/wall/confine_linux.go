package wall

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox/wall/inside"
)

// confine takes from this process, all of its threads, what a worker must not do. It
// was born without capabilities if it has a shim. The order matters: each step would
// forbid the one before.
func confine(p inside.Plan, offline bool) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l := p.Layers
	if !l.Namespaces {
		if err := layDownAlone(l); err != nil {
			return fmt.Errorf("%s: %w", inside.StepDrop, err)
		}
	}
	if l.Landlock > 0 {
		rules, err := inside.WorkerRules(p)
		if err != nil {
			return fmt.Errorf("%s: %w", inside.StepLandlock, err)
		}
		err = allThreads(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(rules), 0, 0)
		if err := errors.Join(err, unix.Close(rules)); err != nil {
			return fmt.Errorf("%s: %w", inside.StepLandlock, err)
		}
	}
	if l.Limits {
		if err := inside.LimitWorker(); err != nil {
			return fmt.Errorf("%s: %w", inside.StepDrop, err)
		}
	}
	if l.Namespaces && l.Drop {
		// Where there are none, its supervisor could not look at it any more.
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
			return fmt.Errorf("%s: %w", inside.StepDrop, err)
		}
	}
	if l.Seccomp {
		behind := inside.Worker
		switch {
		case offline && l.Namespaces:
			behind = inside.OfflineWorker
		case offline:
			behind = inside.LocalWorker
		}
		if err := inside.ApplySeccomp(inside.Filter(behind), true); err != nil {
			return fmt.Errorf("%s: %w", inside.StepSeccomp, err)
		}
	}
	return nil
}

// layDownAlone is layDown for a worker without a shim.
func layDownAlone(l inside.Layers) error {
	err := allThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
	if errors.Is(err, errCgo) && l.Landlock == 0 {
		return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) // seccomp tells the other threads
	}
	if err != nil || !l.Drop {
		return err
	}
	// Root must not be root; for others there is nothing to give up.
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return allThreads(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none[0])), 0) //nolint:gosec // the kernel reads the addresses
}

var errCgo = errors.New("this program was built with cgo, where not all threads can be reached")

// allThreads makes a system call on every thread of this process.
func allThreads(call, a, b, c uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall(call, a, b, c) // without cgo there is no other way
	if errno == unix.ENOTSUP {
		return errCgo
	}
	if errno != 0 {
		return errno
	}
	return nil
}
