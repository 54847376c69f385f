package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"
)

const (
	// historyEntries is how many entries a history keeps.
	historyEntries = 1000
	// historyEntry bounds an entry, in bytes. What is longer was pasted.
	historyEntry = 16 << 10
	// historyFile bounds what is read of a file, in bytes.
	historyFile = 32 << 20
)

// history is what a person typed, an entry a line, in a file that only its owner
// may read. It is a term.History. Each entry is appended at once, so that several
// terminals can share the file; it is made short when it is opened. Commands are
// kept too. An entry that begins with a space is not kept, as in shells: for what
// nobody else is to read.
type history struct {
	path    string
	entries []string // the latest last
	err     error    // of the last Add, nil if it is on disk
}

// openHistory reads the file, which need not be there.
func openHistory(path string) (*history, error) {
	h := &history{path: path}
	file, err := openPlain(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return h, fmt.Errorf("open history: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(file, historyFile))
	if err = errors.Join(err, file.Close()); err != nil {
		return h, fmt.Errorf("read history: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if line = printable(strings.TrimSuffix(line, "\n")); line != "" {
			h.entries = append(h.entries, line)
		}
	}
	if extra := len(h.entries) - historyEntries; extra > 0 {
		h.entries = h.entries[extra:]
		text := strings.Join(h.entries, "\n") + "\n"
		if err := renameio.WriteFile(path, []byte(text), 0o600, renameio.IgnoreUmask()); err != nil {
			return h, fmt.Errorf("shorten history: %w", err)
		}
	}
	return h, nil
}

// Add keeps an entry, unless it is empty, the same as the last one, too long, or
// begins with a space.
func (h *history) Add(entry string) {
	h.err = nil
	if strings.TrimSpace(entry) == "" || entry[0] == ' ' || len(entry) > historyEntry ||
		len(h.entries) > 0 && h.entries[len(h.entries)-1] == entry {
		return
	}
	h.entries = append(h.entries, entry)
	if extra := len(h.entries) - historyEntries; extra > 0 {
		h.entries = h.entries[extra:]
	}
	h.err = h.append(entry + "\n")
}

func (h *history) append(line string) error {
	if err := os.MkdirAll(filepath.Dir(h.path), 0o700); err != nil {
		return fmt.Errorf("keep history: %w", err)
	}
	file, err := openPlain(h.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY)
	if err != nil {
		return fmt.Errorf("keep history: %w", err)
	}
	_, err = file.WriteString(line)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("keep history: %w", err)
	}
	return nil
}

// openPlain opens a file that lies where the profile's worker may write. A link that
// stands there instead is not followed, and a pipe not waited for: a worker that somebody
// has taken over must not choose what the person, who may be root, reads or writes.
func openPlain(path string, flags int) (*os.File, error) {
	file, err := os.OpenFile(path, flags|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no plain file; remove it", path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// Len is how many entries there are.
func (h *history) Len() int { return len(h.entries) }

// At returns an entry, the latest at 0.
func (h *history) At(i int) string { return h.entries[len(h.entries)-1-i] }
