package wall

import (
	"errors"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// boundSocket is the socket of a worker without a shim: made while it could, and of no
// use to anybody before somebody listens. It serves once: who has left one gateway and is
// left by the next cannot wait for a third, and has to finish.
type boundSocket struct {
	fd   int
	deaf bool
}

func bindSocket(path string) (Socket, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	_ = os.Remove(path)
	// By a descriptor of its directory, since the path may be longer than the kernel takes.
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, errors.Join(&os.PathError{Op: "open", Path: filepath.Dir(path), Err: err}, unix.Close(fd))
	}
	defer unix.Close(dir)
	err = os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrUnix{Name: number(dir) + "/" + filepath.Base(path)}))
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &boundSocket{fd: fd}, nil
}

// Listen listens there.
func (s *boundSocket) Listen() (*os.File, error) {
	if s.deaf {
		return nil, net.ErrClosed
	}
	if err := unix.Listen(s.fd, 16); err != nil {
		return nil, os.NewSyscallError("listen", err)
	}
	fd, err := unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), "socket"), nil
}

// Deaf refuses everybody from then on. Its name is removed by whoever finds that.
func (s *boundSocket) Deaf() {
	s.deaf = true
	_ = unix.Shutdown(s.fd, unix.SHUT_RDWR)
}
