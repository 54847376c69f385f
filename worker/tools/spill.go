package tools

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"path"
	"slices"
	"sync"
	"time"
)

// Where the whole of long outputs goes, below the workspace, and how much of it
// there may be.
const (
	hermesDir     = ".hermes"
	spillDir      = hermesDir + "/output"
	maxSpill      = 4 << 20  // bytes of one file
	maxSpillTotal = 64 << 20 // bytes of all of them
	maxSpillFiles = 200
)

// spills are the files with long outputs. The oldest go when there are too many.
type spills struct {
	workspace *workspace
	log       *slog.Logger

	mu   sync.Mutex      // guards open, and is held while files go
	open map[string]bool // names of files that are written to
}

func newSpills(w *workspace, log *slog.Logger) *spills {
	return &spills{workspace: w, log: log, open: make(map[string]bool)}
}

// spill is one of the files. Its owner calls one method at a time.
type spill struct {
	spills *spills
	base   string
	file   *os.File // nil when it could not be made, or is closed
	left   int      // bytes of room
	cut    bool     // not all of the output is there
	failed bool
}

// create makes a file. One that cannot be made is one that takes nothing: the
// command must not suffer from it.
func (s *spills) create(id string) *spill {
	sp := &spill{spills: s, base: id + ".txt", left: maxSpill}
	file, err := s.make(sp.base)
	if err != nil {
		s.log.Warn("output is not kept in a file", "error", err)
		sp.failed = true
		return sp
	}
	sp.file = file
	return sp
}

func (s *spills) make(base string) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	root := s.workspace.root
	if err := root.MkdirAll(spillDir, 0o700); err != nil {
		return nil, err
	}
	// Output is nothing that belongs into a repository.
	ignore, err := root.OpenFile(hermesDir+"/.gitignore", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = ignore.WriteString("*\n")
		if closed := ignore.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return nil, err
		}
	}
	s.prune()
	file, err := root.OpenFile(path.Join(spillDir, base), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	s.open[base] = true
	return file, nil
}

// prune makes room for one file more. Files that are written to count as if they
// were full. The caller holds mu.
func (s *spills) prune() {
	entries, err := s.workspace.list(spillDir, maxEntries)
	if err != nil {
		return
	}
	type old struct {
		name    string
		size    int64
		changed time.Time
	}
	var files []old
	total, count := int64(maxSpill), 1
	for _, entry := range entries {
		info, err := entry.Info()
		switch {
		case err != nil || !info.Mode().IsRegular():
		case s.open[entry.Name()]:
			total += maxSpill
			count++
		default:
			files = append(files, old{entry.Name(), info.Size(), info.ModTime()})
			total += info.Size()
			count++
		}
	}
	slices.SortFunc(files, func(a, b old) int { return cmp.Or(a.changed.Compare(b.changed), cmp.Compare(a.name, b.name)) })
	for _, file := range files {
		if total <= maxSpillTotal && count <= maxSpillFiles {
			return
		}
		if err := s.workspace.root.Remove(path.Join(spillDir, file.name)); err == nil {
			total -= file.size
			count--
		}
	}
}

// write adds to the file, as much as there is room for.
func (sp *spill) write(p []byte) {
	if sp.file == nil || sp.failed {
		return
	}
	if len(p) > sp.left {
		p, sp.cut = p[:sp.left], true
	}
	n, err := sp.file.Write(p)
	sp.left -= n
	if err != nil {
		sp.failed = true
		sp.spills.log.Warn("output is not kept in a file", "error", err)
	}
}

// name says where the output is, for the model, or nothing.
func (sp *spill) name() string {
	switch {
	case sp.failed:
		return ""
	case sp.cut:
		return fmt.Sprintf("%s/%s, which has the first %d MiB", spillDir, sp.base, maxSpill>>20)
	default:
		return spillDir + "/" + sp.base
	}
}

// close ends the writing.
func (sp *spill) close() {
	if sp.file == nil {
		return
	}
	if err := sp.file.Close(); err != nil {
		sp.failed = true
	}
	sp.file = nil
	sp.spills.mu.Lock()
	defer sp.spills.mu.Unlock()
	delete(sp.spills.open, sp.base)
}
