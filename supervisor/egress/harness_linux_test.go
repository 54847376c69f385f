package egress

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hermes/supervisor/egress/wire"
)

// The test binary is also the process that some tests are about.
// They end by syscall.Exit: os.Exit has the race detector wait for a second first.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == Subcommand {
		syscall.Exit(Main())
	}
	goleak.VerifyTestMain(m)
}

const canary = "sk-canary-0123456789abcdefghij"

// patience is how long a test waits on a busy machine.
const patience = 30 * time.Second

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}

// buffer is what the audit is written into.
type buffer struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.String()
}

// served is a Server with one worker.
type served struct {
	*testing.T
	*Server
	audit  *buffer
	door   *wire.Door
	worker *os.File
	far    *os.File
}

// serve makes a Server for a worker that may reach what the table says.
func serve(t *testing.T, table Table, opts Options) *served {
	t.Helper()
	s := &served{T: t, audit: &buffer{}}
	opts.Audit = s.audit
	s.Server = NewServer(opts)
	s.worker, s.far = s.join(1, "alice", table)
	s.door = wire.NewDoor(int(s.worker.Fd()))
	t.Cleanup(func() {
		_ = s.worker.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.Drain(ctx)
		s.door.Close()
		_ = s.far.Close()
	})
	return s
}

// join adds a worker.
func (s *served) join(id int, profile string, table Table) (worker, far *os.File) {
	s.Helper()
	worker, far, err := wire.Pair()
	if err != nil {
		s.Fatal(err)
	}
	r, err := wire.NewReceiver(duplicate(s.T, far))
	if err == nil {
		err = s.Serve(id, profile, table, r)
	}
	if err != nil {
		s.Fatal(err)
	}
	return worker, far
}

// entries are the lines of the audit so far.
func (s *served) entries() (all []entry) {
	for line := range strings.Lines(s.audit.String()) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.Errorf("line %q is no JSON: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

// client is one of the worker for an upstream.
func (s *served) client(name string) *http.Client {
	return &http.Client{Transport: s.door.Upstream(name), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// send asks an upstream.
func (s *served) send(method, path, body string, header http.Header) (status int, answer http.Header, text string, err error) {
	req, err := http.NewRequestWithContext(s.Context(), method, "http://whatever.example"+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	maps.Copy(req.Header, header)
	resp, err := s.client("model/0").Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(data), err
}

// model is a table with one upstream, which has the canary.
func model(url string) Table {
	return Table{Secrets: []string{canary}, Upstreams: []Upstream{{
		Name: "model/0", Origin: url, Redirects: true,
		Headers:   map[string]string{"Authorization": "Bearer " + canary},
		Endpoints: []Endpoint{{Method: http.MethodPost, Path: "/v1/chat/completions", Model: true}, {Method: http.MethodGet, Path: "/v1/models"}, {Method: http.MethodGet, Path: "/v1/models/*"}},
	}}}
}

// recorder is a provider that keeps what it was asked.
type recorder struct {
	*httptest.Server
	mu   sync.Mutex
	last *http.Request
	body string
	n    atomic.Int32
}

func provider(t *testing.T, handler http.HandlerFunc) *recorder {
	t.Helper()
	r := &recorder{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.last, r.body = req, string(body)
		r.mu.Unlock()
		r.n.Add(1)
		handler(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) request() (*http.Request, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, r.body
}

func ok(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "fine") }

// genuine is the process itself.
type genuine struct {
	*testing.T
	cmd     *exec.Cmd
	control *Control
	out     *buffer
	door    *wire.Door
	worker  *os.File
	far     *os.File
	resumed Used // by the next generation
}

// startReal starts the process with one worker.
func startReal(t *testing.T, table Table) *genuine {
	t.Helper()
	p := &genuine{T: t}
	var err error
	if p.worker, p.far, err = wire.Pair(); err != nil {
		t.Fatal(err)
	}
	p.door = wire.NewDoor(int(p.worker.Fd()))
	p.start(table)
	t.Cleanup(func() {
		_ = p.worker.Close()
		p.stop()
		p.door.Close()
		_ = p.far.Close()
	})
	return p
}

// start starts the process, or another generation of it.
func (p *genuine) start(table Table) {
	p.Helper()
	control, theirs, err := ControlPair()
	if err != nil {
		p.Fatal(err)
	}
	defer theirs.Close()
	p.control, p.out = control, &buffer{}
	p.cmd = command(theirs)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		p.Fatal(err)
	}
	if err := control.Send(Order{Do: DoServe, ID: 1, Profile: "alice", Table: &table, Used: p.resumed}, p.far, patience); err != nil {
		p.Fatal(err)
	}
}

// command is the process, with its control socket.
func command(control *os.File) *exec.Cmd {
	cmd := exec.Command(os.Args[0], Subcommand)
	cmd.Env, cmd.ExtraFiles = []string{}, []*os.File{control}
	return cmd
}

// stop waits for the end of the process, whose control socket it closes.
func (p *genuine) stop() {
	_ = p.control.Close()
	_ = p.cmd.Wait()
}

func duplicate(t *testing.T, file *os.File) *os.File {
	t.Helper()
	fd, err := dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), file.Name())
}

// speak writes text on a connection and reads the answer's head.
func speak(t *testing.T, conn net.Conn, text string) *http.Response {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}
