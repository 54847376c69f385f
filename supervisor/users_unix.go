//go:build unix

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"hermes/profiles"
	"hermes/supervisor/sandbox/wall"
)

// Where root cannot make workers nobody's, since the kernel gives it no namespaces, or
// the file system does not show files as somebody else's, each profile has a user of its
// own, who owns what its agent writes and nothing else. The owner of those files is all
// that is written down of it.

// numbers are users whom nobody is given, from one number on to before another.
type numbers struct{ from, to int }

// ownNumbers are the numbers of such users: above those of wall.Stranger; and in a
// container that knows 65536 users only, those that systemd keeps for users whom it makes
// up (https://systemd.io/UIDS-GIDS).
func ownNumbers() []numbers { return []numbers{{1_990_000_000, 2_080_000_000}, {61_184, 65_520}} }

// notAWorker is by whom the users of root and of the home's owner are taken: no profile
// has that name.
const notAWorker = "/"

// users are those of a home's profiles.
type users struct {
	home profiles.Home
	from numbers
	log  *slog.Logger

	mu    sync.Mutex     // guards the rest
	taken map[int]string // by whom; nil before anybody has looked
}

// newUsers finds out whether there are such users. The error says why not.
func newUsers(home profiles.Home, log *slog.Logger) (*users, error) {
	for _, from := range ownNumbers() {
		if mapped("/proc/self/uid_map", from) && mapped("/proc/self/gid_map", from) {
			return &users{home: home, from: from, log: log}, nil
		}
	}
	return nil, errors.New("the container knows too few users")
}

// reach lets such users come to the data of their profiles, who are not in a namespace
// that is given them. The error says why they cannot.
func (u *users) reach() error {
	if dir := closedAbove(u.home.Dir()); dir != "" {
		return fmt.Errorf("others cannot go through %s: allow it with chmod o+x %[1]s, or have the home elsewhere (--home)", dir)
	}
	return nil
}

// closedAbove is a directory above this one that others cannot go through, or empty.
func closedAbove(dir string) string {
	for dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o001 == 0 {
			return dir
		}
	}
	return ""
}

// mapped reports whether this system or container knows these numbers. Each line of the
// map is a first number, what it is outside, and how many there are.
func mapped(path string, wanted numbers) bool {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		var first, outside, count int
		if n, _ := fmt.Sscan(line, &first, &outside, &count); n == 3 && first <= wanted.from && wanted.to <= first+count {
			return true
		}
	}
	return false
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
		number = u.from.from + rand.IntN(u.from.to-u.from.from)
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
	u.taken = map[int]string{0: notAWorker, ownerOf(u.home.Dir()).UID: notAWorker}
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
