package profiles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"hermes/configs"
	"hermes/profiles/archive"
)

// importPrefix begins the names of directories in profiles/ that an import fills.
// It may read from a slow pipe and does not hold the home's lock meanwhile; a
// lock on the directory itself says that it lives.
const importPrefix = ".import-"

// ImportOptions say what becomes of an archive.
type ImportOptions struct {
	// Name is the new profile's name; "" takes the one in the archive.
	Name Name
	// Port is the port to take; 0 takes the next free one, or the archive's: see
	// Import.
	Port int
	// Check looks through a database that came from elsewhere, and makes it fit for
	// another profile.
	Check func(ctx context.Context, path string) error
}

// Import makes a profile of an archive: unpacked and checked in a directory that
// is no profile yet, and published by one rename. It gets a new port and a new
// key. An archive with secrets is for a move, so both stay as they were if the
// port is free; Created.Key is then empty. The error is a *NameError or *Exists,
// or says in a sentence what is wrong with the archive or the port.
func (h Home) Import(ctx context.Context, from io.Reader, opts ImportOptions) (Created, error) {
	created, err := h.importFrom(ctx, from, opts)
	if err != nil {
		if _, ok := errors.AsType[*NameError](err); ok {
			return Created{}, err
		}
		if _, ok := errors.AsType[*Exists](err); ok {
			return Created{}, err
		}
		return Created{}, fmt.Errorf("import profile: %w", err)
	}
	return created, nil
}

func (h Home) importFrom(ctx context.Context, from io.Reader, opts ImportOptions) (Created, error) {
	r, err := archive.Open(from)
	if err != nil {
		return Created{}, err
	}
	if opts.Name == "" {
		if r.Manifest.Name == string(Default) {
			return Created{}, errors.New("it was the default profile, whose name cannot be given twice; choose one with --name")
		}
		if opts.Name, err = ParseName(r.Manifest.Name); err != nil {
			return Created{}, err
		}
	}
	if err := h.vacant(opts.Name); err != nil { // now, and not after gigabytes
		return Created{}, err
	}
	staging, done, err := h.stageImport(ctx, opts.Name)
	if err != nil {
		return Created{}, err
	}
	defer done()
	if err := r.Unpack(ctx, staging.Dir); err != nil {
		return Created{}, err
	}
	enabled, err := staging.complete(ctx, opts.Check)
	if err != nil {
		return Created{}, err
	}
	unlock, err := h.lock(ctx)
	if err != nil {
		return Created{}, err
	}
	defer unlock()
	return h.publishImport(ctx, staging, opts, r.Manifest.Secrets, enabled)
}

// vacant says why a name cannot be given to a new profile.
func (h Home) vacant(name Name) error {
	if name == Default {
		return &NameError{string(Default), "it is the home itself"}
	}
	if err := name.check(); err != nil {
		return err
	}
	if _, err := os.Lstat(h.profile(name).Dir); !errors.Is(err, fs.ErrNotExist) {
		return &Exists{name}
	}
	return nil
}

// stageImport makes an empty directory for an import. done removes what is left
// of it.
func (h Home) stageImport(ctx context.Context, name Name) (staging Profile, done func(), err error) {
	unlock, err := h.lock(ctx) // as long as nobody knows that it lives
	if err != nil {
		return Profile{}, nil, err
	}
	defer unlock()
	if err := h.sweep(); err != nil {
		return Profile{}, nil, err
	}
	staging = Profile{Name: name, Dir: h.unfinished(importPrefix, name), home: h.dir}
	if err := makeDir(staging.Dir); err != nil {
		return Profile{}, nil, err
	}
	alive, err := os.Open(staging.Dir)
	if err != nil {
		return Profile{}, nil, err
	}
	if _, err := tryLock(alive, unix.LOCK_EX); err != nil {
		return Profile{}, nil, errors.Join(err, alive.Close())
	}
	return staging, func() {
		_ = removeAll(staging.Dir) // nothing is there after the rename
		_ = alive.Close()
	}, nil
}

