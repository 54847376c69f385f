package egress

import (
	"bufio"
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
		pair := hold(t, s.worker, "t")
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
