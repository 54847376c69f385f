package handoff

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pairOfUnix is two ends of a Unix connection.
func pairOfUnix(t *testing.T) (ours, theirs *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	end := func(fd int) *net.UnixConn {
		file := os.NewFile(uintptr(fd), "pair")
		defer file.Close()
		conn, err := net.FileConn(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn.(*net.UnixConn)
	}
	return end(fds[0]), end(fds[1])
}

// FuzzClaim lets a stranger say anything to a gateway that looks for workers.
func FuzzClaim(f *testing.F) {
	f.Add([]byte("\n"))
	f.Add([]byte(`{"kind":"hello","version":2,"profile":"alice","generation":1}` + "\n" + `{"kind":"report","start":{"profile":"alice","generation":1}}` + "\n"))
	f.Add([]byte(`{"kind":"hello","version":2,"profile":"alice"}` + "\n" + `{"kind":"report","proof":"00"}` + "\n"))
	f.Fuzz(func(t *testing.T, says []byte) {
		ours, theirs := pairOfUnix(t)
		go func() {
			_, _ = theirs.Write(says)
			_ = theirs.CloseWrite()
			_, _ = io.Copy(io.Discard, theirs)
		}()
		if found, err := Claim(ours, func(string) string { return "a nonce" }); err == nil {
			found.Close()
			t.Errorf("%q is taken for a worker", says)
		}
	})
}

// FuzzOrphan lets a stranger say anything to a worker that waits for a gateway.
func FuzzOrphan(f *testing.F) {
	f.Add([]byte("\n"))
	f.Add([]byte(`{"kind":"claim","proof":"00"}` + "\n" + `{"kind":"adopt"}` + "\n"))
	f.Add([]byte(`{"kind":"claim"}` + "\n"))
	f.Fuzz(func(t *testing.T, says []byte) {
		ours, theirs := pairOfUnix(t)
		child := newChild(ours, time.Hour)
		child.told.Store(&Start{Profile: "alice", Generation: 1, Redact: []string{"secret"}, Orphan: Orphan{Nonce: "a nonce"}})
		go func() {
			_, _ = theirs.Write(says)
			_ = theirs.CloseWrite()
			_, _ = io.Copy(io.Discard, theirs)
		}()
		if _, err := child.claimed(ours); err == nil {
			t.Errorf("%q is taken for a gateway", says)
		}
	})
}

func TestProofIsForOneSideAndOneWorker(t *testing.T) {
	t.Parallel()
	about := Message{Profile: "alice", Generation: 1}
	m := Message{Proof: proof("nonce", proverGateway, about)}
	if !m.proves("nonce", proverGateway, about) {
		t.Error("a proof does not prove")
	}
	if m.proves("nonce", proverWorker, about) || m.proves("other", proverGateway, about) ||
		m.proves("nonce", proverGateway, Message{Profile: "bob", Generation: 1}) || (Message{Proof: proof("", proverGateway, about)}).proves("", proverGateway, about) {
		t.Error("a proof proves what it does not")
	}
}

func TestOrphanThatNobodyComesForLeavesInTime(t *testing.T) {
	t.Parallel()
	parent, end, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.FileConn(end)
	if err != nil {
		t.Fatal(err)
	}
	end.Close()
	child := newChild(conn, time.Hour)
	socket := filepath.Join(t.TempDir(), "w"+OrphanSuffix)
	child.told.Store(&Start{Profile: "alice", OrphanGrace: 300 * time.Millisecond, Orphan: Orphan{Socket: socket, Nonce: "nonce"}})
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- child.Run(t.Context()) }()
	parent.Close()
	<-child.Draining()
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("it drains after %v already", took)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(socket); err == nil {
		t.Error("its socket is left")
	}
	child.Close()
}
