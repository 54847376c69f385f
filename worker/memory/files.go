package memory

import (
	"bytes"
	"context"
	"encoding/json"
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

const (
	// maxFile is how large a file may be that a person wrote, in bytes.
	maxFile = 1 << 20
	// lockFile is what changes of the files wait for.
	lockFile = ".lock"
	// lockPoll is how often it is tried. A change takes a few milliseconds.
	lockPoll = 5 * time.Millisecond
	// archiveFile keeps what had to make room.
	archiveFile = "ARCHIVE.jsonl"
)

// lock makes the changes of several processes wait for each other. The kernel
// frees the lock when its holder dies.
func (m *Memory) lock(ctx context.Context) (unlock func(), err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := os.MkdirAll(m.opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of memory: %w", err)
	}
	path := filepath.Join(m.opts.Dir, lockFile)
	lock := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("lock memory: %w", err)
	}
	return func() { _ = lock.Close() }, nil
}

// read reads the file of a target. One that is missing is empty. Links are not
// followed: a tool may have put them there, and what they lead to would get into
// every prompt.
func (m *Memory) read(target Target) (state, error) {
	s := state{path: filepath.Join(m.opts.Dir, target.file())}
	file, err := os.OpenFile(s.path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case errors.Is(err, syscall.ELOOP):
		return s, fmt.Errorf("%s is a symbolic link, which is not followed", target.file())
	case err != nil:
		return s, fmt.Errorf("read memory: %w", err)
	}
	defer file.Close()
	if s.info, err = file.Stat(); err != nil {
		return s, fmt.Errorf("read memory: %w", err)
	}
	if !s.info.Mode().IsRegular() {
		return s, fmt.Errorf("%s is no regular file", target.file())
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return s, fmt.Errorf("read memory: %w", err)
	}
	if len(text) > maxFile {
		return s, fmt.Errorf("%s is larger than 1 MiB", target.file())
	}
	s.text = string(text)
	return s, nil
}

// write replaces the file of a target in one step.
func (m *Memory) write(target Target, text string) error {
	if text != "" {
		text += "\n"
	}
	path := filepath.Join(m.opts.Dir, target.file())
	if err := renameio.WriteFile(path, []byte(text), 0o600, renameio.WithTempDir(m.opts.Dir), renameio.WithExistingPermissions()); err != nil {
		return fmt.Errorf("write memory: %w", err)
	}
	return nil
}

// archived is a line of the archive.
type archived struct {
	Time   time.Time `json:"time"`
	Target Target    `json:"target"`
	Text   string    `json:"text"`
}

// archive appends entries to the archive, and waits for the disk.
func (m *Memory) archive(target Target, entries []string) error {
	if len(entries) == 0 {
		return nil
	}
	file, err := os.OpenFile(filepath.Join(m.opts.Dir, archiveFile), os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return fmt.Errorf("write archive of memory: %w", err)
	}
	err = appendLines(file, m.opts.Now().UTC(), target, entries)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write archive of memory: %w", err)
	}
	return nil
}

func appendLines(file *os.File, now time.Time, target Target, entries []string) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	var lines bytes.Buffer
	last := make([]byte, 1)
	if size := info.Size(); size > 0 {
		// A crash, or a person, may have left the last line without its end.
		if _, err := file.ReadAt(last, size-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			lines.WriteByte('\n')
		}
	}
	for _, text := range entries {
		line, err := json.Marshal(archived{now, target, text})
		if err != nil {
			return err
		}
		lines.Write(append(line, '\n'))
	}
	if _, err := file.Write(lines.Bytes()); err != nil {
		return err
	}
	return file.Sync()
}
