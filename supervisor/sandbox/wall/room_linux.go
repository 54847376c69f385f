package wall

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox/wall/inside"
)

// Shim is the worker's end of the socket to its shim. Its methods may be called from
// several goroutines.
type Shim struct {
	mu   sync.Mutex // held from a question to its answer
	conn int
}

// Enter puts this process, which has to be a worker that knows its profile and has not
// done anything for anybody yet, behind its wall for good. The Shim is nil at levels
// without namespaces. An error means that something may stand and something not: the
// process has to end.
func Enter(opts RoomOptions) (*Shim, Socket, error) {
	l := opts.layers()
	r, err := opts.room(l)
	if err != nil {
		return nil, nil, fmt.Errorf("plan the room: %w", err)
	}
	var shim *Shim
	var socket Socket
	if l.Namespaces {
		shim = &Shim{conn: ShimFD}
		socket = shim
		err = shim.enter(opts, r)
	} else {
		if opts.Socket != "" {
			socket, err = bindSocket(opts.Socket)
		}
		if err == nil {
			err = Become(opts.As, opts.Dir)
		}
	}
	if err == nil && opts.Dir != "" {
		err = os.NewSyscallError("chdir", unix.Chdir(opts.Dir))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("enter the room: %w", err)
	}
	return shim, socket, confine(r.Plan(), opts.Offline)
}

// enter has the shim build the room.
func (s *Shim) enter(opts RoomOptions, r *inside.Room) error {
	unix.CloseOnExec(ShimFD)
	if _, _, err := s.ask(inside.Request{Kind: inside.AskRoom, Room: r}, opts.mounts()...); err != nil {
		return fmt.Errorf("build it: %w", err)
	}
	if opts.Tree != nil {
		_, _ = opts.Tree.Close(), opts.Run.Close()
	}
	return leaveOutside(r.Layers.Mounts)
}

// mounts are what goes with the request for the room.
func (o RoomOptions) mounts() []int {
	if o.Tree == nil || o.Run == nil {
		return nil
	}
	return []int{int(o.Tree.Fd()), int(o.Run.Fd())}
}

// placesOf are placesOf, also of what this process cannot reach.
func (o RoomOptions) placesOf(path string) ([]inside.Place, error) {
	if o.Tree == nil || !inside.Within(path, o.Dir) {
		return placesOf(path)
	}
	var info unix.Stat_t
	if err := unix.Fstatat(int(o.Tree.Fd()), "."+strings.TrimPrefix(path, o.Dir), &info, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return []inside.Place{{Source: path, Path: path}}, nil
}

// layers are those that the level stands for.
func (o RoomOptions) layers() inside.Layers {
	without := func(l Layer) bool { return slices.Contains(o.Without, l) }
	spaces := o.Level.Spaces()
	l := inside.Layers{
		Namespaces: spaces, Mounts: spaces && !without(LayerMounts), Processes: spaces,
		Seccomp: inside.SeccompArch != 0 && !without(LayerSeccomp), Drop: !without(LayerCapabilities), Close: true, Limits: !without(LayerLimits),
	}
	if (o.Level == Full || o.Level == Reduced) && !without(LayerLandlock) {
		l.Landlock = inside.LandlockABI()
	}
	return l
}

// room is what the shim is told.
func (o RoomOptions) room(l inside.Layers) (*inside.Room, error) {
	r := &inside.Room{Layers: l, System: system(), Soul: o.Soul, Socket: o.Socket}
	if len(o.mounts()) > 0 {
		r.Tree = o.Dir
	}
	for _, show := range []struct {
		paths []string
		to    *[]inside.Place
	}{{o.Reads, &r.Reads}, {o.Writes, &r.Writes}} {
		for _, path := range show.paths {
			places, err := o.placesOf(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			*show.to = append(*show.to, places...)
		}
	}
	around := &Wall{opts: Options{Hidden: slices.Concat(o.Hidden, o.Writes)}}
	r.Reads, r.Writes = append(around.extra(o.MayRead), r.Reads...), append(around.extra(o.MayWrite), r.Writes...)
	if slices.Contains(o.Without, LayerMasks) {
		return r, nil
	}
	if os.Geteuid() == 0 {
		r.Masks = secrets("/etc")
	}
	for _, hidden := range o.Hidden {
		target, err := filepath.EvalSymlinks(hidden)
		if errors.Is(err, fs.ErrPermission) {
			target, err = hidden, nil
		}
		if err == nil && inside.Clean(target) {
			r.Masks = append(r.Masks, target)
		}
	}
	if !l.Mounts {
		p := r.Plan()
		open(&p)
		r.System = p.System
	}
	return r, nil
}

// leaveOutside makes sure that this process holds nothing by which it could leave its
// root: a directory of the old one.
func leaveOutside(moved bool) error {
	if !moved {
		return nil
	}
	// The shim has changed the root of this process; the directory it is in is another
	// matter.
	if err := unix.Chdir("/"); err != nil {
		return os.NewSyscallError("chdir", err)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, entry := range open {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		var info unix.Stat_t
		// The one that ReadDir had is closed by now.
		if unix.Fstat(fd, &info) == nil && info.Mode&unix.S_IFMT == unix.S_IFDIR {
			return fmt.Errorf("descriptor %d is a directory outside", fd)
		}
	}
	return nil
}

// ask asks the shim, and returns the descriptors of its answer.
func (s *Shim) ask(r inside.Request, carried ...int) (inside.Reply, []int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := inside.Send(s.conn, &r, inside.MaxRequest, carried, 0); err != nil {
		return inside.Reply{}, nil, err
	}
	data, fds, err := inside.Receive(s.conn, inside.MaxReply, 1)
	if err != nil {
		inside.CloseAll(fds)
		return inside.Reply{}, nil, err
	}
	said, err := inside.DecodeReply(data)
	if err != nil {
		inside.CloseAll(fds)
		return inside.Reply{}, nil, err
	}
	if said.Error != "" {
		inside.CloseAll(fds)
		err := errors.New(said.Error)
		switch {
		case said.Missing:
			err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
		case said.Denied:
			err = fmt.Errorf("%w: %w", fs.ErrPermission, err)
		}
		return inside.Reply{}, nil, err
	}
	return said, fds, nil
}

// one is ask for what answers with a descriptor.
func (s *Shim) one(kind string) (*os.File, error) {
	_, fds, err := s.ask(inside.Request{Kind: kind})
	if err != nil {
		return nil, err
	}
	if len(fds) != 1 {
		inside.CloseAll(fds)
		return nil, errors.New("the shim has sent nothing")
	}
	return os.NewFile(uintptr(fds[0]), kind), nil
}

// OpenSoul opens RoomOptions.Soul as it is now.
func (s *Shim) OpenSoul() (*os.File, error) { return s.one(inside.AskSoul) }

// Listen listens at RoomOptions.Socket. Deaf removes it.
func (s *Shim) Listen() (*os.File, error) { return s.one(inside.AskListen) }

// Deaf removes the socket of Listen.
func (s *Shim) Deaf() { _, _, _ = s.ask(inside.Request{Kind: inside.AskDeaf}) }
