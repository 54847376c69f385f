package handoff

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Subcommand is the one argument of a child's command line.
const Subcommand = "worker"

// passed names the variables that a child keeps of its parent's environment:
// where programs are found, where the person's files are, how text and time are
// written, and which certificates are trusted. Everything else stays behind. A
// variable is the one thing that every tool command would inherit without being
// asked, that /proc shows, and that other programs print when they crash; and an
// API_SERVER_* variable meant for the default profile would reach all of them.
// What a child must know, Start tells it.
func passed() []string {
	return []string{"PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"}
}

// oneProcessor has the runtime of a child begin with one processor: each has caches
// and threads of its own, 0.15 MB in a child that only waits. A worker takes them all
// while it has something to do.
const oneProcessor = "GOMAXPROCS=1"

// Environ returns what a child's environment keeps of environ, a list as
// os.Environ gives it, and oneProcessor.
func Environ(environ []string) []string {
	names := passed()
	kept := make([]string, 0, len(names)+1)
	for _, entry := range environ {
		if name, _, ok := strings.Cut(entry, "="); ok && slices.Contains(names, name) {
			kept = append(kept, entry)
		}
	}
	return append(kept, oneProcessor)
}

// Parent is the parent's side of a control socket.
type Parent struct {
	conn     *net.UnixConn
	messages *Decoder
	begun    []byte     // of a message that is being read
	writing  sync.Mutex // held while a message is written
}

// Pair makes a control socket. The file is the child's end: it becomes
// ControlFD, and the caller closes it once the child has been started. Neither
// end outlives an exec by accident.
func Pair() (*Parent, *os.File, error) {
	ours, theirs, err := socketpair()
	if err != nil {
		return nil, nil, fmt.Errorf("make control socket: %w", err)
	}
	conn, err := unixConn(ours)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make control socket: %w", err), theirs.Close())
	}
	return &Parent{conn: conn, messages: NewDecoder(conn)}, theirs, nil
}

// unixConn is a socket as a connection. It takes the file over.
func unixConn(file *os.File) (*net.UnixConn, error) {
	conn, err := net.FileConn(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	if local, ok := conn.(*net.UnixConn); ok {
		return local, nil
	}
	return nil, errors.Join(fmt.Errorf("it is a %T", conn), conn.Close())
}

// Give sends a StartMessage with what belongs to it, as Send does.
func (p *Parent) Give(m Message, b Belongings, limit time.Duration) error {
	var files []*os.File
	m.Carries = nil
	for _, r := range b.rows(m.Start) {
		if r.file == nil && r.may {
			continue
		}
		if r.file == nil {
			return fmt.Errorf("send %s message: there is no %s to go with it", m.Kind, r.name)
		}
		files, m.Carries = append(files, r.file), append(m.Carries, r.name)
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	if err := p.conn.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return fmt.Errorf("send %s message: %w", m.Kind, err)
	}
	return sendFiles(p.conn, m, files...)
}

// Send sends one message. It waits at most until limit has passed for a child
// that does not read; after an error nothing more can be sent.
func (p *Parent) Send(m Message, limit time.Duration) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	if err := p.conn.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return fmt.Errorf("send %s message: %w", m.Kind, err)
	}
	return Encode(p.conn, m)
}

// Receive waits for the next message of the child; see Decoder.Decode.
func (p *Parent) Receive() (Message, error) { return p.messages.Decode() }

// Close closes the parent's end, which the child takes for the parent's death.
// It ends a Receive that is waiting.
func (p *Parent) Close() error { return p.conn.Close() }

// Silent reports whether the child lives, as far as its socket tells, and has said
// nothing that was not received.
func (p *Parent) Silent() bool {
	raw, err := p.conn.SyscallConn()
	if err != nil {
		return false
	}
	silent := false
	err = raw.Control(func(fd uintptr) {
		for {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0) //nolint:gosec // a descriptor is small
			if errors.Is(err, unix.EINTR) {
				continue
			}
			silent = n == 0 && err == nil
			return
		}
	})
	return silent && err == nil
}

// Pause ends a Receive that waits, and every further one until Resume. Call Rest
// when it has returned.
func (p *Parent) Pause() { _ = p.conn.SetReadDeadline(time.Unix(1, 0)) } // a closed one is paused for good

// Rest is what has been read of a message that is not complete. Whoever reads on
// from the socket, this process or one that takes its place, has to begin with it.
func (p *Parent) Rest() []byte {
	if p.messages.rest != nil {
		return p.messages.rest
	}
	return p.begun
}

// Resume has Receive wait for messages again, after a Pause.
func (p *Parent) Resume() {
	p.begun = p.Rest()
	p.messages = NewDecoder(io.MultiReader(bytes.NewReader(p.begun), p.conn))
	_ = p.conn.SetReadDeadline(time.Time{}) // a closed one says so in Receive
}

// SyscallConn is the parent's end, for a process that takes this one's place.
func (p *Parent) SyscallConn() (syscall.RawConn, error) { return p.conn.SyscallConn() }

// Inherit is the parent's end of a control socket that another process had, with
// the Rest of what that one read. It takes the file over.
func Inherit(file *os.File, rest []byte) (*Parent, error) {
	conn, err := unixConn(file)
	if err != nil {
		return nil, fmt.Errorf("take over control socket: %w", err)
	}
	p := &Parent{conn: conn, begun: rest}
	p.messages = NewDecoder(io.MultiReader(bytes.NewReader(rest), conn))
	return p, nil
}
