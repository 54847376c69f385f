//go:build !linux

package handoff

import (
	"context"
	"errors"
	"net"
	"syscall"
)

type adopter struct {
	conn *net.UnixConn
	rest []byte
}

// PeerOf is not known here.
func PeerOf(syscall.Conn) (pid, uid int, err error) { return 0, 0, errors.ErrUnsupported }

// orphaned does not wait: only Linux tells who the other side of a socket is.
func (c *Child) orphaned(context.Context) bool { return false }
