package inside

import (
	"errors"
	"os"
	"os/signal"
	"syscall"

	"hermes/supervisor/sandbox/wall/inside/unix"
)

// watch starts the command and stays as process 1 of all that it starts: it reaps
// whatever loses its parent, passes signals on, and ends when the worker says so,
// kills it, or is gone. Its end is the end of all others.
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
	// The runtime would end the process at some of them. Nobody sends any before the
	// command is known to run.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	if err := WriteMessage(s.control, &Answer{}, MaxAnswer); err != nil {
		return 1
	}
	go forward(signals, pid)
	go s.reap(pid)
	// The other end says nothing more. When it is closed, nobody waits for the
	// command any longer.
	_, _ = s.control.Read(make([]byte, 1))
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

// forward passes on to the command, and to its group, the signals that people send.
func forward(signals <-chan os.Signal, pid int) {
	for sig := range signals {
		if number, ok := sig.(syscall.Signal); ok {
			_ = syscall.Kill(-pid, number)
		}
	}
}

// reap reaps all there is, and tells how the command ended.
func (s *stage) reap(command int) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WALL, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return // no child is left, and no further one can come
		case pid == command:
			_ = WriteMessage(s.control, &Answer{Ended: true, Status: uint32(status)}, MaxAnswer)
		}
	}
}
