package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"unicode/utf8"
)

// document is a text file that becomes part of the prompt. It is kept in memory
// and read again when the file has changed. The zero document is empty.
type document struct {
	dir  string
	name string
	log  *slog.Logger
	// open opens the file where this process cannot reach it; nil: it can.
	open func() (*os.File, error)
	keep bool // what was read stays when the file may not be opened any more

	seen    fs.FileInfo // of the file that text was read from
	text    string
	problem string // what was logged last
}

// read returns the text, bounded, or "" if there is none to be had. A file that
// cannot be used is logged once and otherwise treated as missing: the agent
// should answer without it.
func (d *document) read() string {
	if d.name == "" {
		return ""
	}
	err := d.refresh()
	if err == nil {
		d.problem = ""
		return d.text
	}
	if d.keep && d.seen != nil && errors.Is(err, fs.ErrPermission) {
		if err.Error() != d.problem {
			d.problem = err.Error()
			d.log.Warn("prompt file was replaced; until the next start the one before counts", "file", d.name, "error", err)
		}
		return d.text
	}
	d.seen, d.text = nil, ""
	if !errors.Is(err, fs.ErrNotExist) && err.Error() != d.problem {
		d.problem = err.Error()
		d.log.Warn("prompt file left out", "file", d.name, "error", err)
	}
	return ""
}

// refresh brings text up to date. The file is opened through its directory as a
// root: what runs in the workspace may write there, and a link put in place of
// AGENTS.md must not carry another file into the prompt.
func (d *document) refresh() error {
	file, info, err := d.look()
	if err != nil || file == nil {
		return err
	}
	defer file.Close()
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", d.name)
	}
	text, err := readBounded(file, info.Size())
	if err != nil {
		return fmt.Errorf("read %s: %w", d.name, err)
	}
	d.seen, d.text = info, strings.TrimSpace(shorten(text, longestDocument, d.name))
	return nil
}

// look opens the file if it is another than the one that was read.
func (d *document) look() (*os.File, fs.FileInfo, error) {
	if d.open != nil {
		file, err := d.open()
		if err != nil {
			return nil, nil, err
		}
		info, err := file.Stat()
		if err != nil || d.same(info) {
			return nil, nil, errors.Join(err, file.Close())
		}
		return file, info, nil
	}
	root, err := os.OpenRoot(d.dir)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	info, err := root.Stat(d.name)
	if err != nil || d.same(info) {
		return nil, nil, err
	}
	// Not to block, should the file be a pipe by now.
	file, err := root.OpenFile(d.name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	if info, err = file.Stat(); err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return file, info, nil
}

// same reports whether that is the file which was read.
func (d *document) same(info fs.FileInfo) bool {
	return d.seen != nil && os.SameFile(info, d.seen) && info.ModTime().Equal(d.seen.ModTime()) && info.Size() == d.seen.Size()
}

// readBounded reads a text of which only the first and the last part will be
// used: of a file that is too big for memory, both ends.
func readBounded(file io.ReaderAt, size int64) (string, error) {
	const end = longestDocument * utf8.UTFMax
	if size <= 2*end {
		data, err := io.ReadAll(io.NewSectionReader(file, 0, 2*end))
		return strings.ToValidUTF8(string(data), "\uFFFD"), err
	}
	head, err := io.ReadAll(io.NewSectionReader(file, 0, end))
	if err != nil {
		return "", err
	}
	tail, err := io.ReadAll(io.NewSectionReader(file, size-end, end))
	if err != nil {
		return "", err
	}
	return strings.ToValidUTF8(string(head)+string(tail), "\uFFFD"), nil
}

// shorten keeps the first 70 and the last 20 percent of limit characters of a
// text that is longer, and says what is missing.
func shorten(text string, limit int, name string) string {
	if len(text) <= limit || utf8.RuneCountInString(text) <= limit {
		return text
	}
	runes := []rune(text)
	head, tail := limit*7/10, limit*2/10
	return fmt.Sprintf("%s\n\n[The middle of %s is left out here. Read the file where you need it.]\n\n%s",
		strings.TrimSpace(string(runes[:head])), name, strings.TrimSpace(string(runes[len(runes)-tail:])))
}
