package inside

import (
	"errors"
	"os"
	"strconv"
	"syscall"

	"hermes/supervisor/sandbox/wall/inside/unix"
)

// stage is the process that builds a wall around itself. All of it happens on one
// thread: what a thread gives up, the command that it starts does not have.
type stage struct {
	Plan
	control *os.File
	dir     string
	handed  bool // the listener of the proxy
	thread  int
	worker  bool // it is a worker that stands behind the wall
	tree    int  // a mount of the profile's directory, 0 without one
}

// Main is what the process does whose first argument is Subcommand. It returns the
// exit code, unless it has become the command. Its goroutine has to be locked to its
// thread, as it is in an init: to lock it takes one more thread.
func Main() int {
	fd := -1
	// Of a process that a person starts this is a file of the runtime.
	_, err := syscall.GetsockoptInt(PlanFD, syscall.SOL_SOCKET, syscall.SO_TYPE)
	if err == nil {
		fd, err = unix.FcntlInt(PlanFD, syscall.F_DUPFD_CLOEXEC, MaxFiles+PlanFD+1)
	}
	if err != nil {
		_, _ = os.Stderr.WriteString("This is started by a worker and by nothing else.\n")
		return 2
	}
	_ = syscall.Close(PlanFD)
	s := &stage{control: os.NewFile(uintptr(fd), "wall"), thread: syscall.Gettid()}
	if err := ReadMessage(s.control, &s.Plan, MaxPlan); err != nil {
		return s.fail(&failure{StepPlan, err})
	}
	if err := s.check(); err != nil {
		return s.fail(&failure{StepPlan, err})
	}
	// A shim does not leave it to the worker how much of the wall there is.
	if len(os.Args) > 2 {
		least, err := parseLayers(os.Args[2])
		if err != nil {
			return s.fail(&failure{StepPlan, err})
		}
		s.Layers = s.Layers.with(least)
	}
	if err := s.build(); err != nil {
		return s.fail(err)
	}
	switch {
	case s.Probe:
		if err := s.giveUp(); err != nil {
			return s.fail(err)
		}
		_ = WriteMessage(s.control, &Answer{}, MaxAnswer)
		return 0
	case s.Layers.Processes:
		return s.watch()
	default:
		return s.fail(s.become())
	}
}

// fail tells why there will be no command.
func (s *stage) fail(err error) int {
	said := Answer{Step: StepCommand, Error: err.Error()}
	if failed, ok := errors.AsType[*failure](err); ok {
		said = Answer{Step: failed.step, Error: failed.err.Error()}
	}
	if s.Proxy && !s.Probe && !s.handed {
		_, _ = s.control.Write([]byte{0}) // in its place
	}
	_ = WriteMessage(s.control, &said, MaxAnswer)
	return 1
}

// build builds what needs capabilities.
func (s *stage) build() error {
	var err error
	if s.dir, err = syscall.Getwd(); err != nil {
		return &failure{StepCommand, err}
	}
	if s.Layers.Mounts {
		if err := s.root(); err != nil {
			return &failure{StepRoot, err}
		}
		// What the directory was called, it is called behind the wall too.
		if err := syscall.Chdir(s.dir); err != nil {
			return &failure{StepCommand, errors.New("the directory " + s.dir + " cannot be seen by commands")}
		}
	}
	if (s.Offline || s.Proxy) && s.Layers.Namespaces {
		if err := raiseLoopback(); err != nil {
			return &failure{StepNetwork, err}
		}
	}
	if s.Proxy && !s.Probe {
		listener, err := listen()
		if err == nil {
			err = s.hand(listener)
		}
		if err != nil {
			return &failure{StepNetwork, err}
		}
		s.handed = true
	}
	return nil
}

// giveUp gives up, for this thread and what it starts, all that the command must not
// do. The order matters: each step would forbid the one before.
func (s *stage) giveUp() error {
	if syscall.Gettid() != s.thread {
		return &failure{StepDrop, errors.New("the thread is another one")}
	}
	if s.Layers.Limits {
		if err := limit(); err != nil {
			return &failure{StepDrop, err}
		}
	}
	if s.Layers.Close {
		// Those of the command are given to it beside this.
		first := uint(PlanFD)
		if !s.Layers.Processes {
			first += uint(len(s.Files))
		}
		if err := unix.CloseRange(first, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
			return &failure{StepDrop, err}
		}
	}
	if s.Layers.Landlock > 0 || s.Layers.Seccomp || s.Layers.Drop {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return &failure{StepDrop, err}
		}
	}
	var rules *landlock
	if s.Layers.Landlock > 0 {
		var err error
		if rules, err = s.rules(); err != nil {
			return &failure{StepLandlock, err}
		}
	}
	if s.Layers.Drop {
		if err := dropCapabilities(); err != nil {
			return &failure{StepDrop, err}
		}
	}
	if rules != nil {
		if err := rules.apply(); err != nil {
			return &failure{StepLandlock, err}
		}
	}
	if s.Layers.Seccomp {
		behind := Command
		if s.Offline && !s.Layers.Namespaces {
			behind = OfflineCommand
		}
		if err := ApplySeccomp(Filter(behind), s.Layers.Processes); err != nil {
			return &failure{StepSeccomp, err}
		}
	}
	return nil
}

// become makes the command of this process. It returns only if that fails.
func (s *stage) become() error {
	// One down each: what was 4 for the stage is 3 for the command.
	for i, given := range s.Files {
		if !given {
			continue
		}
		if err := syscall.Dup3(PlanFD+1+i, PlanFD+i, 0); err != nil {
			return &failure{StepCommand, err}
		}
		_ = syscall.Close(PlanFD + 1 + i)
	}
	if err := s.giveUp(); err != nil {
		return err
	}
	return explain(syscall.Exec(s.Path, s.Argv, s.Env))
}

// explain is a failure to start as exec.Cmd has it.
func explain(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok && errno == syscall.ENOENT {
		return &failure{StepCommand, errors.New("no such file or directory, or commands cannot see it behind their wall")}
	}
	return &failure{StepCommand, err}
}

// StageAttributes start a stage in namespaces of its own, in which one user is known
// and has the capabilities to build a wall.
func StageAttributes(uid, gid int, offline bool) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{
		Setsid:      true,
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP, unix.CAP_NET_ADMIN},
	}
	if offline {
		attr.Cloneflags |= syscall.CLONE_NEWNET
	}
	return attr
}

// descriptors are those of the command, as numbers of the stage.
func (s *stage) descriptors() []uintptr {
	files := []uintptr{0, 1, 2}
	for i, given := range s.Files {
		if given {
			files = append(files, uintptr(PlanFD+1+i))
		} else {
			files = append(files, ^uintptr(0))
		}
	}
	return files
}

// number is a path of a descriptor of this process.
func number(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
