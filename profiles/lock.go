package profiles

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

// Held is the error for a profile that a gateway serves.
type Held struct { //nolint:errname // reads as a sentence where it is asked for
	Name Name
	PID  int // of the gateway; 0 if it is not known
}

// Error names the holder and the command that stops it.
func (e *Held) Error() string {
	holder := "another process"
	if e.PID > 0 {
		holder = "the gateway with pid " + strconv.Itoa(e.PID)
	}
	return fmt.Sprintf("profile %s is served by %s; stop it first: hermes gateway stop", e.Name, holder)
}

// Draining is the error for a profile whose gateway has died and left a worker
// behind that has yet to finish its turns. It ends by itself.
type Draining struct { //nolint:errname // reads as a sentence where it is asked for
	Name Name
	PID  int // of the worker; 0 if it is not known
}

// Error names the profile and what Reason says.
func (e *Draining) Error() string { return fmt.Sprintf("profile %s: %s", e.Name, e.Reason()) }

// Reason says what is waited for.
func (e *Draining) Reason() string {
	if e.PID == 0 {
		return "a worker of the former gateway still finishes its turns"
	}
	return fmt.Sprintf("a worker of the former gateway (pid %d) still finishes its turns", e.PID)
}

// Lock says that this process serves a profile. It belongs to the open file, not
// to the process: the kernel frees it when the last of those that have the file
// has closed it or died, however it died.
type Lock struct {
	file  *os.File
	nonce string
}

// InheritLock is the lock that another process took and that came to this one as
// an open file, which it takes over.
func InheritLock(file *os.File) *Lock { return &Lock{file, nonceIn(file)} }

// Inherit is InheritLock for a file from somebody who may not be trusted: it must be
// the one that holds the lock of this profile.
func (p Profile) Inherit(file *os.File) (*Lock, error) {
	taken, err := tryLock(file, unix.LOCK_EX)
	if err != nil || !taken || !sameFile(file, p.LockFile()) {
		return nil, errors.Join(fmt.Errorf("profile %s: what came as its lock is not its lock", p.Name), err)
	}
	return InheritLock(file), nil
}

// Nonce is what the processes that share the lock know, and nobody else should. It
// stays the same for as long as one of them lives.
func (l *Lock) Nonce() string { return l.nonce }

// Nonce is the one of the lock as it is held now, or was held last.
func (p Profile) Nonce() string {
	file, err := os.OpenFile(p.LockFile(), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer file.Close()
	return nonceIn(file)
}

func nonceIn(file *os.File) string { return lineOf(file, 2) }

// lineOf is a line of a lock file, counted from 0.
func lineOf(file *os.File, number int) string {
	buffer := make([]byte, 128)
	n, _ := file.ReadAt(buffer, 0)
	lines := strings.Split(string(buffer[:n]), "\n")
	if number >= len(lines) {
		return ""
	}
	return lines[number]
}

// File is the file that holds the lock. A process that inherits it holds the
// profile as long as it lives, even if this process dies before.
func (l *Lock) File() *os.File { return l.file }

// SetWorker writes down which process has inherited the lock, for those who find
// the profile held when this process is dead.
func (l *Lock) SetWorker(pid int) error {
	if err := l.write(os.Getpid(), pid); err != nil {
		return fmt.Errorf("write pid of worker: %w", err)
	}
	return nil
}

// write makes the pids and the nonce the content of the file, one in a line. The old content
// is there until the new one is, since others may read it at any time.
func (l *Lock) write(pids ...int) error {
	var text []byte
	for _, pid := range pids {
		text = append(strconv.AppendInt(text, int64(pid), 10), '\n')
	}
	if len(pids) == 1 {
		text = append(text, '\n')
	}
	text = append(append(text, l.nonce...), '\n')
	_, err := l.file.WriteAt(text, 0)
	return errors.Join(err, l.file.Truncate(int64(len(text))))
}

// Release gives up this process's part in the lock: the profile is free unless a
// worker has inherited it and lives. It must not be LOCK_UN, which would take the
// lock from the worker too. The file stays, so that two others never lock two
// different files of that name.
func (l *Lock) Release() error {
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("unlock profile: %w", err)
	}
	return nil
}

// lockFlags open a lock file: a symbolic link in its place is refused, since its
// target would be written to.
const lockFlags = os.O_CREATE | os.O_RDWR | syscall.O_NOFOLLOW

// probeTime is how long Lock tries: Holder takes the lock for a moment to see
// whether it is free, and must not make a gateway's start fail.
const probeTime = 100 * time.Millisecond

