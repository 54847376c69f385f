package configs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
)

// The names of a profile's files and directories that this package knows.
const (
	EnvFile  = ".env"
	YAMLFile = "config.yaml"
	lockFile = ".config.lock"
)

// file is what was read of a settings file.
type file struct {
	path   string
	data   []byte
	exists bool
	mode   fs.FileMode
}

// readFile reads a settings file, at most maxFile bytes and one more. A missing
// file is empty. What is no regular file is refused without waiting for it.
func readFile(path string) (file, error) {
	result := file{path: path}
	// Without O_NONBLOCK the open of a named pipe would wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return result, nil
	}
	if err != nil {
		return result, sentence(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return result, sentence(err)
	}
	if !info.Mode().IsRegular() {
		return result, errors.New("this is no regular file")
	}
	result.exists, result.mode = true, info.Mode()
	result.data, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return result, sentence(err)
	}
	return result, nil
}

// sentence takes the path off an error of package os: the Problem that it goes
// into names the file already.
func sentence(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("the file cannot be read: %w", pathError.Err)
	}
	return err
}

// writeFile puts data in the place of the file at path, in one step and with
// mode 0600, whatever the old mode was. The owner stays: a file that root edits
// in somebody's home stays theirs. A symbolic link is refused, since neither
// replacing it nor writing somewhere else is what the user sees.
func writeFile(path string, data []byte) error {
	info, err := os.Lstat(path)
	switch {
	case err == nil && info.Mode()&fs.ModeSymlink != 0:
		target, _ := filepath.EvalSymlinks(path)
		return fmt.Errorf("write %s: it is a symbolic link; edit %s itself", path, target)
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("write %s: it is no regular file", path)
	case errors.Is(err, fs.ErrNotExist):
		if info, err = os.Stat(filepath.Dir(path)); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	case err != nil:
		return fmt.Errorf("write %s: %w", path, err)
	}
	pending, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() { _ = pending.Cleanup() }()
	if err := giveTo(info, pending.Name()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if _, err := pending.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := pending.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// giveTo makes the owner of what info describes the owner of path too, when root
// runs this: `sudo hermes config set` must not leave files that the gateway's
// user cannot open.
func giveTo(info fs.FileInfo, path string) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return os.Lchown(path, int(stat.Uid), int(stat.Gid))
}

const (
	// lockWait is how long an edit waits for another one to finish.
	lockWait = 10 * time.Second
	// lockPoll is how often it looks.
	lockPoll = 5 * time.Millisecond
)

// lockSettings makes the edits of one profile's files wait for each other, in
// this process and across processes. The kernel frees the lock when its holder
// dies.
func lockSettings(dir string) (unlock func(), err error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("lock settings: %w", err)
	}
	path := filepath.Join(dir, lockFile)
	lock := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW), flock.SetPermissions(0o600))
	for deadline := time.Now().Add(lockWait); ; <-time.After(lockPoll) {
		taken, err := lock.TryLock()
		switch {
		case err != nil:
			return nil, fmt.Errorf("lock settings: %w", err)
		case taken:
			if err := giveTo(info, path); err != nil {
				_ = lock.Close()
				return nil, fmt.Errorf("lock settings: %w", err)
			}
			return func() { _ = lock.Close() }, nil
		case time.Now().After(deadline):
			return nil, fmt.Errorf("lock %s: another command has been changing the settings for %s", path, lockWait)
		}
	}
}
