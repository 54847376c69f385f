package wall_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox"
	"hermes/supervisor/sandbox/wall"
)

// startRoom starts a worker as a supervisor does, which tells what came of it on this
// process's stdout.
func startRoom(j job) int {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 1
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "control"), os.NewFile(uintptr(ends[1]), "control")
	cmd := exec.Command("/proc/self/exe", "worker")
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	as := wall.Identity{UID: os.Getuid(), GID: os.Getgid()}
	spaces := j.Room == wall.Full || j.Room == wall.Namespaces
	if os.Getuid() == 0 && spaces {
		as = wall.Identity{UID: nobody, GID: nobody, Outside: 1_900_000_000 + os.Getpid()}
	}
	if spaces {
		wall.Enclose(cmd, as, j.NoNet, j.Left...)
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "start:", err)
		return 1
	}
	_ = theirs.Close()
	if err := lend(ours, j.Scene, as); err != nil {
		fmt.Fprintln(os.Stderr, "lend:", err)
		return 1
	}
	if err := json.NewEncoder(ours).Encode(j); err != nil {
		return 1
	}
	if err := cmd.Wait(); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 1
	}
	return 0
}

// lend sends a byte, and with it the mounts that a worker needs that is somebody else.
func lend(control *os.File, s *scene, as wall.Identity) error {
	var rights []byte
	if as.Outside != 0 {
		users, err := wall.Users("/proc/self/exe", wall.Identity{UID: os.Getuid(), GID: os.Getgid(), Outside: as.Outside}, direct{})
		if err != nil {
			return err
		}
		defer users.Close()
		mounts, err := wall.Idmap(users, s.Home, s.at("run"))
		if err != nil {
			return err
		}
		rights = unix.UnixRights(int(mounts[0].Fd()), int(mounts[1].Fd()))
	}
	return unix.Sendmsg(int(control.Fd()), []byte{'.'}, rights, nil, 0)
}

// borrow receives what lend sends.
func borrow(control *os.File) (tree, run *os.File, err error) {
	rights := make([]byte, unix.CmsgSpace(8))
	_, n, _, _, err := unix.Recvmsg(int(control.Fd()), make([]byte, 1), rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil || n == 0 {
		return nil, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil {
		return nil, nil, err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 2 {
		return nil, nil, fmt.Errorf("%d descriptors: %w", len(fds), err)
	}
	return os.NewFile(uintptr(fds[0]), "tree"), os.NewFile(uintptr(fds[1]), "run"), nil
}

// workerMain is a worker that gets its job on the control socket, and enters its room
// before it does anything.
func workerMain() int {
	control := os.NewFile(wall.ControlFD, "control")
	var j job
	tree, run, err := borrow(control)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := json.NewDecoder(control).Decode(&j); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s := j.Scene
	var shim *wall.Shim
	err = sandbox.BecomeSubreaper()
	if err == nil && j.Room != wall.None && j.Room != "" {
		room := s.room(j)
		room.Tree, room.Run = tree, run
		shim, _, err = wall.Enter(room)
	}
	var out outcome
	switch {
	case err != nil:
	case j.Attack && os.Getuid() == 0 && j.Room != wall.Reduced: // behind the others it is somebody else
		err = errors.New("root without these walls is root: it would truly attack the machine")
	case j.Attack:
		out.Output.Text, err = attackFromWorker(s)
	default:
		out, err = work(j, shim)
	}
	return out.tell(os.Stdout, err)
}

// room is what a worker of the default profile sees.
func (s *scene) room(j job) wall.RoomOptions {
	return wall.RoomOptions{
		Level: j.Room, Dir: s.Home, Without: j.Left, Offline: j.NoNet,
		Reads: []string{s.Own}, Hidden: []string{s.Home},
		Writes: []string{s.at("data"), s.at("memories"), s.at("skills"), s.at("workspace"), s.at("home")},
		Soul:   s.at("SOUL.md"), Socket: s.at("run/x.orphan"), As: wall.Identity{UID: j.User, GID: j.User},
	}
}

// attackFromWorker tries all attacks that are not a worker's right, in processes that
// have from it what it has not got rid of.
func attackFromWorker(s *scene) (string, error) {
	told, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	cmd := exec.Command(s.Own, "attacks", "worker")
	cmd.Env, cmd.Dir = []string{"SCENE=" + string(told)}, s.at("workspace")
	// Its shim's socket, where the worker has it.
	cmd.ExtraFiles = []*os.File{nil, os.NewFile(wall.ShimFD, "shim")}
	said, err := cmd.CombinedOutput()
	return string(said), err
}
