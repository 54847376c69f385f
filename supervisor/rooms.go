package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"hermes/supervisor/egress/wire"
	"hermes/supervisor/sandbox/wall"
)

// rooms are what there can be around a worker on this machine.
type rooms struct {
	wall.Report
	owner   wall.Identity // of the home's files
	strange bool          // a worker can have a number of its own
	users   *users        // those of the profiles, nil if they have none
}

// identity is as whom the next worker runs: as the owner of the home, or, if root has
// started it, as somebody whom the machine does not know, another one each time. Users of
// profiles are for each to find out.
func (w rooms) identity() wall.Identity {
	if w.strange {
		return wall.Stranger()
	}
	return w.owner
}

// rooms is what finds that out: once, when the first worker is started.
func (s *Supervisor) rooms(log *slog.Logger) func() rooms {
	if !s.opts.Rooms {
		return nil
	}
	return sync.OnceValue(func() rooms {
		home := s.opts.Home.Dir()
		w := rooms{owner: ownerOf(home), strange: os.Geteuid() == 0}
		as := w.identity()
		var apart error
		if w.strange {
			owner := w.owner
			owner.Outside = as.Outside
			if apart = tryIdmap(s.opts.Exe, owner, s.children, home); apart != nil {
				w.strange, as = false, w.owner
				if w.users, apart = newUsers(s.opts.Home, log); apart == nil {
					as = wall.Outsider(w.users.from.from)
				}
			}
		}
		w.Report = wall.ProbeRoom(context.Background(), s.opts.Exe, home, as, wire.Supported, s.children)
		if w.users != nil && !w.Level.Spaces() {
			if apart = w.users.reach(); apart != nil {
				w.users = nil
			}
		}
		if apart != nil {
			w.Report = w.shared(home, apart)
		}
		return w
	})
}

// shared says of workers that root runs that they are no users of their own, as whom
// they run, and why.
func (w rooms) shared(home string, because error) wall.Report {
	who := "the owner of their profile"
	if w.owner.UID == 0 {
		who = "root without its rights over others, since root owns the home"
		w.Mend = strings.TrimPrefix(w.Mend+"; give the home to a user of its own, who can reach it: chown -R hermes: "+home, "; ")
	}
	w.Why = strings.TrimPrefix(fmt.Sprintf("%s, they run as %s, and not as a user each (%v)", w.Why, who, because), ", ")
	return w.Report
}

// tryIdmap tries whether a worker can be a user of its own.
func tryIdmap(exe string, owner wall.Identity, by wall.Starter, home string) error {
	users, err := wall.Users(exe, owner, by)
	if err != nil {
		return err
	}
	defer users.Close()
	mounts, err := wall.Idmap(users, home)
	for _, mount := range mounts {
		_ = mount.Close()
	}
	return err
}

// user finds out who the worker of a start is to be, where root starts it and it is not
// nobody's. The profile's lock is held.
func (t try) user(ctx context.Context, s *spawn) error {
	if s.rooms == nil || !walled(s.start.Isolation) || os.Geteuid() != 0 || s.rooms().strange {
		return nil
	}
	as, found := ownerOf(t.profile.Dir), s.rooms()
	if u := found.users; u != nil {
		var err error
		if as, err = u.of(ctx, t.profile); err == nil && !found.Level.Spaces() {
			err = u.home.LetPass() // also where nothing was when it was looked at first
		}
		if err != nil {
			return err
		}
	}
	switch {
	case !found.Level.Spaces():
		s.start.Isolation.User, s.start.Isolation.Group = as.UID, as.GID
	case found.users != nil:
		s.user = wall.Outsider(as.UID)
		s.start.Orphan.Socket = orphanSocket(t.home, as.UID)
	}
	return nil
}

// lend makes the mounts in which the profile's files are the worker's, if it runs as
// somebody else.
func (p *process) lend() error {
	if p.as.Outside == 0 || !p.shimmed() {
		return nil
	}
	run := p.start.Paths.Profile // one who has no socket needs no other directory
	if p.start.Orphan.Socket != "" {
		run = filepath.Dir(p.start.Orphan.Socket)
	}
	if p.users == nil { // they are the worker's already
		mounts, err := wall.Idmap(nil, p.start.Paths.Profile, run)
		if err != nil {
			return err
		}
		p.given.Tree, p.given.Run = mounts[0], mounts[1]
		return nil
	}
	owner, users := ownerOf(filepath.Dir(p.start.Paths.Database)), p.users
	defer p.users.Close()         // which was for this
	if owner != p.rooms().owner { // which is rare, and not known before
		owner.Outside = p.as.Outside
		var err error
		if users, err = wall.Users(p.exe, owner, p.children); err != nil {
			return err
		}
		defer users.Close()
	}
	tree, err := wall.Idmap(users, p.start.Paths.Profile)
	if err != nil {
		return err
	}
	p.given.Tree = tree[0]
	sockets, err := wall.Idmap(p.users, run) // which belongs to the owner of the home
	if err != nil {
		return err
	}
	p.given.Run = sockets[0]
	return nil
}
