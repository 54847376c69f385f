package wall_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

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
	Worker   int    // its process
	Victim   int    // a process beside it
	Abstract string // an abstract socket of the worker
	Socket   string // and one by path
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
	for _, name := range []string{"workspace", "home"} {
		if err := os.MkdirAll(s.at(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.Exe = s.at("workspace/program")
	binary, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Exe, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, uid, uid))
	}); err != nil && os.Getuid() == 0 {
		t.Fatal(err)
	}
	return s
}

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
}

// outcome is what came of it, told on its standard output.
type outcome struct {
	Report wall.Report
	Output sandbox.Output
	Err    string
}

// workerMain is a worker: it holds secrets in memory, in descriptors and behind
// sockets, and runs one command.
func workerMain() int {
	var j job
	if err := json.NewDecoder(os.Stdin).Decode(&j); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	out, err := work(j)
	if err != nil {
		out.Err = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		return 1
	}
	return 0
}

func work(j job) (outcome, error) {
	if err := sandbox.BecomeSubreaper(); err != nil {
		return outcome{}, err
	}
	s := j.Scene
	victim := exec.Command("/proc/self/exe", "victim", canary)
	victim.Env = []string{"SECRET=" + canary}
	keep, err := victim.StdinPipe()
	if err != nil {
		return outcome{}, err
	}
	children := new(sandbox.Children)
	if err := children.Start(victim); err != nil {
		return outcome{}, err
	}
	defer func() {
		_ = keep.Close()
		_ = children.Wait(victim)
	}()
	s.Worker, s.Victim, s.Abstract, s.Socket = os.Getpid(), victim.Process.Pid, "@hermes-test-"+filepath.Base(s.Dir)+fmt.Sprint(os.Getpid()), s.at("control.sock")
	for _, address := range []string{s.Abstract, s.Socket} {
		listener, err := net.Listen("unix", address)
		if err != nil {
			return outcome{}, err
		}
		defer listener.Close()
		go answerAll(listener)
	}
	for at, name := range map[*string]string{&s.HostTmp: "/tmp", &s.HostShm: "/dev/shm"} {
		file, err := os.CreateTemp(name, "hermes-wall-test-")
		if err != nil {
			return outcome{}, err
		}
		_, _ = file.WriteString(canary)
		*at = file.Name()
		defer os.Remove(file.Name())
		defer file.Close()
	}
	// A descriptor that goes to every child.
	if s.Leaked, err = syscall.Open(s.at(".env"), syscall.O_RDONLY, 0); err != nil {
		return outcome{}, err
	}
	id, err := unix.SysvShmGet(0x68000000|os.Getpid()&0xffffff, 4096, unix.IPC_CREAT|0o600)
	if err != nil {
		return outcome{}, err
	}
	defer func() { _, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) }()
	s.ShmKey = 0x68000000 | os.Getpid()&0xffffff

	told, err := json.Marshal(s)
	if err != nil {
		return outcome{}, err
	}
	opts := s.options()
	opts.Without, opts.Offline = j.Without, j.Offline
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
	box := sandbox.New(sandbox.Options{Children: children, Wall: w})
	out := outcome{Report: w.Report(context.Background())}
	if safe := out.Report.Level == wall.Full || out.Report.Level == wall.Namespaces || out.Report.Level == wall.Reduced && len(j.Without) < 2; os.Getuid() == 0 && !safe {
		return out, errors.New("root without these walls is root: it would truly attack the machine")
	}
	out.Output, err = box.Run(context.Background(), sandbox.Command{
		Argv: j.Argv, Dir: s.at("workspace"), PTY: j.PTY, Timeout: time.Minute, MaxOutput: 1 << 20,
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
	cmd := exec.CommandContext(t.Context(), j.Scene.Exe, "worker")
	cmd.Stdin = bytes.NewReader(input)
	cmd.Env = append(os.Environ(), "WORKER_SECRET="+canary)
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
