package wall

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a command may have at most, beside the limits of the profile.
const (
	maxOpenFiles = 1 << 16
	maxFileSize  = 64 << 30
)

// limit sets the limits of resources that a command cannot raise again.
func limit() error {
	return lower(1024) // programs that close all descriptors that they could have do so in no time
}

// limitWorker is limit for a worker, which may have many connections.
func limitWorker() error { return lower(maxOpenFiles) }

func lower(openFiles uint64) error {
	for resource, most := range map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_FSIZE: maxFileSize, unix.RLIMIT_NOFILE: maxOpenFiles} {
		var now unix.Rlimit
		if err := unix.Prlimit(0, resource, nil, &now); err != nil {
			return fmt.Errorf("look up limits: %w", err)
		}
		now.Max = min(now.Max, most)
		now.Cur = min(now.Cur, now.Max)
		if resource == unix.RLIMIT_NOFILE {
			now.Cur = min(now.Cur, openFiles)
		}
		if err := syscall.Setrlimit(resource, (*syscall.Rlimit)(&now)); err != nil {
			return fmt.Errorf("set limits: %w", err)
		}
	}
	return nil
}

// dropCapabilities gives up all capabilities of this thread, for good.
func dropCapabilities() error {
	if err := emptyBounds(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("clear ambient capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}

// emptyBounds sees to it that no program gives this thread capabilities again.
func emptyBounds() error {
	for capability := range uintptr(unix.CAP_LAST_CAP + 1) {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		// An ordinary user outside of a namespace may not, and has none that
		// no_new_privs would let come back.
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("empty the bounding set: %w", err)
		}
	}
	return nil
}

// keepCapabilities takes from this thread what it would pass on of its capabilities;
// it keeps them itself.
func keepCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var own [2]unix.CapUserData
	if err := unix.Capget(&header, &own[0]); err != nil {
		return fmt.Errorf("look up capabilities: %w", err)
	}
	own[0].Inheritable, own[1].Inheritable = 0, 0 // the ambient ones go with them
	if err := unix.Capset(&header, &own[0]); err != nil {
		return fmt.Errorf("keep capabilities: %w", err)
	}
	return nil
}

// raiseLoopback makes 127.0.0.1 work in an empty network.
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open socket: %w", err)
	}
	defer unix.Close(fd)
	var request struct {
		name  [unix.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], "lo")
	request.flags = unix.IFF_UP | unix.IFF_RUNNING
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); errno != 0 { //nolint:gosec // the kernel reads the address
		return fmt.Errorf("raise loopback: %w", errno)
	}
	return nil
}
