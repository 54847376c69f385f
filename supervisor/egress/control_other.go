//go:build !linux

package egress

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// Control is what only Linux has.
type Control struct{}

// ControlPair is what only Linux can.
func ControlPair() (*Control, *os.File, error) { return nil, nil, errors.ErrUnsupported }

// OpenControl is what only Linux can.
func OpenControl(int) (*Control, error) { return nil, errors.ErrUnsupported }

// SyscallConn is what only Linux can.
func (c *Control) SyscallConn() (syscall.RawConn, error) { return nil, errors.ErrUnsupported }

// SetReadDeadline does nothing.
func (c *Control) SetReadDeadline(time.Time) error { return nil }

// Close does nothing.
func (c *Control) Close() error { return nil }

// Send is what only Linux can.
func (c *Control) Send(Order, *os.File, time.Duration) error { return errors.ErrUnsupported }

// Receive is what only Linux can.
func (c *Control) Receive() (Order, *os.File, error) { return Order{}, nil, errors.ErrUnsupported }
