package profiles

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
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

// Left is what Give has left as it was.
type Left struct {
	Files int
	First string // of them
}

func (l *Left) add(path string) {
	l.Files++
	l.First = cmp.Or(l.First, path)
}

// Give makes a user, who is to be the profile's worker, the owner of what the agent
// writes, and lets it read who the agent is. Settings, keys, lock and logs stay whose
// they are. The caller is root, and has the profile's lock; a worker of before may still
// be there, and is not trusted.
// What is interrupted is done by the next one. Left are what is mounted there, what
// cannot be given, and files that have a name elsewhere too, since they may be somebody
// else's.
func (p Profile) Give(ctx context.Context, to User) (left Left, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("give the data of profile %s to user %d: %w", p.Name, to.UID, err)
		}
	}()
	root, err := os.OpenRoot(p.Dir)
	if err != nil {
		return left, err
	}
	defer root.Close()
	for _, dir := range p.owned() {
		if err := giveTree(ctx, root, dir, to, &left); err != nil {
			return left, err
		}
	}
	if err := lend(root, filepath.Base(p.Soul()), 0o040, to, &left); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return left, err
	}
	return left, lend(root, ".", 0o050, to, &left)
}

// lend lets a user use something that stays somebody else's, by its group. A file that has
// a name elsewhere stays as it is, and so does a link.
func lend(root *os.Root, name string, mode fs.FileMode, to User, left *Left) error {
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	has := userIn(info)
	switch {
	case has.UID == to.UID || has.GID == to.GID && info.Mode().Perm()&mode == mode:
		return nil
	case !info.IsDir() && (!info.Mode().IsRegular() || inodeOf(info).links > 1):
		left.add(filepath.Join(root.Name(), name))
		return nil
	}
	if err := root.Lchown(name, has.UID, to.GID); err != nil {
		return err
	}
	// Whoever else was in the group that it had is not in this one.
	return root.Chmod(name, info.Mode().Perm()&^0o070|mode)
}

// Bounds of a walk, so that what an agent has made there cannot take the gateway's memory
// or time: how deep it goes, how many entries it holds at once, how many files of several
// names it remembers, and how many entries it looks at in what is given already.
const (
	deepest    = 100
	atOnce     = 500
	mostTwins  = 10_000
	mostOfOwns = 1000
)

// giving is a walk that gives a tree away. It follows nothing that leads out of it.
type giving struct {
	root   *os.Root // of the tree
	to     User
	device uint64
	seen   int                // entries
	most   int                // that are looked at
	twins  map[inode][]string // files of several names, with those that were found
	left   *Left
}

// inode is which file something is.
type inode struct{ device, number, links uint64 }

func inodeOf(info fs.FileInfo) inode {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return inode{}
	}
	return inode{uint64(stat.Dev), stat.Ino, uint64(stat.Nlink)} //nolint:unconvert // other systems have other types
}

// giveTree gives a directory, last of it, and all that is in it. What people have put
// into one that is given already is found as long as that is quick.
func giveTree(ctx context.Context, in *os.Root, dir string, to User, left *Left) error {
	top, err := in.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = in.Mkdir(dir, 0o700); err == nil {
			top, err = in.Lstat(dir)
		}
	}
	if err != nil {
		return err
	}
	if !top.IsDir() {
		left.add(filepath.Join(in.Name(), dir))
		return nil
	}
	root, err := in.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	g := giving{root, to, inodeOf(top).device, 0, math.MaxInt, map[inode][]string{}, left}
	if userIn(top).UID == to.UID {
		g.most = mostOfOwns
	}
	if err := g.walk(ctx, ".", 1); err != nil {
		return err
	}
	for id, names := range g.twins {
		if len(names) < int(id.links) { //nolint:gosec // no file system has so many
			g.leave(names[0])
			continue
		}
		g.give(names[0], id)
	}
	return in.Lchown(dir, to.UID, to.GID)
}

func (g *giving) walk(ctx context.Context, dir string, depth int) error {
	opened, err := g.root.OpenFile(dir, os.O_RDONLY|noFollow|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer opened.Close()
	for g.seen < g.most {
		entries, err := opened.ReadDir(atOnce)
		for _, entry := range entries {
			if err := g.entry(ctx, filepath.Join(dir, entry.Name()), depth); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

func (g *giving) entry(ctx context.Context, name string, depth int) error {
	g.seen++
	info, err := g.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	id, given := inodeOf(info), userIn(info).UID == g.to.UID
	switch {
	case id.device != g.device || info.IsDir() && depth == deepest:
		g.leave(name)
	case info.IsDir():
		if err := g.walk(ctx, name, depth+1); err != nil || given {
			return err
		}
		g.give(name, id)
	case given:
	case id.links == 1:
		g.give(name, id)
	case len(g.twins[id]) > 0 || len(g.twins) < mostTwins:
		g.twins[id] = append(g.twins[id], name)
	default:
		g.leave(name)
	}
	return nil
}

// give gives one entry, and leaves what cannot be given, such as what is immutable.
func (g *giving) give(name string, id inode) {
	if err := chown(g.root, name, id, g.to); err != nil {
		g.leave(name)
	}
}

// is reports whether something is still that file, and has no more names. Directories
// have as many as they have directories.
func (id inode) is(info fs.FileInfo) bool {
	now := inodeOf(info)
	return now.device == id.device && now.number == id.number && (info.IsDir() || now.links == id.links)
}

func (g *giving) leave(name string) { g.left.add(filepath.Join(g.root.Name(), name)) }

// OpenToOthers is what others may do with the profile's directory, of which that is the
// description, beyond what Give and LetPass let them.
func (p Profile) OpenToOthers(info fs.FileInfo) fs.FileMode {
	open := info.Mode().Perm() & 0o077 &^ 0o001
	if user, err := p.User(); err == nil && user.UID != 0 && userIn(info).GID == user.UID {
		open &^= 0o050
	}
	return open
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
