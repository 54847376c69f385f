package main_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"hermes/worker/llm/llmtest"
)

// terminal is a hermes chat with a person at the terminal.
type terminal struct {
	t    *testing.T
	cmd  *exec.Cmd
	tty  *os.File
	done chan struct{}
	err  error

	mu    sync.Mutex // guards shown
	shown strings.Builder
	seen  int // how much of it an expectation has passed
}

// chatOn starts hermes chat on a terminal.
func (m *machine) chatOn(environ []string, args ...string) *terminal {
	m.t.Helper()
	cmd := m.command(m.t.Context(), append([]string{"-p", "alice", "chat"}, args...)...)
	cmd.Env = append(cmd.Env, append([]string{"TERM=xterm-256color"}, environ...)...)
	return m.startOn(cmd, pty.Winsize{Rows: 40, Cols: 120})
}

// startOn starts a command on a terminal.
func (m *machine) startOn(cmd *exec.Cmd, size pty.Winsize) *terminal {
	m.t.Helper()
	tty, err := pty.StartWithSize(cmd, &size)
	if err != nil {
		m.t.Fatal(err)
	}
	term := &terminal{t: m.t, cmd: cmd, tty: tty, done: make(chan struct{})}
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := tty.Read(buf)
			term.mu.Lock()
			term.shown.Write(buf[:n])
			term.mu.Unlock()
			if err != nil { // EIO when the program has gone
				return
			}
		}
	}()
	go func() {
		term.err = cmd.Wait()
		<-read
		close(term.done)
	}()
	m.t.Cleanup(func() {
		cmd.Process.Kill()
		<-term.done
		tty.Close()
		if m.t.Failed() {
			m.t.Logf("the terminal showed:\n%q", term.all())
		}
	})
	return term
}

func (term *terminal) all() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.shown.String()
}

// expect waits until a text is shown behind what was expected before.
func (term *terminal) expect(text string) {
	term.t.Helper()
	eventually(term.t, patience, "the terminal shows "+text, func() bool {
		all := term.all()
		i := strings.Index(all[term.seen:], text)
		if i >= 0 {
			term.seen += i + len(text)
		}
		return i >= 0
	})
}

// prompt waits until a message can be typed.
func (term *terminal) prompt() {
	term.t.Helper()
	term.expect("\x1b[?2004h")
}

func (term *terminal) send(keys string) {
	term.t.Helper()
	if _, err := io.WriteString(term.tty, keys); err != nil {
		term.t.Fatal(err)
	}
}

// exits waits for the end of the program and returns its exit code.
func (term *terminal) exits() int {
	term.t.Helper()
	select {
	case <-term.done:
	case <-time.After(patience):
		term.t.Fatal("the program does not end")
	}
	if exit, ok := errors.AsType[*exec.ExitError](term.err); ok {
		return exit.ExitCode()
	}
	if term.err != nil {
		term.t.Fatal(term.err)
	}
	return 0
}

const (
	pasteOn  = "\x1b[200~"
	pasteOff = "\x1b[201~"
	keyCtrlC = "\x03"
	keyCtrlD = "\x04"
	keyUp    = "\x1b[A"
)

func TestChatStopsATurnAndGoesOn(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	m.create("alice")
	m.run("-p", "alice", "config", "set", "api_server.on_disconnect", "detach") // a person who stops means it
	m.gateway(1, "-p", "alice")
	term := m.chatOn(nil, "--session", "work")
	term.expect("session work")
	term.prompt()

	mark := mark()
	term.send("run `sleep " + mark + "`\r")
	term.expect("💻 sleep " + mark)
	eventually(t, patience, "the tool runs", func() bool { return len(processes(t, mark)) > 0 })
	term.expect("  2s") // the line tells how long it takes
	term.send(keyCtrlC)
	term.expect("stopped")
	term.prompt()
	eventually(t, patience, "the tool is gone", func() bool { return len(processes(t, mark)) == 0 })

	// The session goes on, and knows what was done.
	term.send("say after\r")
	term.expect("after")
	term.prompt()
	if calls := m.upstream.Calls(); !strings.Contains(string(calls[len(calls)-1].Body), mark) {
		t.Error("the model does not know of the turn that was stopped")
	}

	// A failing turn breaks nothing either, and a line can be given up.
	term.send("fail 400\r")
	term.expect("the turn failed")
	term.prompt()
	term.send("nonsense" + keyCtrlC + "say still here\r")
	term.expect("still here")
	term.prompt()
	if calls := m.upstream.Calls(); calls[len(calls)-1].LastUser() != "say still here" {
		t.Errorf("sent %q", calls[len(calls)-1].LastUser())
	}
	term.send(keyCtrlC)
	if code := term.exits(); code != 130 {
		t.Errorf("Ctrl-C at an empty line: exit code %d", code)
	}
}

