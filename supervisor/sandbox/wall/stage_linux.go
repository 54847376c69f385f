package wall

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// stage is the process that builds a wall around itself. All of it happens on one
// thread: what a thread gives up, the command that it starts does not have.
type stage struct {
	plan
	control *os.File
	dir     string
	handed  bool // the listener of the proxy
	worker  bool // it is a worker that stands behind the wall
	tree    int  // a mount of the profile's directory, 0 without one
}

// failure is a step that went wrong.
type failure struct {
	step string
	err  error
}

func (f *failure) Error() string { return f.step + ": " + f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

// Main is what the process does whose first argument is Subcommand. It returns the
// exit code, unless it has become the command.
func Main() int {
	runtime.LockOSThread()
	fd, err := unix.FcntlInt(planFD, unix.F_DUPFD_CLOEXEC, maxFiles+planFD+1)
	if err != nil {
		fmt.Fprintln(os.Stderr, "This is started by a worker and by nothing else.")
		return 2
	}
	_ = unix.Close(planFD)
	s := &stage{control: os.NewFile(uintptr(fd), "wall")}
	if err := readMessage(s.control, &s.plan, maxPlan); err != nil {
		return s.fail(&failure{stepPlan, err})
	}
	if err := s.check(); err != nil {
		return s.fail(&failure{stepPlan, err})
	}
	// A shim does not leave it to the worker how much of the wall there is.
	if len(os.Args) > 2 {
		var least layers
		if err := json.Unmarshal([]byte(os.Args[2]), &least); err != nil {
			return s.fail(&failure{stepPlan, err})
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
		_ = writeMessage(s.control, answer{}, maxAnswer)
		return 0
	case s.Layers.Processes:
		return s.watch()
	default:
		return s.fail(s.become())
	}
}

// fail tells why there will be no command.
func (s *stage) fail(err error) int {
	said := answer{Step: stepCommand, Error: err.Error()}
	if failed, ok := errors.AsType[*failure](err); ok {
		said = answer{Step: failed.step, Error: failed.err.Error()}
	}
	if s.Proxy && !s.Probe && !s.handed {
		_, _ = s.control.Write([]byte{0}) // in its place
	}
	_ = writeMessage(s.control, said, maxAnswer)
	return 1
}

// build builds what needs capabilities.
func (s *stage) build() error {
	var err error
	if s.dir, err = unix.Getwd(); err != nil {
		return &failure{stepCommand, err}
	}
	if s.Layers.Mounts {
		if err := s.root(); err != nil {
			return &failure{stepRoot, err}
		}
		// What the directory was called, it is called behind the wall too.
		if err := unix.Chdir(s.dir); err != nil {
			return &failure{stepCommand, fmt.Errorf("the directory %s cannot be seen by commands", s.dir)}
		}
	}
	if (s.Offline || s.Proxy) && s.Layers.Namespaces {
		if err := raiseLoopback(); err != nil {
			return &failure{stepNetwork, err}
		}
	}
	if s.Proxy && !s.Probe {
		listener, err := listen()
		if err == nil {
			err = s.hand(listener)
		}
		if err != nil {
			return &failure{stepNetwork, err}
		}
		s.handed = true
	}
	return nil
}

// giveUp gives up, for this thread and what it starts, all that the command must not
// do. The order matters: each step would forbid the one before.
func (s *stage) giveUp() error {
	if s.Layers.Limits {
		if err := limit(); err != nil {
			return &failure{stepDrop, err}
		}
	}
	if s.Layers.Close {
		// Those of the command are given to it beside this.
		first := uint(planFD)
		if !s.Layers.Processes {
			first += uint(len(s.Files))
		}
		if err := unix.CloseRange(first, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
			return &failure{stepDrop, err}
		}
	}
	if s.Layers.Landlock > 0 || s.Layers.Seccomp || s.Layers.Drop {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return &failure{stepDrop, err}
		}
	}
	var rules *landlock
	if s.Layers.Landlock > 0 {
		var err error
		if rules, err = s.rules(); err != nil {
			return &failure{stepLandlock, err}
		}
	}
	if s.Layers.Drop {
		if err := dropCapabilities(); err != nil {
			return &failure{stepDrop, err}
		}
	}
	if rules != nil {
		if err := rules.apply(); err != nil {
			return &failure{stepLandlock, err}
		}
	}
	if s.Layers.Seccomp {
		behind := command
		if s.Offline && !s.Layers.Namespaces {
			behind = offlineCommand
		}
		if err := applySeccomp(filter(behind), s.Layers.Processes); err != nil {
			return &failure{stepSeccomp, err}
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
		if err := unix.Dup3(planFD+1+i, planFD+i, 0); err != nil {
			return &failure{stepCommand, err}
		}
		_ = unix.Close(planFD + 1 + i)
	}
	if err := s.giveUp(); err != nil {
		return err
	}
	return explain(syscall.Exec(s.Path, s.Argv, s.Env))
}

// explain is a failure to start as exec.Cmd has it.
func explain(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok && errno == unix.ENOENT {
		return &failure{stepCommand, errors.New("no such file or directory, or commands cannot see it behind their wall")}
	}
	return &failure{stepCommand, err}
}

// descriptors are those of the command, as numbers of the stage.
func (s *stage) descriptors() []uintptr {
	files := []uintptr{0, 1, 2}
	for i, given := range s.Files {
		if given {
			files = append(files, uintptr(planFD+1+i))
		} else {
			files = append(files, ^uintptr(0))
		}
	}
	return files
}

// number is a path of a descriptor of this process.
func number(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
