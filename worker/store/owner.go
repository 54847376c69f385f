package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// openMark is in the names of the files that say which Stores use a database.
// Each Store makes one beside the database, and keeps it locked for as long as
// it is open. The lock goes when its process dies, the file stays: it is how the
// next Store knows that the work which carries the name of this one is dead, and
// that the database was not closed.
//
// Locks of the whole file (flock) are not those that SQLite uses, and a file of
// their own keeps them out of each other's way on every system.
const openMark = "-open-"

// arrive makes this Store's file. The caller holds mu.
func (s *Store) arrive() error {
	path := s.path + openMark + s.owner
	for s.presence == nil {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return fmt.Errorf("say that the database is in use: %w", err)
		}
		if err := lockFile(file, syscall.LOCK_EX); err != nil {
			return errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
		}
		// Who came by before the lock was there took the file for a dead Store's
		// and removed it.
		if isAt(file, path) {
			s.presence = file
			return nil
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}

// leave takes this Store's file away, unless damage was met: then it stays, and
// the next opening looks through the database. The caller holds mu.
func (s *Store) leave() {
	if s.presence == nil {
		return
	}
	if !s.suspect.Load() {
		_ = os.Remove(s.presence.Name()) // what stays behind costs a check
	}
	_ = s.presence.Close()
	s.presence = nil
}

// look says whether no other Store that lives uses the database, and finds out
// whether all that used it before have closed it. The caller holds mu.
func (s *Store) look() (alone bool) {
	// SQLite removes the log when the last of its users closes the file.
	if info, err := os.Stat(s.path + "-wal"); err == nil && info.Size() > 0 {
		s.unclean = true
	}
	entries, err := os.ReadDir(filepath.Dir(s.path))
	if err != nil {
		return false
	}
	alone = true
	for _, entry := range entries {
		owner, ok := strings.CutPrefix(entry.Name(), filepath.Base(s.path)+openMark)
		switch {
		case !ok || owner == s.owner:
		case s.lives(owner):
			alone = false
		default:
			s.unclean = true
		}
	}
	return alone
}

// lives says whether a Store is open, and takes away its file when it is not.
func (s *Store) lives(owner string) bool {
	if owner == "" { // of a time before Stores had names
		return false
	}
	path := s.path + openMark + owner
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	defer file.Close()
	if lockFile(file, syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return true
	}
	_ = os.Remove(path)
	return false
}

func lockFile(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// isAt says whether an open file is the one that a path names.
func isAt(file *os.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(opened, named)
}