// Lock takes the profile for this process. If another one has it, the error is a
// *Held with its pid, or a *Draining if that one is dead and its worker is not.
func (p Profile) Lock() (*Lock, error) {
	if err := p.usable(); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(p.LockFile(), lockFlags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock profile %s: %w", p.Name, err)
	}
	lock := &Lock{file, rand.Text()}
	if err := p.take(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	// Between open and lock the directory may have been renamed or removed: the
	// lock is only worth something on the file that stands there now.
	if !sameFile(file, p.LockFile()) {
		_ = file.Close()
		return nil, fmt.Errorf("lock profile %s: it was renamed or removed just now", p.Name)
	}
	if err := errors.Join(lock.write(os.Getpid()), inherit(p.LockFile())); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock profile %s: %w", p.Name, err)
	}
	return lock, nil
}

// take waits for the lock as long as a probe may have it.
func (p Profile) take(file *os.File) error {
	for deadline := time.Now().Add(probeTime); ; <-time.After(homePoll) {
		taken, err := tryLock(file, unix.LOCK_EX)
		switch {
		case err != nil:
			return fmt.Errorf("lock profile %s: %w", p.Name, err)
		case taken:
			return nil
		case time.Now().After(deadline):
			gateway, worker := p.holders()
			if orphaned(gateway, worker) {
				return &Draining{p.Name, worker}
			}
			return &Held{p.Name, gateway}
		}
	}
}

// tryLock takes the lock on an open file, LOCK_EX or LOCK_SH, unless others have
// it.
func tryLock(file *os.File, how int) (taken bool, err error) {
	for {
		err := unix.Flock(int(file.Fd()), how|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, err
		}
	}
}

// orphaned reports whether a lock that is held is not held by the gateway any
// more. The parent of the worker tells it best: the pid of a dead gateway may be
// given to another process, and in a container every gateway has the pid 1.
func orphaned(gateway, worker int) bool {
	if gateway == 0 {
		return false
	}
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", worker)); err == nil && worker > 0 {
		// The second field is the program's name in parentheses, which may hold
		// anything, parentheses too. State and parent follow.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		return len(fields) > 1 && fields[1] != strconv.Itoa(gateway)
	}
	return errors.Is(syscall.Kill(gateway, 0), syscall.ESRCH)
}

func sameFile(file *os.File, path string) bool {
	mine, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(mine, there)
}

// holders reads the pids that the lock's holder wrote: its own, and that of the
// worker which inherited the lock. What is not known is 0.
func (p Profile) holders() (gateway, worker int) {
	f, err := os.OpenFile(p.LockFile(), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	return parsePID(lineOf(f, 0)), parsePID(lineOf(f, 1))
}

func parsePID(text string) int {
	pid, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || pid < 1 {
		return 0
	}
	return pid
}

// Holder returns the pid of the process that serves the profile, and whether
// there is one: the gateway, or the worker that a dead gateway has left. The pid
// is 0 if the process did not write it.
func (p Profile) Holder() (pid int, held bool) {
	file, err := os.OpenFile(p.LockFile(), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0, false
	}
	defer file.Close()
	taken, err := tryLock(file, unix.LOCK_SH)
	if err != nil || taken {
		return 0, false
	}
	gateway, worker := p.holders()
	if orphaned(gateway, worker) {
		return worker, true
	}
	return gateway, true
}

const (
	// homeWait is how long a command waits for others that change the home, if
	// its context does not end before.
	homeWait = time.Minute
	// homePoll is how often it looks.
	homePoll = 5 * time.Millisecond
)

// lock makes everything that changes the set of profiles wait for each other,
// across processes.
func (h Home) lock(ctx context.Context) (unlock func(), err error) {
	if err := h.make(); err != nil {
		return nil, err
	}
	path := filepath.Join(h.dir, ".profiles.lock")
	lock := flock.New(path, flock.SetFlag(lockFlags), flock.SetPermissions(0o600))
	limited, cancel := context.WithTimeout(ctx, homeWait)
	defer cancel()
	_, err = lock.TryLockContext(limited, homePoll)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, fmt.Errorf("lock home: %w", context.Cause(ctx))
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("lock home: another hermes command has been changing %s for %s", h.dir, homeWait)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("lock home: %s is not yours to change: %w", h.dir, err)
	default:
		return nil, fmt.Errorf("lock home: %w", err)
	}
	if err := inherit(path); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("lock home: %w", err)
	}
	return func() { _ = lock.Close() }, nil
}
