package tools

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// keptDirectories is how many sessions have a working directory of their own. The
// one that was set first goes.
const keptDirectories = 1000

// directories are the directories that sessions have gone to.
type directories struct {
	mu   sync.Mutex // guards what follows
	kept map[string]string
	old  []string // sessions, in the order in which they came
}

// of returns the directory of a session, "" if it has never left the workspace.
func (d *directories) of(session string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kept[session]
}

// set notes where a session is, "" for the workspace.
func (d *directories) set(session, dir string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if dir == "" {
		delete(d.kept, session)
		d.old = slices.DeleteFunc(d.old, func(s string) bool { return s == session })
		return
	}
	if d.kept == nil {
		d.kept = make(map[string]string)
	}
	if _, known := d.kept[session]; !known {
		if len(d.old) == keptDirectories {
			delete(d.kept, d.old[0])
			d.old = slices.Delete(d.old, 0, 1)
		}
		d.old = append(d.old, session)
	}
	d.kept[session] = dir
}

// reportFD is the descriptor by which a shell says where it is when it ends. It is
// one that scripts hardly use for themselves, and has one digit, because sh takes
// no more.
const reportFD = 7

// reporting makes a script say at its end where it is. A trap does that, since a
// script may end anywhere. It stands in the first line, so that the shell counts
// the lines of its messages right.
func reporting(script string) string {
	return "trap '{ command pwd -P >&7; } 2>/dev/null' EXIT; " + script
}

// report is the pipe on which a shell says where it is.
type report struct{ ours, theirs *os.File }

func newReport() (*report, error) {
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &report{ours, theirs}, nil
}

// files are the descriptors of the shell, from 3 on.
func (r *report) files() []*os.File {
	files := make([]*os.File, reportFD-2)
	files[reportFD-3] = r.theirs
	return files
}

// started closes the end that the shell has by now.
func (r *report) started() { _ = r.theirs.Close() }

// read returns the directory that an ended shell was in, "" if it did not say or
// nobody can go there.
func (r *report) read() string {
	// The shell has ended: what it had to say is in the pipe. Whoever else may
	// have the pipe open is not waited for.
	_ = r.ours.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	text, _ := io.ReadAll(io.LimitReader(r.ours, 2*unix.PathMax))
	dir := strings.TrimSuffix(string(text), "\n")
	if !filepath.IsAbs(dir) || !enterable(dir) {
		return ""
	}
	return dir
}

// close gives back the pipe. A shell that runs would be killed by its own report.
func (r *report) close() {
	_ = r.theirs.Close()
	_ = r.ours.Close()
}

// enterable reports whether there is such a directory to go to.
func enterable(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir() && unix.Access(dir, unix.X_OK) == nil
}
