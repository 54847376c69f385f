package supervisor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"hermes/profiles"
	"hermes/supervisor/egress"
	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox/wall"
)

// seekAgain is when a gateway that has just begun looks for orphans once more: a
// worker on a busy machine may take a moment to notice the death of its parent.
const seekAgain = time.Second

// errElsewhere is the error for an orphan of a profile that another gateway serves.
var errElsewhere = errors.New("another gateway serves it")

// orphan is a worker that another gateway has left, and that this one has claimed.
type orphan struct {
	*handoff.Foundling
	who  *foster
	lock *profiles.Lock
	// table is what it may reach, by the settings as they are now.
	table egress.Table
}

// orphanSocket is a path on which a worker of a home can wait for another gateway,
// empty if there is none. A worker that makes it as a user of its own has a directory
// there, called by the user's number; 0 is for others.
func orphanSocket(home string, user int) string {
	for _, dir := range socketDirs(home) {
		path := dir.path
		if user != 0 {
			path = filepath.Join(path, strconv.Itoa(user))
		}
		name := filepath.Join(path, strings.ToLower(rand.Text()[:12])+handoff.OrphanSuffix)
		if len(name) > socketPath || dir.make() != nil {
			continue
		}
		if user != 0 && errors.Join(socketDir{path: path}.make(), os.Lchown(path, user, user)) != nil {
			continue
		}
		return name
	}
	return ""
}

// orphanSockets are those in a directory.
func orphanSockets(dir string) []string {
	own, _ := filepath.Glob(filepath.Join(escapeGlob(dir), "*"+handoff.OrphanSuffix))
	users, _ := filepath.Glob(filepath.Join(escapeGlob(dir), "[0-9]*", "*"+handoff.OrphanSuffix))
	return append(own, users...)
}

