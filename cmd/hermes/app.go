package main

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"hermes/profiles"
)

// app is what commands share. It is made once for a command line; what costs
// something is made when it is asked for.
type app struct {
	stdio
	environ []string

	profileFlag string // -p, empty when it was not given
	homeFlag    string // --home, empty when it was not given

	reader *bufio.Reader // of stdin; see lines
	// letGo gives the signals back, for a command that listens to them itself.
	letGo func()
}

// getenv looks a variable up in the environment that the command was given.
func (a *app) getenv(name string) string {
	for _, entry := range a.environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// colours reports whether text on a terminal may be coloured.
func (a *app) colours(tty bool) bool {
	return tty && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
}

// home opens the home: --home, else HERMES_HOME, else ~/.hermes.
func (a *app) home() (profiles.Home, error) {
	dir := a.homeFlag
	if dir == "" {
		var err error
		if dir, err = profiles.DefaultDir(a.environ); err != nil {
			return profiles.Home{}, err
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return profiles.Home{}, err
	}
	return profiles.Open(dir)
}

// name is the profile that the command is about: -p, else HERMES_PROFILE, else
// what `profile use` stored, else the default profile.
func (a *app) name() (profiles.Name, error) {
	if name, err := a.named(); name != "" || err != nil {
		return name, err
	}
	home, err := a.home()
	if err != nil {
		return "", err
	}
	return home.Sticky()
}

// writable opens the profile that the command is about for a change of its
// settings. The default one need not be set up for that, since others share
// settings of it, but there must be a home.
func (a *app) writable() (profiles.Profile, error) {
	profile, err := a.profile()
	if err != nil {
		return profile, err
	}
	if _, err := os.Stat(profile.Dir); errors.Is(err, fs.ErrNotExist) {
		return profile, a.notSetUp()
	}
	return profile, nil
}

// notSetUp is the error for the default profile of a fresh home.
func (a *app) notSetUp() error {
	return configf("the default profile is not set up yet; run: %s", a.command("setup"))
}

// named is the profile that the command line or the environment names, or "".
func (a *app) named() (profiles.Name, error) {
	name, where := a.profileFlag, "-p"
	if name == "" {
		name, where = a.getenv("HERMES_PROFILE"), "HERMES_PROFILE"
	}
	if name == "" {
		return "", nil
	}
	return parseName(where, name)
}

// parseName reads the name of one of the profiles that there are.
func parseName(where, name string) (profiles.Name, error) {
	parsed, err := profiles.ParseRef(name)
	if err != nil {
		return "", usagef("%s: %w", where, err)
	}
	return parsed, nil
}

// profile opens the profile that the command is about. That it does not exist is
// an error that says how to make it.
func (a *app) profile() (profiles.Profile, error) {
	name, err := a.name()
	if err != nil {
		return profiles.Profile{}, err
	}
	home, err := a.home()
	if err != nil {
		return profiles.Profile{}, err
	}
	return home.Get(name)
}

// executable is the path of this binary, which the supervisor runs again for
// its workers, and a worker for each PDF document.
func executable() (string, error) { return os.Executable() }

// command returns a line that runs hermes on the same home, ready for a shell.
func (a *app) command(words ...string) string {
	line := []string{"hermes"}
	if a.homeFlag != "" {
		line = append(line, "--home", quote(a.homeFlag))
	}
	for _, word := range words {
		line = append(line, quote(word))
	}
	return strings.Join(line, " ")
}

// commandFor is command for one profile.
func (a *app) commandFor(name profiles.Name, words ...string) string {
	if name == profiles.Default {
		if sticky, err := a.stickyName(); err == nil && sticky == profiles.Default {
			return a.command(words...)
		}
	}
	return a.command(append([]string{"-p", string(name)}, words...)...)
}

// stickyName is what `profile use` stored.
func (a *app) stickyName() (profiles.Name, error) {
	home, err := a.home()
	if err != nil {
		return "", err
	}
	return home.Sticky()
}

// quote makes one word of a shell's command line of s.
func quote(s string) string {
	safe := func(r rune) bool {
		return r < 0x80 && (r == '_' || r == '-' || r == '.' || r == '/' || r == ':' || r == '=' || r == ',' || r == '@' || r == '%' || r == '+' ||
			'0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !safe(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
