package wall

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox/wall/inside"
)

// Stage is the process of a command's wall that a shim has started. It is no child of
// this process; how the command ended, Guard.Ended says.
type Stage struct {
	// PID is its number in the namespace of the worker.
	PID   int
	pidfd *os.File
}

// Remote reports whether the stage is started with Fork, and not with the exec.Cmd.
func (g *Guard) Remote() bool { return g.shim != nil }

// Fork has the shim start the stage in a directory, with the first three descriptors
// of the command and its further ones. Started comes next.
func (g *Guard) Fork(dir string, first [3]*os.File, files []*os.File) (*Stage, error) {
	// A descriptor of it would lead out of the stage's own mounts.
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	wanted := inside.Start{Dir: dir, Mark: g.mark, Offline: g.plan.Offline || g.plan.Proxy, Files: g.plan.Files}
	var carried []int
	for _, file := range append([]*os.File{g.stage, first[0], first[1], first[2]}, files...) {
		if file != nil {
			carried = append(carried, int(file.Fd())) // a program expects what blocks, as exec.Cmd gives it
		}
	}
	said, fds, err := g.shim.ask(inside.Request{Kind: inside.AskStage, Stage: &wanted}, carried...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	if len(fds) != 1 {
		inside.CloseAll(fds)
		return nil, fmt.Errorf("%w: the shim has started nothing", errRefused)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil { // or the runtime would not wait for it
		return nil, errors.Join(err, unix.Close(fds[0]))
	}
	return &Stage{PID: said.PID, pidfd: os.NewFile(uintptr(fds[0]), "pidfd")}, nil
}

// Signal sends a signal to it, or to nobody if it has ended.
func (s *Stage) Signal(sig syscall.Signal) error {
	raw, err := s.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
	if errors.Is(failed, unix.ESRCH) {
		return os.ErrProcessDone
	}
	return errors.Join(err, os.NewSyscallError("pidfd_send_signal", failed))
}

// Await returns when it has ended, and all behind the wall with it.
func (s *Stage) Await() {
	raw, err := s.pidfd.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0) //nolint:gosec // a descriptor is small
		return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
}

// Close gives up what is held of it. It goes on by itself.
func (s *Stage) Close() { _ = s.pidfd.Close() }
