package profiles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// User is whom the data of a profile belong to.
type User struct{ UID, GID int }

// owned is what the agent of a profile writes, by its name in the profile's directory.
// Everything else there, settings and keys among it, is not the worker's.
func (p Profile) owned() []string {
	return []string{filepath.Base(filepath.Dir(p.Database())), filepath.Base(p.ToolHome()), filepath.Base(p.Memories()), filepath.Base(p.Skills()), filepath.Base(p.Workspace())}
}

// User returns whom the data of the profile belong to.
func (p Profile) User() (User, error) { return userOf(filepath.Dir(p.Database())) }

func userOf(path string) (User, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return User{}, err
	}
	return userIn(info), nil
}

func userIn(info fs.FileInfo) User {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return User{int(stat.Uid), int(stat.Gid)}
	}
	return User{}
}

// Users are whom the data of the home's profiles belong to, by their names.
func (h Home) Users() (map[string]User, error) {
	all, err := h.List()
	if err != nil {
		return nil, err
	}
	users := make(map[string]User, len(all))
	for _, p := range all {
		if user, err := p.User(); err == nil && p.Err == nil {
			users[string(p.Name)] = user
		}
	}
	return users, nil
}

// Give makes a user, who is to be the profile's worker, the owner of what the agent
// writes, and lets it read who the agent is. Settings, keys, lock and logs stay whose
// they are. It needs root, and is quick if nothing is to be done; what is interrupted is
// done by the next one. It returns what was left: what is mounted there, what cannot be
// given, and files that have a name elsewhere too, since they may be somebody else's.
func (p Profile) Give(ctx context.Context, to User) (left []string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("give the data of profile %s to user %d: %w", p.Name, to.UID, err)
		}
	}()
	root, err := os.OpenRoot(p.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	for _, dir := range p.owned() {
		some, err := giveTree(ctx, root, dir, to)
		if err != nil {
			return nil, err
		}
		left = append(left, some...)
	}
	if err := lend(root, filepath.Base(p.Soul()), 0o040, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return left, err
	}
	return left, lend(root, ".", 0o050, to)
}

// lend lets a user use something that stays somebody else's, by its group.
func lend(root *os.Root, name string, mode fs.FileMode, to User) error {
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	has := userIn(info)
	switch {
	case has.UID == to.UID || has.GID == to.GID && info.Mode().Perm()&mode == mode:
		return nil
	case !info.IsDir() && (!info.Mode().IsRegular() || inodeOf(info).links > 1):
		return fmt.Errorf("%s is no file of its own", name)
	}
	if err := root.Lchown(name, has.UID, to.GID); err != nil {
		return err
	}
	// Whoever else was in the group that it had is not in this one.
	return root.Chmod(name, info.Mode().Perm()&^0o070|mode)
}

// giveTree makes a user the owner of a directory, last of it, and of all that is in it.
// Nothing is followed, and what is mounted there is left alone.
func giveTree(ctx context.Context, root *os.Root, dir string, to User) (left []string, err error) {
	top, err := root.Lstat(dir)
	if err != nil || userIn(top).UID == to.UID {
		return nil, err
	}
	g := giving{root: root, to: to, device: inodeOf(top).device, twins: map[inode][]string{}}
	if err := g.walk(ctx, dir); err != nil {
		return nil, err
	}
	for id, names := range g.twins {
		if len(names) < int(id.links) { //nolint:gosec // no file system has so many
			g.left = append(g.left, names[0])
			continue
		}
		g.give(names[0])
	}
	for _, name := range g.left {
		left = append(left, filepath.Join(root.Name(), name))
	}
	return left, root.Lchown(dir, to.UID, to.GID)
}

// giving is a walk that gives a tree away.
type giving struct {
	root   *os.Root
	to     User
	device uint64
	twins  map[inode][]string // files of several names, with those that were found
	left   []string
}

// inode is which file something is.
type inode struct{ device, number, links uint64 }

func inodeOf(info fs.FileInfo) inode {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return inode{}
	}
	return inode{uint64(stat.Dev), stat.Ino, uint64(stat.Nlink)} //nolint:unconvert,gosec // other systems have other types
}

func (g *giving) walk(ctx context.Context, dir string) error {
	opened, err := g.root.Open(dir)
	if err != nil {
		return err
	}
	entries, err := opened.ReadDir(-1)
	if err := errors.Join(err, opened.Close(), ctx.Err()); err != nil {
		return err
	}
	for _, entry := range entries {
		name := filepath.Join(dir, entry.Name())
		info, err := g.root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		switch id := inodeOf(info); {
		case id.device != g.device:
			g.left = append(g.left, name)
			continue
		case info.IsDir():
			if err := g.walk(ctx, name); err != nil {
				return err
			}
		case id.links > 1:
			g.twins[id] = append(g.twins[id], name)
			continue
		}
		g.give(name)
	}
	return nil
}

// give gives one entry, and leaves what cannot be given, such as what is immutable.
func (g *giving) give(name string) {
	if err := g.root.Lchown(name, g.to.UID, g.to.GID); err != nil {
		g.left = append(g.left, name)
	}
}

// LetPass lets other users of the machine go through the home to a profile that is
// theirs. They see nothing on the way: not the names of others either.
func (h Home) LetPass() error {
	for _, dir := range []string{h.dir, h.ProfilesDir()} {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && info.Mode().Perm()&0o001 == 0 {
			err = os.Chmod(dir, info.Mode().Perm()|0o001)
		}
		if err != nil {
			return fmt.Errorf("let workers pass: %w", err)
		}
	}
	return nil
}
