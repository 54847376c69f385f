package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox"
	"hermes/worker/llm/llmtest"
	"hermes/worker/store"
)

// diesEnv says at which commit the test binary as a worker ends itself: "before 7",
// "after 7", or nothing for never.
const diesEnv = "WORKER_TEST_DIES"

// TestMain makes the test binary a worker, as a supervisor starts one.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == handoff.Subcommand {
		os.Exit(serveAsChild())
	}
	if err := sandbox.BecomeSubreaper(); err != nil { // like a supervisor
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func serveAsChild() int {
	child, start, listener, err := handoff.Accept()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	err = Run(context.Background(), Options{
		Child: child, Start: start, Listener: listener, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		onCommit: dieAt(os.Getenv(diesEnv)),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return ExitCode(err)
}

// dieAt makes a store.Options.OnCommit that kills this process at one commit.
func dieAt(point string) func(done bool) {
	when, number, _ := strings.Cut(point, " ")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return nil
	}
	var commits atomic.Int64
	return func(done bool) {
		if !done {
			commits.Add(1)
		}
		if done == (when == "after") && commits.Load() == n {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // until the signal is there
		}
	}
}

// profile is a directory, a listener that outlives its workers, and a model.
type profile struct {
	t        *testing.T
	dir      string
	url      string
	listener *net.TCPListener
	start    handoff.Start
	upstream *llmtest.Upstream
}

func newProfile(t *testing.T, answer func(llmtest.Call) llmtest.Reply) *profile {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := &profile{t: t, dir: dir, url: "http://" + listener.Addr().String(), listener: listener.(*net.TCPListener), upstream: llmtest.NewUpstream(answer)}
	t.Cleanup(p.upstream.Close)
	t.Cleanup(func() { listener.Close() })
	p.start = handoff.Start{
		Version: handoff.Version, Profile: "alice", Generation: 1,
		Paths: handoff.Paths{
			Profile: dir, Database: p.path("state.db"), Workspace: p.path("workspace"), Home: p.path("home"),
			Memories: p.path("memories"), Skills: p.path("skills"), Soul: p.path("SOUL.md"),
		},
		API: handoff.API{
			Address: listener.Addr().String(), ModelName: "alice", MaxBodyBytes: 10_000_000, MaxConcurrentRuns: 10,
			OnDisconnect: "cancel", DrainTimeout: 5 * time.Second,
		},
		Model:        handoff.Model{Provider: "openai", Model: "tiny", BaseURL: p.upstream.URL + "/v1", APIKey: "sk-upstream-secret", Streaming: true},
		Agent:        handoff.Agent{MaxIterations: 90, Tools: []string{"all"}, Approvals: "deny"},
		Terminal:     handoff.Terminal{Timeout: time.Minute},
		ToolProgress: "auto",
	}
	// The tables are made before, so that commits are those of turns.
	s := store.Open(p.start.Paths.Database, store.Options{})
	if _, err := s.Sessions(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *profile) path(name string) string { return filepath.Join(p.dir, name) }

// file returns what is in a file of the workspace, "" if there is none.
func (p *profile) file(name string) string {
	p.t.Helper()
	content, err := os.ReadFile(filepath.Join(p.path("workspace"), name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.t.Fatal(err)
	}
	return string(content)
}

// process is a worker.
type process struct {
	p      *profile
	cmd    *exec.Cmd
	parent *handoff.Parent
	output bytes.Buffer
	ended  chan struct{}
}

// worker starts a worker, which dies at a commit, or never.
func (p *profile) worker(dies string) *process {
	p.t.Helper()
	socket, err := p.listener.File()
	if err != nil {
		p.t.Fatal(err)
	}
	lock, err := os.Create(p.path("lock"))
	if err != nil {
		p.t.Fatal(err)
	}
	given := handoff.Belongings{Lock: lock, Listener: socket}
	defer given.Close()
	parent, control, err := handoff.Pair()
	if err != nil {
		p.t.Fatal(err)
	}
	defer control.Close()
	w := &process{p: p, parent: parent, ended: make(chan struct{})}
	w.cmd = exec.Command(os.Args[0], handoff.Subcommand)
	w.cmd.Env = append(handoff.Environ(os.Environ()), diesEnv+"="+dies, "GORACE=atexit_sleep_ms=0")
	w.cmd.Stdout, w.cmd.Stderr = &w.output, &w.output
	w.cmd.ExtraFiles = []*os.File{control}
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := w.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	if err := parent.Give(handoff.StartMessage(&p.start), given, 10*time.Second); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		defer close(w.ended)
		for { // a worker whose messages nobody reads waits for a second with each
			if _, err := parent.Receive(); err != nil {
				break
			}
		}
		_ = w.cmd.Wait()
	}()
	p.t.Cleanup(w.stop)
	return w
}

// stop ends a worker as the end of its supervisor does. What a killed one left
// behind is ended, as a supervisor does it.
func (w *process) stop() {
	w.p.t.Helper()
	_ = w.parent.Close() // it may be closed already
	select {
	case <-w.ended:
	case <-time.After(20 * time.Second):
		w.p.t.Errorf("the worker did not end:\n%s", w.output.String())
		_ = w.cmd.Process.Kill()
		<-w.ended
	}
	w.sweep()
}

// sweep kills what runs in the workspace.
func (w *process) sweep() {
	for found := true; found; {
		found = false
		dirs, _ := filepath.Glob("/proc/[0-9]*/cwd")
		for _, dir := range dirs {
			if at, err := os.Readlink(dir); err == nil && strings.HasPrefix(at, w.p.dir) {
				pid, _ := strconv.Atoi(strings.Split(dir, "/")[2])
				_ = syscall.Kill(pid, syscall.SIGKILL)
				_, _ = syscall.Wait4(pid, nil, 0, nil) // if it has come to us
				found = true
			}
		}
	}
}

// kill kills a worker in the middle of what it does.
func (w *process) kill() {
	_ = w.cmd.Process.Kill()
	w.stop()
}

// send sends a request and returns what came of the answer, and what went wrong.
func (p *profile) send(method, path, body string, header ...string) (string, error) {
	request, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", response.StatusCode, got)
	}
	return string(got), err
}

// commands lists the processes whose command line holds a text.
func (p *profile) commands(text string) (found []string) {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range lines {
		if line, err := os.ReadFile(name); err == nil && strings.HasPrefix(string(line), text) {
			found = append(found, name)
		}
	}
	return found
}

// checkStatus expects so many runs that ended with a status.
func (p *profile) checkStatus(status string, count int) {
	p.t.Helper()
	s := store.Open(p.start.Paths.Database, store.Options{ReadOnly: true})
	defer s.Close()
	sessions, err := s.Sessions(p.t.Context(), 10)
	if err != nil {
		p.t.Fatal(err)
	}
	n := 0
	for _, session := range sessions {
		runs, err := s.Runs(p.t.Context(), session.ID)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, run := range runs {
			if run.Status == status {
				n++
			}
		}
	}
	if n != count {
		p.t.Errorf("%d runs are %s, want %d", n, status, count)
	}
}
