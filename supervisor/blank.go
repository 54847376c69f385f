package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"hermes/supervisor/confine"
	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox"
	"hermes/supervisor/sandbox/wall"
)

// groupName begins the names of the cgroups of workers.
const groupName = "worker"

// maker is everything that every worker is started from.
type maker struct {
	exe      string
	environ  []string
	children *sandbox.Children
	confiner *confine.Confiner // nil: workers watch themselves
	// offline is set if workers reach the outside over the egress process alone.
	offline bool
	// rooms finds out how much of a wall there can be around a worker; nil: none is wanted.
	rooms func() rooms
}

// blank is a process that becomes a worker: it runs, and belongs to no profile before
// it is given one with its Start. It is the leader of a session of its own: its
// group can be killed as a whole, a Ctrl-C on the supervisor's terminal does not
// reach it, and no tool can open that terminal.
type blank struct {
	cmd    *exec.Cmd
	link   *handoff.Parent
	stdout *os.File // the reading end of stdout and stderr
	began  time.Time

	group  *confine.Group // nil where there is none, which unheld explains
	unheld error

	// room is the level of the wall that the worker is to build around itself, empty for
	// none. With namespaces what was started is its shim, and inner the worker in it.
	room  wall.Level
	as    wall.Identity
	users *os.File // the mapping in which as stands for the owner of the home, nil without one
	inner atomic.Int64
}

// blank starts a process that belongs to nobody yet, with or without a wall to be, as
// somebody or, if that is nobody, as whoever is next.
func (m maker) blank(walled bool, as wall.Identity) (b *blank, err error) {
	b = &blank{began: time.Now()}
	if walled && m.rooms != nil {
		b.room = m.rooms().Level
		if b.as = as; as == (wall.Identity{}) {
			b.as = m.rooms().Identity()
		}
	}
	var opened []*os.File // the child's ends, not needed here after the start
	defer func() {
		for _, file := range opened {
			err = errors.Join(err, file.Close())
		}
		if err != nil {
			b.close()
		}
	}()
	link, control, err := handoff.Pair()
	if err != nil {
		return b, err
	}
	b.link, opened = link, append(opened, control)
	stdout, theirs, err := os.Pipe()
	if err != nil {
		return b, fmt.Errorf("make log pipe: %w", err)
	}
	b.stdout, opened = stdout, append(opened, theirs)

	b.cmd = &exec.Cmd{
		Path: m.exe, Args: []string{m.exe, handoff.Subcommand},
		Env: handoff.Environ(m.environ), Dir: "/", // it enters its profile's directory itself
		Stdout: theirs, Stderr: theirs, // one pipe, so that the order of lines is kept
		ExtraFiles:  []*os.File{control}, // becomes ControlFD
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if b.shimmed() {
		wall.Enclose(b.cmd, b.as, m.offline)
		program, err := wall.ByDescriptor(b.cmd, m.exe)
		if err != nil {
			return b, fmt.Errorf("start worker: %w", err)
		}
		opened = append(opened, program)
	}
	if m.confiner != nil {
		b.group, b.unheld = m.confiner.Group(groupName, confine.Limits{})
	}
	b.group.Prepare(b.cmd.SysProcAttr)
	if err := m.children.Start(b.cmd); err != nil {
		return b, errors.Join(fmt.Errorf("start worker: %w", err), b.group.Close())
	}
	if err := b.group.Admit(b.cmd.Process.Pid); err != nil {
		b.unheld = fmt.Errorf("the worker is not in its cgroup: %w", err)
	}
	if b.as.Outside != 0 && m.rooms().Strange { // while the process begins
		owner := m.rooms().Owner
		owner.Outside = b.as.Outside
		if b.users, err = wall.Users(m.exe, owner, m.children); err != nil {
			_ = m.children.Signal(b.cmd, syscall.SIGKILL)
			_ = m.children.Wait(b.cmd) // it was killed
			return b, errors.Join(fmt.Errorf("start worker: %w", err), b.group.Close())
		}
	}
	return b, nil
}

// close gives up what a process needs of its parent.
func (b *blank) close() {
	if b.link != nil {
		_ = b.link.Close() // twice is an error, and nothing else is
	}
	if b.stdout != nil {
		_ = b.stdout.Close()
	}
	if b.users != nil {
		_ = b.users.Close()
	}
}
