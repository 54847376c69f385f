package wire

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"hermes/supervisor/egress/guard"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What egress says is the error that the worker would have had by dialling.
func TestRefusalsAreErrorsOfTheNetwork(t *testing.T) {
	t.Parallel()
	for code, want := range map[Code]error{
		Refused: syscall.ECONNREFUSED, Reset: syscall.ECONNRESET, Unreachable: syscall.EHOSTUNREACH, Timeout: syscall.ETIMEDOUT,
		Private: guard.ErrPrivate, Port: guard.ErrPort, Forbidden: ErrForbidden, Budget: ErrBudget, Closed: ErrClosed, Untrusted: ErrUntrusted,
	} {
		resp := &http.Response{Header: http.Header{Verdict: {string(code)}}, Body: io.NopCloser(strings.NewReader("words\n"))}
		err := refusal(resp, "a.example")
		if !errors.Is(err, want) || !strings.Contains(err.Error(), "words") {
			t.Errorf("%s is %v, want %v", code, err, want)
		}
	}
	dns, ok := errors.AsType[*net.DNSError](refusal(&http.Response{Header: http.Header{Verdict: {string(NoHost)}}, Body: http.NoBody}, "a.example"))
	if !ok || !dns.IsNotFound || dns.Name != "a.example" {
		t.Errorf("a host that does not exist is %v", dns)
	}
}

// A worker that is gone is the end, and so is a Receiver that was closed.
func TestReceiverEnds(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"worker", "receiver"} {
		worker, far, err := Pair()
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewReceiver(far)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, _, err := r.Receive()
			ended <- err
		}()
		if name == "worker" {
			worker.Close()
		} else {
			r.Close()
		}
		if err := <-ended; err == nil || name == "worker" && !errors.Is(err, io.EOF) {
			t.Errorf("after the end of the %s: %v", name, err)
		}
		worker.Close()
		r.Close()
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(entries)
}

// FuzzReceive sends any bytes with any descriptors: what is taken is one connection
// of a known kind, and of everything else nothing is kept.
func FuzzReceive(f *testing.F) {
	f.Add([]byte("a"), []byte{0})
	f.Add([]byte("p"), []byte{1})
	f.Add([]byte("t"), []byte{0, 0})
	f.Add([]byte("aa"), []byte{0})
	f.Add([]byte("?"), []byte{2})
	f.Add([]byte(""), []byte{3, 3, 3})
	f.Add([]byte("a"), []byte{})
	f.Fuzz(func(t *testing.T, data, kinds []byte) {
		if len(data) > 1<<10 || len(kinds) > 16 || len(data)+len(kinds) == 0 {
			return
		}
		stream, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		packets, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		all := []int{stream[0], packets[0], null, stream[1]}
		defer func() {
			for _, fd := range []int{stream[0], stream[1], packets[0], packets[1], null} {
				_ = unix.Close(fd)
			}
		}()
		worker, far, err := Pair()
		if err != nil {
			t.Fatal(err)
		}
		defer worker.Close()
		r, err := NewReceiver(far)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var rights []byte
		if len(kinds) > 0 {
			var fds []int
			for _, kind := range kinds {
				fds = append(fds, all[int(kind)%len(all)])
			}
			rights = unix.UnixRights(fds...)
		}
		before := descriptors(t)
		if err := unix.Sendmsg(int(worker.Fd()), data, rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL); err != nil {
			return
		}
		kind, conn, err := r.Receive()
		if err == nil {
			if len(data) != 1 || len(kinds) != 1 || !kind.Known() || kinds[0]%4 != 0 && kinds[0]%4 != 3 {
				t.Errorf("%q with %v is taken", data, kinds)
			}
			conn.Close()
		}
		if after := descriptors(t); after != before {
			t.Errorf("%q with %v: %d descriptors are left (%v)", data, kinds, after-before, err)
		}
	})
}
