//go:build !linux

package wall

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
)

func (w *Wall) probe() found {
	return found{Report: Report{Level: None, Why: "only Linux has the walls that hermes builds", Mend: "run the gateway on Linux, also in a container"}}
}

// Guard is a command behind a wall.
type Guard struct{}

// Prepare returns nil: there are no walls here.
func (w *Wall) Prepare(*exec.Cmd, Subject) (*Guard, error) { return nil, nil }

// Started does nothing here.
func (g *Guard) Started(context.Context) error { return nil }

// Ended does nothing here.
func (g *Guard) Ended() (status syscall.WaitStatus, ok bool) { return 0, false }

// Signal fails here.
func (g *Guard) Signal(syscall.Signal) error { return errNone }

// Stays is false here.
func (g *Guard) Stays() bool { return false }

// Close does nothing here.
func (g *Guard) Close() {}

// Try says that there is nothing to try.
func (w *Wall) Try() error { return errNone }

// Remote is false here.
func (g *Guard) Remote() bool { return false }

// Fork fails here.
func (g *Guard) Fork(string, [3]*os.File, []*os.File) (*Stage, error) { return nil, errNone }

// Stage is the process of a command's wall.
type Stage struct {
	// PID is its number.
	PID int
}

// Signal fails here.
func (s *Stage) Signal(syscall.Signal) error { return errNone }

// Await returns at once here.
func (s *Stage) Await() {}

// Close does nothing here.
func (s *Stage) Close() {}

// Shim is the worker's end of the socket to its shim.
type Shim struct{}

// Enter fails here.
func Enter(RoomOptions) (*Shim, Socket, error) { return nil, nil, errNone }

// OpenSoul fails here.
func (s *Shim) OpenSoul() (*os.File, error) { return nil, errNone }

// Listen fails here.
func (s *Shim) Listen() (*os.File, error) { return nil, errNone }

// Deaf does nothing here.
func (s *Shim) Deaf() {}

// ShimMain is process 1 of a worker's namespaces, which there are on Linux only.
func ShimMain() int { return 1 }

// Enclose does nothing here.
func Enclose(*exec.Cmd, Identity, bool, ...Layer) {}

// ProbeRoom says that there are no walls here.
func ProbeRoom(context.Context, string, string, Identity, bool, Starter) Report {
	return (&Wall{}).probe().Report
}

// errNone says that there are no walls here.
var errNone = errors.New("there are no walls on this system")

// Users fails here.
func Users(string, Identity, Starter) (*os.File, error) { return nil, errNone }

// Idmap fails here.
func Idmap(*os.File, ...string) ([]*os.File, error) { return nil, errNone }

// Become does nothing here.
func Become(Identity, string) error { return nil }

// ByDescriptor fails here.
func ByDescriptor(*exec.Cmd, string) (*os.File, error) { return nil, errNone }
