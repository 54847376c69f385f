package profiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hermes/configs"
)

// Profile is one private agent on disk. A Profile with an Err is an entry of
// profiles/ that cannot be used; only its Dir is to be shown.
type Profile struct {
	// Name is empty for an entry whose name is none.
	Name Name
	Dir  string // absolute
	// Err says why List could not take the entry for a profile.
	Err error

	home string
}

// ConfigFile is the profile's config.yaml.
func (p Profile) ConfigFile() string { return filepath.Join(p.Dir, configs.YAMLFile) }

// EnvFile is the profile's .env.
func (p Profile) EnvFile() string { return filepath.Join(p.Dir, configs.EnvFile) }

// Database is the profile's SQLite file.
func (p Profile) Database() string { return filepath.Join(p.Dir, "data", "state.db") }

// ChatHistory is the file of what people typed into hermes chat.
func (p Profile) ChatHistory() string { return filepath.Join(p.Dir, "data", "chat_history") }

// Workspace is the directory that the profile's tools may touch.
func (p Profile) Workspace() string { return filepath.Join(p.Dir, "workspace") }

// ToolHome is HOME of the profile's tool commands.
func (p Profile) ToolHome() string { return filepath.Join(p.Dir, "home") }

// Memories is the directory of the agent's notes.
func (p Profile) Memories() string { return filepath.Join(p.Dir, "memories") }

// Skills is the directory of the agent's skills.
func (p Profile) Skills() string { return filepath.Join(p.Dir, "skills") }

// Soul is the file that says who the agent is.
func (p Profile) Soul() string { return filepath.Join(p.Dir, "SOUL.md") }

// Logs is the directory of the worker's logs.
func (p Profile) Logs() string { return filepath.Join(p.Dir, "logs") }

// LockFile is the file that a gateway holds locked while it serves the profile.
func (p Profile) LockFile() string { return filepath.Join(p.Dir, "gateway.lock") }

// Hidden are the directories that the profile's commands must not look into: the
// home of all profiles, and this one if it lies elsewhere.
func (p Profile) Hidden() []string {
	if p.home == "" || p.home == p.Dir {
		return []string{p.Dir}
	}
	return []string{p.home, p.Dir}
}

// directories are those that every profile has.
func (p Profile) directories() []string {
	return []string{filepath.Dir(p.Database()), p.Memories(), p.Skills(), p.Workspace(), p.ToolHome(), p.Logs()}
}

// Load reads the profile's settings. environ is the process environment, which
// counts for the default profile only; overrides are the command line's flags.
// The error is a *configs.Problems, or says why the directory cannot be used.
func (p Profile) Load(environ []string, overrides map[string]string) (configs.Loaded, error) {
	if err := p.usable(); err != nil {
		return configs.Loaded{}, err
	}
	return configs.Load(configs.Sources{
		Profile: string(p.Name), Dir: p.Dir, HomeDir: p.home, Environ: environ, Overrides: overrides,
	})
}

// Target is the profile for configs.Set and configs.Unset.
func (p Profile) Target(environ []string) configs.Target {
	return configs.Target{Profile: string(p.Name), Dir: p.Dir, HomeDir: p.home, Environ: environ}
}

// Prepare makes those of the profile's directories that are missing, such as
// workspace and logs. A profile that Create made has them all; the default one
// may be no more than a home.
func (p Profile) Prepare() error {
	if err := p.usable(); err != nil {
		return err
	}
	if p.Name == Default {
		// `docker run -e API_SERVER_ENABLED=true` serves a home that is not there yet.
		if err := (Home{dir: p.Dir}).make(); err != nil {
			return err
		}
	}
	for _, dir := range p.directories() {
		if err := makeDir(dir); err != nil {
			return fmt.Errorf("prepare profile %s: %w", p.Name, err)
		}
	}
	return nil
}

// usable refuses an entry that is no directory of its own: what a symbolic link
// leads to is not the profile's.
func (p Profile) usable() error {
	if p.Err != nil {
		return p.Err
	}
	if p.Name == Default {
		return nil
	}
	info, err := os.Lstat(p.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &NotFound{p.Name}
	case err != nil:
		return fmt.Errorf("open profile %s: %w", p.Name, err)
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("open profile %s: %s is a symbolic link; a profile must be a directory of its own", p.Name, p.Dir)
	case !info.IsDir():
		return fmt.Errorf("open profile %s: %s is no directory", p.Name, p.Dir)
	}
	return nil
}

// makeDir makes a directory with mode 0700, whatever the umask, in the name of
// whom its parent belongs to. One that exists stays as it is; a symbolic link is
// refused.
func makeDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		info, err := os.Lstat(dir)
		switch {
		case err != nil:
			return err
		case info.Mode()&fs.ModeSymlink != 0:
			return fmt.Errorf("%s is a symbolic link; it must be a directory of its own", dir)
		case !info.IsDir():
			return fmt.Errorf("%s is no directory", dir)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a directory needs x
		return err
	}
	return inherit(dir)
}
