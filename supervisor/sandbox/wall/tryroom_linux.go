package wall

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox/wall/inside"
)

// ProbeRoom finds out how much of a worker's wall stands, by building it around a
// process of the program exe that sees dir, and runs as it says where there are
// namespaces; offline if workers are to be. It takes some milliseconds.
func ProbeRoom(ctx context.Context, exe, dir string, as Identity, offline bool, by Starter) Report {
	var missing, mend []string
	for _, level := range []Level{Full, Namespaces, Reduced, Weak} {
		opts := RoomOptions{Level: level, Offline: offline}
		if !as.Elsewhere() { // else it could not get there by itself
			opts.Writes, opts.Hidden = []string{dir}, []string{dir}
		}
		err := tryRoom(ctx, exe, opts, as, by)
		if err == nil {
			return Report{Level: level, Why: strings.Join(missing, ", "), Mend: strings.Join(mend, "; ")}
		}
		missing = append(missing, fmt.Sprintf("%s cannot be had (%v)", level, err))
		if level == Namespaces {
			mend = append(mend, mendNamespaces)
		} else if level == Full && inside.LandlockABI() == 0 {
			mend = append(mend, mendLandlock)
		}
	}
	return Report{Level: None, Why: strings.Join(missing, ", "), Mend: strings.Join(mend, "; ")}
}

// tryRoom builds the wall of a worker around a process that does nothing else.
func tryRoom(ctx context.Context, exe string, opts RoomOptions, as Identity, by Starter) error {
	if l := opts.layers(); opts.Level == Full && l.Landlock == 0 || opts.Level == Reduced && l.Landlock == 0 {
		return errors.New("the kernel has no Landlock")
	} else if !l.Seccomp {
		return errors.New("the filter of system calls is not known for this processor")
	}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "probe"), os.NewFile(uintptr(ends[1]), "probe")
	defer ours.Close()
	deadline := time.Now().Add(probeTimeout)
	if at, ok := ctx.Deadline(); ok && at.Before(deadline) {
		deadline = at
	}
	if err := ours.SetDeadline(deadline); err != nil {
		return errors.Join(err, theirs.Close())
	}
	cmd := exec.Command(exe) //nolint:noctx // it is this program, and ends with the socket
	cmd.Dir, cmd.Env, cmd.ExtraFiles = "/", []string{}, []*os.File{theirs}
	if opts.Level.Spaces() {
		Enclose(cmd, as, false)
	}
	cmd.Args = []string{exe, ShimSubcommand, inside.ProbeArgument}
	if as.Elsewhere() {
		program, err := ByDescriptor(cmd, exe)
		if err != nil {
			return errors.Join(err, theirs.Close())
		}
		defer program.Close()
	}
	err = by.Start(cmd)
	_ = theirs.Close()
	if err != nil {
		return fmt.Errorf("clone: %w", bareError(err))
	}
	var said tried
	err = json.NewEncoder(ours).Encode(opts)
	if err == nil {
		err = json.NewDecoder(io.LimitReader(ours, inside.MaxReply)).Decode(&said)
	}
	_ = ours.Close() // for one that has not answered in time
	ended := by.Wait(cmd)
	switch {
	case err != nil:
		return errors.Join(err, ended)
	case said.Error != "":
		return errors.New(said.Error)
	default:
		return ended
	}
}

func bareError(err error) error {
	if failed, ok := errors.AsType[*os.PathError](err); ok {
		return failed.Err
	}
	return err
}

// tried is what came of it.
type tried struct{ Error string }

// probeMain is a shim and a worker in one, which end when the wall stands.
func probeMain() int {
	control := os.NewFile(ControlFD, "probe")
	var opts RoomOptions
	if err := json.NewDecoder(control).Decode(&opts); err != nil {
		return 1
	}
	unix.CloseOnExec(ControlFD)
	var said tried
	if err := rehearse(opts); err != nil {
		said.Error = err.Error()
	}
	if err := json.NewEncoder(control).Encode(said); err != nil {
		return 1
	}
	return 0
}

// rehearse does what a shim and its worker do.
func rehearse(opts RoomOptions) error {
	l := opts.layers()
	r, err := opts.room(l)
	if err != nil {
		return err
	}
	if l.Namespaces {
		if opts.Offline {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("%s: %w", inside.StepNetwork, err)
			}
		}
		if err := inside.BuildRoom(r); err != nil {
			return fmt.Errorf("%s: %w", inside.StepRoot, err)
		}
		if err := inside.LayDown(); err != nil {
			return fmt.Errorf("%s: %w", inside.StepDrop, err)
		}
		if err := leaveOutside(l.Mounts); err != nil {
			return err
		}
	}
	return confine(r.Plan(), opts.Offline)
}

// ShimMain is what the process does whose first argument is ShimSubcommand.
func ShimMain() int {
	runtime.LockOSThread()
	if len(os.Args) > 2 && os.Args[2] == inside.ProbeArgument {
		return probeMain()
	}
	return inside.ShimMain()
}
