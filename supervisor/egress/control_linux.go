package egress

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hermes/supervisor/egress/wire"
)

// Control is one side of the socket between the supervisor and this process.
type Control struct {
	file    *os.File
	sending sync.Mutex
}

// ControlPair makes both sides; the second one is what the process gets.
func ControlPair() (*Control, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make control socket of egress: %w", os.NewSyscallError("socketpair", err))
	}
	for _, fd := range fds {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4*MaxOrder) // as much as the system gives
	}
	return &Control{file: os.NewFile(uintptr(fds[0]), "egress control")}, os.NewFile(uintptr(fds[1]), "control"), nil
}

// OpenControl is the side that another process, or program, has left. It takes the
// descriptor over.
func OpenControl(fd int) (*Control, error) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_SEQPACKET {
		return nil, errors.New("egress is started by a gateway and by nothing else; run: hermes gateway")
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &Control{file: os.NewFile(uintptr(fd), "control")}, nil
}

// SyscallConn is for a program that takes this one's place.
func (c *Control) SyscallConn() (syscall.RawConn, error) { return c.file.SyscallConn() }

// SetReadDeadline ends a Receive that waits, and every further one until it is set
// anew. Nothing is lost by that.
func (c *Control) SetReadDeadline(t time.Time) error { return c.file.SetReadDeadline(t) }

// Close closes it, which ends a Receive.
func (c *Control) Close() error { return c.file.Close() }

// Send sends an order, and a descriptor if file is not nil, of which the caller keeps
// its own. It waits at most until limit has passed. The error is os.ErrClosed if the
// file is closed; nothing was sent then.
func (c *Control) Send(o Order, file *os.File, limit time.Duration) error {
	data, err := o.encode()
	if err != nil {
		return err
	}
	var rights []byte
	if file != nil {
		raw, err := file.SyscallConn()
		if err != nil {
			return err
		}
		if raw.Control(func(fd uintptr) { rights = unix.UnixRights(int(fd)) }) != nil {
			return os.ErrClosed // the one thing that can be wrong with it
		}
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	if err := c.file.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		failed = unix.Sendmsg(int(fd), data, rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		return !errors.Is(failed, unix.EAGAIN)
	})
	return errors.Join(err, os.NewSyscallError("sendmsg", failed))
}

// Receive waits for the next order. The file, if there is one, is the caller's.
func (c *Control) Receive() (Order, *os.File, error) {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return Order{}, nil, err
	}
	data, oob := make([]byte, MaxOrder+1), make([]byte, unix.CmsgSpace(4))
	var n, oobn, flags int
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, oobn, flags, _, failed = unix.Recvmsg(int(fd), data, oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		return !errors.Is(failed, unix.EAGAIN)
	})
	if err := errors.Join(err, os.NewSyscallError("recvmsg", failed)); err != nil {
		return Order{}, nil, err
	}
	var files []*os.File
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	for i := 0; err == nil && i < len(messages); i++ {
		fds, _ := unix.ParseUnixRights(&messages[i])
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "worker"))
		}
	}
	if n == 0 && len(files) == 0 {
		return Order{}, nil, io.EOF
	}
	o, err := decodeOrder(data[:n])
	if err == nil && (flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 || len(files) > 1 || (o.Do == DoServe) != (len(files) == 1)) {
		err = &wire.BadError{Text: "it is not whole"}
	}
	if err != nil {
		for _, file := range files {
			_ = file.Close()
		}
		return Order{}, nil, err
	}
	if len(files) == 1 {
		return o, files[0], nil
	}
	return o, nil, nil
}
