package wall

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// shim is process 1 of a worker. It does what the worker may not do itself any more,
// and only what is listed in talk.go.
type shim struct {
	conn    int // ours of the socket to the worker
	worker  int
	exit    chan int
	environ []string

	least  string   // the layers that every stage builds, once there is a room
	soul   *os.Root // where the file is that says who the agent is, nil without one
	name   string   // of that file
	run    *os.Root // where the socket for another gateway is, nil without one
	socket string   // its name
}

// ShimMain is what the process does whose first argument is ShimSubcommand: process 1 of
// the namespaces of a worker. It starts the worker at once, which does not belong to
// anybody yet, with ShimFD and the descriptors that it was given itself, and returns
// the worker's exit code: 128 and the signal's number after a signal. The kernel ends
// all the others then.
func ShimMain() int {
	runtime.LockOSThread() // the thread that forks is the one without capabilities to pass on
	if len(os.Args) > 2 && os.Args[2] == probeArgument {
		return probeMain()
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2)
	s := &shim{exit: make(chan int, 1), environ: os.Environ()}
	if err := s.begin(); err != nil {
		fmt.Fprintln(os.Stderr, "start worker:", err)
		return 1
	}
	time.AfterFunc(restAfter, debug.FreeOSMemory) // what its start took
	go s.forward(signals)
	go s.reap()
	s.serve()
	return <-s.exit // the worker may have closed its end, and not be dead yet
}

// restAfter is when the shim, which does nothing most of the time, gives back memory.
const restAfter = 3 * time.Second

// begin starts the worker.
func (s *shim) begin() error {
	if os.Getpid() != 1 {
		return errors.New("this is started by a gateway and by nothing else")
	}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	if !slices.Contains(os.Args[2:], string(LayerCapabilities)) {
		if err := layDown(); err != nil {
			return err
		}
	}
	s.conn = ends[0]
	// What comes from the supervisor is the worker's alone: its end has to be noticed.
	attr := &syscall.SysProcAttr{Setsid: true}
	if slices.Contains(os.Args[2:], offlineArgument) {
		attr.Cloneflags = unix.CLONE_NEWNET // the worker's alone: its commands have their own settings
	}
	words := []string{"hermes", "worker"}
	if slices.Contains(os.Args[2:], AttackerArgument) {
		words = []string{"hermes", "attack", AttackerArgument}
	}
	// Whatever else a careless parent has left open is not the worker's.
	if err := unix.CloseRange(ControlFD+1, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return os.NewSyscallError("close_range", err)
	}
	s.worker, err = syscall.ForkExec("/proc/self/exe", words, &syscall.ProcAttr{
		Env: s.environ, Files: []uintptr{0, 1, 2, ControlFD, uintptr(ends[1])}, Sys: attr,
	})
	if err != nil {
		return err
	}
	_ = unix.Close(ends[1])
	_ = unix.Close(ControlFD)
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	return errors.Join(lookedAt(false), unix.Dup3(null, 1, 0), unix.Close(null)) // what is said of the shim itself is said on stderr
}

// lookedAt says whether others of this user may look at this process.
func lookedAt(yes bool) error {
	var dumpable uintptr
	if yes {
		dumpable = 1
	}
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_DUMPABLE, dumpable, 0, 0, 0))
}

// layDown takes from this thread, and from what it starts, what the worker must not
// have. A stage gets all of it anew, in a user namespace of its own.
func layDown() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	if err := emptyBounds(); err != nil {
		return err
	}
	return keepCapabilities()
}

// offlineArgument is the second argument of a shim whose worker has no network.
const offlineArgument = "offline"

