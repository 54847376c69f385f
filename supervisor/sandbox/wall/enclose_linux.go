package wall

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox/wall/inside"
)

// Enclose makes cmd, which is not started and gets the supervisor's socket as
// ControlFD, start a shim and a worker in it. Without is for tests, and has the worker
// keep its capabilities.
func Enclose(cmd *exec.Cmd, as Identity, offline bool, without ...Layer) {
	attr := inside.StageAttributes(as.UID, as.GID, false)
	attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP}
	if as.Outside != 0 {
		attr.UidMappings[0].HostID, attr.GidMappings[0].HostID = as.Outside, as.Outside
	}
	if os.Geteuid() == 0 {
		attr.GidMappingsEnableSetgroups = true                                          // for it has groups of root
		attr.Credential = &syscall.Credential{Uid: uint32(as.UID), Gid: uint32(as.GID)} //nolint:gosec // they came from the kernel
	}
	cmd.SysProcAttr = attr
	cmd.Args = []string{cmd.Args[0], ShimSubcommand}
	if offline {
		cmd.Args = append(cmd.Args, inside.OfflineArgument)
	}
	for _, layer := range without {
		cmd.Args = append(cmd.Args, string(layer))
	}
}

// ByDescriptor has cmd, whose descriptors are set, execute its program by a descriptor:
// who it is to be may not reach it by its name. The file is to be closed after the
// start.
func ByDescriptor(cmd *exec.Cmd, exe string) (*os.File, error) {
	program, err := os.Open(exe)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	// A child moves what it is given to numbers right above those, over whatever is there.
	above := 64
	for _, given := range cmd.ExtraFiles {
		above = max(above, int(given.Fd())+64)
	}
	if out, ok := cmd.Stdout.(*os.File); ok {
		above = max(above, int(out.Fd())+64)
	}
	fd, err := unix.FcntlInt(program.Fd(), unix.F_DUPFD_CLOEXEC, above)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	cmd.Path = number(fd)
	return os.NewFile(uintptr(fd), exe), nil
}

// number is a path of a descriptor of this process.
func number(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
