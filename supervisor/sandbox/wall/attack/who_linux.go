package attack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hermes/supervisor/sandbox/wall"
)

// lend has a worker come to the scene as it comes to its profile, and says who it is.
func (s *scene) lend(exe string, w wall.Workers, room *wall.RoomOptions) (as wall.Identity, mounts []*os.File, err error) {
	as = w.Identity()
	if w.Strange {
		owner := w.Owner
		owner.Outside = as.Outside
		users, err := wall.Users(exe, owner, s.children)
		if err != nil {
			return as, nil, err
		}
		defer users.Close()
		mounts, err = wall.Idmap(users, s.Home, filepath.Dir(room.Socket))
		return as, mounts, err
	}
	if w.Own == nil {
		return as, nil, nil
	}
	user, other := w.Own.Attackers()
	if err := s.give(user, other); err != nil {
		return as, nil, fmt.Errorf("give the scene to user %d: %w", user, err)
	}
	if !room.Level.Spaces() {
		room.As = wall.Identity{UID: user, GID: user}
		return as, nil, nil
	}
	room.Socket = s.at("run/own/x.orphan")
	mounts, err = wall.Idmap(nil, s.Home, filepath.Dir(room.Socket))
	return wall.Outsider(user), mounts, err
}

// passable is a place for a scene to which somebody else comes by its path: this one, if
// that may be.
func passable(place string) string {
	for _, dir := range []string{place, os.TempDir(), "/tmp"} {
		if wall.ClosedAbove(filepath.Join(dir, "scene")) == "" {
			return dir
		}
	}
	return place // where the attackers say what is closed
}

// give gives the default profile of the scene to a user as a gateway does, and the other
// one to another.
func (s *scene) give(user, other int) error {
	to := func(user int, dirs ...string) (err error) {
		for _, dir := range dirs {
			err = errors.Join(err, filepath.WalkDir(s.at(dir), func(path string, _ fs.DirEntry, err error) error {
				return errors.Join(err, os.Lchown(path, user, user)) //nolint:gosec // nobody else is there yet
			}))
		}
		return err
	}
	lend := func(user int, name string, mode fs.FileMode) error {
		return errors.Join(os.Lchown(s.at(name), 0, user), os.Chmod(s.at(name), mode))
	}
	return errors.Join(os.Mkdir(s.at("run/own"), 0o700), to(user, "data", "memories", "skills", "workspace", "home", "run/own"),
		to(other, "profiles/bob/data", "profiles/bob/workspace"), lend(0, "..", 0o701), lend(user, ".", 0o751), lend(user, "SOUL.md", 0o640),
		lend(0, "profiles", 0o701), lend(other, "profiles/bob", 0o750))
}
