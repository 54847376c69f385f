package tools

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTerminal(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	put(t, dir, "sub/f", "x\n")
	tests := []struct {
		name   string
		args   args
		want   string
		failed bool
	}{
		{"output", args{"command": "echo hi; echo err >&2"}, "hi\nerr\n", false},
		{"none", args{"command": "true"}, "(no output)\n", false},
		{"none, and a failure", args{"command": "false"}, "(no output)\n[exit code 1]\n", true},
		{"exit code", args{"command": "printf hi; exit 7"}, "hi\n[exit code 7]\n", true},
		{"signal", args{"command": "kill -KILL $$"}, "(no output)\n[ended by SIGKILL, perhaps out of memory]\n", true},
		{"not found", args{"command": "no_such_program 2>/dev/null"}, "(no output)\n[exit code 127 (command not found)]\n", true},
		{"bad syntax", args{"command": "echo 'x"}, "Denied, nothing was run: what it would do cannot be known: line 1: ", true},
		{"where", args{"command": "pwd"}, dir + "\n", false},
		{"workdir", args{"command": "pwd; cat f", "workdir": "sub"}, dir + "/sub\nx\n", false},
		{"absolute workdir", args{"command": "pwd", "workdir": dir + "/sub"}, dir + "/sub\n", false},
		{"script", args{"command": "for i in 1 2; do\n  echo $i\ndone"}, "1\n2\n", false},
		{"timeout", args{"command": "echo begun; sleep 60", "timeout": 1}, "begun\n[still running after 1s; it goes on in the background as job_", false},
		{"terminal", args{"command": "test -t 0 && test -t 1 && test -t 2 && echo yes; echo $PAGER", "pty": true}, "yes\ncat\n", false},
		{"no terminal", args{"command": "test -t 0 || test -t 1 || echo none"}, "none\n", false},
		{"terminal, and a failure", args{"command": "printf '\\033[31mred'; exit 3", "pty": true}, "red\n[exit code 3]\n", true},
		{"timeout too long", args{"command": "echo hi", "timeout": "3600"}, "hi\n[the timeout was set to 600 s, the longest there is]\n", false},
		{"timeout below zero", args{"command": "echo hi", "timeout": -1}, "hi\n", false},
		{"no input", args{"command": "cat; read x || echo none"}, "none\n", false},
		{"colour", args{"command": `printf '\033[31mred\033[0m'; tput colors 2>/dev/null; true`}, "red", false},
		{"background", args{"command": "sleep 1000 & echo started"}, "started\n", false},
		{"long command", args{"command": "echo " + strings.Repeat("x", 200_000)}, "Denied, nothing was run: what it would do cannot be known: it is too long.", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := call(t.Context(), t, set, "terminal", test.args)
			expect(t, got, test.failed, test.want)
			if !strings.HasPrefix(got.Text, test.want) {
				t.Errorf("got %q", got.Text)
			}
		})
	}
}

func TestTerminalKeepsHeadAndTail(t *testing.T) {
	t.Parallel()
	set, _ := newSet(t)
	got := call(t.Context(), t, set, "terminal", args{"command": "seq 1 100000; exit 4"})
	if !regexp.MustCompile(`^1\n2\n(.*\n)+\[… \d+ bytes left out; read_file pages through \.hermes/output/job_\w+\.txt …\]\n(.*\n)+99999\n100000\n\[exit code 4\]\n$`).MatchString(got.Text) || len(got.Text) > maxCommandOutput+200 {
		t.Errorf("%d bytes: %.50q … %q", len(got.Text), got.Text, got.Text[max(0, len(got.Text)-50):])
	}
}

func TestTerminalEnvironment(t *testing.T) {
	t.Parallel()
	dir, home := t.TempDir(), filepath.Join(t.TempDir(), "home")
	set, err := NewSet(kept(Options{
		Workspace: dir, Home: home, Sandbox: box,
		Environ: []string{"PATH=/usr/bin:/bin", "TZ=Asia/Tokyo", "OPENAI_API_KEY=sesame", "API_SERVER_KEY=sesame", "HOME=/root", "BASH_ENV=/x", "LD_PRELOAD=", "HERMES_HOME=/x"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	got := call(t.Context(), t, set, "terminal", args{"command": `/usr/bin/env; echo "$TZ $LANG $TERM"; echo ~`})
	names := make(map[string]bool)
	for line := range strings.Lines(got.Text) {
		if name, _, ok := strings.Cut(line, "="); ok {
			names[name] = true
		}
	}
	for _, name := range []string{"PATH", "HOME", "LANG", "TERM", "TZ", "HERMES_TOOL_CALL"} {
		if !names[name] {
			t.Errorf("%s is missing", name)
		}
		delete(names, name)
	}
	for _, name := range []string{"USER", "LOGNAME", "PWD", "SHLVL", "OLDPWD", "_"} { // the last four are the shell's own
		delete(names, name)
	}
	if len(names) > 0 || strings.Contains(got.Text, "sesame") {
		t.Errorf("the command sees %v:\n%s", names, got.Text)
	}
	expect(t, got, false, "Asia/Tokyo C.UTF-8 dumb\n"+home+"\n")
}

func TestTerminalFindsAShell(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"": "bash", "/no/such": "/bin/sh"} {
		environ := []string{"PATH=" + path}
		if path == "" {
			environ = nil
		}
		set, err := NewSet(kept(Options{Workspace: t.TempDir(), Sandbox: box, Environ: environ}))
		if err != nil {
			t.Fatal(err)
		}
		expect(t, call(t.Context(), t, set, "terminal", args{"command": "echo $0 hi"}), false, want+" hi\n")
		set.Close()
	}
}

func TestTerminalEndsWithItsTurn(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan time.Time, 1)
	go func() {
		_, _ = os.ReadFile(fifo)
		cancelled <- time.Now()
		cancel()
	}()
	got, err := set.Run(ctx, toolCall("terminal", `{"command":"trap '' TERM; echo begun; (setsid sleep 98765.25 &); echo >fifo; sleep 98765.25; sleep 98765.25"}`))
	if took := time.Since(<-cancelled); took > 10*time.Second {
		t.Errorf("took %s after the cancel", took)
	}
	if err != nil || !got.Failed || got.Text != "begun\n[cancelled]\n" {
		t.Errorf("got %+v, %v", got, err)
	}
	if left := living(t, "98765.25"); left != nil {
		t.Errorf("still there: %q", left)
	}
}

func TestTerminalWithoutAWorkspace(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	expect(t, call(t.Context(), t, set, "terminal", args{"command": "pwd"}), true, "could not be started")
	expect(t, call(t.Context(), t, set, "write_file", args{"path": "a/b", "content": ""}), true, "Nothing was written.")
	expect(t, call(t.Context(), t, set, "read_file", args{"path": "a"}), true, "has been deleted.")
	expect(t, call(t.Context(), t, set, "search_files", args{"pattern": "a"}), true, "has been deleted.")
}
