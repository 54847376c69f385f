package profiles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"hermes/configs"
	"hermes/profiles/archive"
)

const (
	// copyPrefix begins the name of the copy of a database that is being exported.
	copyPrefix = ".export-"
	// copyAge is how old a copy is that nobody writes any more.
	copyAge = 6 * time.Hour
)

// ExportOptions say what of a profile goes into an archive.
type ExportOptions struct {
	// Secrets takes .env along as it is, with the API key and all other secrets.
	// Without, only the settings of the API server are taken from it, and secrets
	// that stand in config.yaml are left out.
	Secrets bool
	// NoWorkspace leaves out the workspace.
	NoWorkspace bool
	// MadeBy is the program that exports, with its version.
	MadeBy string
	// Backup writes a copy of a database that may be in use into a new file.
	Backup func(ctx context.Context, from, to string) error
}

// Exported is what an archive holds.
type Exported struct {
	Files int
	// Skipped lists, with the reason, what was left out because no archive can hold
	// it: sockets, links that leave the workspace, names that are no text.
	Skipped []string
}

// export is an archive that is being written.
type export struct {
	profile Profile
	opts    ExportOptions
	to      *archive.Writer
	done    Exported
}

// Export writes the profile to an archive, in an order and with times that are
// the same for the same state. The profile may be served meanwhile; its database
// is copied as it is at one moment. Logs, locks and the home directory of its
// commands, which holds what can be downloaded again, are not in it.
func (p Profile) Export(ctx context.Context, to io.Writer, opts ExportOptions) (Exported, error) {
	if err := p.usable(); err != nil {
		return Exported{}, err
	}
	if !p.SetUp() {
		return Exported{}, errors.New("the default profile is not set up; run: hermes setup")
	}
	e := &export{profile: p, opts: opts}
	err := e.write(ctx, to)
	if err != nil {
		return Exported{}, fmt.Errorf("export profile %s: %w", p.Name, err)
	}
	return e.done, nil
}

func (e *export) write(ctx context.Context, to io.Writer) (err error) {
	e.to, err = archive.NewWriter(to, archive.Manifest{
		Name: string(e.profile.Name), MadeBy: e.opts.MadeBy, Secrets: e.opts.Secrets, Workspace: !e.opts.NoWorkspace,
	})
	if err != nil {
		return err
	}
	if err := e.settings(); err != nil {
		return err
	}
	if err := e.database(ctx); err != nil {
		return err
	}
	trees := []string{archive.Memories, archive.Skills, archive.Workspace}
	if e.opts.NoWorkspace {
		trees = trees[:2]
	}
	for _, tree := range trees {
		if err := e.tree(ctx, tree); err != nil {
			return err
		}
	}
	return e.to.Close()
}

// settings adds config.yaml, .env and SOUL.md.
func (e *export) settings() error {
	env, config := peek(e.profile.EnvFile()), peek(e.profile.ConfigFile())
	if !e.opts.Secrets {
		env = configs.PublicEnv(env)
		var err error
		config, err = configs.PublicYAML(config)
		if problem, ok := errors.AsType[*configs.Problem](err); ok {
			problem.File = e.profile.ConfigFile()
			return problem
		}
		if err != nil {
			return err
		}
	}
	for _, file := range []struct {
		at   string
		data []byte
	}{{archive.Config, config}, {archive.Env, env}, {archive.Soul, peek(e.profile.Soul())}} {
		if file.data == nil {
			continue
		}
		if err := e.to.File(file.at, int64(len(file.data)), false, time.Time{}, bytes.NewReader(file.data)); err != nil {
			return err
		}
		e.done.Files++
	}
	return nil
}

// database adds a copy of the database. It has a name only while it is written, in the
// profile's directory: there is room for such a file, and its worker, which may have
// been taken over, cannot write there and put something else in its place.
func (e *export) database(ctx context.Context) error {
	if info, err := os.Lstat(e.profile.Database()); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", e.profile.Database())
	}
	sweepCopies(e.profile.Dir)
	temp, err := os.MkdirTemp(e.profile.Dir, copyPrefix)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }() // the next export sweeps
	copied := filepath.Join(temp, "state.db")
	if err := e.opts.Backup(ctx, e.profile.Database(), copied); err != nil {
		return err
	}
	f, err := os.Open(copied)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := os.RemoveAll(temp); err != nil {
		return err
	}
	e.done.Files++
	return e.to.File(archive.Database, info.Size(), false, time.Time{}, f)
}

// sweepCopies removes what exports that were killed have left.
func sweepCopies(dir string) {
	left, err := filepath.Glob(filepath.Join(dir, copyPrefix+"*"))
	if err != nil {
		return
	}
	for _, at := range left {
		if info, err := os.Lstat(at); err == nil && time.Since(info.ModTime()) > copyAge {
			_ = os.RemoveAll(at)
		}
	}
}

// tree adds a directory of the profile with what is below it. What is gone by
// the time that it is its turn was never there.
func (e *export) tree(ctx context.Context, name string) error {
	dir := filepath.Join(e.profile.Dir, name)
	if info, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err == nil && !info.IsDir() {
		e.skip(name, errors.New("it is no directory of its own"))
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(at string, entry fs.DirEntry, err error) error {
		inside := path.Join(name, at)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		}
		err = e.entry(root, at, inside, entry)
		refused, ok := errors.AsType[*archive.RefusedError](err)
		switch {
		case ok:
			e.skip(inside, refused.Why)
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case errors.Is(err, fs.ErrNotExist):
			return nil
		default:
			return err
		}
	})
}

// entry adds one file, link or directory.
func (e *export) entry(root *os.Root, at, inside string, entry fs.DirEntry) error {
	switch {
	case entry.IsDir():
		return e.to.Dir(inside)
	case entry.Type()&fs.ModeSymlink != 0 && strings.HasPrefix(inside, archive.Workspace+"/"):
		target, err := root.Readlink(at)
		if err != nil {
			return err
		}
		return e.to.Link(inside, target)
	case !entry.Type().IsRegular():
		return &archive.RefusedError{Path: inside, Why: errors.New("it is no plain file")}
	}
	f, err := root.OpenFile(at, os.O_RDONLY|noFollow|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &archive.RefusedError{Path: inside, Why: errors.New("it is no plain file any more")}
	}
	err = e.to.File(inside, info.Size(), info.Mode()&0o100 != 0, info.ModTime(), f)
	if err == nil {
		e.done.Files++
	}
	return err
}

func (e *export) skip(at string, why error) {
	e.done.Skipped = append(e.done.Skipped, fmt.Sprintf("%s: %v", filepath.Join(e.profile.Dir, at), why))
}
