//go:build unix

package supervisor

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"sync"

	"hermes/profiles"
	"hermes/supervisor/sandbox/wall"
)

// Where root cannot make workers nobody's, since the kernel gives it no namespaces, or
// the file system does not show files as somebody else's, each profile has a user of its
// own, who owns what its agent writes and nothing else. The owner of those files is all
// that is written down of it.

// notAWorker is by whom the users of root and of the home's owner are taken: no profile
// has that name.
const notAWorker = "/"

// users are those of a home's profiles.
type users struct {
	home profiles.Home
	from wall.Numbers
	log  *slog.Logger

	mu    sync.Mutex     // guards the rest
	taken map[int]string // by whom; nil before anybody has looked
}

// of is the user of a profile, to whom its data belong from then on. The caller has the
// profile's lock.
func (u *users) of(ctx context.Context, p profiles.Profile) (wall.Identity, error) {
	user, was, err := u.choose(p)
	if err != nil {
		return wall.Identity{}, err
	}
	left, err := p.Give(ctx, user)
	if err != nil {
		return wall.Identity{}, err
	}
	if was.UID != user.UID {
		u.log.Info("the profile has a user of its own", "profile", p.Name, "user", user.UID, "before", was.UID)
	}
	if left.Files > 0 {
		u.log.Warn("not all files are given to the user of the profile: what is mounted, cannot be changed, or has a name elsewhere too",
			"profile", p.Name, "user", user.UID, "files", left.Files, "first", left.First)
	}
	return wall.Identity{UID: user.UID, GID: user.GID}, nil
}

// choose is that user, and whose the data are so far: the same, unless that is root, the
// owner of the home, or somebody whose another profile is.
func (u *users) choose(p profiles.Profile) (user, was profiles.User, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if was, err = p.User(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return user, was, err
	}
	if u.taken == nil {
		if err := u.look(); err != nil {
			return user, was, err
		}
	}
	name := string(p.Name)
	if by := u.taken[was.UID]; by == "" || by == name {
		u.taken[was.UID] = name
		return profiles.User{UID: was.UID, GID: was.UID}, was, nil // whoever else is in the group
	}
	number := 0
	for u.taken[number] != "" {
		number = u.from.From + rand.IntN(u.from.To-u.from.From)
	}
	u.taken[number] = name
	return profiles.User{UID: number, GID: number}, was, nil
}

// look finds out whose the data of the profiles are.
func (u *users) look() error {
	all, err := u.home.Users()
	if err != nil {
		return err
	}
	u.taken = map[int]string{0: notAWorker, wall.OwnerOf(u.home.Dir()).UID: notAWorker}
	for name, user := range all {
		if u.taken[user.UID] == "" {
			u.taken[user.UID] = name
		}
	}
	return nil
}

// knows reports whether a worker may be that user, of a former gateway too.
func (u *users) knows(uid int) bool {
	if u == nil {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.taken[uid] == "" && u.look() != nil {
		return false
	}
	by := u.taken[uid]
	return by != "" && by != notAWorker
}
