//go:build !linux

package wire

import (
	"context"
	"errors"
	"net"
	"os"
)

// Supported says whether there is an egress process on this system. Without one
// workers have the keys and dial by themselves.
const Supported = false

// Pair is what only Linux can.
func Pair() (worker, egress *os.File, err error) { return nil, nil, errors.ErrUnsupported }

func (d *Door) dial(context.Context, Kind) (net.Conn, error) { return nil, errors.ErrUnsupported }

// Give is what only Linux can.
func (d *Door) Give(context.Context, Kind, interface {
	File() (*os.File, error)
},
) error {
	return errors.ErrUnsupported
}
