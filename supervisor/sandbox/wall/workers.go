//go:build unix

package wall

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Workers is how workers of a home can be walled in here, and as whom they run.
type Workers struct {
	Report
	Owner   Identity // of the home's files
	Strange bool     // each is somebody whom the machine does not know
	Own     *Numbers // each profile has a user among these, who owns what its agent writes
}

// Identity is as whom the next worker runs: as the owner of the home, or, if root starts
// it, as a stranger. Users of profiles are for each to find out.
func (w Workers) Identity() Identity {
	if w.Strange {
		return Stranger()
	}
	return w.Owner
}

// ProbeWorkers finds that out, by doing. Exe is this program, offline is set if workers
// reach the outside over egress alone. It takes some milliseconds.
func ProbeWorkers(ctx context.Context, exe, home string, offline bool, by Starter) Workers {
	w := Workers{Owner: OwnerOf(home)}
	as := w.Owner
	var apart error // why they are not a user each
	if os.Geteuid() == 0 {
		stranger := Stranger()
		owner := w.Owner
		owner.Outside = stranger.Outside
		if apart = tryIdmap(exe, owner, by, home); apart == nil {
			w.Strange, as = true, stranger
		} else if own, err := OwnNumbers(); err != nil {
			apart = err
		} else {
			w.Own, as, apart = &own, Outsider(own.From), nil
		}
	}
	w.Report = ProbeRoom(ctx, exe, home, as, offline, by)
	if w.Own != nil && !w.Level.Spaces() {
		// They come to their files by their path.
		if dir := ClosedAbove(home); dir != "" {
			w.Own, apart = nil, fmt.Errorf("others cannot go through %s: allow it with chmod o+x %[1]s, or have the home elsewhere (--home)", dir)
		}
	}
	if apart != nil {
		w.Why = w.shared(apart)
	}
	return w
}

// shared says of workers that root runs that they are no users of their own, as whom they
// run, and why.
func (w Workers) shared(because error) string {
	who := "the owner of their profile"
	if w.Owner.UID == 0 {
		who = "root without its rights over others, since root owns the home"
	}
	return strings.TrimPrefix(fmt.Sprintf("%s, they run as %s, and not as a user each (%v)", w.Why, who, because), ", ")
}

// tryIdmap tries whether a worker can be a stranger to whom the files are shown as its own.
func tryIdmap(exe string, owner Identity, by Starter, home string) error {
	users, err := Users(exe, owner, by)
	if err != nil {
		return err
	}
	defer users.Close()
	mounts, err := Idmap(users, home)
	for _, mount := range mounts {
		_ = mount.Close()
	}
	return err
}

// ClosedAbove is a directory above this one, or above where it leads as a link, that
// others cannot go through, or empty.
func ClosedAbove(dir string) string {
	ways := []string{dir}
	if target, err := filepath.EvalSymlinks(dir); err == nil {
		ways = append(ways, target)
	}
	for _, dir := range ways {
		for dir != filepath.Dir(dir) {
			dir = filepath.Dir(dir)
			if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o001 == 0 {
				return dir
			}
		}
	}
	return ""
}

// OwnerOf is whom a directory belongs to if this is root, else this user, whose all is.
func OwnerOf(dir string) Identity {
	info, err := os.Stat(dir)
	if err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
			return Identity{UID: int(stat.Uid), GID: int(stat.Gid)}
		}
	}
	return Identity{UID: os.Geteuid(), GID: os.Getegid()}
}
