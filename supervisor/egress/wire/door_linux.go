package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Supported says whether there is an egress process on this system.
const Supported = true

// again is the pause before a full socket is tried once more: the egress process is
// just being replaced, or has much to do.
const again = 2 * time.Millisecond

// Pair makes the socket between a worker and the egress process. Neither end
// outlives an exec by accident.
func Pair() (worker, egress *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socket to egress: %w", os.NewSyscallError("socketpair", err))
	}
	return os.NewFile(uintptr(fds[0]), "egress"), os.NewFile(uintptr(fds[1]), "worker"), nil
}

// dial makes a connection of a kind: a pair of sockets, one of which goes to egress.
func (d *Door) dial(ctx context.Context, kind Kind) (net.Conn, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	ours := os.NewFile(uintptr(fds[0]), "to egress")
	defer ours.Close()
	err = d.give(ctx, kind, fds[1])
	_ = unix.Close(fds[1])
	if err != nil {
		return nil, err
	}
	return net.FileConn(ours)
}

// give sends a descriptor, of which the caller keeps its own. It waits for room as
// long as ctx lasts.
func (d *Door) give(ctx context.Context, kind Kind, fd int) error {
	rights := unix.UnixRights(fd)
	for {
		err := unix.Sendmsg(d.fd, []byte{byte(kind)}, rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.ETOOMANYREFS):
			return fmt.Errorf("reach egress: %w", os.NewSyscallError("sendmsg", err))
		}
		timer := time.NewTimer(again)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("reach egress: it does not take connections: %w", context.Cause(ctx))
		}
	}
}

// Give hands a connection of a command over to egress. Conn is the caller's to
// close, before or after.
func (d *Door) Give(ctx context.Context, kind Kind, conn interface {
	File() (*os.File, error)
},
) error {
	file, err := conn.File()
	if err != nil {
		return fmt.Errorf("reach egress: %w", err)
	}
	defer file.Close()
	return d.give(ctx, kind, int(file.Fd()))
}
