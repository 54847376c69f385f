package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hermes/supervisor/sandbox"
)

func TestServerThatIsACommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := testConfig(t, "plain")
	config.Exclude = []string{"d*", "*nv"}
	config.Dir = "sub"
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	s, _ := newServersIn(t, dir, config)
	if s.States()[0].Status != Idle {
		t.Errorf("it is %+v before anybody needs it", s.States()[0])
	}
	tools := s.Tools(t.Context())
	want := []string{"mcp_test_big", "mcp_test_echo", "mcp_test_fail", "mcp_test_grow", "mcp_test_spawn", "mcp_test_wait", "mcp_test_where"}
	if !slices.Equal(names(tools), want) {
		t.Fatalf("the tools are %q, want %q", names(tools), want)
	}
	if tools[1].Remote != "echo" || tools[1].Description != "Does echo." || string(tools[1].Schema) != `{"properties":{"text":{"type":"string"}},"required":["text"],"type":"object"}` {
		t.Errorf("got %+v %s", tools[1], tools[1].Schema)
	}
	if got := call(t, s, "echo", `{"text":"hello"}`); got.Text != "hello" || got.Failed {
		t.Errorf("got %+v", got)
	}
	if got := call(t, s, "fail", `{}`); got.Text != "it did not work" || !got.Failed {
		t.Errorf("got %+v", got)
	}
	if got := call(t, s, "where", `{}`); got.Text != filepath.Join(dir, "sub") {
		t.Errorf("it works in %s", got.Text)
	}
	if got := call(t, s, "nothing", `{}`); !got.Failed || !strings.Contains(got.Text, "refused the call of nothing") {
		t.Errorf("got %+v", got)
	}
	if got := s.States()[0]; got.Status != Connected || got.Kind != "stdio" || got.Asked.IsZero() || len(got.Tools) != 7 {
		t.Errorf("it is %+v", got)
	}
	env := call(t, s, "env", `{}`).Text
	for line := range strings.Lines(env) {
		name, _, _ := strings.Cut(line, "=")
		if !slices.Contains([]string{"PATH", "HOME", "GORACE", serveAs, "TEST_KEY", sandbox.EnvCall}, name) {
			t.Errorf("the server sees %s", line)
		}
	}
	if !strings.Contains(env, "TEST_KEY=canary-key-of-the-server") {
		t.Errorf("the server lacks its own variable: %s", env)
	}
}

