//go:build !linux

package supervisor

import (
	"errors"
	"net"
	"os"
	"syscall"
)

const (
	carryVariable = "HERMES_GATEWAY_STATE"
	canCarry      = false
)

type keptFDs struct{}

func (*keptFDs) add(syscall.Conn) (int, error) { return 0, errors.ErrUnsupported }

func (*keptFDs) addData([]byte) (int, error)                        { return 0, errors.ErrUnsupported }
func (*keptFDs) close()                                             {}
func (*keptFDs) replace(execFunc, string, []string, []string) error { return errors.ErrUnsupported }
func receive(string) ([]byte, error)                                { return nil, errors.ErrUnsupported }

func inherited(int, string) (*os.File, error) { return nil, errors.ErrUnsupported }

func inheritedPipe(int, string) (*os.File, error) { return nil, errors.ErrUnsupported }

func inheritedListener(int, string) (net.Listener, error) { return nil, errors.ErrUnsupported }
