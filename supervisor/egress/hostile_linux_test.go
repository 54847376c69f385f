package egress

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hermes/supervisor/egress/wire"
)

func openFiles(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Skip(err) // not root: the process hides itself
	}
	return len(entries)
}

// A worker that was taken over sends what it likes. The process keeps no descriptor
// of it, and serves the neighbour as before.
func TestHostileWorkerGainsNothing(t *testing.T) {
	t.Parallel()
	up := provider(t, ok)
	p := startReal(t, model(up.URL))
	neighbour, far, err := wire.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer neighbour.Close()
	defer far.Close()
	table := model(up.URL)
	if err := p.control.Send(Order{Do: DoServe, ID: 2, Profile: "bob", Table: &table}, far, patience); err != nil {
		t.Fatal(err)
	}
	door := wire.NewDoor(int(neighbour.Fd()))
	works := func() {
		t.Helper()
		began := time.Now()
		resp, err := (&http.Client{Transport: door.Upstream("model/0"), Timeout: patience}).Get("http://x/v1/models")
		if err != nil {
			t.Fatalf("the neighbour: %v", err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("the neighbour: %s", resp.Status)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the neighbour waited %v", took)
		}
	}
	works()
	calm := openFiles(t, p.cmd.Process.Pid)
	fd := int(p.worker.Fd())
	send := func(data []byte, fds ...int) {
		for range 1000 {
			var rights []byte
			if len(fds) > 0 {
				rights = unix.UnixRights(fds...)
			}
			err := unix.Sendmsg(fd, data, rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			if !errors.Is(err, unix.EAGAIN) {
				return
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	file, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	listener, err := ln.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	many := make([]int, 253)
	for i := range many {
		many[i] = int(file.Fd())
	}
	for range 20 {
		send([]byte("a"))                               // nothing comes along
		send([]byte("a"), int(file.Fd()))               // a file
		send([]byte("a"), int(listener.Fd()))           // a listener
		send([]byte("a"), pair[0])                      // the wrong kind of socket
		send([]byte("a"), pair[0], pair[1])             // two
		send([]byte("a"), many...)                      // a bomb
		send([]byte("?"), pair[0])                      // an unknown kind
		send([]byte(strings.Repeat("a", 4096)), fd)     // a long one
		send([]byte("a"), fd)                           // the socket itself
		send([]byte{0}, int(file.Fd()), int(file.Fd())) // nonsense
	}
	works()
	eventually(t, "nothing of it is kept", func() bool { return openFiles(t, p.cmd.Process.Pid) <= calm+1 })
	if text := p.out.String(); strings.Contains(text, "panic") {
		t.Error(text)
	}
}

// hold sends egress a connection of a kind, as a worker does, and returns both ends.
func hold(t *testing.T, worker *os.File, kind string) [2]int {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for {
		err = unix.Sendmsg(int(worker.Fd()), []byte(kind), unix.UnixRights(pair[1]), nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.ETOOMANYREFS) {
			return pair
		}
		<-time.After(time.Millisecond)
	}
}

// More connections than a worker may have are turned away; those that say nothing,
// or endlessly much, or block what they have sent, hold up nobody.
func TestFloodsAndSlowPeers(t *testing.T) {
	t.Parallel()
	up := provider(t, ok)
	p := startReal(t, model(up.URL))
	var mine []int
	defer func() {
		for _, fd := range mine {
			_ = unix.Close(fd)
		}
	}()
	for range maxConns + 100 {
		pair := hold(t, p.worker, "a")
		// What is shared is set to block: a careless reader would stop a thread for each.
		if err := unix.SetNonblock(pair[1], false); err != nil {
			t.Fatal(err)
		}
		mine = append(mine, pair[0], pair[1])
	}
	neighbour, far, err := wire.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer neighbour.Close()
	defer far.Close()
	table := model(up.URL)
	if err := p.control.Send(Order{Do: DoServe, ID: 2, Profile: "bob", Table: &table}, far, patience); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: wire.NewDoor(int(neighbour.Fd())).Upstream("model/0"), Timeout: patience}
	resp, err := client.Get("http://x/v1/models")
	if err != nil {
		t.Fatalf("the neighbour: %v", err)
	}
	resp.Body.Close()
	if threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.cmd.Process.Pid)); err == nil && len(threads) > 100 {
		t.Errorf("%d threads", len(threads))
	}
	// The last ones were answered without having asked.
	file := os.NewFile(uintptr(mine[len(mine)-2]), "last")
	mine = mine[:len(mine)-2]
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one too many got %v, %v", resp, err)
	}
}

// Heads are bounded, and what is no HTTP is the end of that connection only.
func TestHeadsThatNoWorkerSends(t *testing.T) {
	t.Parallel()
	up := provider(t, ok)
	s := serve(t, model(up.URL), Options{})
	for name, text := range map[string]string{
		"huge head":      "GET /v1/models HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 1<<20) + "\r\n\r\n",
		"many headers":   "GET /v1/models HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", 100_000) + "\r\n",
		"no HTTP":        "\x16\x03\x01\x02\x00" + strings.Repeat("\x00", 100) + "\r\n\r\n",
		"HTTP/2":         "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"two lengths":    "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nHermes-Upstream: model/0\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"negative":       "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"line in header": "GET /v1/models HTTP/1.1\r\nConnection: close\r\nHost: x\r\nHermes-Upstream: model/0\r\n Authorization: a\r\n\r\n",
	} {
		before := up.n.Load()
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Sendmsg(int(s.worker.Fd()), []byte("a"), unix.UnixRights(pair[1]), nil, 0); err != nil {
			t.Fatal(err)
		}
		_ = unix.Close(pair[1])
		file := os.NewFile(uintptr(pair[0]), name)
		conn, err := net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		go func() { _, _ = io.WriteString(conn, text) }()
		answer, err := io.ReadAll(conn)
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // as it comes
			t.Errorf("%s: no end", name)
		}
		if strings.HasPrefix(string(answer), "HTTP/1.1 2") || up.n.Load() != before {
			t.Errorf("%s: %q", name, answer)
		}
		conn.Close()
	}
	if status, _, _, err := s.send(http.MethodGet, "/v1/models", "", nil); err != nil || status != 200 {
		t.Errorf("afterwards: %d, %v", status, err)
	}
}

