//go:build !linux

package supervisor

import (
	"context"
	"errors"
	"syscall"

	"hermes/supervisor/confine"
	"hermes/supervisor/handoff"
)

type foster struct{ pid int }

func (*foster) SyscallConn() (syscall.RawConn, error) { return nil, errors.ErrUnsupported }
func (*foster) close()                                {}
func (*foster) signal(syscall.Signal) error           { return errors.ErrUnsupported }
func (*foster) await()                                {}
func (*foster) sweep(context.Context) error           { return nil }

func inheritedFoster(int, int) (*foster, error) { return nil, errors.ErrUnsupported }

func claimAt(context.Context, string, *users, func(string) string) (*handoff.Foundling, *foster, error) {
	return nil, nil, errors.ErrUnsupported
}

func groupOf(int, handoff.Resources) (*confine.Group, error) {
	return nil, nil //nolint:nilnil // a nil group does nothing
}
