package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox"
	"hermes/supervisor/sandbox/wall"
)

// inRoom is the argument of a process that is walled in as a worker, and attacks.
const inRoom = wall.AttackerArgument

// raid is what that process is told.
type raid struct {
	Scene *scene
	Room  wall.RoomOptions
}

// RunWorker tries all attacks of a worker, from behind a wall such as workers have.
func RunWorker(ctx context.Context, opts Options) (out Outcome, err error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	exe, err := os.Executable()
	if err != nil {
		return out, fmt.Errorf("find this program: %w", err)
	}
	place := existing(opts.Home)
	w := wall.ProbeWorkers(ctx, exe, place, true, new(sandbox.Children))
	out.Report = w.Report
	if out.Level == wall.None {
		return out, nil // there is nothing to attack
	}
	if w.Own != nil && !out.Level.Spaces() {
		place = passable(place)
	}
	s, err := newScene(ctx, opts.Home, place)
	if err != nil {
		return out, err
	}
	defer s.close()
	r := raid{s, wall.RoomOptions{
		Level: out.Level, Dir: s.Home, Hidden: s.hidden(), Soul: s.at("SOUL.md"), Socket: s.at("run/x.orphan"),
		Writes: []string{s.at("data"), s.at("memories"), s.at("skills"), s.at("workspace"), s.at("home")}, Offline: out.Level.Spaces(), Without: opts.Without,
	}}
	as, mounts, err := s.lend(exe, w, &r.Room)
	defer func() {
		for _, mount := range mounts {
			_ = mount.Close()
		}
	}()
	if err != nil {
		return out, fmt.Errorf("make something to attack: %w", err)
	}
	out.Tried = len(ofWorkers(out.Level)) //nolint:contextcheck // they are tried by another process
	said, err := s.raid(ctx, exe, r, as, mounts)
	if err != nil {
		return out, err
	}
	out.Hits, err = hits(said, out.Tried)
	out.Took = time.Since(began)
	return out, err
}

// raid has a process walled in as a worker, and returns what it says.
func (s *scene) raid(ctx context.Context, exe string, r raid, as wall.Identity, mounts []*os.File) (said []byte, err error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "control"), os.NewFile(uintptr(ends[1]), "control")
	defer ours.Close()
	defer theirs.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	defer write.Close()
	cmd := exec.Command(exe) //nolint:noctx // it is killed below
	cmd.Dir, cmd.Env, cmd.Stdout = "/", []string{"PATH=/usr/bin:/bin", "GOMAXPROCS=2"}, write
	cmd.ExtraFiles = []*os.File{theirs}
	if r.Room.Level.Spaces() {
		wall.Enclose(cmd, as, r.Room.Offline, r.Room.Without...)
		cmd.Args = append(cmd.Args, inRoom)
		program, err := wall.ByDescriptor(cmd, exe)
		if err != nil {
			return nil, err
		}
		defer program.Close()
	} else {
		cmd.Args = []string{exe, Subcommand, inRoom}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}
	if err := s.children.Start(cmd); err != nil {
		return nil, fmt.Errorf("start the attackers: %w", err)
	}
	_, _ = theirs.Close(), write.Close()
	defer func() {
		_ = s.children.Signal(cmd, syscall.SIGKILL) // it may be dead already
		_ = s.children.Wait(cmd)                    // what it says is what counts
	}()
	if at, ok := ctx.Deadline(); ok {
		if err := read.SetReadDeadline(at); err != nil {
			return nil, err
		}
	}
	var rights []byte
	if len(mounts) > 0 {
		rights = unix.UnixRights(int(mounts[0].Fd()), int(mounts[1].Fd()))
	}
	told, err := json.Marshal(r)
	if err == nil {
		err = unix.Sendmsg(int(ours.Fd()), []byte{'.'}, rights, nil, unix.MSG_NOSIGNAL)
	}
	if err == nil {
		_, err = ours.Write(told)
	}
	if err != nil {
		return nil, fmt.Errorf("tell the attackers: %w", err)
	}
	_ = ours.Close()
	said, err = io.ReadAll(io.LimitReader(read, maxReport))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, err
	}
	return said, nil
}

// roomMain walls this process in as a worker, and attacks.
func roomMain() int {
	report := json.NewEncoder(os.Stdout)
	r, err := receiveRaid()
	if err == nil {
		_, _, err = wall.Enter(r.Room)
	}
	if err == nil {
		err = unix.Chdir(r.Scene.at("workspace"))
	}
	var told []byte
	if err == nil {
		told, err = json.Marshal(r.Scene)
	}
	if err != nil {
		if err := report.Encode(result{Why: err.Error()}); err != nil {
			return 2
		}
		return 1
	}
	return try(ofWorkers(r.Room.Level), r.Scene, told, report)
}

// receiveRaid receives what raid sends.
func receiveRaid() (r raid, err error) {
	rights := make([]byte, unix.CmsgSpace(8))
	_, n, _, _, err := unix.Recvmsg(wall.ControlFD, make([]byte, 1), rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return r, err
	}
	control := os.NewFile(wall.ControlFD, "control")
	defer control.Close()
	told, err := io.ReadAll(io.LimitReader(control, maxReport))
	if err == nil {
		err = json.Unmarshal(bytes.TrimSpace(told), &r)
	}
	if err != nil || n == 0 {
		return r, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil {
		return r, err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 2 {
		return r, fmt.Errorf("%d mounts came: %w", len(fds), err)
	}
	r.Room.Tree, r.Room.Run = os.NewFile(uintptr(fds[0]), "tree"), os.NewFile(uintptr(fds[1]), "run")
	return r, nil
}
