package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"hermes/supervisor/confine"
	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox"
	"hermes/supervisor/sandbox/wall"
)

// foster is a worker that another gateway started. It is no child of this process:
// the kernel tells of its end, and not how that was.
type foster struct {
	pid   int
	pidfd *os.File // the process itself, whoever gets its number later
	mark  string   // of what it starts
}

// pin finds the process pid, which the caller has reason to think alive.
func pin(pid int) (*foster, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	return &foster{pid: pid, pidfd: os.NewFile(uintptr(fd), "pidfd"), mark: sandbox.MarkOf(pid)}, nil
}

// inheritedFoster is one that the program before had.
func inheritedFoster(fd, pid int) (*foster, error) {
	file, err := inherited(fd, "process of another gateway")
	return &foster{pid: pid, pidfd: file, mark: sandbox.MarkOf(pid)}, err
}

// SyscallConn is the process, for a program that takes this one's place.
func (f *foster) SyscallConn() (syscall.RawConn, error) { return f.pidfd.SyscallConn() }

func (f *foster) close() { _ = f.pidfd.Close() }

// signal reaches that process or nobody.
func (f *foster) signal(sig syscall.Signal) error {
	raw, err := f.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
	return errors.Join(err, os.NewSyscallError("pidfd_send_signal", failed))
}

// await returns when the process has ended.
func (f *foster) await() {
	raw, err := f.pidfd.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		for {
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); !errors.Is(err, unix.EINTR) { //nolint:gosec // a descriptor is small
				return
			}
		}
	})
}

// sweep ends what the process has left behind. Its cgroup, if it had one, is ended
// by others.
func (f *foster) sweep(ctx context.Context) error { return sandbox.EndMarked(ctx, f.pid, f.mark) }

// groupOf is the cgroup of a worker that another gateway made, nil without one. Which it
// is says the worker, of whom somebody may have got hold: what it names is ended with it.
func groupOf(pid int, r handoff.Resources) (*confine.Group, error) {
	if r.Mechanism == string(confine.Watched) || r.MemoryEvents == "" || r.ProcessesEvents == "" {
		return nil, nil //nolint:nilnil // a nil group does nothing
	}
	files := confine.Files{Memory: r.MemoryEvents, Processes: r.ProcessesEvents}
	return confine.Found(confine.Mechanism(r.Mechanism), groupName, files, pid)
}

// claimAt claims the worker that waits on a socket.
func claimAt(ctx context.Context, path string, users *users, nonce func(profile string) string) (*handoff.Foundling, *foster, error) {
	conn, err := dialUnix(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	pid, uid, err := handoff.PeerOf(conn)
	// Workers of root are strangers, as the owner of the home, or users of their own.
	roots := os.Getuid() == 0 && (wall.IsStranger(uid) || uid == wall.OwnerOf(filepath.Dir(path)).UID || users.knows(uid))
	if err == nil && uid != os.Getuid() && uid != 0 && !roots {
		err = fmt.Errorf("%s belongs to user %d", path, uid)
	}
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	// The pid may be another process by now. If the worker answers after this, it was
	// alive, and the pid its own.
	who, err := pin(pid)
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	found, err := handoff.Claim(conn, nonce)
	if err != nil {
		who.close()
		return nil, nil, err
	}
	return found, who, nil
}
