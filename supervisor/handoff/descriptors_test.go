package handoff

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// belongings are what a child is given, with a listener.
func belongings(t *testing.T, ln net.Listener) Belongings {
	t.Helper()
	lock, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	b := Belongings{Lock: lock, Listener: listener}
	t.Cleanup(b.Close)
	return b
}

func TestChildThatIsGivenToNobodyLeaves(t *testing.T) {
	t.Parallel()
	parent, end, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], Subcommand)
	cmd.ExtraFiles = []*os.File{end}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end.Close()
	parent.Close()
	if err := cmd.Wait(); err == nil || !strings.Contains(said.String(), ErrUnused.Error()) {
		t.Errorf("it ended with %v and said %q", err, said.String())
	}
}

// samples opens one descriptor of each kind that somebody might send: a file, a
// listener, a directory, a pipe, a socket that does not listen, and a Unix socket
// that does.
func samples(t *testing.T) []*os.File {
	t.Helper()
	dir := t.TempDir()
	must := func(file *os.File, err error) *os.File {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		return file
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	local, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	read, write, err := os.Pipe()
	must(write, err)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		t.Fatal(err)
	}
	must(os.NewFile(uintptr(pair[1]), "far"), nil)
	return []*os.File{
		must(os.Create(filepath.Join(dir, "lock"))), must(tcp.(*net.TCPListener).File()), must(os.Open(dir)), must(read, nil),
		os.NewFile(uintptr(fd), "socket"), must(local.(*net.UnixListener).File()),
		must(os.NewFile(uintptr(pair[0]), "egress"), nil),
	}
}

// Everything that a worker can be given goes with one message.
func TestAllBelongingsGoWithOneMessage(t *testing.T) {
	t.Parallel()
	if n := len((Belongings{}).rows(&Start{Egress: true})); n > mostDescriptors {
		t.Errorf("a worker can be given %d descriptors, and takes %d", n, mostDescriptors)
	}
}

// open is how many descriptors this process has.
func open(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// All that there may be fits into one message, and nothing of it stays open on either
// side.
func TestAllBelongingsArrive(t *testing.T) {
	t.Parallel()
	all := samples(t)
	copied := func(i int) *os.File {
		fd, err := unix.FcntlInt(all[i].Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return os.NewFile(uintptr(fd), "copy")
	}
	b := Belongings{Lock: copied(0), Listener: copied(1), Egress: copied(6), Tree: copied(2), Run: copied(2)}
	parent, end, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer parent.Close()
	conn, err := unixConn(end)
	if err != nil {
		t.Fatal(err)
	}
	start := Start{Version: Version, Profile: "alice", Egress: true}
	if err := parent.Give(StartMessage(&start), b, time.Minute); err != nil {
		t.Fatal(err)
	}
	b.Close()
	for _, file := range []*os.File{b.Lock, b.Listener, b.Egress, b.Tree, b.Run} {
		if err := file.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s is still open here: %v", file.Name(), err)
		}
	}
	child, _, ln, err := accept(conn)
	if err != nil {
		t.Fatal(err)
	}
	defer child.Close()
	defer ln.Close()
	tree, run := child.Mounts()
	if tree == nil || run == nil || !isDirectory(int(tree.Fd())) || !isDirectory(int(run.Fd())) || child.Egress() == 0 {
		t.Errorf("the child has %v, %v and %d", tree, run, child.Egress())
	}
	for _, file := range []*os.File{tree, run} {
		if file != nil {
			file.Close()
		}
	}
	_, _ = unix.Close(child.lock), unix.Close(child.egress)
}

// FuzzBelongings sends a child any words with any descriptors: it takes what is
// right, refuses everything else, and keeps nothing of what it has refused.
func FuzzBelongings(f *testing.F) {
	names := `{"kind":"start","start":{"version":2,"profile":"alice"},"carries":`
	f.Add(names+`["lock","listener"]}`, []byte{0, 1})
	f.Add(names+`["listener","lock"]}`, []byte{1, 0})
	f.Add(names+`["listener","lock"]}`, []byte{0, 1})
	f.Add(names+`["lock","lock"]}`, []byte{0, 0})
	f.Add(names+`["lock","listener"]}`, []byte{0, 4})
	f.Add(names+`["lock","listener"]}`, []byte{2, 5})
	f.Add(names+`["lock","listener","more"]}`, []byte{0, 1, 3})
	f.Add(names+`["lock","listener"]}`, []byte{0, 1, 2, 3, 4, 5, 0, 1})
	f.Add(names+`[]}`, []byte{})
	outward := `{"kind":"start","start":{"version":2,"profile":"alice","egress":true},"carries":`
	f.Add(outward+`["lock","listener","egress"]}`, []byte{0, 1, 6})
	f.Add(outward+`["lock","listener","egress"]}`, []byte{0, 1, 5})
	f.Add(outward+`["lock","listener"]}`, []byte{0, 1})
	f.Add(names+`["lock","listener","egress"]}`, []byte{0, 1, 6})
	f.Add(outward+`["lock","listener","tree","run","egress"]}`, []byte{0, 1, 2, 2, 6})
	f.Add(names+`["lock","listener","tree","run"]}`, []byte{0, 1, 2, 2})
	f.Add(names+`["lock","listener","tree"]}`, []byte{0, 1, 3})
	f.Add("{}", []byte{0, 1})
	f.Fuzz(func(t *testing.T, says string, kinds []byte) {
		if len(kinds) > 16 || strings.Contains(says, "\n") || says == "" {
			return
		}
		all := samples(t)
		var files []int
		for _, kind := range kinds {
			files = append(files, int(all[int(kind)%len(all)].Fd()))
		}
		parent, end, err := Pair()
		if err != nil {
			t.Fatal(err)
		}
		conn, err := unixConn(end)
		if err != nil {
			t.Fatal(err)
		}
		var rights []byte
		if len(files) > 0 {
			rights = unix.UnixRights(files...)
		}
		line := says + "\n"
		if _, _, err := parent.conn.WriteMsgUnix([]byte(line[:1]), rights, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := parent.conn.Write([]byte(line[1:])); err != nil {
			t.Fatal(err)
		}
		parent.Close()
		before := open(t)
		child, _, ln, err := accept(conn)
		if err != nil {
			if after := open(t); after != before-1 { // the connection is closed
				t.Errorf("%d descriptors of what was refused are left", after-before+1)
			}
			return
		}
		if !isFile(child.lock) || ln.Addr().Network() != "tcp" {
			t.Errorf("%q with %v is taken", says, kinds)
		}
		if flags, err := unix.FcntlInt(uintptr(child.lock), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Error("the lock would be passed on")
		}
		unix.Close(child.lock)
		if fd := child.Egress(); fd != 0 {
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 || !isPacketSocket(fd) {
				t.Error("the way to egress is none, or would be passed on")
			}
			unix.Close(fd)
		}
		for _, mount := range []*os.File{child.tree, child.run} {
			if mount != nil {
				mount.Close()
			}
		}
		ln.Close()
		child.Close()
		if after := open(t); after != before-1 {
			t.Errorf("%d descriptors of what was taken are left", after-before+1)
		}
	})
}
