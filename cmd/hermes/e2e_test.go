package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"hermes/worker/llm/llmtest"
)

// machine is a home with profiles in it and a fake upstream beside it. The
// tests on top of it see only processes, sockets and files, as users do.
type machine struct {
	t        *testing.T
	bin      string
	home     string
	upstream *llmtest.Handler // nil when the machine has no model
}

// person is a profile of a machine.
type person struct {
	name, key, url string
	dir            string
}

// newMachine makes an empty home. With a model, the home's shared settings name
// a fake upstream; without, the profiles fall back to the demo model.
func newMachine(t *testing.T, model bool) *machine {
	t.Helper()
	if !model {
		return newMachineWith(t, nil)
	}
	return newMachineWith(t, flaky())
}

// newMachineWith makes an empty home whose model answers what a function says;
// without one there is no model.
func newMachineWith(t *testing.T, answer func(llmtest.Call) llmtest.Reply) *machine {
	t.Helper()
	bin, err := exec.LookPath("hermes")
	if err != nil {
		t.Fatal("the test binary is not on PATH as hermes: ", err)
	}
	if thorough() {
		bin = os.Getenv("HERMES_FAULTS")
	}
	m := &machine{t: t, bin: bin, home: filepath.Join(t.TempDir(), "home")}
	if answer != nil {
		m.upstream = llmtest.NewHandler(holding(answer))
		m.upstream.Key = "sk-upstream-secret-0123456789"
		server := httptest.NewServer(m.upstream)
		t.Cleanup(server.Close)
		t.Cleanup(server.CloseClientConnections)
		m.run("setup", "--yes")
		m.run("config", "set", "model.base_url", server.URL+"/v1")
		m.run("config", "set", "model.default", "tiny")
		m.run("config", "set", "OPENAI_API_KEY", m.upstream.Key)
		m.run("config", "set", "API_SERVER_ENABLED", "false")
	}
	return m
}

// quickExit keeps a program that was built with the race detector from sleeping a
// second whenever it ends.
const quickExit = "GORACE=atexit_sleep_ms=0"

// flaky makes a model that obeys plain commands, and one more: "flaky 3 text"
// fails three times with status 503 and says the text from then on.
func flaky() func(llmtest.Call) llmtest.Reply {
	var mu sync.Mutex
	failures := map[string]int{}
	return func(call llmtest.Call) llmtest.Reply {
		var times int
		var text string
		if n, _ := fmt.Sscanf(call.LastUser(), "flaky %d %s", &times, &text); n < 2 {
			return llmtest.Tiny(call)
		}
		mu.Lock()
		defer mu.Unlock()
		failures[call.LastUser()]++
		if failures[call.LastUser()] <= times {
			return llmtest.Reply{Status: http.StatusServiceUnavailable}
		}
		return llmtest.Text(text)
	}
}

// command makes a run of hermes with a small environment of its own.
func (m *machine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, m.bin, args...)
	cmd.Env = []string{"PATH=" + filepath.Dir(m.bin) + ":" + os.Getenv("PATH"), "HOME=" + filepath.Dir(m.home), "HERMES_HOME=" + m.home, quickExit}
	return cmd
}

