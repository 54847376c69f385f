// Package unix is what a wall is built with of Linux and what package syscall does not
// have. golang.org/x/sys/unix has it under the same names, but imports reflect, and
// with that a process waits for most of the other packages of the program.
package unix

import (
	"runtime"
	"syscall"
	"unsafe"
)

// MountAttr is struct mount_attr.
type MountAttr struct {
	Attr_set, Attr_clr, Propagation, Userns_fd uint64
}

// LandlockRulesetAttr is struct landlock_ruleset_attr as version 6 has it; later ones are
// longer, and take a shorter one.
type LandlockRulesetAttr struct {
	Handled_access_fs, Handled_access_net, Scoped uint64
}

// LandlockPathBeneathAttr is struct landlock_path_beneath_attr, which is packed: what
// comes after it does not matter.
type LandlockPathBeneathAttr struct {
	Allowed_access uint64
	Parent_fd      int32
}

// CapUserHeader is struct __user_cap_header_struct.
type CapUserHeader struct {
	Version uint32
	Pid     int32
}

// CapUserData is struct __user_cap_data_struct. There are two of them.
type CapUserData struct {
	Effective, Permitted, Inheritable uint32
}

// Prctl is prctl(2).
func Prctl(option int, a, b, c, d uintptr) error {
	_, _, errno := syscall.Syscall6(syscall.SYS_PRCTL, uintptr(option), a, b, c, d, 0)
	return result(errno)
}

// CloseRange is close_range(2).
func CloseRange(first, last uint, flags int) error {
	_, _, errno := syscall.Syscall(SYS_CLOSE_RANGE, uintptr(first), uintptr(last), uintptr(flags))
	return result(errno)
}

// FcntlInt is fcntl(2) with a number.
func FcntlInt(fd uintptr, command, argument int) (int, error) {
	n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, uintptr(command), uintptr(argument))
	return int(n), result(errno)
}

// Capset is capset(2); data is the first of two.
func Capset(header *CapUserHeader, data *CapUserData) error {
	_, _, errno := syscall.Syscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(header)), uintptr(unsafe.Pointer(data)), 0)
	return result(errno)
}

// Capget is capget(2); data is the first of two.
func Capget(header *CapUserHeader, data *CapUserData) error {
	_, _, errno := syscall.Syscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(header)), uintptr(unsafe.Pointer(data)), 0)
	return result(errno)
}

// MoveMount is move_mount(2).
func MoveMount(fromDir int, from string, toDir int, to string, flags int) error {
	source, err := syscall.BytePtrFromString(from)
	if err != nil {
		return err
	}
	target, err := syscall.BytePtrFromString(to)
	if err != nil {
		return err
	}
	_, _, errno := syscall.Syscall6(SYS_MOVE_MOUNT, uintptr(fromDir), uintptr(unsafe.Pointer(source)), uintptr(toDir), uintptr(unsafe.Pointer(target)), uintptr(flags), 0)
	runtime.KeepAlive(source)
	runtime.KeepAlive(target)
	return result(errno)
}

// MountSetattr is mount_setattr(2).
func MountSetattr(dir int, path string, flags uint, attr *MountAttr) error {
	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	_, _, errno := syscall.Syscall6(SYS_MOUNT_SETATTR, uintptr(dir), uintptr(unsafe.Pointer(name)), uintptr(flags), uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr), 0)
	runtime.KeepAlive(name)
	return result(errno)
}

// result is nil for no error: an Errno of 0 is none either, but not nil.
func result(errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}