func TestCancelledCallIsToldToTheServer(t *testing.T) {
	t.Parallel()
	s, _ := newServers(t, testConfig(t, "plain"))
	file := filepath.Join(t.TempDir(), "state")
	arguments, err := json.Marshal(map[string]string{"file": file})
	if err != nil {
		t.Fatal(err)
	}
	is := func(state string) func() bool {
		return func() bool {
			got, _ := os.ReadFile(file)
			return string(got) == state
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := s.Call(ctx, "test", "wait", arguments)
		ended <- err
	}()
	eventually(t, "the call begins", is("began"))
	cancel()
	if err := <-ended; err == nil {
		t.Error("a cancelled call has a result")
	}
	eventually(t, "the server is told", is("cancelled"))
	if got := call(t, s, "echo", `{"text":"still there"}`); got.Text != "still there" {
		t.Errorf("afterwards: %+v", got)
	}
}

func TestCallThatTakesTooLong(t *testing.T) {
	t.Parallel()
	config := testConfig(t, "plain")
	config.Timeout = 50 * time.Millisecond
	s, _ := newServers(t, config)
	s.Tools(t.Context())
	got := call(t, s, "wait", `{"file":"`+filepath.Join(t.TempDir(), "x")+`"}`)
	if want := "The MCP server test gave no answer to wait within 50ms; what it has done is unknown."; got.Text != want || !got.Failed {
		t.Errorf("got %+v", got)
	}
}

func TestServerThatDiesIsStartedAgain(t *testing.T) {
	t.Parallel()
	s, log := newServers(t, testConfig(t, "plain"))
	got := call(t, s, "die", `{}`)
	want := "The MCP server test broke off while it ran die, so what it has done is unknown: it ended with exit code 3: fatal: out of luck."
	if got.Text != want || !got.Failed {
		t.Errorf("got %+v, want %s", got, want)
	}
	if got := call(t, s, "echo", `{"text":"again"}`); got.Text != "again" { // it waits the first pause out
		t.Errorf("got %+v", got)
	}
	call(t, s, "die", `{}`)
	call(t, s, "echo", `{"text":"again"}`)
	call(t, s, "die", `{}`)
	eventually(t, "the third death is noticed", func() bool { return s.States()[0].Status == Failed })
	if got := call(t, s, "echo", `{"text":"again"}`); !got.Failed || !strings.Contains(got.Text, "cannot be reached: it ended with exit code 3: fatal: out of luck; it is tried again in ") {
		t.Errorf("got %+v", got)
	}
	if !strings.Contains(log.String(), "MCP server is gone") {
		t.Errorf("the log is %s", log)
	}
}

// A server is no stray of the commands that run beside it, and nothing of it stays
// when it is closed.
func TestServerLivesAndDiesWithItsOwner(t *testing.T) {
	t.Parallel()
	s, _ := newServers(t, testConfig(t, "plain"))
	pid, err := strconv.Atoi(call(t, s, "spawn", `{}`).Text)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := box.Run(t.Context(), sandbox.Command{Argv: []string{"/bin/sh", "-c", "setsid true & exit 0"}, Dir: "/"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("the end of a command has killed what the server started: %v", err)
	}
	if got := call(t, s, "echo", `{"text":"alive"}`); got.Text != "alive" {
		t.Errorf("got %+v", got)
	}
	s.Close()
	if err := syscall.Kill(pid, 0); err == nil {
		t.Error("the server is closed, and what it started is not gone")
	}
	if got := call(t, s, "echo", `{"text":"x"}`); !got.Failed || !strings.Contains(got.Text, "the agent stops") {
		t.Errorf("afterwards: %+v", got)
	}
}

func TestServersThatDoNotStart(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"crash", func(c *Config) { c.Env[serveAs] = "crash" }, "it ended with exit code 1: Error: Cannot find module 'x'"},
		{"silent", func(c *Config) { c.Env[serveAs], c.ConnectTimeout = "silent", 100*time.Millisecond }, "it gave no answer within 100ms (connect_timeout)"},
		{"deaf", func(c *Config) { c.Env[serveAs], c.ConnectTimeout = "deaf", 100*time.Millisecond }, "it gave no answer within 100ms (connect_timeout)"},
		{"broken", func(c *Config) { c.Env[serveAs] = "broken" }, "it sent what is no JSON"},
		{"missing", func(c *Config) { c.Command = "no-such-program" }, "its command no-such-program is not on the PATH; install it, or write its path in full"},
		{"missing path", func(c *Config) { c.Command = "/no/such/program" }, "its command /no/such/program cannot be started: no such file or directory"},
		{"missing directory", func(c *Config) { c.Dir = "/no/such/dir" }, "/no/such/dir"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config := testConfig(t, "plain")
			test.change(&config)
			s, _ := newServers(t, config)
			if tools := s.Tools(t.Context()); len(tools) != 0 {
				t.Errorf("it has %q", names(tools))
			}
			if state := s.States()[0]; state.Status != Failed || !strings.Contains(state.Reason, test.want) || strings.Contains(state.Reason, "\n") {
				t.Errorf("it is %+v, want %q", state, test.want)
			}
		})
	}
}

func TestServerThatPrintsBesideItsMessages(t *testing.T) {
	t.Parallel()
	s, log := newServers(t, testConfig(t, "chatty"))
	if got := call(t, s, "echo", `{"text":"hello"}`); got.Text != "hello" {
		t.Fatalf("got %+v", got)
	}
	text := log.String()
	if !strings.Contains(text, "[INFO] welcome") || !strings.Contains(text, "line 1 of a server with the key [redacted]") {
		t.Errorf("the log is %s", text)
	}
	if lines := strings.Count(text, "MCP server says"); lines > linesAtOnce+50 {
		t.Errorf("%d lines of it are logged", lines)
	}
	if strings.Contains(text, "canary-key") {
		t.Error("a secret is logged")
	}
}

