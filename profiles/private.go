package profiles

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"
)

// records are what a profile keeps of its person, by directory.
func records() map[string][]string {
	return map[string][]string{
		"data": {"state.db*"}, "logs": {"worker.log*"}, "memories": {"*"},
	}
}

const (
	// mostRecords is how many entries of a directory are looked at: a worker that was
	// taken over can make millions, and its supervisor is to look before each start.
	mostRecords = 10_000
	// mostClosed is how many names are told.
	mostClosed = 50
)

// CloseRecords takes from other users of the machine what they may do with the
// profile's database, logs and memories: files that were copied there, or written by
// another program, may be open to all. It returns which were, the first of them if there
// are many. Settings are not touched, they are the person's own; whoever loads them is
// warned. Links are passed over.
func (p Profile) CloseRecords() []string {
	root, err := os.OpenRoot(p.Dir)
	if err != nil {
		return nil // there is nothing yet
	}
	defer root.Close()
	var closed []string
	for dir, patterns := range records() {
		for _, entry := range someOf(root, dir) {
			name := path.Join(dir, entry.Name())
			if !entry.Type().IsRegular() || !slices.ContainsFunc(patterns, func(pattern string) bool {
				fits, err := path.Match(pattern, entry.Name())
				return err == nil && fits
			}) {
				continue
			}
			if closeRecord(root, name) && len(closed) < mostClosed {
				closed = append(closed, filepath.Join(p.Dir, name))
			}
		}
	}
	slices.Sort(closed)
	return closed
}

// someOf are the entries of a directory, but for those beyond mostRecords.
func someOf(root *os.Root, dir string) []fs.DirEntry {
	f, err := root.OpenFile(dir, os.O_RDONLY|noFollow|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	entries, _ := f.ReadDir(mostRecords) // what cannot be read is not looked at
	return entries
}

// closeRecord closes a file to others, and reports whether that was needed. The file is
// open meanwhile: another one that takes its name is left alone.
func closeRecord(root *os.Root, name string) bool {
	info, err := root.Lstat(name)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return false
	}
	f, err := root.OpenFile(name, os.O_RDONLY|noFollow|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err = f.Stat()
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 && f.Chmod(info.Mode().Perm()&0o700) == nil
}
