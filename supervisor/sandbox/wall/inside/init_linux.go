package inside

import (
	"errors"
	"syscall"

	"hermes/supervisor/sandbox/wall/inside/unix"
)

// watch starts the command and stays as process 1 of all that it starts: it reaps
// whatever loses its parent, passes on the signals that the worker asks for, and ends
// when nothing is left, or when the worker kills it or is gone. Its end is the end of
// all others.
//
// It asks the runtime for no signal itself: from a locked thread that takes half a
// millisecond.
func (s *stage) watch() int {
	if err := unix.Prctl(syscall.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return s.fail(&failure{StepDrop, err})
	}
	if err := s.giveUp(); err != nil {
		return s.fail(err)
	}
	attr := &syscall.ProcAttr{Env: s.Env, Files: s.descriptors(), Sys: &syscall.SysProcAttr{Setsid: true, Setctty: s.Terminal}}
	pid, err := syscall.ForkExec(s.Path, s.Argv, attr)
	if err != nil {
		return s.fail(explain(err))
	}
	s.letGo()
	if err := WriteMessage(s.control, &Answer{}, MaxAnswer); err != nil {
		return 1
	}
	go s.obey(pid)
	s.reap(pid)
	return 0
}

// letGo gives up the descriptors of the command, so that whoever reads from it or
// writes to it sees its end.
func (s *stage) letGo() {
	for _, fd := range s.descriptors()[3:] {
		if fd != ^uintptr(0) {
			_ = syscall.Close(int(fd))
		}
	}
	null, err := syscall.Open("/dev/null", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	for fd := range 3 {
		if err != nil || syscall.Dup3(null, fd, syscall.O_CLOEXEC) != nil {
			_ = syscall.Close(fd)
		}
	}
	_ = syscall.Close(null)
}

// obey sends the command, and its group, the signals whose numbers arrive. When the
// other end is closed nobody waits for the command any longer.
func (s *stage) obey(command int) {
	said := make([]byte, 1)
	for {
		if n, err := s.control.Read(said); n == 0 || err != nil {
			syscall.Exit(0)
		}
		_ = syscall.Kill(-command, syscall.Signal(said[0]))
	}
}

// reap reaps all there is, tells how the command ended, and returns when no process is
// left and none can come.
func (s *stage) reap(command int) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WALL, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return
		case pid == command:
			_ = WriteMessage(s.control, &Answer{Ended: true, Status: uint32(status)}, MaxAnswer)
		}
	}
}
