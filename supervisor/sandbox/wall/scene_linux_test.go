package wall_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox"
	"hermes/supervisor/sandbox/wall"
)

// canary is in everything that a command must not see.
const canary = "CANARY-7f3a91"

// nobody is the ordinary user of the tests that root runs.
const nobody = 65534

// scene is a home with two profiles, as it is on a machine, and what attackers know
// of it.
type scene struct {
	Dir      string // all of it
	Home     string // of the profiles
	Exe      string // the test binary, where commands see it
	Own      string // the same, where the worker has it
	Worker   int    // its process
	Victim   int    // a process beside it
	Abstract string // an abstract socket of the worker
	Socket   string // and one by path
	Port     string // and one of the network
	HostTmp  string // a file in the machine's /tmp
	HostShm  string
	Leaked   int // a descriptor that the worker forgot to close
	ShmKey   int
}

func (s *scene) at(name string) string { return filepath.Join(s.Home, filepath.FromSlash(name)) }

// newScene makes a scene that belongs to uid.
func newScene(t *testing.T, uid int) *scene {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, open := range []string{dir, filepath.Dir(dir)} { // others come by
		if err := os.Chmod(open, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := &scene{Dir: dir, Home: filepath.Join(dir, "hermes")}
	for _, name := range []string{
		".env", "config.yaml", "SOUL.md", "memories/MEMORY.md", "data/state.db", "logs/worker.log", "profiles/bob/.env",
		"profiles/bob/data/state.db", "profiles/bob/workspace/diary", "../person/.ssh/id_ed25519", "skills/knit/SKILL.md",
	} {
		path := s.at(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(canary+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"workspace", "home", "run"} {
		if err := os.MkdirAll(s.at(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.Exe = s.at("workspace/program")
	binary, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	// A child that is forked meanwhile would have it open to write, and the kernel then
	// executes it for nobody.
	syscall.ForkLock.RLock()
	err = os.WriteFile(s.Exe, binary, 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	s.Own = filepath.Join(dir, "bin", "hermes")
	if err := errors.Join(os.Mkdir(filepath.Dir(s.Own), 0o755), os.Link(s.Exe, s.Own)); err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, uid, uid))
	}); err != nil && os.Getuid() == 0 {
		t.Fatal(err)
	}
	return s
}

// give gives the default profile to a user as the gateway does, and bob's to another one.
func (s *scene) give(t *testing.T, user int) {
	t.Helper()
	to := func(user int, dirs ...string) (err error) {
		for _, dir := range dirs {
			err = errors.Join(err, filepath.WalkDir(s.at(dir), func(path string, _ os.DirEntry, err error) error {
				if path == s.Exe { // which has a name elsewhere
					return err
				}
				return errors.Join(err, os.Lchown(path, user, user))
			}))
		}
		return err
	}
	lend := func(user int, name string, mode os.FileMode) error {
		return errors.Join(os.Lchown(s.at(name), 0, user), os.Chmod(s.at(name), mode))
	}
	other := another(user)
	if err := errors.Join(to(user, "data", "memories", "skills", "workspace", "home"), to(other, "profiles/bob/data", "profiles/bob/workspace"),
		lend(user, ".", 0o751), lend(user, "SOUL.md", 0o640), lend(0, "profiles", 0o701), lend(other, "profiles/bob", 0o750)); err != nil {
		t.Fatal(err)
	}
}

// another is the user of the other profile.
func another(user int) int { return user + 1 }

// options are those of the wall around the commands of the default profile.
func (s *scene) options() wall.Options {
	return wall.Options{
		Workspace: s.at("workspace"), Home: s.at("home"), Skills: s.at("skills"), Temp: s.at("data/tmp"), Hidden: []string{s.Home},
	}
}

// job is what a worker of the tests is to do, told on its standard input.
type job struct {
	Scene   *scene
	Without []wall.Layer
	Offline bool
	Proxy   bool // answers "proxied" to whoever connects
	Argv    []string
	PTY     bool
	// Room puts the worker into a room at that level, without its own layers, of which
	// Left are left out. Attack has it attacked by itself, instead of by a command.
	Room   wall.Level
	Left   []wall.Layer
	NoNet  bool
	Attack bool
	User   int // who a worker of root becomes
}

// outcome is what came of it, told on its standard output.
type outcome struct {
	Report wall.Report
	Output sandbox.Output
	Err    string
}

// outsideMain is what is around a worker: it holds secrets in memory, in descriptors
// and behind sockets. It is the worker too, unless that has a room.
func outsideMain() int {
	var j job
	if err := json.NewDecoder(os.Stdin).Decode(&j); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	leave, err := j.Scene.surround(j.User)
	defer leave()
	var out outcome
	switch {
	case err != nil:
	case j.Room != "":
		return startRoom(j)
	default:
		out, err = work(j, nil)
	}
	return out.tell(os.Stdout, err)
}

// tell writes what came of a job.
func (o outcome) tell(to io.Writer, err error) int {
	if err != nil {
		o.Err = err.Error()
	}
	if err := json.NewEncoder(to).Encode(o); err != nil {
		return 1
	}
	return 0
}

// surround makes what attackers look for. Beside a worker that becomes a user of its own
// is what the worker of the other profile is.
func (s *scene) surround(user int) (leave func(), err error) {
	var undo []func()
	leave = func() {
		for _, u := range slices.Backward(undo) {
			u()
		}
	}
	if err := sandbox.BecomeSubreaper(); err != nil {
		return leave, err
	}
	victim := exec.Command("/proc/self/exe", "victim", canary)
	victim.Env = []string{"SECRET=" + canary}
	if user != 0 {
		victim.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(another(user)), Gid: uint32(another(user))}}
	}
	keep, err := victim.StdinPipe()
	if err != nil {
		return leave, err
	}
	if err := victim.Start(); err != nil {
		return leave, err
	}
	undo = append(undo, func() {
		_, _ = keep.Close(), victim.Process.Kill() // an attacker may have stopped it
		_ = victim.Wait()
	})
	s.Worker, s.Victim, s.Abstract, s.Socket = os.Getpid(), victim.Process.Pid, "@hermes-test-"+filepath.Base(s.Dir)+fmt.Sprint(os.Getpid()), s.at("control.sock")
	for at, address := range map[*string][2]string{
		&s.Abstract: {"unix", s.Abstract}, &s.Socket: {"unix", s.Socket}, &s.Port: {"tcp", "127.0.0.1:0"},
	} {
		listener, err := net.Listen(address[0], address[1])
		if err != nil {
			return leave, err
		}
		undo = append(undo, func() { _ = listener.Close() })
		if address[0] == "tcp" {
			*at = listener.Addr().String()
		}
		go answerAll(listener)
	}
	for at, name := range map[*string]string{&s.HostTmp: "/tmp", &s.HostShm: "/dev/shm"} {
		file, err := os.CreateTemp(name, "hermes-wall-test-")
		if err != nil {
			return leave, err
		}
		_, _ = file.WriteString(canary)
		*at = file.Name()
		undo = append(undo, func() { _ = os.Remove(file.Name()) }, func() { _ = file.Close() })
	}
	ours, theirs, err := pty.Open() // a terminal of the machine
	if err != nil {
		return leave, err
	}
	undo = append(undo, func() { _, _ = ours.Close(), theirs.Close() })
	// A descriptor that goes to every child.
	if s.Leaked, err = syscall.Open(s.at(".env"), syscall.O_RDONLY, 0); err != nil {
		return leave, err
	}
	s.ShmKey = 0x68000000 | rand.IntN(1<<24) // one that was killed may have left the last
	id, err := unix.SysvShmGet(s.ShmKey, 4096, unix.IPC_CREAT|0o600)
	if err != nil {
		return leave, err
	}
	undo = append(undo, func() { _, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) })
	return leave, nil
}

// commandTimeout is for what takes longest on a busy machine: Go, which builds its
// runtime anew behind each wall, and two hundred attacks one after the other.
const commandTimeout = 10 * time.Minute

// work runs one command as a worker does.
func work(j job, shim *wall.Shim) (outcome, error) {
	s := j.Scene
	told, err := json.Marshal(s)
	if err != nil {
		return outcome{}, err
	}
	opts := s.options()
	opts.Without, opts.Offline, opts.Shim = j.Without, j.Offline, shim
	if j.Proxy {
		opts.Proxy = func(listener *os.File) (func(), error) {
			ln, err := net.FileListener(listener)
			if err != nil {
				return nil, err
			}
			go func() {
				for {
					conn, err := ln.Accept()
					if err != nil {
						return
					}
					_, _ = conn.Write([]byte("proxied"))
					_ = conn.Close()
				}
			}()
			return func() { _ = ln.Close() }, nil
		}
	}
	w := wall.New(opts)
	box := sandbox.New(sandbox.Options{Wall: w})
	out := outcome{Report: w.Report(context.Background())}
	if safe := out.Report.Level == wall.Full || out.Report.Level == wall.Namespaces || out.Report.Level == wall.Reduced && len(j.Without) < 2; os.Getuid() == 0 && !safe {
		return out, errors.New("root without these walls is root: it would truly attack the machine")
	}
	out.Output, err = box.Run(context.Background(), sandbox.Command{
		Argv: j.Argv, Dir: s.at("workspace"), PTY: j.PTY, Timeout: commandTimeout, MaxOutput: 1 << 20,
		Env: []string{"PATH=/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin", "HOME=" + s.at("home"), "SCENE=" + string(told), "LANG=C.UTF-8"},
	})
	return out, err
}

func answerAll(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, canary)
		_ = conn.Close()
	}
}