// A terminal that cannot do more than print has a prompt, and keys, too.
func TestChatOnADumbTerminal(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	m.create("alice")
	m.gateway(1, "-p", "alice")
	term := m.chatOn([]string{"TERM=dumb"})
	term.expect("> ")
	mark := mark()
	term.send("run `sleep " + mark + "`\n")
	eventually(t, patience, "the tool runs", func() bool { return len(processes(t, mark)) > 0 })
	term.send(keyCtrlC)
	term.expect("stopped")
	term.expect("> ")
	term.send("say on \\\nand on\n")
	term.expect("… on\r\n> ")
	if calls := m.upstream.Calls(); calls[len(calls)-1].LastUser() != "say on \nand on" {
		t.Errorf("sent %q", calls[len(calls)-1].LastUser())
	}
	term.send(keyCtrlC)
	if code := term.exits(); code != 130 {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(term.all(), "\x1b") {
		t.Error("there are escape sequences")
	}
}

func TestChatThatIsStoppedAtOnce(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	m.create("alice")
	m.gateway(1, "-p", "alice")
	mark := mark()
	term := m.chatOn(nil, "run `sleep "+mark+"`")
	term.expect("💻 sleep " + mark)
	eventually(t, patience, "the tool runs", func() bool { return len(processes(t, mark+"\x00")) > 0 })
	term.send(keyCtrlC)
	if code := term.exits(); code != 130 {
		t.Errorf("exit code %d", code)
	}
	eventually(t, patience, "the tool is gone", func() bool { return len(processes(t, "sleep "+mark)) == 0 })
}

func TestChatKeepsPastesHistoryAndSessions(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	m.gateway(1, "-p", "alice")
	sent := func() string { calls := m.upstream.Calls(); return calls[len(calls)-1].LastUser() }

	first := m.chatOn(nil)
	first.prompt()
	first.send("say x: " + pasteOn + "one\r\n\ttwo\x1b[31m\nthree" + pasteOff + "\r")
	first.expect("x: one")
	first.prompt()
	if got, want := sent(), "say x: one\n\ttwo[31m\nthree"; got != want {
		t.Errorf("pasted %q, sent %q", want, got)
	}
	first.send(" say hidden\r")
	first.expect("hidden\r\n")
	first.prompt()
	first.send(keyCtrlD)
	if code := first.exits(); code != 0 {
		t.Errorf("Ctrl-D: exit code %d", code)
	}
	path := filepath.Join(alice.dir, "data", "chat_history")
	if data, err := os.ReadFile(path); err != nil || string(data) != "say x: one␤␉two[31m␤three\n" {
		t.Errorf("the history is %q, %v", data, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the history's file: %v, %v", info, err)
	}

	// Another process has the history, and goes on with the session.
	second := m.chatOn(nil, "--continue")
	second.prompt()
	second.send(keyUp + "!\r")
	second.expect("three!\r\n")
	second.prompt()
	if got := sent(); got != "say x: one\n\ttwo[31m\nthree!" {
		t.Errorf("sent %q", got)
	}
	if calls := m.upstream.Calls(); !strings.Contains(string(calls[len(calls)-1].Body), "say hidden") {
		t.Error("the second process did not continue the session of the first")
	}
	second.send("/sessions\r")
	second.expect("chat-20")
	second.prompt()
	second.send("/exit\r")
	if code := second.exits(); code != 0 {
		t.Errorf("/exit: exit code %d", code)
	}
}

func TestChatDrawsOnATerminalOnly(t *testing.T) {
	t.Parallel()
	hostile := "**bold** \x1b[2J\x1b]0;owned\x07\u009b31m `code`"
	m := newMachineWith(t, func(llmtest.Call) llmtest.Reply { return llmtest.Text(hostile) })
	m.create("alice")
	m.gateway(1, "-p", "alice")

	term := m.chatOn(nil, "hi")
	term.expect("\x1b[1mbold\x1b[0m [2J]0;owned31m \x1b[36mcode\x1b[0m")
	if code := term.exits(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	// What the program itself sends are colours and the erasing of its own lines.
	left := regexp.MustCompile("\x1b\\[([0-9;]*m|K)").ReplaceAllString(term.all(), "")
	if strings.ContainsAny(left, "\x1b\x07\u009b") {
		t.Errorf("escapes reached the terminal: %q", term.all())
	}
	for _, environ := range []string{"NO_COLOR=1", "TERM=dumb"} {
		term := m.chatOn([]string{environ}, "hi")
		term.expect("**bold** [2J]0;owned31m `code`")
		term.exits()
		if strings.Contains(term.all(), "\x1b") {
			t.Errorf("%s: %q", environ, term.all())
		}
	}
	if got := m.run("-p", "alice", "chat", "hi"); got != hostile+"\n" {
		t.Errorf("a pipe gets %q", got)
	}
}
