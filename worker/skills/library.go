package skills

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Bounds of what is looked at, so that no heap of files stops a session from
// beginning.
const (
	maxSkills = 1000
	maxDirs   = 4000
	maxDepth  = 6
	// MaxFile is how large a SKILL.md may be, in bytes.
	MaxFile = 256 << 10
)

// settled is how old a change must be before it is trusted that the next one gets
// another time: clocks of file systems tick every few milliseconds.
const settled = time.Second

// Library is the skills of one profile. What it has read it keeps until times of
// directories and files say that they have changed. Many turns may use it at once.
type Library struct {
	dir string

	mu    sync.Mutex // guards what follows
	dirs  map[string]cachedDir
	files map[string]cachedFile
}

// cachedDir is a directory as it was read.
type cachedDir struct {
	info    fs.FileInfo
	entries []fs.DirEntry
}

// cachedFile is a SKILL.md as it was read, under the name of its directory.
type cachedFile struct {
	info        fs.FileInfo
	description string
	err         error
}

// New makes a Library of the skills below a directory, which may be missing. It
// reads nothing yet.
func New(dir string) *Library {
	return &Library{dir: dir, dirs: make(map[string]cachedDir), files: make(map[string]cachedFile)}
}

// Dir is the directory of all skills.
func (l *Library) Dir() string { return l.dir }

// List returns all skills, the broken ones too, sorted by name. It looks at times,
// and reads only what has changed.
func (l *Library) List() ([]Skill, error) {
	root, err := os.OpenRoot(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open skills: %w", err)
	}
	defer root.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &scan{library: l, now: time.Now(), dirs: make(map[string]cachedDir), files: make(map[string]cachedFile)}
	s.walk(root, ".", 0)
	l.dirs, l.files = s.dirs, s.files
	slices.SortFunc(s.found, func(a, b Skill) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Dir, b.Dir))
	})
	var before *Skill
	for i := range s.found {
		skill := &s.found[i]
		if skill.Problem != "" {
			continue
		}
		if before != nil && before.Name == skill.Name {
			skill.Problem = "another skill has the same name: " + before.Dir
			continue
		}
		before = skill
	}
	return s.found, nil
}

// Find returns a skill by its name. Of several with that name it is the one that is
// not broken.
func (l *Library) Find(name string) (Skill, bool, error) {
	all, err := l.List()
	if err != nil {
		return Skill{}, false, err
	}
	var found *Skill
	for i, skill := range all {
		if skill.Name == name && (found == nil || found.Problem != "" && skill.Problem == "") {
			found = &all[i]
		}
	}
	if found == nil {
		return Skill{}, false, nil
	}
	return *found, true, nil
}

// scan is one look at the skills.
type scan struct {
	library *Library
	now     time.Time
	dirs    map[string]cachedDir
	files   map[string]cachedFile
	found   []Skill
}

// walk looks into a directory, which lies in the one that parent is. Each directory is
// opened once, since a path is opened part by part. Links are not followed, hidden
// directories, such as that of deleted skills, passed over; below a skill there is no
// other.
func (s *scan) walk(parent *os.Root, dir string, depth int) {
	if len(s.found) >= maxSkills || len(s.dirs) >= maxDirs {
		return
	}
	here, err := parent.OpenRoot(path.Base(dir))
	if err != nil {
		s.add(dir, "", "it cannot be read: "+reason(err))
		return
	}
	defer here.Close()
	entries, err := s.list(here, dir)
	if err != nil {
		s.add(dir, "", "it cannot be read: "+reason(err))
		return
	}
	if dir != "." && slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == File }) {
		description, err := s.read(here, dir)
		problem := ""
		if err != nil {
			problem = err.Error()
		}
		s.add(dir, description, problem)
		return
	}
	for _, entry := range entries {
		below := path.Join(dir, entry.Name())
		switch {
		case strings.HasPrefix(entry.Name(), "."):
		case entry.Type()&fs.ModeSymlink != 0:
			s.add(below, "", "it is a symbolic link, which is not followed")
		case entry.IsDir() && depth < maxDepth:
			s.walk(here, below, depth+1)
		}
	}
}

func (s *scan) add(dir, description, problem string) {
	category := path.Dir(dir)
	if category == "." {
		category = ""
	}
	s.found = append(s.found, Skill{Name: path.Base(dir), Description: description, Category: category, Dir: dir, Problem: problem})
}

// list returns what is in a directory.
func (s *scan) list(here *os.Root, dir string) ([]fs.DirEntry, error) {
	info, err := here.Lstat(".")
	if err != nil {
		return nil, err
	}
	if known, ok := s.library.dirs[dir]; ok && s.same(info, known.info) {
		s.dirs[dir] = known
		return known.entries, nil
	}
	file, err := here.Open(".")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	entries, err := file.ReadDir(maxDirs)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	s.dirs[dir] = cachedDir{info, entries}
	return entries, nil
}

// read returns the description in the SKILL.md of a directory.
func (s *scan) read(here *os.Root, dir string) (description string, err error) {
	info, err := here.Lstat(File)
	if err != nil {
		return "", errors.New("it cannot be read: " + reason(err))
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("its %s is no regular file", File)
	}
	if known, ok := s.library.files[dir]; ok && s.same(info, known.info) {
		s.files[dir] = known
		return known.description, known.err
	}
	content, err := s.content(here, info.Size())
	if err == nil {
		description, err = Parse(path.Base(dir), content)
	}
	s.files[dir] = cachedFile{info, description, err}
	return description, err
}

// content reads a SKILL.md that was a regular file a moment ago.
func (s *scan) content(here *os.Root, size int64) ([]byte, error) {
	file, err := here.OpenFile(File, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, errors.New("it cannot be read: " + reason(err))
	}
	defer file.Close()
	var content bytes.Buffer
	content.Grow(int(min(size, MaxFile)) + bytes.MinRead)
	if _, err := content.ReadFrom(io.LimitReader(file, MaxFile+1)); err != nil {
		return nil, errors.New("it cannot be read: " + reason(err))
	}
	if content.Len() > MaxFile {
		return nil, fmt.Errorf("its %s is larger than %d KiB", File, MaxFile>>10)
	}
	return content.Bytes(), nil
}

// same reports whether what was read can still be trusted.
func (s *scan) same(now, before fs.FileInfo) bool {
	return os.SameFile(now, before) && now.Size() == before.Size() && now.ModTime().Equal(before.ModTime()) &&
		s.now.Sub(now.ModTime()) > settled
}

// reason is an error without the path that it is about.
func reason(err error) string {
	if cause, ok := errors.AsType[*fs.PathError](err); ok {
		err = cause.Err
	}
	return err.Error()
}