// run runs a command of a worker that runs as uid.
func (j job) run(t *testing.T, uid int) outcome {
	t.Helper()
	input, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), j.Scene.Exe, "outside")
	cmd.Stdin = bytes.NewReader(input)
	cmd.Env = append(os.Environ(), "WORKER_SECRET="+canary, "GORACE=atexit_sleep_ms=0")
	if uid != os.Getuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	var said, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &failed
	if err := cmd.Run(); err != nil {
		t.Fatalf("worker: %v\n%s", err, &failed)
	}
	var out outcome
	if err := json.Unmarshal(said.Bytes(), &out); err != nil {
		t.Fatalf("%v in %s", err, &said)
	}
	if out.Err != "" {
		t.Fatalf("run %q: %s (%+v)", j.Argv, out.Err, out.Report)
	}
	return out
}

// users are as whom tests run: this one, and an ordinary one if this one is root.
func users() map[string]int {
	if os.Getuid() != 0 {
		return map[string]int{"ordinary user": os.Getuid()}
	}
	return map[string]int{"root": 0, "ordinary user": nobody}
}

// needs skips a test where the machine does not give the level.
func needs(t *testing.T, level wall.Level) {
	t.Helper()
	s := newScene(t, os.Getuid())
	if got := wall.New(s.options()).Report(t.Context()); got.Level != level {
		t.Skipf("this machine gives level %s, not %s: %s", got.Level, level, got.Why)
	}
}

// sh is a command for the shell.
func sh(script string) []string { return []string{"/bin/sh", "-c", script} }

// firstLine is for messages.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
