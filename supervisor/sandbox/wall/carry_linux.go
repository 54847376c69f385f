package wall

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// errEnded says that the other side has closed its end.
var errEnded = errors.New("the other side has gone")

// send sends a message and descriptors, which stay the caller's, as one packet.
func send(conn int, message any, limit int, fds []int, flags int) error {
	data, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	if len(data) > limit {
		return fmt.Errorf("a message has %d bytes, %d are the limit", len(data), limit)
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	for {
		err := unix.Sendmsg(conn, data, rights, nil, flags|unix.MSG_NOSIGNAL)
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("sendmsg", err)
		}
	}
}

// receive waits for a packet. The descriptors are the caller's, also with an error.
func receive(conn, limit, most int) (data []byte, fds []int, err error) {
	data, rights := make([]byte, limit), make([]byte, unix.CmsgSpace(4*most))
	var n, m, flags int
	for {
		n, m, flags, _, err = unix.Recvmsg(conn, data, rights, unix.MSG_CMSG_CLOEXEC)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	switch {
	case err != nil:
		return nil, nil, errors.Join(errEnded, os.NewSyscallError("recvmsg", err))
	case n == 0 && m == 0:
		return nil, nil, errEnded
	}
	messages, err := unix.ParseSocketControlMessage(rights[:m])
	if err != nil {
		return nil, nil, os.NewSyscallError("recvmsg", err)
	}
	for i := range messages {
		got, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // nothing else was asked for
		}
		fds = append(fds, got...)
	}
	if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		return nil, fds, errors.New("a message is longer than it may be, or has too many descriptors")
	}
	return data[:n], fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}
