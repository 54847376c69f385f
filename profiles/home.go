// Package profiles is what a profile is on disk: its name, its directory, its
// port, the lock that a gateway holds while it serves it, and the home that all
// profiles share.
//
// The default profile is the home itself; named ones are directories in
// profiles/. Every change of that directory happens under one lock of the home
// and ends in one rename, so that no half-made or half-removed profile is ever
// seen, whoever is killed when.
package profiles

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Home is the directory that holds the default profile and, in profiles/, all
// others.
type Home struct {
	dir string
	// free reports why a port cannot be bound on this machine; nil asks the
	// system.
	free func(port int) error
}

// DefaultDir is where the home is: $HERMES_HOME, else ~/.hermes. environ is the
// process environment.
func DefaultDir(environ []string) (string, error) {
	vars := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		vars[name] = value
	}
	if dir := vars["HERMES_HOME"]; dir != "" {
		if strings.HasPrefix(dir, "~") {
			return "", fmt.Errorf("HERMES_HOME is %q: the shell did not expand ~; write the whole path", dir)
		}
		return filepath.Abs(dir)
	}
	if vars["HOME"] == "" {
		return "", errors.New("neither HERMES_HOME nor HOME is set; set HERMES_HOME to the directory that is to hold the profiles")
	}
	return filepath.Abs(filepath.Join(vars["HOME"], ".hermes"))
}

// Open returns the home at dir, which need not exist yet: what writes first
// makes it.
func Open(dir string) (Home, error) {
	if dir == "" || strings.ContainsRune(dir, 0) {
		return Home{}, errors.New("open home: the path is empty or has a NUL byte; set HERMES_HOME to a directory")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Home{}, fmt.Errorf("open home: %w", err)
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return Home{}, fmt.Errorf("open home: %s is no directory; set HERMES_HOME to one", dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Home{}, fmt.Errorf("open home: %w", err)
	}
	return Home{dir: dir}, nil
}

// Dir is the home's absolute path.
func (h Home) Dir() string { return h.dir }

// ProfilesDir is the directory of the named profiles. It may not exist yet.
func (h Home) ProfilesDir() string { return filepath.Join(h.dir, "profiles") }

// make makes the home and its profiles directory, mode 0700.
func (h Home) make() error {
	if err := os.MkdirAll(filepath.Dir(h.dir), 0o700); err != nil {
		return fmt.Errorf("make home: %w", err)
	}
	if info, err := os.Stat(h.dir); err != nil || !info.IsDir() {
		if err := makeDir(h.dir); err != nil {
			return fmt.Errorf("make home: %w", err)
		}
	}
	if info, err := os.Stat(h.ProfilesDir()); err != nil || !info.IsDir() {
		if err := makeDir(h.ProfilesDir()); err != nil {
			return fmt.Errorf("make home: %w", err)
		}
	}
	return nil
}

// Place is the profile of that name whether it is there or not: a gateway that goes on
// as another program has profiles that are gone.
func (h Home) Place(name Name) Profile { return h.profile(name) }

func (h Home) profile(name Name) Profile {
	if name == Default {
		return Profile{Name: Default, Dir: h.dir, home: h.dir}
	}
	return Profile{Name: name, Dir: filepath.Join(h.ProfilesDir(), string(name)), home: h.dir}
}

// NotFound is the error for a profile that does not exist.
type NotFound struct{ Name Name } //nolint:errname // reads as a sentence where it is asked for

// Error names the command that would create the profile.
func (e *NotFound) Error() string {
	return fmt.Sprintf("profile %s does not exist; create it with: hermes profile create %s", e.Name, e.Name)
}

// Exists is the error for a name that is taken.
type Exists struct{ Name Name } //nolint:errname // reads as a sentence where it is asked for

// Error names the command that shows the profile.
func (e *Exists) Error() string {
	return fmt.Sprintf("profile %s exists already; choose another name, or look at it with: hermes profile show %s", e.Name, e.Name)
}

// Get returns a profile. The default one always exists, set up or not; any other
// one that does not is a *NotFound.
func (h Home) Get(name Name) (Profile, error) {
	if name != Default {
		if err := name.check(); err != nil {
			return Profile{}, err
		}
	}
	p := h.profile(name)
	if err := p.usable(); err != nil {
		return Profile{}, err
	}
	return p, nil
}

// SetUp reports whether the profile has settings of its own. The default one of
// a fresh home has none.
func (p Profile) SetUp() bool {
	for _, path := range []string{p.EnvFile(), p.ConfigFile()} {
		if _, err := os.Lstat(path); err == nil {
			return true
		}
	}
	return p.Name != Default
}

// List returns all profiles: the default one first if it is set up, then the
// others by name. Entries of profiles/ that are no usable profile are listed with
// an Err and hide nothing; hidden ones are passed over.
func (h Home) List() ([]Profile, error) {
	var list []Profile
	if p := h.profile(Default); p.SetUp() {
		list = append(list, p)
	}
	entries, err := os.ReadDir(h.ProfilesDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return list, fmt.Errorf("list profiles: %w", err)
	}
	var named []Profile
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") {
			named = append(named, h.entry(entry.Name()))
		}
	}
	slices.SortStableFunc(named, func(a, b Profile) int { return cmp.Compare(a.Dir, b.Dir) })
	return append(list, named...), nil
}

// entry makes a profile of an entry in profiles/, with an Err if it is none.
func (h Home) entry(text string) Profile {
	name, err := ParseName(text)
	if err == nil && string(name) != text {
		err = &NameError{text, "capital letters are not used; rename the directory to " + string(name)}
	}
	if err != nil {
		// The name is foreign: it may hold control characters.
		where := filepath.Join(h.ProfilesDir(), strings.Trim(strconv.QuoteToASCII(text), `"`))
		return Profile{Dir: filepath.Join(h.ProfilesDir(), text), Err: fmt.Errorf("%s: %w", where, err), home: h.dir}
	}
	p := h.profile(name)
	p.Err = p.usable()
	if p.Err == nil {
		p.Err = readable(p.Dir)
	}
	return p
}

// readable reports why a directory cannot be read.
func readable(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open profile: %w", err)
	}
	return f.Close()
}
