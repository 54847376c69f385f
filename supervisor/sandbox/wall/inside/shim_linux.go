package inside

import (
	"errors"
	"os"
	"os/signal"
	"path"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"hermes/supervisor/sandbox/wall/inside/unix"
)

// shim is process 1 of a worker. It does what the worker may not do itself any more,
// and only what is listed in talk.go.
type shim struct {
	conn    int // ours of the socket to the worker
	worker  int
	exit    chan int
	thread  int // that forks: the one without capabilities to pass on
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
// all the others then. Its goroutine has to be locked as that of Main.
func ShimMain() int {
	s := &shim{exit: make(chan int, 1), environ: os.Environ(), thread: syscall.Gettid()}
	if err := s.begin(); err != nil {
		_, _ = os.Stderr.WriteString("start worker: " + err.Error() + "\n")
		return 1
	}
	go s.attend()
	s.serve()
	return <-s.exit // the worker may have closed its end, and not be dead yet
}

// begin starts the worker.
func (s *shim) begin() error {
	if os.Getpid() != 1 {
		return errors.New("this is started by a gateway and by nothing else")
	}
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	if !slices.Contains(os.Args[2:], capableArgument) {
		if err := LayDown(); err != nil {
			return err
		}
	}
	s.conn = ends[0]
	// What comes from the supervisor is the worker's alone: its end has to be noticed.
	attr := &syscall.SysProcAttr{Setsid: true}
	if slices.Contains(os.Args[2:], OfflineArgument) {
		attr.Cloneflags = syscall.CLONE_NEWNET // the worker's alone: its commands have their own settings
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
	_ = syscall.Close(ends[1])
	_ = syscall.Close(ControlFD)
	null, err := syscall.Open("/dev/null", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	return errors.Join(lookedAt(false), syscall.Dup3(null, 1, 0), syscall.Close(null)) // what is said of the shim itself is said on stderr
}

// OfflineArgument is an argument of a shim whose worker has no network, and
// capableArgument, for tests, of one whose worker keeps its capabilities.
const (
	OfflineArgument = "offline"
	capableArgument = "capabilities"
)

// BuildRoom builds the root of a room around this process, for a try.
func BuildRoom(r *Room) error { return (&shim{}).build(r, nil) }

// lookedAt says whether others of this user may look at this process.
func lookedAt(yes bool) error {
	var dumpable uintptr
	if yes {
		dumpable = 1
	}
	return os.NewSyscallError("prctl", unix.Prctl(syscall.PR_SET_DUMPABLE, dumpable, 0, 0, 0))
}

// LayDown takes from this thread, and from what it starts, what the worker must not
// have. A stage gets all of it anew, in a user namespace of its own.
func LayDown() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	if err := emptyBounds(); err != nil {
		return err
	}
	return keepCapabilities()
}

// attend passes signals on (a SIGQUIT, above all, makes the worker say what it does),
// and reaps all there is, until the worker has ended. A thread that waits for children
// would take more memory than to be told of them.
func (s *shim) attend() {
	// Whoever else has the worker's end does not keep the shim.
	defer func() { _ = syscall.Shutdown(s.conn, syscall.SHUT_RDWR) }()
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	for {
		// Also before the first signal, which may have come before it was asked for.
		if code, ended := s.reap(); ended {
			s.exit <- code
			return
		}
		if number, ok := (<-signals).(syscall.Signal); ok && number != syscall.SIGCHLD {
			_ = syscall.Kill(s.worker, number)
		}
	}
}

// reap reaps who has ended. If the worker is among them that is the end, with its exit
// code.
func (s *shim) reap() (code int, ended bool) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WALL|syscall.WNOHANG, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 1, true
		case pid == 0:
			return 0, false
		case pid != s.worker:
		case status.Signaled():
			return 128 + int(status.Signal()), true
		default:
			return status.ExitStatus(), true
		}
	}
}

// restAfter is after how many requests a shim, of which there is one for each profile,
// clears up.
const restAfter = 64

// serve answers the worker, one request after the other, until it closes its end.
func (s *shim) serve() {
	for n := 1; ; n++ {
		if n%restAfter == 0 {
			runtime.GC() // left alone it waits until 4 MB are garbage
		}
		data, files, err := Receive(s.conn, MaxRequest, maxCarried)
		if errors.Is(err, errEnded) {
			return
		}
		var said Reply
		var given []int
		if err == nil {
			said, given, err = s.answer(data, files)
		}
		CloseAll(files)
		if err != nil {
			said = Reply{Error: err.Error(), Missing: errors.Is(err, os.ErrNotExist), Denied: errors.Is(err, os.ErrPermission)}
		}
		// A worker that does not read its answers has none.
		_ = Send(s.conn, &said, MaxReply, given, syscall.MSG_DONTWAIT)
		CloseAll(given)
	}
}

