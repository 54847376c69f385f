package profiles

import (
	"context"
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

// Lock says that this process serves a profile. The kernel frees it when the
// process dies, however it dies.
type Lock struct{ lock *flock.Flock }

// Release frees the profile. The file stays, so that two others never lock two
// different files of that name.
func (l *Lock) Release() error {
	if err := l.lock.Close(); err != nil {
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

// Lock takes the profile for this process, or returns a *Held with the pid of
// the process that has it.
func (p Profile) Lock() (*Lock, error) {
	if err := p.usable(); err != nil {
		return nil, err
	}
	lock := flock.New(p.LockFile(), flock.SetFlag(lockFlags), flock.SetPermissions(0o600))
	if err := p.take(lock); err != nil {
		return nil, err
	}
	// Between open and lock the directory may have been renamed or removed: the
	// lock is only worth something on the file that stands there now.
	if !sameFile(lock, p.LockFile()) {
		_ = lock.Close()
		return nil, fmt.Errorf("lock profile %s: it was renamed or removed just now", p.Name)
	}
	if err := writePID(p.LockFile()); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("lock profile %s: %w", p.Name, err)
	}
	return &Lock{lock}, nil
}

// take waits for the lock as long as a probe may have it.
func (p Profile) take(lock *flock.Flock) error {
	for deadline := time.Now().Add(probeTime); ; <-time.After(homePoll) {
		taken, err := lock.TryLock()
		switch {
		case err != nil:
			return fmt.Errorf("lock profile %s: %w", p.Name, err)
		case taken:
			return nil
		case time.Now().After(deadline):
			return &Held{p.Name, p.holder()}
		}
	}
}

func sameFile(lock *flock.Flock, path string) bool {
	mine, err := lock.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(mine, there)
}

func writePID(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, os.Getpid())
	return errors.Join(err, f.Close(), inherit(path))
}

// holder reads the pid that the lock's holder wrote.
func (p Profile) holder() int {
	f, err := os.OpenFile(p.LockFile(), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0
	}
	defer f.Close()
	buffer := make([]byte, 32)
	n, _ := f.Read(buffer)
	pid, err := strconv.Atoi(strings.TrimSpace(string(buffer[:n])))
	if err != nil || pid < 1 {
		return 0
	}
	return pid
}

// Holder returns the pid of the process that serves the profile, and whether
// there is one. The pid is 0 if the process did not write it.
func (p Profile) Holder() (pid int, held bool) {
	if _, err := os.Lstat(p.LockFile()); err != nil {
		return 0, false
	}
	lock := flock.New(p.LockFile(), flock.SetFlag(os.O_RDONLY|syscall.O_NOFOLLOW))
	defer func() { _ = lock.Close() }()
	taken, err := lock.TryRLock()
	if err != nil || taken {
		return 0, false
	}
	return p.holder(), true
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