// Enclose makes cmd, which is not started and gets the supervisor's socket as
// ControlFD, start a shim and a worker in it. Without is for tests, and has the worker
// keep its capabilities.
func Enclose(cmd *exec.Cmd, as Identity, offline bool, without ...Layer) {
	attr := stageAttributes(as.UID, as.GID, false)
	attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP}
	if as.Outside != 0 {
		attr.UidMappings[0].HostID, attr.GidMappings[0].HostID = as.Outside, as.Outside
	}
	if os.Geteuid() == 0 {
		attr.GidMappingsEnableSetgroups = true                                          // for it has groups of root
		attr.Credential = &syscall.Credential{Uid: uint32(as.UID), Gid: uint32(as.GID)} //nolint:gosec // they came from the kernel
	}
	cmd.SysProcAttr = attr
	cmd.Args = []string{cmd.Args[0], ShimSubcommand}
	if offline {
		cmd.Args = append(cmd.Args, offlineArgument)
	}
	for _, layer := range without {
		cmd.Args = append(cmd.Args, string(layer))
	}
}

// ByDescriptor has cmd, whose descriptors are set, execute its program by a descriptor:
// who it is to be may not reach it by its name. The file is to be closed after the
// start.
func ByDescriptor(cmd *exec.Cmd, exe string) (*os.File, error) {
	program, err := os.Open(exe)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	// A child moves what it is given to numbers right above those, over whatever is there.
	above := 64
	for _, given := range cmd.ExtraFiles {
		above = max(above, int(given.Fd())+64)
	}
	if out, ok := cmd.Stdout.(*os.File); ok {
		above = max(above, int(out.Fd())+64)
	}
	fd, err := unix.FcntlInt(program.Fd(), unix.F_DUPFD_CLOEXEC, above)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	cmd.Path = number(fd)
	return os.NewFile(uintptr(fd), exe), nil
}

// forward passes signals on: a SIGQUIT, above all, makes the worker say what it does.
func (s *shim) forward(signals <-chan os.Signal) {
	for sig := range signals {
		if number, ok := sig.(syscall.Signal); ok {
			_ = unix.Kill(s.worker, number)
		}
	}
}

// reap reaps all there is, until the worker has ended.
func (s *shim) reap() {
	// Whoever else has the worker's end does not keep the shim.
	defer func() { _ = unix.Shutdown(s.conn, unix.SHUT_RDWR) }()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WALL, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			s.exit <- 1
			return
		case pid != s.worker:
		case status.Signaled():
			s.exit <- 128 + int(status.Signal())
			return
		default:
			s.exit <- status.ExitStatus()
			return
		}
	}
}

// serve answers the worker, one request after the other, until it closes its end.
func (s *shim) serve() {
	for {
		data, files, err := receive(s.conn, maxRequest, maxCarried)
		if errors.Is(err, errEnded) {
			return
		}
		var said reply
		var given []int
		if err == nil {
			said, given, err = s.answer(data, files)
		}
		closeAll(files)
		if err != nil {
			said = reply{Error: err.Error(), Missing: errors.Is(err, os.ErrNotExist)}
		}
		// A worker that does not read its answers has none.
		_ = send(s.conn, said, maxReply, given, unix.MSG_DONTWAIT)
		closeAll(given)
	}
}

func (s *shim) answer(data []byte, files []int) (reply, []int, error) {
	r, err := decodeRequest(data, len(files))
	if err != nil {
		return reply{}, nil, err
	}
	switch {
	case r.Kind == askRoom:
		return reply{}, nil, s.build(r.Room, files)
	case s.least == "":
		return reply{}, nil, errors.New("there is no room yet")
	case r.Kind == askStage:
		return s.stage(r.Stage, files)
	case r.Kind == askSoul:
		fd, err := s.openSoul()
		return reply{}, fd, err
	case r.Kind == askListen:
		fd, err := s.listen()
		return reply{}, fd, err
	default:
		s.deaf()
		return reply{}, nil, nil
	}
}