func (s *shim) answer(data []byte, files []int) (Reply, []int, error) {
	r, err := decodeRequest(data, len(files))
	if err != nil {
		return Reply{}, nil, err
	}
	switch {
	case r.Kind == AskRoom:
		return Reply{}, nil, s.build(r.Room, files)
	case s.least == "":
		return Reply{}, nil, errors.New("there is no room yet")
	case r.Kind == AskStage:
		return s.stage(r.Stage, files)
	case r.Kind == AskSoul:
		fd, err := s.openSoul()
		return Reply{}, fd, err
	case r.Kind == AskListen:
		fd, err := s.listen()
		return Reply{}, fd, err
	default:
		s.deaf()
		return Reply{}, nil, nil
	}
}

// build makes the root of the room, and takes the worker there: who has the old root
// has the new one then.
func (s *shim) build(r *Room, mounts []int) error {
	if s.least != "" {
		return errors.New("the room is built already")
	}
	soul, run := path.Dir(r.Soul), path.Dir(r.Socket)
	var err error
	st := &stage{Plan: r.Plan()}
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
	s.least = r.Layers.argument()
	return nil
}

// below are places with those of a directory taken from where that is mounted.
func below(at, dir string, places []Place) []Place {
	moved := slices.Clone(places)
	for i, p := range moved {
		if Within(p.Source, dir) && p.Source != dir {
			moved[i].Source, moved[i].within = p.Source[len(dir):], at
		}
	}
	return moved
}

// outside opens the directory of a file that is not in the room.
func outside(dir, file string) (*os.Root, string, error) {
	if file == "" {
		return nil, "", nil
	}
	root, err := os.OpenRoot(dir)
	return root, path.Base(file), err
}

// stage starts the stage of a command's wall, which reads its plan from the worker
// itself. Whatever that says, it has all the layers that the room has.
func (s *shim) stage(wanted *Start, files []int) (Reply, []int, error) {
	attr := &syscall.ProcAttr{
		Dir: wanted.Dir, Env: []string{"GOMAXPROCS=1", "GOGC=off", "GOTRACEBACK=none"},
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
	if syscall.Gettid() != s.thread {
		return Reply{}, nil, errors.New("the thread is another one")
	}
	pidfd := -1
	attr.Sys = StageAttributes(os.Geteuid(), os.Getegid(), wanted.Offline)
	attr.Sys.PidFD = &pidfd
	// To map a user for its child, a process must be one that can be looked at.
	if err := lookedAt(true); err != nil {
		return Reply{}, nil, err
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"hermes", Subcommand, s.least}, attr)
	err = errors.Join(err, lookedAt(false))
	if err != nil {
		return Reply{}, nil, &failure{"clone", err}
	}
	// The kernel takes a command, when memory runs out, before the worker that waits for it.
	_ = os.WriteFile("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", []byte("500"), 0)
	if pidfd < 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		return Reply{}, nil, errors.New("the kernel gives no descriptors of processes")
	}
	return Reply{PID: pid}, []int{pidfd}, nil
}

// openSoul opens the file as it is now.
func (s *shim) openSoul() ([]int, error) {
	if s.soul == nil {
		return nil, os.ErrNotExist
	}
	// Not to block, should it be a pipe.
	file, err := s.soul.OpenFile(s.name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	fd, err := unix.FcntlInt(file.Fd(), syscall.F_DUPFD_CLOEXEC, 0)
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
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	err = syscall.Bind(fd, &syscall.SockaddrUnix{Name: number(int(dir.Fd())) + "/" + s.socket})
	if err == nil {
		err = s.run.Chmod(s.socket, 0o600)
	}
	if err == nil {
		err = syscall.Listen(fd, 16)
	}
	if err != nil {
		return nil, errors.Join(&failure{"listen for another gateway", err}, syscall.Close(fd))
	}
	return []int{fd}, nil
}

// deaf removes the socket.
func (s *shim) deaf() {
	if s.run != nil {
		_ = s.run.Remove(s.socket) // it may not be there
	}
}
