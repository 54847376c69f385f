package attack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox"
)

// What helpers of attacks are to do.
const (
	victim  = "=victim"  // live, with a secret in the environment
	nothing = "=nothing" // end well
)

// maxSocketPath is the longest path that the kernel takes for a socket.
const maxSocketPath = 107

// scene is a home with two profiles, and what attackers know of it and the machine.
type scene struct {
	Canary   string // is in everything that a command must not see
	Home     string // of the two profiles
	Real     string // the true home, "" if there is none
	Worker   int    // the process that starts the commands
	Victim   int    // a process beside it
	Abstract string // an abstract socket of the worker
	Socket   string // and one by path
	Port     string // and one of the network
	Temp     string // a file in the machine's /tmp
	Shared   string // and one in its shared memory
	Leaked   int    // a descriptor that the worker forgot to close
	Segment  int    // the key of a System V segment

	away     bool // the scene is not in the true home
	children *sandbox.Children
	undo     []func() error
	serving  sync.WaitGroup
}

func (s *scene) at(name string) string { return filepath.Join(s.Home, filepath.FromSlash(name)) }

func (s *scene) later(undo func() error) { s.undo = append(s.undo, undo) }

// close takes the scene away, the last of it first.
func (s *scene) close() {
	for _, undo := range slices.Backward(s.undo) {
		_ = undo()
	}
	s.serving.Wait()
}

// hidden are the directories of which a wall shows nothing but what it is told to.
func (s *scene) hidden() []string {
	switch {
	case s.Real == "":
		return []string{s.Home}
	case s.away:
		return []string{s.Real, s.Home}
	default:
		return []string{s.Real}
	}
}

// existing is the home, or where temporary files are if there is none.
func existing(home string) string {
	if info, err := os.Stat(home); err != nil || !info.IsDir() {
		return os.TempDir()
	}
	return home
}

// newScene makes a scene in a place, and has the home attacked too, if there is one.
func newScene(ctx context.Context, home, place string) (s *scene, err error) {
	s = &scene{Canary: "hermes-canary-" + rand.Text(), Worker: os.Getpid(), children: new(sandbox.Children)}
	defer func() {
		if err != nil {
			s.close()
			err = fmt.Errorf("make something to attack: %w", err)
		}
	}()
	if existing(home) == home {
		s.Real, s.away = home, place != home
	}
	dir, err := os.MkdirTemp(place, ".doctor-")
	if err != nil {
		return s, err
	}
	s.later(func() error { return os.RemoveAll(dir) })
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return s, err
	}
	s.Home = filepath.Join(dir, "home")
	for _, step := range []func(context.Context) error{s.files, s.descriptor, s.bystander, s.sockets, s.memory} {
		if err := step(ctx); err != nil {
			return s, err
		}
	}
	return s, nil
}

// secretFiles are those of the home that hold a secret.
func secretFiles() []string {
	return []string{
		".env", "config.yaml", "SOUL.md", "memories/MEMORY.md", "data/state.db", "logs/worker.log",
		"profiles/bob/.env", "profiles/bob/data/state.db", "profiles/bob/workspace/diary", "../person/.ssh/id_ed25519",
	}
}

func (s *scene) files(context.Context) error {
	for _, name := range append(secretFiles(), "skills/knit/SKILL.md") {
		path := s.at(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(s.Canary+"\n"), 0o600); err != nil {
			return err
		}
	}
	for place, name := range map[*string]string{&s.Temp: os.TempDir(), &s.Shared: "/dev/shm"} {
		file, err := os.CreateTemp(name, "hermes-doctor-")
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		s.later(func() error { return os.Remove(file.Name()) })
		*place = file.Name()
		_, err = io.WriteString(file, s.Canary)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return errors.Join(os.MkdirAll(s.at("workspace"), 0o700), os.MkdirAll(s.at("home"), 0o700), os.MkdirAll(s.at("run"), 0o700))
}

// descriptor opens a secret so that every child would have it.
func (s *scene) descriptor(context.Context) error {
	var err error
	s.Leaked, err = syscall.Open(s.at(".env"), syscall.O_RDONLY, 0)
	if err == nil {
		s.later(func() error { return syscall.Close(s.Leaked) })
	}
	return err
}

// bystander starts a process with a secret in its environment and its arguments.
func (s *scene) bystander(ctx context.Context) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), exe, Subcommand, victim) // it ends with the scene
	cmd.Env = []string{"SECRET=" + s.Canary}
	keep, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := s.children.Start(cmd); err != nil {
		return err
	}
	s.Victim = cmd.Process.Pid
	s.later(func() error {
		_ = keep.Close()
		_ = s.children.Signal(cmd, syscall.SIGKILL) // it may be stopped
		return s.children.Wait(cmd)
	})
	return nil
}

// sockets listens as a gateway does, and tells whoever comes a secret.
func (s *scene) sockets(ctx context.Context) error {
	s.Abstract = "@" + filepath.Base(filepath.Dir(s.Home))
	if s.Socket = s.at("run.sock"); len(s.Socket) > maxSocketPath {
		s.Socket = filepath.Join(os.TempDir(), "hermes-doctor-"+rand.Text()[:8]+".sock")
	}
	for at, network := range map[*string]string{&s.Abstract: "unix", &s.Socket: "unix", &s.Port: "tcp"} {
		address := *at
		if network == "tcp" {
			address = "127.0.0.1:0"
		}
		listener, err := new(net.ListenConfig).Listen(ctx, network, address)
		if err != nil {
			return err
		}
		*at = listener.Addr().String()
		s.later(listener.Close)
		s.serving.Go(func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(conn, s.Canary)
				_ = conn.Close()
			}
		})
	}
	return nil
}

// memory makes a System V segment. Where the kernel has none, none can be seen.
func (s *scene) memory(context.Context) error {
	s.Segment = 0x68000000 | os.Getpid()&0xffffff
	id, err := unix.SysvShmGet(s.Segment, os.Getpagesize(), unix.IPC_CREAT|unix.IPC_EXCL|0o600)
	if err == nil {
		s.later(func() error {
			_, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil)
			return err
		})
	}
	return nil
}