// abandoned reports whether nobody fills a directory of an import any more.
func abandoned(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	free, err := tryLock(f, unix.LOCK_EX)
	return err == nil && free
}

// complete checks what was unpacked, and adds what every profile has. It returns
// whether the settings say that the profile is served.
func (p Profile) complete(ctx context.Context, check func(ctx context.Context, path string) error) (enabled bool, err error) {
	// A key of its own is what it gets, unless it brings one.
	loaded, err := p.Load(nil, map[string]string{"api_server.key": newKey().Reveal()})
	if problems, ok := errors.AsType[*configs.Problems](err); ok {
		// The directory will be gone by the time that somebody looks there.
		for i := range problems.List {
			problems.List[i].File = strings.TrimPrefix(problems.List[i].File, p.Dir+string(filepath.Separator))
		}
		return false, fmt.Errorf("the settings in the archive are not good: %w", problems.List[0])
	}
	if err != nil {
		return false, err
	}
	if _, err := os.Lstat(p.Database()); err == nil {
		if err := check(ctx, p.Database()); err != nil {
			return false, err
		}
	}
	for _, dir := range p.directories() {
		if err := makeDir(dir); err != nil {
			return false, err
		}
	}
	for path, template := range map[string][]byte{p.ConfigFile(): configs.ConfigTemplate(), p.Soul(): configs.SoulTemplate()} {
		if err := create(path, template); err != nil && !errors.Is(err, fs.ErrExist) {
			return false, err
		}
	}
	return loaded.Config.APIServer.Enabled, nil
}

// publishImport gives a staged profile its port and key and its place. The caller
// has the home's lock.
func (h Home) publishImport(ctx context.Context, staging Profile, opts ImportOptions, moved, enabled bool) (Created, error) {
	if err := h.vacant(opts.Name); err != nil { // another one may have been faster
		return Created{}, err
	}
	created := Created{Profile: h.profile(opts.Name)}
	if moved && opts.Port == 0 {
		moved = h.keepsPort(ctx, staging, &created)
	} else {
		moved = false
	}
	if !moved {
		if err := h.giveNew(ctx, staging, opts.Port, enabled, &created); err != nil {
			return Created{}, err
		}
	}
	if err := inheritAll(staging.Dir); err != nil {
		return Created{}, err
	}
	if err := errors.Join(syncDir(staging.Dir), ctx.Err()); err != nil {
		return Created{}, err
	}
	if err := os.Rename(staging.Dir, created.Profile.Dir); err != nil {
		return Created{}, err
	}
	return created, syncDir(h.ProfilesDir())
}

// keepsPort reports whether the archive's own port and key can stay.
func (h Home) keepsPort(ctx context.Context, staging Profile, created *Created) bool {
	loaded, err := staging.Load(nil, nil)
	if err != nil || loaded.Config.APIServer.Key.IsZero() {
		return false
	}
	port := loaded.Config.APIServer.Port
	if port, err = h.choosePort(ctx, port, firstPort, staging.Name); err != nil {
		return false
	}
	created.Port = port
	return true
}

// giveNew writes a port and a key of its own into the settings of a staged
// profile.
func (h Home) giveNew(ctx context.Context, staging Profile, asked int, enabled bool, created *Created) (err error) {
	if created.Port, err = h.choosePort(ctx, asked, firstPort, staging.Name); err != nil {
		return err
	}
	created.Key = newKey()
	config, err := configs.MovedYAML(peek(staging.ConfigFile()))
	if err != nil {
		return err
	}
	env := configs.EnvTemplate(configs.EnvOptions{
		Enabled: enabled, Port: created.Port, Key: created.Key, Secrets: configs.MovedEnv(peek(staging.EnvFile())),
	})
	for path, data := range map[string][]byte{staging.ConfigFile(): config, staging.EnvFile(): env} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := create(path, data); err != nil {
			return err
		}
	}
	return nil
}

// inheritAll gives all that was unpacked to whom the directory belongs.
func inheritAll(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		return inherit(path)
	})
}
