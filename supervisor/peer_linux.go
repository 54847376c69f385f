package supervisor

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// checkPeer returns an error unless the other side of conn is the same person as
// this process, or root.
func checkPeer(conn net.Conn) error {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return fmt.Errorf("connection of type %T has no owner", conn)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var peerErr error
	if err := raw.Control(func(fd uintptr) {
		peer, peerErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if peerErr != nil {
		return os.NewSyscallError("getsockopt", peerErr)
	}
	if int(peer.Uid) != os.Getuid() && peer.Uid != 0 {
		return fmt.Errorf("user %d may not control the gateway of user %d", peer.Uid, os.Getuid())
	}
	return nil
}
