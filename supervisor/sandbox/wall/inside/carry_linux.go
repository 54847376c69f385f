package inside

import (
	"errors"
	"os"
	"syscall"
)

// errEnded says that the other side has closed its end.
var errEnded = errors.New("the other side has gone")

// Send sends a message and descriptors, which stay the caller's, as one packet.
func Send(conn int, m message, limit int, fds []int, flags int) error {
	data, err := encode(m, limit)
	if err != nil {
		return err
	}
	var rights []byte
	if len(fds) > 0 {
		rights = syscall.UnixRights(fds...)
	}
	for {
		err := syscall.Sendmsg(conn, data, rights, nil, flags|syscall.MSG_NOSIGNAL)
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("sendmsg", err)
		}
	}
}

// Receive waits for a packet. The descriptors are the caller's, also with an error.
func Receive(conn, limit, most int) (data []byte, fds []int, err error) {
	// Most messages are far below the limit, and a shim keeps what it has once taken.
	size, err := await(conn)
	if err != nil {
		return nil, nil, errors.Join(errEnded, err)
	}
	data, rights := make([]byte, max(1, min(size, limit))), make([]byte, syscall.CmsgSpace(4*most))
	var n, m, flags int
	for {
		n, m, flags, _, err = syscall.Recvmsg(conn, data, rights, syscall.MSG_CMSG_CLOEXEC)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	switch {
	case err != nil:
		return nil, nil, errors.Join(errEnded, os.NewSyscallError("recvmsg", err))
	case n == 0 && m == 0:
		return nil, nil, errEnded
	}
	messages, err := syscall.ParseSocketControlMessage(rights[:m])
	if err != nil {
		return nil, nil, os.NewSyscallError("recvmsg", err)
	}
	for i := range messages {
		got, err := syscall.ParseUnixRights(&messages[i])
		if err != nil {
			continue // nothing else was asked for
		}
		fds = append(fds, got...)
	}
	if flags&(syscall.MSG_TRUNC|syscall.MSG_CTRUNC) != 0 {
		return nil, fds, errors.New("a message is longer than it may be, or has too many descriptors")
	}
	return data[:n], fds, nil
}

// CloseAll closes what came with a message.
func CloseAll(fds []int) {
	for _, fd := range fds {
		_ = syscall.Close(fd)
	}
}

// await returns when there is a packet, and how long it is.
func await(conn int) (int, error) {
	for {
		n, _, err := syscall.Recvfrom(conn, make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_TRUNC)
		if !errors.Is(err, syscall.EINTR) {
			return n, os.NewSyscallError("recv", err)
		}
	}
}