// The next generation takes what waits, the one before finishes what it has: no
// request is refused and no stream cut. After a death the same, but for what was
// under way.
func TestGenerations(t *testing.T) {
	t.Parallel()
	finish := make(chan struct{})
	up := provider(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "begun ")
		_ = http.NewResponseController(w).Flush()
		if r.Method == http.MethodPost {
			select {
			case <-finish:
			case <-r.Context().Done():
			}
		}
		fmt.Fprint(w, "ended")
	})
	p := startReal(t, model(up.URL))
	client := &http.Client{Transport: p.door.Upstream("model/0")}
	stream, err := client.Post("http://x/v1/chat/completions", "", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	before := *p
	p.start(model(up.URL))
	if err := before.control.Send(Order{Do: DoDrain}, nil, patience); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		resp, err := client.Get("http://x/v1/models")
		if err != nil {
			t.Fatalf("a request between two generations: %v", err)
		}
		resp.Body.Close()
	}
	if err := syscall.Kill(before.cmd.Process.Pid, 0); err != nil {
		t.Errorf("the generation before has left its stream: %v", err)
	}
	close(finish)
	if text, err := io.ReadAll(stream.Body); err != nil || string(text) != "begun ended" {
		t.Errorf("the stream ended with %q, %v", text, err)
	}
	before.stop()

	// Killed, with a request that comes while there is nobody.
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.stop()
	answered := make(chan error, 1)
	go func() {
		resp, err := client.Get("http://x/v1/models")
		if err == nil {
			err = resp.Body.Close()
		}
		answered <- err
	}()
	p.start(model(up.URL))
	if err := <-answered; err != nil {
		t.Errorf("a request that waited for the next generation: %v", err)
	}
}

// When its supervisor is gone, the process serves as long as there is a worker.
func TestProcessOutlivesItsSupervisorForItsWorkers(t *testing.T) {
	t.Parallel()
	up := provider(t, ok)
	p := startReal(t, model(up.URL))
	client := &http.Client{Transport: p.door.Upstream("model/0")}
	get := func() error {
		resp, err := client.Get("http://x/v1/models")
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	_ = p.control.Close()
	for range 10 {
		if err := get(); err != nil {
			t.Fatal(err)
		}
	}
	_ = p.worker.Close()
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("its end: %v", err)
	}
}

func TestProcessStartedByHandSaysSo(t *testing.T) {
	t.Parallel()
	if _, err := OpenControl(0); err == nil || !strings.Contains(err.Error(), "hermes gateway") {
		t.Errorf("error is %v", err)
	}
}

func FuzzOrder(f *testing.F) {
	f.Add([]byte(`{"do":"serve","id":1,"profile":"a","table":{"upstreams":[{"name":"m","origin":"https://x","endpoints":[{"method":"GET","path":"/a/*"}]}]}}`))
	f.Add([]byte(`{"do":"drain"}`))
	f.Add([]byte(`{"do":"update","id":-1}`))
	s := &Server{}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := decodeOrder(data)
		if err != nil {
			return
		}
		if (o.Do == DoServe || o.Do == DoUpdate) && (o.Table == nil || o.ID < 1) {
			t.Error("an order without what it is about")
		}
		if o.Table == nil {
			return
		}
		rules, err := s.newRules(*o.Table)
		if err != nil {
			return
		}
		for _, up := range rules.upstreams {
			if _, ok := up.allows("GET", "/../x"); ok || up.at.Host == "" {
				t.Errorf("upstream %+v", up.Endpoints)
			}
		}
		rules.close()
	})
}

// FuzzEndpoint: what matches a star is one plain segment.
func FuzzEndpoint(f *testing.F) {
	for _, seed := range []string{"/v1/models/x", "/v1/models/../y", "/v1/models/%2e%2e", "/v1/models/a%2Fb", "/v1/models/"} {
		f.Add(seed)
	}
	e := Endpoint{Method: "GET", Path: "/v1/models/*"}
	f.Fuzz(func(t *testing.T, path string) {
		if !e.matches("GET", path) {
			return
		}
		last, found := strings.CutPrefix(path, "/v1/models/")
		if !found || last == "" || strings.ContainsAny(last, "/\\?# \r\n") || strings.Contains(last, "..") || last[0] == '.' {
			t.Errorf("%q matches", path)
		}
	})
}

// FuzzRedact: no eight bytes of a secret stay.
func FuzzRedact(f *testing.F) {
	f.Add("key sk-canary-0123 is bad", canary)
	f.Fuzz(func(t *testing.T, text, secret string) {
		clean := redact(text, []string{secret})
		if len(secret) < redactWindow || strings.Contains("[redacted]", secret) {
			return
		}
		for part := range strings.SplitSeq(clean, "[redacted]") {
			for i := 0; i+redactWindow <= len(part); i++ {
				if strings.Contains(secret, part[i:i+redactWindow]) {
					t.Errorf("%q keeps %q", clean, part[i:i+redactWindow])
				}
			}
		}
	})
}
