package profiles

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"hermes/configs"
)

// The beginnings of names in profiles/ that are not profiles: one being made,
// and one being removed.
const (
	stagingPrefix = ".staging-"
	deletedPrefix = ".deleted-"
)

// unfinished returns a new name in profiles/ that begins with prefix.
func (h Home) unfinished(prefix string, name Name) string {
	return filepath.Join(h.ProfilesDir(), prefix+string(name)+"-"+strings.ToLower(rand.Text()[:10]))
}

// sweep removes what commands that died have left in profiles/. The caller has
// the home's lock, without which nothing is staged: whatever is there is dead,
// but for an import that holds a lock of its own.
// A removal may go on outside the lock; helping it does no harm.
func (h Home) sweep() error {
	entries, err := os.ReadDir(h.ProfilesDir())
	if err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	for _, entry := range entries {
		dead := strings.HasPrefix(entry.Name(), stagingPrefix) || strings.HasPrefix(entry.Name(), deletedPrefix) ||
			strings.HasPrefix(entry.Name(), importPrefix) && abandoned(filepath.Join(h.ProfilesDir(), entry.Name()))
		if dead {
			if err := removeAll(filepath.Join(h.ProfilesDir(), entry.Name())); err != nil {
				return fmt.Errorf("clean up: %w", err)
			}
		}
	}
	return nil
}

// removeAll removes a directory with everything in it, also what its owner may
// not write to: Go's module cache, for one, is read-only. Symbolic links are
// removed, never followed.
func removeAll(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return os.RemoveAll(dir)
	}
	defer root.Close()
	// The callback runs before the directory is read, so that it can be.
	_ = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, _ error) error {
		if entry != nil && entry.IsDir() {
			_ = root.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// create writes a new file with mode 0600, whatever the umask, and makes sure
// that it is on disk.
func create(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|noFollow, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close(), inherit(path))
}

// stage fills a directory with what every profile has.
func stage(p Profile, config, soul []byte, env configs.EnvOptions) error {
	if err := makeDir(p.Dir); err != nil {
		return err
	}
	for _, dir := range p.directories() {
		if err := makeDir(dir); err != nil {
			return err
		}
	}
	for _, file := range []struct {
		path string
		data []byte
	}{
		{p.ConfigFile(), config},
		{p.Soul(), soul},
		{p.EnvFile(), configs.EnvTemplate(env)},
	} {
		if err := create(file.path, file.data); err != nil {
			return err
		}
	}
	return syncDir(p.Dir)
}

// syncDir makes sure that a directory's entries are on disk.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
