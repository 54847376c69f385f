package main_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
)

// on starts hermes on a terminal.
func (m *machine) on(size pty.Winsize, args ...string) *terminal {
	m.t.Helper()
	cmd := m.command(m.t.Context(), args...)
	cmd.Env = append(cmd.Env, "TERM=xterm-256color")
	return m.startOn(cmd, size)
}

func TestTopOnATerminal(t *testing.T) {
	t.Parallel()
	m := newMachine(t, false)
	for _, name := range []string{"alice", "bob"} {
		m.run("profile", "create", name, "--port", strconv.Itoa(freePort(t)))
		m.run("-p", name, "config", "set", "supervisor.start", "always")
	}
	m.gateway(2, "--all")
	eventually(t, patience, "both are served", func() bool {
		return strings.Count(m.run("gateway", "status"), " ready ") == 2
	})
	term := m.on(pty.Winsize{Rows: 30, Cols: 160}, "gateway", "top")
	term.expect("\x1b[?1049h\x1b[?25l") // another screen, no cursor
	term.expect("2 profiles")
	term.expect("2 ready")
	term.expect("alice")
	term.expect("sorted by cpu") // the next picture comes by itself
	term.send("m")
	term.expect("sorted by memory")
	if err := pty.Setsize(term.tty, &pty.Winsize{Rows: 6, Cols: 40}); err != nil {
		t.Fatal(err)
	}
	mark := len(term.all())
	eventually(t, patience, "lines are cut to the new width", func() bool { return strings.Contains(term.all()[mark:], "…\x1b[K") })
	// A worker that dies shows.
	pids := regexp.MustCompile(`bob +ready +\d+ +(\d+)`).FindStringSubmatch(m.run("gateway", "status"))
	signalled(t, pids[1], syscall.SIGKILL)
	if err := pty.Setsize(term.tty, &pty.Winsize{Rows: 30, Cols: 160}); err != nil {
		t.Fatal(err)
	}
	term.expect("the last one killed by SIGKILL")
	term.send("q")
	if code := term.exits(); code != 0 {
		t.Errorf("q: exit code %d", code)
	}
	if all := term.all(); !strings.HasSuffix(all, "\x1b[?25h\x1b[?1049l") {
		t.Errorf("the terminal is left with %q", all[max(0, len(all)-40):])
	}
	for keys, what := range map[string]string{"\x03": "Ctrl-C", "\x04": "Ctrl-D"} {
		term := m.on(pty.Winsize{Rows: 30, Cols: 100}, "gateway", "top")
		term.expect("2 profiles")
		term.send("\x1b[A" + keys) // after an arrow, which is no key of ours
		term.send(keys)
		if code := term.exits(); code != 0 || !strings.HasSuffix(term.all(), "\x1b[?25h\x1b[?1049l") {
			t.Errorf("%s: exit code %d", what, code)
		}
	}
	// Ended from outside, it leaves the terminal in order too.
	term = m.on(pty.Winsize{Rows: 30, Cols: 100}, "gateway", "top")
	term.expect("2 profiles")
	term.cmd.Process.Signal(syscall.SIGTERM)
	term.exits()
	if !strings.HasSuffix(term.all(), "\x1b[?25h\x1b[?1049l") {
		t.Error("after SIGTERM the terminal is not as it was")
	}
	// In a pipe it is one picture, without colours.
	if got := m.run("gateway", "top"); strings.Contains(got, "\x1b") || !regexp.MustCompile(`(?m)^alice +ready +\d+ +1 +0 +0 +\d+\.\d +\d+\.\dMiB +0 `).MatchString(got) {
		t.Errorf("in a pipe:\n%s", got)
	}
}

func TestEventsAreFollowedAcrossGateways(t *testing.T) {
	t.Parallel()
	m := newMachine(t, false)
	m.run("profile", "create", "alice", "--port", strconv.Itoa(freePort(t)))
	m.run("profile", "create", "bob", "--port", strconv.Itoa(freePort(t)))
	cmd := m.command(t.Context(), "gateway", "events", "-f", "--json", "alice")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	next := func(to string) {
		t.Helper()
		for lines.Scan() {
			var event struct{ Profile, To string }
			if err := json.Unmarshal(lines.Bytes(), &event); err != nil || event.Profile != "alice" {
				t.Fatalf("got %s, %v", lines.Bytes(), err)
			}
			if event.To == to {
				return
			}
		}
		t.Fatalf("the stream ended before %s", to)
	}
	for range 2 { // the second gateway is found too
		m.gateway(2, "--all")
		next("sleeping")
		m.run("gateway", "stop")
		next("stopped")
	}
	m.gateway(2, "--all")
	next("sleeping")
	got := m.run("gateway", "events", "bob")
	if !regexp.MustCompile(`(?m)^\S+ \S+ bob starting → sleeping$`).MatchString(got) || strings.Contains(got, "alice") {
		t.Errorf("events of bob:\n%s", got)
	}
}

func TestStatusOfOneProfileShowsItsLastWords(t *testing.T) {
	t.Parallel()
	m := newMachine(t, false)
	m.run("profile", "create", "alice", "--port", strconv.Itoa(freePort(t)))
	m.run("-p", "alice", "config", "set", "supervisor.start", "always")
	m.gateway(1, "--all")
	status := func() string { return m.run("gateway", "status", "alice") }
	pid := regexp.MustCompile(`(?m)^pid +(\d+)$`)
	eventually(t, patience, "alice is served", func() bool { return regexp.MustCompile(`(?m)^state +ready$`).MatchString(status()) })
	// A crash with a trace, as of a bug.
	number := pid.FindStringSubmatch(status())[1]
	signalled(t, number, syscall.SIGQUIT)
	eventually(t, patience, "another worker serves", func() bool {
		found := pid.FindStringSubmatch(status())
		return found != nil && found[1] != number && strings.Contains(status(), "generation         2")
	})
	got := status()
	for _, want := range []string{`restarts +1 \(1 exit\)`, `last exit +pid ` + number + ` ended with exit code 2, \d+s ago`, `Its last lines:\n(  .*\n)+`, `memory +\d.* of its own`, `started by +the gateway`} {
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("there is no %s in\n%s", want, got)
		}
	}
	if _, err := os.Stat(filepath.Join(m.home, "profiles/alice/logs/worker.log")); err != nil {
		t.Error(err)
	}
}

// signalled sends a signal to a process whose pid was printed.
func signalled(t *testing.T, pid string, signal syscall.Signal) {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err == nil {
		err = syscall.Kill(n, signal)
	}
	if err != nil {
		t.Fatal(err)
	}
}
