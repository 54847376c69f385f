package handoff

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// mostDescriptors bounds what may come with one message: all Belongings.
const mostDescriptors = 5

// sendFiles sends a message with descriptors on its first byte.
func sendFiles(conn *net.UnixConn, m Message, files ...*os.File) error {
	line, err := m.line()
	if err != nil {
		return err
	}
	fds := make([]int, len(files))
	for i, file := range files {
		fds[i] = int(file.Fd())
	}
	if _, _, err := conn.WriteMsgUnix(line[:1], unix.UnixRights(fds...), nil); err != nil {
		return fmt.Errorf("send %s message: %w", m.Kind, err)
	}
	if _, err := conn.Write(line[1:]); err != nil {
		return fmt.Errorf("send %s message: %w", m.Kind, err)
	}
	return nil
}

// descriptors are what came with a message and is nobody's yet. They are not passed
// on to other programs.
type descriptors []int

func (d descriptors) close() {
	for _, fd := range d {
		_ = unix.Close(fd)
	}
}

// receiveFiles reads the first byte of a message and what descriptors came with it,
// at most so many.
func receiveFiles(conn *net.UnixConn, most int) (first []byte, found descriptors, err error) {
	first, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(4*most))
	n, oobn, flags, _, err := conn.ReadMsgUnix(first, oob) // which marks them close-on-exec
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			found.close()
			found = nil
		}
	}()
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return nil, nil, os.NewSyscallError("recvmsg", err)
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return nil, found, os.NewSyscallError("recvmsg", err)
		}
		found = append(found, fds...)
	}
	if n != 1 || flags&unix.MSG_CTRUNC != 0 || len(found) > most {
		return nil, found, errors.New("descriptors got lost")
	}
	return first, found, nil
}

// Belongings are what a child is given with its Start: what is one profile's and not
// in the message. To add one, add its row to rows.
type Belongings struct {
	// Lock is the file that holds the lock of the profile. A child does nothing with
	// it but to keep it open: so the profile stays locked as long as the child lives,
	// even if its supervisor is killed and another one comes.
	Lock *os.File
	// Listener is the listening TCP socket that the supervisor bound.
	Listener *os.File
	// Egress is the socket over which the egress process is reached, see package
	// supervisor/egress/wire. It goes with a Start whose Egress is set, and no other.
	Egress *os.File
	// Tree is the profile's directory, and Run the one of sockets where another gateway
	// looks, for a worker that runs as nobody else does: mounts in which what belongs to
	// the owner of the files is the worker's. Nil where it does not.
	Tree, Run *os.File
}

// row is one of the Belongings.
type row struct {
	name string // in Message.Carries
	file *os.File
	is   func(fd int) bool // whether a descriptor can be it
	may  bool              // it may be missing
}

func (b Belongings) rows(start *Start) []row {
	rows := []row{
		{"lock", b.Lock, isFile, false},
		{"listener", b.Listener, isListener, false},
		{"tree", b.Tree, isDirectory, true},
		{"run", b.Run, isDirectory, true},
	}
	if start.Egress {
		rows = append(rows, row{"egress", b.Egress, isPacketSocket, false})
	}
	return rows
}

// Close closes all of them.
func (b Belongings) Close() {
	for _, file := range []*os.File{b.Lock, b.Listener, b.Egress, b.Tree, b.Run} {
		if file != nil {
			_ = file.Close()
		}
	}
}

// StartMessage is the message that goes to a child with its Belongings.
func StartMessage(start *Start) Message {
	m := Message{Kind: KindStart, Start: start}
	for _, r := range (Belongings{}).rows(start) {
		if !r.may {
			m.Carries = append(m.Carries, r.name)
		}
	}
	return m
}

// sorted returns what a start message has brought by its name. Everything must be
// there once and be what it is called: a child that took a file for its listener
// would fail much later.
func (m Message) sorted(found descriptors) (map[string]int, error) {
	if len(m.Carries) != len(found) {
		return nil, fmt.Errorf("%d descriptors came where %d were named", len(found), len(m.Carries))
	}
	byName := make(map[string]int, len(found))
	for i, name := range m.Carries {
		byName[name] = found[i]
	}
	known := 0
	for _, r := range (Belongings{}).rows(m.Start) {
		fd, ok := byName[r.name]
		switch {
		case !ok && r.may:
			continue
		case !ok:
			return nil, errors.New("what should come with it did not, or more did")
		case !r.is(fd):
			return nil, fmt.Errorf("what came as the %s is none", r.name)
		}
		known++
	}
	if known != len(found) {
		return nil, errors.New("what should come with it did not, or more did")
	}
	return byName, nil
}

// isFile reports whether a descriptor is a regular file.
func isFile(fd int) bool {
	var stat unix.Stat_t
	return unix.Fstat(fd, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFREG
}

// isDirectory reports whether a descriptor is a directory.
func isDirectory(fd int) bool {
	var stat unix.Stat_t
	return unix.Fstat(fd, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFDIR
}

// isListener reports whether a descriptor is a TCP socket that listens.
func isListener(fd int) bool {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || listens == 0 {
		return false
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return false
	}
	switch name.(type) {
	case *unix.SockaddrInet4, *unix.SockaddrInet6:
		return true
	default:
		return false
	}
}

// isPacketSocket reports whether a descriptor is a local socket that keeps messages
// apart.
func isPacketSocket(fd int) bool {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && kind == unix.SOCK_SEQPACKET
}

func isSocket(fd int) bool {
	_, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil
}
