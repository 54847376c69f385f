package wall

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox/wall/inside"
)

// startTimeout is how long a stage may take on a busy machine.
const startTimeout = 30 * time.Second

// Guard is a command behind a wall. It is started with its exec.Cmd, and needs a
// call of Started then. It must be closed.
type Guard struct {
	plan  inside.Plan
	ours  *os.File
	stage *os.File // the other end, until it has it
	shim  *Shim    // what starts the stage, nil if that is done with exec.Cmd
	mark  string

	proxy   func(*os.File) (func(), error)
	unproxy func() // ends what the proxy has begun, nil without one
}

// Prepare changes cmd, which has not been started, so that it starts behind the
// wall. It returns nil where there is no wall to stand behind.
func (w *Wall) Prepare(cmd *exec.Cmd, s Subject) (*Guard, error) {
	f := w.find()
	if f.Level == None && w.opts.Shim != nil {
		// In a worker that has a wall, a command without one would be the worker's equal.
		return nil, fmt.Errorf("%w: %s", errRefused, f.Why)
	}
	if f.Level == None {
		return nil, nil
	}
	return w.guard(cmd, s, f, false)
}

func (w *Wall) guard(cmd *exec.Cmd, s Subject, f found, probe bool) (*Guard, error) {
	p, err := w.plan(s, f)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	p.Probe = probe
	p.Path, p.Argv, p.Env = cmd.Path, cmd.Args, cmd.Env
	mark := markOf(p.Env)
	if !p.Layers.Mounts {
		p.Env = append(slices.Clone(p.Env), "TMPDIR="+p.Temp) // the true /tmp is everybody's
	}
	if p.Proxy {
		p.Env = slices.Concat(p.Env, proxyEnv())
	}
	for _, file := range cmd.ExtraFiles {
		p.Files = append(p.Files, file != nil)
	}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make socket: %w", err)
	}
	// Ours has deadlines; the stage waits, which is faster for one who is alone.
	if err := unix.SetNonblock(ends[0], true); err != nil {
		return nil, errors.Join(err, unix.Close(ends[0]), unix.Close(ends[1]))
	}
	g := &Guard{plan: p, ours: os.NewFile(uintptr(ends[0]), "wall"), stage: os.NewFile(uintptr(ends[1]), "wall"), shim: w.opts.Shim, proxy: w.opts.Proxy}
	if len(mark) > 0 {
		g.mark = mark[0]
	}
	if g.shim != nil {
		return g, nil
	}
	cmd.Path, cmd.Args, cmd.Err = cmp.Or(w.opts.Exe, "/proc/self/exe"), []string{"hermes", Subcommand}, nil
	// What is known of the command from outside (its mark) is known of its stage.
	cmd.Env = append(mark, "GOMAXPROCS=1", "GOGC=off", "GOTRACEBACK=none")
	cmd.ExtraFiles = append([]*os.File{g.stage}, cmd.ExtraFiles...)
	cmd.SysProcAttr = w.attributes(p)
	return g, nil
}

// markOf is the last variable: the mark of the call.
func markOf(env []string) []string {
	if len(env) == 0 {
		return nil
	}
	return []string{env[len(env)-1]}
}

// attributes are how the stage is started.
func (w *Wall) attributes(p inside.Plan) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if !p.Layers.Namespaces {
		attr.Setctty = p.Terminal // it becomes the command
		if w.asRoot && w.uid != 0 {
			attr.Credential = &syscall.Credential{Uid: uint32(w.uid), Gid: uint32(w.gid)} //nolint:gosec // they came from the kernel
		}
		return attr
	}
	attr = inside.StageAttributes(w.uid, w.gid, p.Offline || p.Proxy)
	if !p.Layers.Processes {
		attr.Cloneflags &^= unix.CLONE_NEWPID | unix.CLONE_NEWIPC
	}
	if w.asRoot {
		attr.GidMappingsEnableSetgroups = true
		attr.Credential = &syscall.Credential{Uid: uint32(w.uid), Gid: uint32(w.gid)} //nolint:gosec // they came from the kernel
	}
	return attr
}

// Stays reports whether the process that is started stays beside the command
// instead of becoming it.
func (g *Guard) Stays() bool { return g.plan.Layers.Processes }

// Started hands the plan to the stage, which runs, and returns when the command has
// started. The error says why it has not.
func (g *Guard) Started(ctx context.Context) error {
	_ = g.stage.Close()
	deadline := time.Now().Add(startTimeout)
	if at, ok := ctx.Deadline(); ok && at.Before(deadline) {
		deadline = at
	}
	if err := g.ours.SetDeadline(deadline); err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	if err := inside.WriteMessage(g.ours, &g.plan, inside.MaxPlan); err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	if g.plan.Proxy && !g.plan.Probe {
		if err := g.takeProxy(); err != nil {
			return fmt.Errorf("%w: %w", errRefused, err)
		}
	}
	var said inside.Answer
	err := inside.ReadMessage(g.ours, &said, inside.MaxAnswer)
	_ = g.ours.SetDeadline(time.Time{})
	switch {
	case errors.Is(err, io.EOF) && !g.Stays() && !g.plan.Probe:
		return nil // the stage has become the command
	case err != nil:
		return fmt.Errorf("%w: %w", errRefused, err)
	case said.Error == "":
		return nil
	case said.Step == inside.StepCommand:
		return fmt.Errorf("%s: %s", g.plan.Path, said.Error)
	default:
		return fmt.Errorf("%w: %s: %s", errRefused, said.Step, said.Error)
	}
}

// Signal has the stage, if it stays, send the command and its group a signal.
func (g *Guard) Signal(sig syscall.Signal) error {
	_, err := g.ours.Write([]byte{byte(sig)}) //nolint:gosec // there are 64
	return err
}

// Ended waits until the command has ended, and says how. It returns false for the
// ok when that is not known: the stage was killed, or it has become the command.
func (g *Guard) Ended() (status syscall.WaitStatus, ok bool) {
	if !g.Stays() {
		return 0, false
	}
	var said inside.Answer
	if err := inside.ReadMessage(g.ours, &said, inside.MaxAnswer); err != nil || !said.Ended {
		return 0, false
	}
	return syscall.WaitStatus(said.Status), true
}

// Close gives back what the guard holds; a stage that still runs ends then, and with
// it the command.
func (g *Guard) Close() {
	if g.unproxy != nil {
		g.unproxy()
	}
	_ = g.ours.Close()
	_ = g.stage.Close()
}
