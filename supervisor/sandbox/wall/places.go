package wall

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"hermes/supervisor/sandbox/wall/inside"
)

// systemPlaces are what commands see of the machine, to read.
func systemPlaces() []string {
	return []string{
		"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/libexec", "/etc", "/opt",
		"/nix", "/gnu", "/snap", "/home/linuxbrew", "/var/lib/ca-certificates", "/var/lib/alternatives",
	}
}

// placesOf is where a path is to be seen: under its name, and, if a symbolic link
// is a part of the name, where that leads to.
func placesOf(path string) ([]inside.Place, error) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	places := []inside.Place{{Source: target, Path: target}}
	if target != path {
		places = append(places, inside.Place{Source: target, Path: path})
	}
	return places, nil
}

// system is what there is of systemPlaces. A link such as /bin stays a link.
func system() []inside.Place {
	var places []inside.Place
	for _, path := range systemPlaces() {
		info, err := os.Lstat(path)
		if err != nil {
			continue
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			places = append(places, inside.Place{Source: path, Path: path})
			continue
		}
		if says, err := os.Readlink(path); err == nil {
			places = append(places, inside.Place{Path: path, Link: says})
		}
	}
	// What names are resolved by may be kept in /run.
	const resolver = "/etc/resolv.conf"
	if target, err := filepath.EvalSymlinks(resolver); err == nil && target != resolver && !inside.Within(target, "/etc") {
		places = append(places, inside.Place{Source: target, Path: target})
	}
	return places
}

// secrets are the files and directories below dir that not everybody may read. A
// user who is nobody special cannot open them anyway; the owner of the machine can,
// even without any capability.
func secrets(dir string) []string {
	var found []string
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what cannot be listed is no secret that could be read
		}
		if entry.Type()&fs.ModeSymlink != 0 {
			return nil
		}
		info, err := entry.Info()
		if err != nil || info.Mode().Perm()&0o004 != 0 {
			return nil //nolint:nilerr // it is gone
		}
		found = append(found, path)
		if entry.IsDir() {
			return filepath.SkipDir
		}
		return nil
	})
	return found
}

// without splits dir into what it holds beside the hidden, for walls that can only
// add. It is dir itself where nothing in it is hidden.
func without(dir string, hidden []string) []string {
	if slices.ContainsFunc(hidden, func(h string) bool { return inside.Within(dir, h) }) {
		return nil
	}
	if !slices.ContainsFunc(hidden, func(h string) bool { return inside.Within(h, dir) }) {
		return []string{dir}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var left []string
	for _, entry := range entries {
		if entry.Type()&fs.ModeSymlink == 0 {
			left = append(left, without(filepath.Join(dir, entry.Name()), hidden)...)
		}
	}
	return left
}

// extra are further places, but for those that are hidden or hold what is, and those
// that are seen anyway.
func (w *Wall) extra(paths []string) []inside.Place {
	var places []inside.Place
	for _, path := range paths {
		path = filepath.Clean(path)
		if !inside.Clean(path) {
			continue
		}
		found, err := placesOf(path)
		if err != nil {
			continue // what is not there cannot be seen
		}
		for _, p := range found {
			if !w.covers(p.Source) && !w.covers(p.Path) {
				places = append(places, p)
			}
		}
	}
	return places
}

// covers reports whether path is hidden, holds what is, or is a part of what
// commands see in any case.
func (w *Wall) covers(path string) bool {
	own := []string{w.opts.Workspace, w.opts.Home, w.opts.Skills, w.opts.Temp, "/tmp", "/proc", "/dev", "/sys", "/run", "/etc", "/usr"}
	for _, other := range slices.Concat(w.opts.Hidden, own) {
		if other == "" {
			continue
		}
		target, err := filepath.EvalSymlinks(other)
		if err != nil { // it is not there, or cannot be reached
			target = other
		}
		for _, o := range []string{other, target} {
			if inside.Within(o, path) {
				return true
			}
			if inside.Within(path, o) && o != "/tmp" {
				return true
			}
		}
	}
	return false
}
