package egress

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What commands hold open keeps their worker from nothing: they have a share of the
// connections.
func TestCommandsLeaveTheirWorkerConnections(t *testing.T) {
	t.Parallel()
	up := provider(t, ok)
	s := serve(t, model(up.URL), Options{})
	var held []int
	defer func() {
		for _, fd := range held {
			_ = unix.Close(fd)
		}
	}()
	for range maxToolConns + 1 {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		for {
			err = unix.Sendmsg(int(s.worker.Fd()), []byte("t"), unix.UnixRights(pair[1]), nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.ETOOMANYREFS) {
				break
			}
			<-time.After(time.Millisecond)
		}
		held = append(held, pair[0])
		_ = unix.Close(pair[1])
	}
	if status, _, text, err := s.send(http.MethodGet, "/v1/models", "", nil); status != http.StatusOK {
		t.Errorf("the worker is answered %d %q, %v", status, text, err)
	}
	last := os.NewFile(uintptr(held[len(held)-1]), "last")
	held = held[:len(held)-1]
	conn, err := net.FileConn(last)
	_ = last.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one too many got %v, %v", resp, err)
	}
}
