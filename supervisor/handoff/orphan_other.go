//go:build !linux

package handoff

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
)

type adopter struct {
	conn *net.UnixConn
	rest []byte
}

func sendFiles(*net.UnixConn, Message, ...*os.File) error { return errors.ErrUnsupported }

func receiveFiles(*net.UnixConn, int) ([]byte, []*os.File, error) {
	return nil, nil, errors.ErrUnsupported
}

// PeerOf is not known here.
func PeerOf(syscall.Conn) (pid, uid int, err error) { return 0, 0, errors.ErrUnsupported }

// orphaned does not wait: only Linux tells who the other side of a socket is.
func (c *Child) orphaned(context.Context) bool { return false }
