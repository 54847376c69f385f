package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// LogFile is a log of a bounded size: a file, and those before it, name.1 being
// the youngest. The files are readable by their owner only. Its methods may be
// called from several goroutines.
type LogFile struct {
	dir, name string
	size      int64 // before the file is set aside
	files     int

	mu      sync.Mutex // guards the rest
	file    *os.File
	written int64
}

// NewLogFile returns the log that is kept as name, a relative path, below dir, in
// so many files of at most size bytes each, the current one included.
// Nothing is opened before the first Write, and no symbolic link that stands
// below dir is followed out of it: what writes in a profile's directory may not
// choose where its supervisor writes.
func NewLogFile(dir, name string, size int64, files int) *LogFile {
	return &LogFile{dir: dir, name: name, size: size, files: files}
}

// Write appends p, which should be whole lines, and sets the file aside when the
// next line does not fit into it any more. After an error the next Write begins
// anew with opening the file.
func (l *LogFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	written := 0
	for written < len(p) {
		n, err := l.append(l.piece(p[written:]))
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// piece is as many whole lines of p as one file may hold, but at least one.
func (l *LogFile) piece(p []byte) []byte {
	if int64(len(p)) <= l.size {
		return p
	}
	if end := bytes.LastIndexByte(p[:l.size], '\n'); end >= 0 {
		return p[:end+1]
	}
	if end := bytes.IndexByte(p, '\n'); end >= 0 {
		return p[:end+1]
	}
	return p
}

func (l *LogFile) append(p []byte) (int, error) {
	if l.file != nil && l.written > 0 && l.written+int64(len(p)) > l.size {
		if err := l.closeFile(); err != nil {
			return 0, err
		}
	}
	if l.file == nil {
		if err := l.open(int64(len(p))); err != nil {
			return 0, fmt.Errorf("open log: %w", err)
		}
	}
	n, err := l.file.Write(p)
	if err != nil { // the lines that fit stay, without the beginning of the next
		n = bytes.LastIndexByte(p[:n], '\n') + 1
		_ = l.file.Truncate(l.written + int64(n)) // half a line at the worst
		return n, errors.Join(fmt.Errorf("write log: %w", err), l.closeFile())
	}
	l.written += int64(n)
	return n, nil
}

// Close closes the file. A later Write opens it again.
func (l *LogFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closeFile()
}

func (l *LogFile) closeFile() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// open opens the file, after setting aside one that has no room for need bytes.
func (l *LogFile) open(need int64) error {
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := root.MkdirAll(filepath.Dir(l.name), 0o700); err != nil {
		return err
	}
	if info, err := root.Lstat(l.name); err == nil && info.Size() > 0 && info.Size()+need > l.size {
		if err := l.rotate(root); err != nil {
			return err
		}
	}
	// O_NONBLOCK: opening a FIFO must fail, not wait for its reader.
	file, err := root.OpenFile(l.name, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", filepath.Join(l.dir, l.name))
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	l.file, l.written = file, info.Size()
	return nil
}

// rotate moves every file one place on; the last one is replaced, and what is left
// of a time when more were kept goes.
func (l *LogFile) rotate(root *os.Root) error {
	for i := l.files; ; i++ {
		if err := root.Remove(l.name + "." + strconv.Itoa(i)); err != nil {
			break
		}
	}
	if l.files == 1 {
		return root.Remove(l.name)
	}
	for i := l.files - 1; i > 0; i-- {
		from := l.name
		if i > 1 {
			from += "." + strconv.Itoa(i-1)
		}
		if err := root.Rename(from, l.name+"."+strconv.Itoa(i)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
