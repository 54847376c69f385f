package handoff

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxClaims is how many connections an orphan listens to at once.
const maxClaims = 8

// PeerOf is who the other side of a connection was when it connected or began to
// listen.
func PeerOf(conn syscall.Conn) (pid, uid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var peer *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, os.NewSyscallError("getsockopt", failed)); err != nil {
		return 0, 0, err
	}
	return int(peer.Pid), int(peer.Uid), nil
}

// unknownUser is what another user is called where this process is the only one known.
const unknownUser = 65534

// friend reports whether the other side is the same person as this process, or root.
// Behind a wall both may have no number; who gets to the socket has passed its
// directory, and has to know the nonce.
func (c *Child) friend(conn syscall.Conn) bool {
	_, uid, err := PeerOf(conn)
	return err == nil && (uid == os.Getuid() || uid == 0 || c.waits != nil && uid == unknownUser)
}

// adopter is who has adopted this child.
type adopter struct {
	conn *net.UnixConn
	rest []byte // the first byte of its next message
}

// orphaned waits for another parent, as long as the settings say, and reports
// whether one has come. The child serves on meanwhile.
func (c *Child) orphaned(ctx context.Context) bool {
	start := c.told.Load()
	if start == nil || start.Orphan.Socket == "" || start.OrphanGrace <= 0 {
		return false
	}
	ln, err := c.waiting(start.Orphan.Socket)
	if err != nil {
		return false
	}
	defer ln.Close() // and removes it
	if c.waits != nil {
		defer c.waits.Deaf()
	}
	ctx, cancel := context.WithTimeout(ctx, start.OrphanGrace)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = ln.SetDeadline(time.Unix(1, 0)) })()
	adopted := make(chan adopter)
	go c.claims(ctx, ln, adopted)
	select {
	case a := <-adopted:
		c.join(a)
		return true
	case <-ctx.Done():
		return false
	}
}

// waiting is the socket on which another parent finds this child.
func (c *Child) waiting(path string) (*net.UnixListener, error) {
	if c.waits == nil {
		_ = os.Remove(path)
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			return nil, err
		}
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, errors.Join(err, ln.Close())
		}
		return ln, nil
	}
	file, err := c.waits.Listen()
	if err != nil {
		return nil, err
	}
	ln, err := net.FileListener(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	unix, ok := ln.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(errors.New("what is listened on is no local socket"), ln.Close())
	}
	return unix, nil
}

// claims listens to those who want the child, until ctx ends.
func (c *Child) claims(ctx context.Context, ln *net.UnixListener, adopted chan<- adopter) {
	room := make(chan struct{}, maxClaims)
	for {
		conn, err := ln.AcceptUnix()
		if err != nil {
			return
		}
		if !c.friend(conn) {
			_ = conn.Close()
			continue
		}
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			_ = conn.Close()
			return
		}
		go func() {
			defer func() { <-room }()
			first, err := c.claimed(conn)
			if err == nil {
				select {
				case adopted <- adopter{conn, first}:
					return
				case <-ctx.Done():
				}
			}
			_ = conn.Close()
		}()
	}
}

// claimed tells one who knows the nonce how the child stands, and returns when that
// one adopts it. Stdout and stderr are the new parent's from then on.
func (c *Child) claimed(conn *net.UnixConn) (first []byte, err error) {
	if err := conn.SetDeadline(time.Now().Add(orphanLimit)); err != nil {
		return nil, err
	}
	start := c.told.Load()
	hello := Message{Kind: KindHello, Version: Version, Profile: start.Profile, Generation: start.Generation}
	if err := Encode(conn, hello); err != nil {
		return nil, err
	}
	claim, err := NewDecoder(oneByOne{conn}).Decode()
	if err != nil || claim.Kind != KindClaim || !claim.proves(start.Orphan.Nonce, proverGateway, hello) {
		return nil, errors.Join(errors.New("claim is not a gateway's"), err)
	}
	files := []*os.File{os.NewFile(dupOf(c.lock), "lock")}
	if conn, ok := c.listener.(interface{ File() (*os.File, error) }); ok && !c.closed.Load() {
		if file, err := conn.File(); err == nil {
			files = append(files, file)
		}
	}
	busy := c.busy.Load()
	report := Message{
		Kind: KindReport, Start: start, Proof: proof(start.Orphan.Nonce, proverWorker, hello), Busy: busy.turns, Jobs: busy.jobs,
		Ready: c.ready.Load(), Closed: c.closed.Load() || len(files) == 1, Drains: c.drains(),
	}
	err = sendFiles(conn, report, files...)
	for _, file := range files {
		_ = file.Close()
	}
	if err != nil {
		return nil, err
	}
	first, given, err := receiveFiles(conn, 2)
	if err != nil {
		return nil, err
	}
	defer given.close()
	if len(given) != 1 && (c.egress == 0 || len(given) != 2) {
		return nil, errors.New("adoption without a log")
	}
	if len(given) == 2 { // whoever dials next finds the new one
		if err := unix.Dup3(given[1], c.egress, unix.O_CLOEXEC); err != nil {
			return nil, os.NewSyscallError("dup3", err)
		}
	}
	for _, fd := range []int{1, 2} {
		if err := unix.Dup3(given[0], fd, 0); err != nil {
			return nil, os.NewSyscallError("dup3", err)
		}
	}
	return first, conn.SetDeadline(time.Time{})
}

func dupOf(fd int) uintptr {
	duplicate, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return ^uintptr(0)
	}
	return uintptr(duplicate)
}
