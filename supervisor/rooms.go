package supervisor

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"hermes/supervisor/egress/wire"
	"hermes/supervisor/sandbox/wall"
)

// rooms are what there can be around a worker on this machine.
type rooms struct {
	wall.Workers
	users *users // those of the profiles, nil if they have none
}

// rooms is what finds that out: once, when the first worker is started.
func (s *Supervisor) rooms(log *slog.Logger) func() rooms {
	if !s.opts.Rooms {
		return nil
	}
	return sync.OnceValue(func() rooms {
		found := rooms{Workers: wall.ProbeWorkers(context.Background(), s.opts.Exe, s.opts.Home.Dir(), wire.Supported, s.children)}
		if found.Own != nil {
			found.users = &users{home: s.opts.Home, from: *found.Own, log: log}
		}
		return found
	})
}

// user finds out who the worker of a start is to be, where root starts it and it is not
// nobody's. The profile's lock is held.
func (t try) user(ctx context.Context, s *spawn) error {
	if s.rooms == nil || !walled(s.start.Isolation) || os.Geteuid() != 0 || s.rooms().Strange {
		return nil
	}
	as, found := wall.OwnerOf(t.profile.Dir), s.rooms()
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
	owner, users := wall.OwnerOf(filepath.Dir(p.start.Paths.Database)), p.users
	defer p.users.Close()         // which was for this
	if owner != p.rooms().Owner { // which is rare, and not known before
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