// build makes the root of the room, and takes the worker there: who has the old root
// has the new one then.
func (s *shim) build(r *room, mounts []int) error {
	if s.least != "" {
		return errors.New("the room is built already")
	}
	least, err := json.Marshal(r.Layers)
	if err != nil {
		return err
	}
	soul, run := filepath.Dir(r.Soul), filepath.Dir(r.Socket)
	st := &stage{plan: r.plan()}
	if r.Tree != "" {
		soul, run, st.tree = number(mounts[0]), number(mounts[1]), mounts[0]
		st.Writes = below(treeRoot, r.Tree, st.Writes)
	}
	if s.soul, s.name, err = outside(soul, r.Soul); err != nil {
		return err
	}
	if s.run, s.socket, err = outside(run, r.Socket); err != nil {
		return err
	}
	if r.Layers.Mounts {
		if err := st.root(); err != nil {
			return err
		}
	}
	s.least = string(least)
	return nil
}

// below are places with those of a directory taken from where that is mounted.
func below(at, dir string, places []place) []place {
	moved := slices.Clone(places)
	for i, p := range moved {
		if within(p.Source, dir) && p.Source != dir {
			moved[i].Source, moved[i].within = strings.TrimPrefix(p.Source, dir), at
		}
	}
	return moved
}

// outside opens the directory of a file that is not in the room.
func outside(dir, path string) (*os.Root, string, error) {
	if path == "" {
		return nil, "", nil
	}
	root, err := os.OpenRoot(dir)
	return root, filepath.Base(path), err
}

// stage starts the stage of a command's wall, which reads its plan from the worker
// itself. Whatever that says, it has all the layers that the room has.
func (s *shim) stage(wanted *start, files []int) (reply, []int, error) {
	attr := &syscall.ProcAttr{
		Dir: wanted.Dir, Env: []string{"GOMAXPROCS=2", "GOGC=off", "GOTRACEBACK=none"},
		Files: []uintptr{uintptr(files[1]), uintptr(files[2]), uintptr(files[3]), uintptr(files[0])},
	}
	if wanted.Mark != "" {
		attr.Env = append([]string{wanted.Mark}, attr.Env...)
	}
	rest := files[4:]
	for _, given := range wanted.Files {
		if !given {
			attr.Files = append(attr.Files, ^uintptr(0))
			continue
		}
		attr.Files, rest = append(attr.Files, uintptr(rest[0])), rest[1:]
	}
	pidfd := -1
	attr.Sys = stageAttributes(os.Geteuid(), os.Getegid(), wanted.Offline)
	attr.Sys.PidFD = &pidfd
	// To map a user for its child, a process must be one that can be looked at.
	if err := lookedAt(true); err != nil {
		return reply{}, nil, err
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"hermes", Subcommand, s.least}, attr)
	err = errors.Join(err, lookedAt(false))
	if err != nil {
		return reply{}, nil, fmt.Errorf("clone: %w", err)
	}
	// The kernel takes a command, when memory runs out, before the worker that waits for it.
	_ = os.WriteFile("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", []byte("500"), 0)
	if pidfd < 0 {
		_ = unix.Kill(pid, unix.SIGKILL)
		return reply{}, nil, errors.New("the kernel gives no descriptors of processes")
	}
	return reply{PID: pid}, []int{pidfd}, nil
}

// openSoul opens the file as it is now.
func (s *shim) openSoul() ([]int, error) {
	if s.soul == nil {
		return nil, os.ErrNotExist
	}
	// Not to block, should it be a pipe.
	file, err := s.soul.OpenFile(s.name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	return []int{fd}, err
}

// listen listens where another gateway looks for workers. It is this process that the
// other side takes for its peer: with its end everything has ended.
func (s *shim) listen() ([]int, error) {
	if s.run == nil {
		return nil, os.ErrNotExist
	}
	s.deaf()
	dir, err := s.run.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: strings.Join([]string{number(int(dir.Fd())), s.socket}, "/")})
	if err == nil {
		err = s.run.Chmod(s.socket, 0o600)
	}
	if err == nil {
		err = unix.Listen(fd, 16)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for another gateway: %w", err), unix.Close(fd))
	}
	return []int{fd}, nil
}

// deaf removes the socket.
func (s *shim) deaf() {
	if s.run != nil {
		_ = s.run.Remove(s.socket) // it may not be there
	}
}
