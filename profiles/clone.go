package profiles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"hermes/configs"
)

// noFollow makes an open fail on a symbolic link.
const noFollow = syscall.O_NOFOLLOW

// maxClone bounds what a clone copies of skills and memories, in bytes.
const maxClone = 1 << 30

// source is what a new profile begins with: the templates, or what a clone takes
// along.
type source struct {
	config, soul []byte
	keys         []configs.EnvEntry
	profile      *Profile // nil without a clone
}

// source reads the profile to clone. Its API key, port and other API_SERVER_*
// stay behind, wherever they are written.
func (h Home) source(name Name) (source, error) {
	from := source{config: configs.ConfigTemplate(), soul: configs.SoulTemplate()}
	if name == "" {
		return from, nil
	}
	p, err := h.Get(name)
	if err != nil {
		return source{}, fmt.Errorf("clone: %w", err)
	}
	if !p.SetUp() {
		return source{}, errors.New("clone: the default profile is not set up; run: hermes setup")
	}
	from.profile = &p
	if data := peek(p.ConfigFile()); data != nil {
		from.config, err = configs.CloneYAML(data)
		if problem, ok := errors.AsType[*configs.Problem](err); ok {
			problem.File = p.ConfigFile()
			return source{}, fmt.Errorf("clone: %w", problem)
		}
		if err != nil {
			return source{}, fmt.Errorf("clone: %w", err)
		}
	}
	if data := peek(p.Soul()); data != nil {
		from.soul = data
	}
	from.keys = configs.CloneEnv(peek(p.EnvFile()), from.config)
	return from, nil
}

// copyTrees copies skills and memories of the cloned profile, and says what it
// left out.
func (s source) copyTrees(ctx context.Context, to Profile) (skipped []string, err error) {
	if s.profile == nil {
		return nil, nil
	}
	budget := int64(maxClone)
	for _, pair := range [][2]string{{s.profile.Skills(), to.Skills()}, {s.profile.Memories(), to.Memories()}} {
		left, err := copyTree(ctx, pair[0], pair[1], &budget)
		if err != nil {
			return nil, fmt.Errorf("copy %s: %w", pair[0], err)
		}
		skipped = append(skipped, left...)
	}
	return skipped, nil
}

// copyTree copies the plain files below one directory into another one. What is
// no plain file is skipped: a symbolic link that an agent made could lead to
// another profile's secrets.
func copyTree(ctx context.Context, from, to string, budget *int64) (skipped []string, err error) {
	if info, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err == nil && !info.IsDir() {
		return []string{from}, nil
	}
	root, err := os.OpenRoot(from)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case path == ".":
			return nil
		case entry.IsDir():
			return makeDir(filepath.Join(to, path))
		case !entry.Type().IsRegular():
			skipped = append(skipped, filepath.Join(from, path))
			return nil
		}
		return copyFile(root, path, filepath.Join(to, path), budget)
	})
	return skipped, err
}

func copyFile(root *os.Root, path, to string, budget *int64) error {
	in, err := root.OpenFile(path, os.O_RDONLY|noFollow|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	if info, err := in.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, fmt.Errorf("%s changed while it was read", path))
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(in, *budget+1))
	*budget -= n
	if err == nil && *budget < 0 {
		err = fmt.Errorf("there is more than %d bytes to copy", maxClone)
	}
	return errors.Join(err, out.Chmod(0o600), out.Close(), inherit(to))
}
