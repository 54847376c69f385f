package inside

import (
	"errors"
	"syscall"
	"unsafe"

	"hermes/supervisor/sandbox/wall/inside/unix"
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

// LimitWorker is limit for a worker, which may have many connections.
func LimitWorker() error { return lower(maxOpenFiles) }

func lower(openFiles uint64) error {
	for resource, most := range map[int]uint64{syscall.RLIMIT_CORE: 0, syscall.RLIMIT_FSIZE: maxFileSize, syscall.RLIMIT_NOFILE: maxOpenFiles} {
		var now syscall.Rlimit
		if err := syscall.Getrlimit(resource, &now); err != nil {
			return &failure{"look up limits", err}
		}
		now.Max = min(now.Max, most)
		now.Cur = min(now.Cur, now.Max)
		if resource == syscall.RLIMIT_NOFILE {
			now.Cur = min(now.Cur, openFiles)
		}
		if err := syscall.Setrlimit(resource, &now); err != nil {
			return &failure{"set limits", err}
		}
	}
	return nil
}

// dropCapabilities gives up all capabilities of this thread, for good.
func dropCapabilities() error {
	if err := emptyBounds(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil && !errors.Is(err, syscall.EINVAL) {
		return &failure{"clear ambient capabilities", err}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return &failure{"drop capabilities", err}
	}
	return nil
}

// emptyBounds sees to it that no program gives this thread capabilities again.
func emptyBounds() error {
	for capability := range uintptr(unix.CAP_LAST_CAP + 1) {
		err := unix.Prctl(syscall.PR_CAPBSET_DROP, capability, 0, 0, 0)
		// An ordinary user outside of a namespace may not, and has none that
		// no_new_privs would let come back.
		if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.EPERM) {
			return &failure{"empty the bounding set", err}
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
		return &failure{"look up capabilities", err}
	}
	own[0].Inheritable, own[1].Inheritable = 0, 0 // the ambient ones go with them
	if err := unix.Capset(&header, &own[0]); err != nil {
		return &failure{"keep capabilities", err}
	}
	return nil
}

// raiseLoopback makes 127.0.0.1 work in an empty network.
func raiseLoopback() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return &failure{"open socket", err}
	}
	defer syscall.Close(fd)
	var request struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], "lo")
	request.flags = syscall.IFF_UP | syscall.IFF_RUNNING
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); errno != 0 { //nolint:gosec // the kernel reads the address
		return &failure{"raise loopback", errno}
	}
	return nil
}
