//go:build !linux

package wall

import (
	"context"
	"errors"
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

// Stays is false here.
func (g *Guard) Stays() bool { return false }

// Close does nothing here.
func (g *Guard) Close() {}

// Main is the stage, which there is on Linux only.
func Main() int { return 1 }

// Try says that there is nothing to try.
func (w *Wall) Try() error { return errors.New("there are no walls on this system") }
