package tools

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// change is what is to become of one file.
type change struct {
	path    string // below the root
	content []byte
	remove  bool
	// before is the file as it was when the change was made up, nil if there was
	// none, and old what was in it. Old is needed only where several changes are
	// made at once.
	before fs.FileInfo
	old    []byte
	// like is the file whose mode and owner the new one gets, if not nil.
	like fs.FileInfo
}

// errMoved says that a file changed between the making and the writing.
var errMoved = errors.New("it was changed by somebody else at this moment; look at it and try again")

// writable returns the file that a write would replace, nil if there is none, or
// a sentence that says why it cannot be written.
func (w *workspace) writable(path string) (info fs.FileInfo, problem string) {
	info, err := w.root.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ""
	case err != nil:
		return nil, w.explain(path, err)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := w.root.Readlink(path)
		if err != nil {
			return nil, w.explain(path, err)
		}
		return nil, fmt.Sprintf("%s is a symbolic link to %s. Change the file that it points to.", path, target)
	case info.Mode().Perm()&0o200 == 0 && info.Mode().IsRegular():
		return nil, fmt.Sprintf("%s is read-only (mode %04o).", path, info.Mode().Perm())
	default:
		return info, refuse(path, info.Mode())
	}
}

// staged is a change whose new content is on the disk already, under another
// name beside the file.
type staged struct {
	change
	parent *os.Root // of the file
	temp   string   // in parent, "" when there is none
	made   []string // directories that did not exist, outermost first
	done   bool
}

// apply makes all changes or none. Each file is replaced in one step, so that
// nobody ever sees half of one. If a step fails midway, those before it are
// undone. The path in the error's text is that of the file at fault.
func (w *workspace) apply(ctx context.Context, changes []change) (path string, err error) {
	all := make([]*staged, 0, len(changes))
	defer func() {
		for _, s := range slices.Backward(all) {
			if err != nil {
				s.undo(w)
			}
			s.close()
		}
	}()
	for _, change := range changes {
		s := &staged{change: change}
		all = append(all, s)
		if err := s.stage(w); err != nil {
			return change.path, err
		}
	}
	if ctx.Err() != nil {
		return changes[0].path, context.Cause(ctx)
	}
	for _, s := range all {
		if err := s.commit(); err != nil {
			return s.path, err
		}
	}
	for _, s := range all {
		if info, err := s.parent.Lstat(filepath.Base(s.path)); err == nil {
			saw(ctx, s.path, info)
		}
	}
	return "", nil
}

// stage writes the new content beside the file.
func (s *staged) stage(w *workspace) error {
	dir := filepath.Dir(s.path)
	for missing := dir; missing != "."; missing = filepath.Dir(missing) {
		if _, err := w.root.Lstat(missing); err == nil {
			break
		}
		s.made = append(s.made, missing)
	}
	slices.Reverse(s.made)
	if err := w.root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	parent, err := w.root.OpenRoot(dir)
	if err != nil {
		return err
	}
	s.parent = parent
	if s.remove {
		return nil
	}
	name := ".hermes-" + rand.Text()
	file, err := parent.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	s.temp = name
	if err := s.fill(file); err != nil {
		return errors.Join(err, file.Close())
	}
	return file.Close()
}

// fill gives a file the new content, and the mode and the owner of the old one.
func (s *staged) fill(file *os.File) error {
	if _, err := file.Write(s.content); err != nil {
		return err
	}
	if s.like != nil {
		if err := file.Chmod(s.like.Mode().Perm()); err != nil {
			return err
		}
		if stat, ok := s.like.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
			if err := file.Chown(int(stat.Uid), int(stat.Gid)); err != nil {
				return err
			}
		}
	}
	return file.Sync()
}

// commit puts the new content in the place of the file.
func (s *staged) commit() error {
	base := filepath.Base(s.path)
	now, err := s.parent.Lstat(base)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if s.before != nil {
			return errMoved
		}
	case err != nil:
		return err
	case s.before == nil, !os.SameFile(now, s.before), now.Size() != s.before.Size(), !now.ModTime().Equal(s.before.ModTime()):
		return errMoved
	}
	if s.remove {
		err = s.parent.Remove(base)
	} else {
		err = s.parent.Rename(s.temp, base)
	}
	if err != nil {
		return err
	}
	s.temp, s.done = "", true
	return s.sync()
}

// sync makes the new name survive a crash of the machine.
func (s *staged) sync() error {
	dir, err := s.parent.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// undo brings back what was there before, as far as that is possible.
func (s *staged) undo(w *workspace) {
	base := filepath.Base(s.path)
	switch {
	case s.done && s.before == nil:
		_ = s.parent.Remove(base)
	case s.done:
		back := &staged{change: change{path: s.path, content: s.old, like: s.like}}
		if back.stage(w) == nil && back.parent.Rename(back.temp, base) == nil {
			back.temp = ""
		}
		back.close()
	}
	s.discard()
	for _, dir := range slices.Backward(s.made) {
		_ = w.root.Remove(dir) // only if it is empty
	}
}

// discard removes what stage has written.
func (s *staged) discard() {
	if s.temp != "" {
		_ = s.parent.Remove(s.temp)
		s.temp = ""
	}
}

func (s *staged) close() {
	if s.parent == nil {
		return
	}
	s.discard()
	_ = s.parent.Close()
}