// seek claims every orphan of the home, side by side. What only looks like one is
// left alone, and the sockets of those that are gone are removed.
func (f *fleet) seek(ctx context.Context) []*orphan {
	home := f.watcher.home
	var mu sync.Mutex // guards found
	var found []*orphan
	var wg sync.WaitGroup
	for _, dir := range socketDirs(home.Dir()) {
		if dir.check() != nil {
			continue
		}
		for _, path := range orphanSockets(dir.path) {
			wg.Go(func() {
				o, err := f.claim(ctx, path)
				if errors.Is(err, syscall.ECONNREFUSED) {
					if !bound(path) {
						_ = os.Remove(path)
					}
					return
				}
				if errors.Is(err, errElsewhere) {
					return
				}
				if err != nil {
					f.log.Warn("a worker of the former gateway cannot be taken over; it leaves by itself", "socket", path, "error", err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				found = append(found, o)
			})
		}
	}
	wg.Wait()
	return found
}

// bound reports whether a process has the socket at a path, of which nobody listens: a
// worker without a shim binds it at its start, and listens when it has lost its parent,
// which may be in a moment, or never. The names of sockets are unique.
func bound(path string) bool {
	sockets, err := os.ReadFile("/proc/net/unix")
	return err == nil && strings.Contains(string(sockets), "/"+filepath.Base(path)+"\n")
}

// claim claims the orphan on a socket. It must hold the lock of its profile, which
// nobody has who was not given it.
func (f *fleet) claim(ctx context.Context, path string) (*orphan, error) {
	profile := func(name string) (profiles.Profile, error) {
		parsed, err := profiles.ParseRef(name)
		if err != nil {
			return profiles.Profile{}, err
		}
		return f.watcher.home.Get(parsed)
	}
	elsewhere := false
	found, who, err := claimAt(ctx, path, f.users(), func(name string) string {
		elsewhere = f.only != nil && !slices.Contains(f.only, profiles.Name(name))
		p, err := profile(name)
		if err != nil || elsewhere {
			return ""
		}
		return p.Nonce()
	})
	if elsewhere {
		return nil, errElsewhere
	}
	if err != nil {
		return nil, err
	}
	o := &orphan{Foundling: found, who: who}
	p, err := profile(found.Start.Profile)
	if err == nil {
		o.lock, err = p.Inherit(found.Lock)
	}
	if err == nil && found.Start.Egress {
		o.table = newTable(f.load(p).loaded) // of settings that are no good: with what is known of them
	}
	if err != nil {
		o.drop()
		return nil, err
	}
	return o, nil
}

// users are those as whom workers of this gateway run, nil if they have none.
func (f *fleet) users() *users {
	if f.maker.rooms == nil {
		return nil
	}
	return f.maker.rooms().users
}

// drop leaves an orphan where it is.
func (o *orphan) drop() {
	o.who.close()
	o.Close()
}

// adopt makes a claimed orphan a worker of its profile. It runs in the loop, or
// before it.
func (f *fleet) adopt(o *orphan, now time.Time) (*member, *generation, *process, error) {
	m := f.member(o.Start.Profile)
	switch {
	case f.stopping, m == nil:
		o.drop()
		return nil, nil, nil, fmt.Errorf("profile %s is not served by this gateway", o.Start.Profile)
	case m.lock != nil && m.alone():
		o.drop()
		return nil, nil, nil, fmt.Errorf("profile %s is served anew already", o.Start.Profile)
	}
	at := claim{o.Start.Orphan.Host, o.Start.Orphan.Port}
	listener, err := o.listens(at)
	if err != nil {
		o.drop()
		return nil, nil, nil, err
	}
	way, read, err := f.connect(o)
	if err != nil {
		o.drop()
		return nil, nil, nil, err
	}
	if m.lock == nil {
		m.lock = o.lock
		_ = m.lock.SetWorker(0) // for people: the parent of this worker is not this process
	} else {
		_ = o.lock.Release()
	}
	switch {
	case listener == nil:
	case m.address.listener == nil:
		m.address, m.claim, m.claimed = address{at, listener}, at, true
	default:
		_ = listener.Close()
		listener = m.address.listener
	}
	group, err := groupOf(o.who.pid, o.Start.Resources)
	if err != nil {
		m.log.Warn("the worker of the former gateway is not in the cgroup that it names, which is left alone", "pid", o.who.pid, "error", err)
	}
	p := &process{
		spawn: spawn{maker: f.maker}, blank: &blank{link: o.Parent, stdout: read, began: now, group: group, room: wall.Level(o.Start.Isolation.Room)},
		foster: o.who, binary: "another gateway's",
	}
	p.way = way
	p.output, p.start, p.lock, p.listener = m.output, o.Start, m.lock, listener
	if o.Start.Orphan.Schema != f.schema {
		p.schema = o.Start.Orphan.Schema
	}
	m.drain = o.Start.API.DrainTimeout // until the settings are read
	g := m.foster(o.Report, o.Start.Generation, p.schema != 0, now)
	m.running[g] = p
	m.adopted++
	m.redact(nil)
	m.output.note(p.pid(), fmt.Sprintf("worker taken over from a gateway that has died, generation %d", g.number))
	m.log.Info("worker taken over from the former gateway", "pid", p.pid(), "generation", g.number, "turns", g.turns, "jobs", g.jobs)
	return m, g, p, nil
}

// listens is the orphan's listener, nil if it has none any more. It must be at the port
// that the orphan says: who names that of another profile would keep it from that one.
func (o *orphan) listens(at claim) (*net.TCPListener, error) {
	if o.Listener == nil {
		return nil, nil //nolint:nilnil // it listens no more
	}
	ln, err := net.FileListener(o.Listener)
	_ = o.Listener.Close()
	o.Listener = nil
	if err != nil {
		return nil, fmt.Errorf("its listener is none: %w", err)
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(errors.New("its listener is none"), ln.Close())
	}
	if is, ok := tcp.Addr().(*net.TCPAddr); at.port != 0 && (!ok || is.Port != at.port) {
		return nil, errors.Join(fmt.Errorf("its listener is not at port %d, as it says", at.port), tcp.Close())
	}
	return tcp, nil
}

// connect makes this gateway the parent of an orphan, with a log and a way to the
// outside. The egress process of the gateway before serves what it has begun.
func (f *fleet) connect(o *orphan) (w *way, read *os.File, err error) {
	var near *os.File
	if o.Start.Egress && f.outside != nil {
		if w, near, err = f.outside.open(o.Start.Profile, o.table); err != nil {
			return nil, nil, err
		}
		defer near.Close()
	}
	read, write, err := os.Pipe()
	if err == nil {
		err = errors.Join(o.Adopt(write, near), write.Close())
	}
	if err != nil {
		w.close()
	}
	return w, read, err
}

// member finds a member by its name.
func (f *fleet) member(name string) *member {
	for _, m := range f.members {
		if string(m.profile.Name) == name && !m.gone {
			return m
		}
	}
	return nil
}

// alone reports whether every worker that lives is a child of this process, which
// has the lock then without any orphan.
func (m *member) alone() bool {
	for _, p := range m.running {
		if p.foster != nil {
			return false
		}
	}
	return true
}

// dialUnix is dialSocket for those who need what only a Unix socket can.
func dialUnix(ctx context.Context, path string) (*net.UnixConn, error) {
	conn, err := dialSocket(ctx, path)
	if err != nil {
		return nil, err
	}
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%s is a %T", path, conn), conn.Close())
	}
	return unix, nil
}

// seekLater looks for orphans while the loop runs, after a pause.
func (f *fleet) seekLater(ctx context.Context, after time.Duration) {
	f.work.Go(func() {
		timer := time.NewTimer(after)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		for _, o := range f.seek(ctx) {
			kept := f.post(func() {
				m, g, p, err := f.adopt(o, time.Now())
				if err != nil {
					f.log.Warn("a worker of the former gateway is not taken over; it leaves by itself", "error", err)
					return
				}
				f.announce(m)
				p.flow(f.hears(m, g, p))
				f.work.Go(func() { f.tend(ctx, m, g, p) })
			})
			if !kept {
				o.drop()
			}
		}
	})
}