func TestHugeResults(t *testing.T) {
	t.Parallel()
	config := testConfig(t, "plain")
	config.Timeout = 5 * time.Minute // the race detector takes its time
	s, _ := newServers(t, config)
	if got := call(t, s, "big", `{"bytes":10000000}`); got.Failed || len(got.Text) != 10_000_000 {
		t.Errorf("got %d bytes, failed %t", len(got.Text), got.Failed)
	}
	if got := call(t, s, "big", `{"bytes":17000000}`); !got.Failed || len(got.Text) > 500 {
		t.Errorf("got %d bytes: %.300s", len(got.Text), got.Text)
	}
	if got := call(t, s, "echo", `{"text":"again"}`); got.Text != "again" {
		t.Errorf("afterwards: %+v", got)
	}
}

func TestToolsThatChange(t *testing.T) {
	t.Parallel()
	s, _ := newServers(t, testConfig(t, "plain"))
	before := names(s.Tools(t.Context()))
	call(t, s, "grow", `{}`)
	eventually(t, "the new tool is known", func() bool { return slices.Contains(names(s.Tools(t.Context())), "mcp_test_grown") })
	if after := names(s.Known()); len(after) != len(before)+1 {
		t.Errorf("before %q, after %q", before, after)
	}
}

// What a server said last is known to the next process, which asks nobody for it.
func TestToolsAreKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, _ := newServersIn(t, dir, testConfig(t, "plain"))
	want := first.Tools(t.Context())
	first.Close()
	config := testConfig(t, "silent") // the same command, with other values of variables
	config.ConnectTimeout = 100 * time.Millisecond
	second, _ := newServersIn(t, dir, config)
	got := second.Tools(t.Context())
	if !sameTools(got, want) || !slices.Equal(names(got), names(want)) || len(got) == 0 {
		t.Errorf("got %q, want %q", names(got), names(want))
	}
	config.Args = []string{"other"}
	if third, _ := newServersIn(t, dir, config); len(third.Known()) != 0 {
		t.Errorf("another server has %q", names(third.Known()))
	}
	if err := os.WriteFile(filepath.Join(dir, "mcp-tools.json"), []byte(`{"version":1,"servers":{"test":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if fourth, log := newServersIn(t, dir, config); len(fourth.Known()) != 0 || !strings.Contains(log.String(), "cannot be read") {
		t.Errorf("of a broken file: %q, %s", names(fourth.Known()), log)
	}
	path := filepath.Join(dir, "mcp-tools.json")
	if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	looked := make(chan int, 1)
	go func() {
		fifth, _ := newServersIn(t, dir, config)
		looked <- len(fifth.Known())
	}()
	select {
	case n := <-looked:
		if n != 0 {
			t.Errorf("of a pipe: %d tools", n)
		}
	case <-time.After(10 * time.Second):
		t.Error("a pipe in the place of the file is waited for")
	}
}

func TestServerWithTooManyTools(t *testing.T) {
	t.Parallel()
	s, log := newServers(t, testConfig(t, "many"))
	if tools := s.Tools(t.Context()); len(tools) != maxTools || !strings.Contains(log.String(), "too many tools") {
		t.Errorf("it has %d tools; %s", len(tools), log)
	}
}

func TestPrepareAsksOnlyServersThatNobodyKnows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, _ := newServersIn(t, dir, testConfig(t, "plain"))
	first.Prepare()
	eventually(t, "the tools are known", func() bool { return len(first.Known()) > 0 })
	first.Close()
	second, _ := newServersIn(t, dir, testConfig(t, "plain"))
	second.Prepare()
	if state := second.States()[0]; state.Status != Idle {
		t.Errorf("it is %+v", state)
	}
	if tools, err := second.Test(t.Context(), "test"); err != nil || len(tools) == 0 || second.States()[0].Status != Connected {
		t.Errorf("a test gives %q, %v", names(tools), err)
	}
}

// A server that could not be started gets another chance at a later turn, which
// does not wait for it.
func TestServerThatComesLater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := testConfig(t, "plain")
	exe := config.Command
	config.Command = filepath.Join(dir, "server")
	s, _ := newServersIn(t, dir, config)
	if tools := s.Tools(t.Context()); len(tools) != 0 {
		t.Fatalf("it has %q", names(tools))
	}
	if err := os.Symlink(exe, config.Command); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server has come", func() bool { return len(s.Tools(t.Context())) > 0 })
}