// run runs hermes to its end and returns what it printed.
func (m *machine) run(args ...string) string {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := m.command(ctx, args...)
	// The race detector lets a process sleep for a second at its end, in case that
	// something goes on. Nothing does in a command, and there are hundreds of them.
	cmd.Env = append(cmd.Env, "GORACE=atexit_sleep_ms=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		m.t.Fatalf("hermes %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// create makes a profile with a port of its own.
func (m *machine) create(name string) person {
	m.t.Helper()
	m.run("profile", "create", name, "--port", strconv.Itoa(freePort(m.t)))
	return m.person(name)
}

func (m *machine) person(name string) person {
	m.t.Helper()
	get := func(args ...string) string {
		return strings.TrimSpace(m.run(append([]string{"-p", name, "config", "get"}, args...)...))
	}
	return person{
		name: name,
		key:  get("API_SERVER_KEY", "--reveal"),
		url:  "http://127.0.0.1:" + get("API_SERVER_PORT"),
		dir:  filepath.Join(m.home, "profiles", name),
	}
}

// nextPort keeps parallel tests from being given the same port. The range lies
// below the one that the kernel takes for outgoing connections.
var nextPort atomic.Int32

func freePort(t *testing.T) int {
	t.Helper()
	nextPort.CompareAndSwap(0, 15000+rand.Int32N(10000))
	for range 100 {
		port := int(nextPort.Add(1))
		if l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// gateway is a running `hermes gateway`.
type gateway struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}
	err  error

	mu     sync.Mutex // guards output
	output bytes.Buffer
	lines  chan string
}

// gateway starts `hermes gateway` and waits until so many profiles listen.
func (m *machine) gateway(profiles int, args ...string) *gateway {
	m.t.Helper()
	g := m.start(args...)
	g.await(profiles, "[API Server] API server listening on ")
	return g
}

// start starts `hermes gateway` and waits for nothing.
func (m *machine) start(args ...string) *gateway {
	m.t.Helper()
	cmd := m.command(context.Background(), append([]string{"gateway"}, args...)...)
	out, in, err := os.Pipe()
	if err != nil {
		m.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // without a terminal, as a service
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	in.Close()
	g := &gateway{t: m.t, cmd: cmd, done: make(chan struct{}), lines: make(chan string, 10_000)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		scanner := bufio.NewScanner(out)
		for scanner.Scan() {
			g.mu.Lock()
			g.output.WriteString(scanner.Text() + "\n")
			g.mu.Unlock()
			g.lines <- scanner.Text()
		}
	}()
	go func() {
		g.err = cmd.Wait()
		close(g.done)
	}()
	m.t.Cleanup(func() {
		g.stop()
		out.Close()
		<-read
		if m.t.Failed() {
			m.t.Logf("the gateway printed:\n%s", g.printed())
		}
	})
	return g
}

// await waits until that many lines with the text were printed.
func (g *gateway) await(count int, text string) {
	g.t.Helper()
	deadline := time.After(patience)
	for count > 0 {
		select {
		case line := <-g.lines:
			if strings.Contains(line, text) {
				count--
			}
		case <-g.done:
			g.t.Fatalf("the gateway ended: %v\n%s", g.err, g.printed())
		case <-deadline:
			g.t.Fatalf("%q was not printed in time\n%s", text, g.printed())
		}
	}
}

func (g *gateway) printed() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.output.String()
}

// stop ends the gateway as an admin does, and hurries it when it takes long.
func (g *gateway) stop() {
	for _, wait := range []time.Duration{10 * time.Second, patience} {
		g.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-g.done:
			return
		case <-time.After(wait):
		}
	}
	g.t.Error("the gateway did not stop")
	g.cmd.Process.Signal(syscall.SIGQUIT) // it says what it waits for
	select {
	case <-g.done:
	case <-time.After(5 * time.Second):
		g.cmd.Process.Kill()
		<-g.done
	}
}

// ask sends one chat completion to a profile.
func (p person) ask(ctx context.Context, message string, stream bool) (*http.Response, error) {
	content, err := json.Marshal(message)
	if err != nil {
		return nil, err
	}
	body := fmt.Sprintf(`{"model":"m","stream":%t,"messages":[{"role":"user","content":%s}]}`, stream, content)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	req.Header.Set("Content-Type", "application/json")
	// A connection for each request: what is asked for here is what happens to
	// connections.
	req.Close = true
	return http.DefaultClient.Do(req)
}

// answer asks without streaming and returns status and body.
func (p person) answer(t *testing.T, message string) (int, string) {
	t.Helper()
	resp, err := p.ask(t.Context(), message, false)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// upstreamHello is how the upstream answers "say hello". The demo model, which takes
// over where no upstream is set, only repeats the question.
const upstreamHello = `"content":"hello"`

// eventually polls for what a real process does in its own time.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(within)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

// marks counts the marks that were given out.
var marks atomic.Int32

// mark is a number of seconds for which nobody else sleeps, neither a test that runs
// beside this one nor another run of the tests on this machine: by it the processes of
// a command are found.
func mark() string { return fmt.Sprintf("9%07d.%03d", os.Getpid(), marks.Add(1)) }

// processes returns the pids of live processes whose environment or command
// line holds the text.
func processes(t *testing.T, text string) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Skip("no /proc here: ", err)
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, _ := os.ReadFile("/proc/" + entry.Name() + "/environ")
		argv, _ := os.ReadFile("/proc/" + entry.Name() + "/cmdline")
		if bytes.Contains(env, []byte(text)) || bytes.Contains(argv, []byte(text)) {
			pids = append(pids, pid)
		}
	}
	return pids
}
