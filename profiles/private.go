package profiles

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// records are what a profile keeps of its person, by directory.
func records() map[string][]string {
	return map[string][]string{
		"data": {"state.db*"}, "logs": {"worker.log*"}, "memories": {"*"},
	}
}

// CloseRecords takes from other users of the machine what they may do with the
// profile's database, logs and memories: files that were copied there, or written by
// another program, may be open to all. It returns which were. Settings are not touched,
// they are the person's own; whoever loads them is warned. Links are passed over.
func (p Profile) CloseRecords() []string {
	root, err := os.OpenRoot(p.Dir)
	if err != nil {
		return nil // there is nothing yet
	}
	defer root.Close()
	var closed []string
	for dir, patterns := range records() {
		entries, err := fs.ReadDir(root.FS(), dir)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			name := path.Join(dir, entry.Name())
			if !entry.Type().IsRegular() || !slices.ContainsFunc(patterns, func(pattern string) bool {
				fits, err := path.Match(pattern, entry.Name())
				return err == nil && fits
			}) {
				continue
			}
			info, err := root.Lstat(name)
			if err != nil || info.Mode().Perm()&0o077 == 0 {
				continue
			}
			if root.Chmod(name, info.Mode().Perm()&0o700) == nil {
				closed = append(closed, filepath.Join(p.Dir, name))
			}
		}
	}
	slices.Sort(closed)
	return closed
}
