package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// logChunk is how much of a log's end is read at a time, in bytes.
const logChunk = 64 << 10

// tail reads the end of a log and what is added to it, across the moment when
// the file is set aside and begun anew.
type tail struct {
	path string
	file *os.File
	read *bufio.Reader
	part []byte // of a line whose end has not been written yet
}

// last returns up to n of the last lines, going back into the files that were set
// aside, but not into those that were not written to since a moment, and leaves
// the log open at its end. A line from before that moment may be among them.
func (t *tail) last(n int, since time.Time) ([][]byte, error) {
	var lines [][]byte
	if err := t.open(t.path); err != nil || t.file == nil {
		return nil, err
	}
	var err error
	if lines, err = lastLines(t.file, n); err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	for i := 1; len(lines) < n; i++ {
		older, err := openLog(aside(t.path, i))
		if err != nil {
			return nil, err
		}
		if older == nil {
			break
		}
		if info, err := older.Stat(); err != nil || info.ModTime().Before(since) {
			_ = older.Close()
			break
		}
		more, err := lastLines(older, n-len(lines))
		_ = older.Close()
		if err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		lines = append(more, lines...)
	}
	return lines, nil
}

// aside is where the file of a log is that was set aside as the ith from the
// last; the zeroth is the current one.
func aside(path string, i int) string {
	if i == 0 {
		return path
	}
	return fmt.Sprintf("%s.%d", path, i)
}

// lastLines returns up to n of the last whole lines of a file and leaves it at
// the end of the last one.
func lastLines(file *os.File, n int) ([][]byte, error) {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	var buf []byte
	from := end
	for chunk := int64(logChunk); from > 0 && bytes.Count(buf, []byte{'\n'}) <= n; chunk *= 2 {
		size := min(from, chunk)
		from -= size
		more := make([]byte, size, int(size)+len(buf))
		if _, err := file.ReadAt(more, from); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		buf = append(more, buf...)
	}
	whole := buf[:bytes.LastIndexByte(buf, '\n')+1]
	if _, err := file.Seek(from+int64(len(whole)), io.SeekStart); err != nil {
		return nil, err
	}
	lines := bytes.Split(bytes.TrimSuffix(whole, []byte{'\n'}), []byte{'\n'})
	if len(whole) == 0 {
		lines = nil
	}
	return lines[max(0, len(lines)-n):], nil
}

// next returns the lines that were added, in all the files that have been begun
// since.
func (t *tail) next() ([][]byte, error) {
	if t.file == nil {
		if err := t.open(t.path); err != nil || t.file == nil {
			return nil, err
		}
	}
	lines, err := t.rest()
	if err != nil || !t.is(t.path, false) {
		return lines, err
	}
	// What was written between the reading and the setting aside.
	more, err := t.rest()
	lines = append(lines, more...)
	if err != nil {
		return lines, err
	}
	behind := t.behind()
	t.close()
	for i := behind; i >= 0; i-- {
		if err := t.open(aside(t.path, i)); err != nil {
			return lines, err
		}
		if t.file == nil {
			continue
		}
		more, err := t.rest()
		lines = append(lines, more...)
		if err != nil {
			return lines, err
		}
		if i > 0 {
			t.close()
		}
	}
	return lines, nil
}

// behind is how many files have been begun and set aside since the one that is
// open: all that there are if that is gone.
func (t *tail) behind() int {
	for i := 1; ; i++ {
		switch path := aside(t.path, i); {
		case t.is(path, true):
			return i - 1
		case !exists(path):
			return i - 1
		}
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// rest reads whole lines up to the end of the file.
func (t *tail) rest() ([][]byte, error) {
	var lines [][]byte
	for {
		line, err := t.read.ReadBytes('\n')
		t.part = append(t.part, line...)
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return lines, fmt.Errorf("read log: %w", err)
		}
		lines = append(lines, bytes.TrimSuffix(t.part, []byte{'\n'}))
		t.part = nil
	}
}

// is reports whether the path names the file that is open, or with same false,
// whether it names another one.
func (t *tail) is(path string, same bool) bool {
	ours, err := t.file.Stat()
	if err != nil {
		return false
	}
	theirs, err := os.Stat(path)
	return err == nil && os.SameFile(ours, theirs) == same
}

// open opens a file of the log, if there is one.
func (t *tail) open(path string) error {
	file, err := openLog(path)
	if err == nil && file != nil {
		t.file, t.read, t.part = file, bufio.NewReader(file), nil
	}
	return err
}

// openLog opens a file of a log; it returns nil if there is none. A profile's
// directory holds what its agent may have put there, so only a regular file is
// read.
func openLog(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = file.Close()
		return nil, fmt.Errorf("open log: %s is not a regular file", path)
	}
	return file, nil
}

func (t *tail) close() {
	if t.file != nil {
		_ = t.file.Close()
		t.file = nil
	}
}
