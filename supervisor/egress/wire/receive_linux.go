package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Receiver reads what a worker sends.
type Receiver struct{ file *os.File }

// NewReceiver makes a Receiver of the far end of Pair, or a copy of it. It takes the
// file over.
func NewReceiver(file *os.File) (*Receiver, error) {
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	_ = file.Close()
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	if domain, kind := socketKind(fd); domain != unix.AF_UNIX || kind != unix.SOCK_SEQPACKET {
		_ = unix.Close(fd)
		return nil, errors.New("the socket to a worker is none")
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &Receiver{os.NewFile(uintptr(fd), "worker")}, nil
}

// Close ends a Receive that waits. What has not been received stays for others that
// have the socket.
func (r *Receiver) Close() error { return r.file.Close() }

// Receive waits for the next connection. A *BadError leaves the Receiver usable;
// io.EOF means that the worker is gone.
func (r *Receiver) Receive() (Kind, net.Conn, error) {
	raw, err := r.file.SyscallConn()
	if err != nil {
		return 0, nil, err
	}
	var n, oobn, flags int
	var failed error
	data, oob := make([]byte, 2), make([]byte, unix.CmsgSpace(4))
	err = raw.Read(func(fd uintptr) bool {
		n, oobn, flags, _, failed = unix.Recvmsg(int(fd), data, oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		return !errors.Is(failed, unix.EAGAIN)
	})
	if err := errors.Join(err, os.NewSyscallError("recvmsg", failed)); err != nil {
		return 0, nil, err
	}
	fds := received(oob[:oobn])
	if n == 0 && len(fds) == 0 && flags&unix.MSG_CTRUNC == 0 {
		return 0, nil, io.EOF
	}
	kind := Kind(data[0])
	what := ""
	switch {
	case n != 1:
		what = fmt.Sprintf("it has %d bytes or more", n)
	case !kind.Known():
		what = "it asks for " + kind.String()
	case flags&unix.MSG_CTRUNC != 0 || len(fds) != 1:
		what = "it comes with another number of descriptors than one"
	case !fits(kind, fds[0]):
		what = "its descriptor is no connection"
	}
	if what != "" {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
		return 0, nil, &BadError{what}
	}
	conn, err := newConn(fds[0])
	if err != nil {
		return 0, nil, err
	}
	return kind, conn, nil
}

// received are the descriptors of a message. Those for which there was no room the
// kernel has closed.
func received(oob []byte) []int {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	var fds []int
	for i := range messages {
		if some, err := unix.ParseUnixRights(&messages[i]); err == nil {
			fds = append(fds, some...)
		}
	}
	return fds
}

// fits reports whether a descriptor is a connection as one of that kind is: half of
// a pair of stream sockets, or for a command one of TCP.
func fits(kind Kind, fd int) bool {
	domain, typ := socketKind(fd)
	if typ != unix.SOCK_STREAM {
		return false
	}
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || listens != 0 {
		return false
	}
	tcp := kind == Tool && (domain == unix.AF_INET || domain == unix.AF_INET6)
	return domain == unix.AF_UNIX || tcp
}

func socketKind(fd int) (domain, typ int) {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return -1, -1
	}
	typ, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return -1, -1
	}
	return domain, typ
}
