package sandbox

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// shell is a Command that runs a script in an empty directory.
func shell(t *testing.T, script string) Command {
	t.Helper()
	return Command{
		Argv: []string{"/bin/sh", "-c", script}, Dir: t.TempDir(),
		Env: []string{"PATH=" + os.Getenv("PATH")}, CallID: "test",
	}
}

// run runs c and fails the test if it could not be started.
func run(t *testing.T, c Command) Output {
	t.Helper()
	out, err := box.Run(t.Context(), c)
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	return out
}

var markers atomic.Int64

// marker is a number of seconds that no other process sleeps for.
func marker() string { return "99" + strconv.Itoa(os.Getpid()) + strconv.FormatInt(markers.Add(1), 10) }

// living lists the processes that have an argument which contains marker, but
// not the shells that got it as a part of their script.
func living(t *testing.T, marker string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(line), marker) {
			found = append(found, file+": "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// fifo makes a named pipe by which a script tells the test that it has come
// that far.
func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// lateTries is how often a command is tried again that has a moment to do something,
// such as for its last words: on a busy machine it may not get a processor in time.
const lateTries = 20

// runBriefly runs a command that has begun once it says so, with a timeout so long that
// it has come so far, which takes longer on a busy machine.
func runBriefly(t *testing.T, s *Sandbox, c Command) Output {
	t.Helper()
	for c.Timeout = 200 * time.Millisecond; ; c.Timeout *= 2 {
		out, err := s.Run(t.Context(), c)
		if err != nil {
			t.Fatalf("run: %v", err)
		}
		if strings.HasPrefix(out.Text, "begun\n") || c.Timeout > 10*time.Second {
			return out
		}
	}
}

func TestRunTellsHowItEnded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, script, text, ending string
		code                       int
		signal                     string
	}{
		{name: "well", script: "echo hi", text: "hi\n"},
		{name: "both outputs in order", script: "echo 1; echo 2 >&2; echo 3", text: "1\n2\n3\n"},
		{name: "exit code", script: "echo hi; exit 3", text: "hi\n", code: 3, ending: "exit code 3"},
		{name: "killed", script: "kill -KILL $$", code: 137, signal: "SIGKILL", ending: "ended by SIGKILL, perhaps out of memory"},
		{name: "crashed", script: "kill -SEGV $$", code: 139, signal: "SIGSEGV", ending: "ended by SIGSEGV, it crashed"},
		{name: "child killed", script: "sh -c 'kill -KILL $$' 2>/dev/null; exit $?", code: 137, ending: "exit code 137 (SIGKILL, perhaps out of memory)"},
		{name: "no signal has this number", script: "exit 255", code: 255, ending: "exit code 255"},
		{name: "not found", script: "no-such-program 2>/dev/null", code: 127, ending: "exit code 127 (command not found)"},
		{name: "not executable", script: "/dev/null 2>/dev/null", code: 126, ending: "exit code 126 (found, but it cannot be executed)"},
		{name: "input is empty", script: "cat; echo end", text: "end\n"},
		{name: "invalid UTF-8", script: `printf 'a\377\376b'`, text: "a\ufffdb"},
		{name: "colours", script: `printf '\033[1;31mred\033[0m\n'`, text: "red\n"},
		{name: "no core files", script: "ulimit -c; ulimit -Hc", text: "0\n0\n"},
		{name: "only its own descriptors", script: "exec ls /proc/self/fd", text: "0\n1\n2\n3\n"},
		{name: "last words of the background", script: "(sleep 0.02; echo late) & echo early", text: "early\nlate\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			out := run(t, shell(t, test.script))
			for range lateTries {
				if !strings.Contains(test.text, "late") || out.Text == test.text {
					break
				}
				out = run(t, shell(t, test.script))
			}
			if out.Text != test.text || out.ExitCode != test.code || out.Signal != test.signal || out.Ending() != test.ending {
				t.Errorf("got %q, code %d, signal %q, ending %q", out.Text, out.ExitCode, out.Signal, out.Ending())
			}
			if out.TimedOut || out.Cancelled || out.Truncated {
				t.Errorf("timed out %v, cancelled %v, truncated %v", out.TimedOut, out.Cancelled, out.Truncated)
			}
		})
	}
}

func TestRunGivesACleanEnvironment(t *testing.T) {
	t.Setenv("HERMES_TEST_SECRET", "sesame")
	c := shell(t, "env")
	c.Argv = []string{"/usr/bin/env"}
	c.Env = append(c.Env, "LANG=C.UTF-8")
	c.CallID = "call/1\x00 ü"
	out := run(t, c)
	var names []string
	for line := range strings.Lines(out.Text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		names = append(names, name)
		if name == EnvCall && !strings.HasPrefix(value, "call1.") {
			t.Errorf("mark is %q", value)
		}
	}
	if got := strings.Join(names, " "); got != "PATH LANG "+EnvCall {
		t.Errorf("the command sees %s", got)
	}
}

func TestRunPassesInput(t *testing.T) {
	t.Parallel()
	c := shell(t, "cat")
	c.Stdin = strings.NewReader("words")
	if out := run(t, c); out.Text != "words" {
		t.Errorf("got %q", out.Text)
	}
	c = shell(t, "true") // does not read it
	c.Stdin = strings.NewReader(strings.Repeat("x", 1<<20))
	if out := run(t, c); out.ExitCode != 0 {
		t.Errorf("exit code %d", out.ExitCode)
	}
}

func TestRunRefusesWhatCannotStart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		c    Command
		want string
	}{
		{"nothing", Command{Dir: "/"}, "it is empty"},
		{"no such directory", Command{Argv: []string{"/bin/sh"}, Dir: "/no/such"}, "no such file"},
		{"directory is a file", Command{Argv: []string{"/bin/sh"}, Dir: "/dev/null"}, "/dev/null is not a directory"},
		{"no such program", Command{Argv: []string{"/no/such"}, Dir: "/"}, "no such file"},
		{"NUL", Command{Argv: []string{"/bin/sh", "-c", "a\x00b"}, Dir: "/"}, "invalid argument"},
		{"too long", Command{Argv: []string{"/bin/sh", "-c", strings.Repeat("x", 1<<20)}, Dir: "/"}, "argument list too long"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := box.Run(t.Context(), test.c)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "start command: ") {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// fugitives are scripts that try to leave a process behind which sleeps for
// SECONDS. Those that are told to must hide from everything but a sweep of all.
var fugitives = []struct {
	name, script string
	hidden       bool
}{
	{name: "background", script: "sleep SECONDS & true"},
	{name: "background without output", script: "sleep SECONDS >/dev/null 2>&1 & true"},
	{name: "nohup", script: "nohup sleep SECONDS & true"},
	{name: "setsid", script: "setsid sleep SECONDS & true"},
	{name: "double fork", script: "(setsid sh -c 'sleep SECONDS & sleep SECONDS & true' &) ; true"},
	{name: "daemon", script: "setsid sh -c 'setsid sh -c \"sleep SECONDS; true\" >/dev/null 2>&1 </dev/null &' & wait"},
	{name: "deaf to TERM", script: "setsid sh -c 'trap \"\" TERM HUP INT; sleep SECONDS; sleep SECONDS' & true"},
	{name: "tree", script: "for i in 1 2 3 4; do (setsid sh -c 'for j in 1 2 3; do (setsid sleep SECONDS &); done; sleep SECONDS' &); done; true"},
	{name: "respawner", script: "echo 'setsid /bin/sh ./r.sh SECONDS & exit' >r.sh; (/bin/sh ./r.sh SECONDS &) ; sleep 0.1; true"},
	{name: "no mark", script: "(env -i PATH=$PATH setsid sleep SECONDS &) ; true", hidden: true},
	{name: "no mark, and a child", script: "(env -i PATH=$PATH setsid sh -c 'setsid sleep SECONDS & sleep SECONDS' &) ; true", hidden: true},
}

func TestRunLeavesNoProcess(t *testing.T) {
	for _, fugitive := range fugitives {
		t.Run(fugitive.name, func(t *testing.T) {
			seconds := marker()
			began := time.Now()
			out := run(t, shell(t, strings.ReplaceAll(fugitive.script, "SECONDS", seconds)))
			if left := living(t, seconds); left != nil {
				t.Errorf("still there: %q", left)
			}
			if took := time.Since(began); took > 20*time.Second || out.ExitCode != 0 {
				t.Errorf("took %s, %q, %s", took, out.Text, out.Ending())
			}
		})
	}
}

func TestRunEndsOnTimeout(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, script, text string }{
		{"sleeps", "echo begun; sleep SECONDS", "begun\n"},
		{"says goodbye", "trap 'echo bye; exit 0' TERM; echo begun; sleep SECONDS & wait", "begun\nbye\n"},
		{"is deaf to TERM", "trap '' TERM; echo begun; sleep SECONDS; sleep SECONDS", "begun\n"},
		{"has a deaf child", "(trap '' TERM; sleep SECONDS) & echo begun; sleep SECONDS", "begun\n"},
		{"has fled", "setsid sleep SECONDS & echo begun; sleep SECONDS", "begun\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			seconds := marker()
			out := runBriefly(t, box, shell(t, strings.ReplaceAll(test.script, "SECONDS", seconds)))
			for range lateTries { // until it could say goodbye
				if out.Text == test.text {
					break
				}
				out = runBriefly(t, box, shell(t, strings.ReplaceAll(test.script, "SECONDS", seconds)))
			}
			if !out.TimedOut || out.Cancelled || out.Text != test.text || !strings.HasPrefix(out.Ending(), "timed out after ") {
				t.Errorf("got %+v", out)
			}
			if left := living(t, seconds); left != nil {
				t.Errorf("still there: %q", left)
			}
		})
	}
}

func TestRunEndsOnCancel(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, script string }{
		{"sleeps", "echo ready >FIFO; sleep SECONDS"},
		{"is deaf to TERM", "trap '' TERM; echo ready >FIFO; sleep SECONDS; sleep SECONDS"},
		{"has fled and is deaf", "trap '' TERM; (setsid sh -c 'trap \"\" TERM; echo ready >FIFO; sleep SECONDS; true' &); sleep SECONDS; true"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			seconds, ready := marker(), fifo(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cancelled := make(chan time.Time, 1)
			go func() {
				_, _ = os.ReadFile(ready)
				cancelled <- time.Now()
				cancel()
			}()
			out, err := box.Run(ctx, shell(t, strings.NewReplacer("FIFO", ready, "SECONDS", seconds).Replace(test.script)))
			if took := time.Since(<-cancelled); took > 20*time.Second {
				t.Errorf("took %s after the cancel", took)
			}
			if err != nil || !out.Cancelled || out.TimedOut || out.Ending() != "cancelled" {
				t.Errorf("got %+v, %v", out, err)
			}
			if left := living(t, seconds); left != nil {
				t.Errorf("still there: %q", left)
			}
		})
	}
	t.Run("before the start", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		c := shell(t, "touch made")
		out, err := box.Run(ctx, c)
		if _, stat := os.Stat(filepath.Join(c.Dir, "made")); err != nil || !out.Cancelled || stat == nil {
			t.Errorf("got %+v, %v; it ran: %v", out, err, stat == nil)
		}
	})
}

// A call that ends must not take the processes of another one with it.
func TestRunSparesOtherCalls(t *testing.T) {
	theirs, ready := marker(), fifo(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = box.Run(ctx, shell(t, fmt.Sprintf("(setsid sleep %s &) ; (env -i /bin/sh -c 'setsid sleep %[1]s & true' &) ; echo ready >%s; sleep %[1]s", theirs, ready)))
	}()
	_, _ = os.ReadFile(ready)
	for range 3 {
		ours := marker()
		run(t, shell(t, "setsid sleep "+ours+" & sleep 0.05"))
		if left := living(t, ours); left != nil {
			t.Errorf("still there: %q", left)
		}
	}
	// They may not have got to their sleep yet.
	eventually(t, "the other call has its three processes", func() bool { return len(living(t, "sleep\x00"+theirs)) == 3 })
	cancel()
	<-ended
	if left := living(t, theirs); left != nil {
		t.Errorf("still there: %q", left)
	}
}

func TestRunKeepsHeadAndTailOfAFlood(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c := shell(t, "echo first; head -c 500000000 /dev/zero | tr '\\0' x; echo; echo last")
	c.MaxOutput = 10_000
	out := run(t, c)
	runtime.ReadMemStats(&after)
	if !out.Truncated || !strings.HasPrefix(out.Text, "first\nxxx") || !strings.HasSuffix(out.Text, "xxx\nlast\n") {
		t.Fatalf("got %d bytes: %.20q", len(out.Text), out.Text)
	}
	notice := fmt.Sprintf("\n[… %d bytes left out …]\n", out.Omitted)
	if kept := int64(len(out.Text) - len(notice)); kept > 10_000 || kept+out.Omitted != 500_000_000+12 || !strings.Contains(out.Text, notice) {
		t.Errorf("kept %d, left out %d", kept, out.Omitted)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
		t.Errorf("500 MB of output took %d bytes of memory", grown)
	}
}

func TestRunStopsAnEndlessFlood(t *testing.T) {
	t.Parallel()
	c := shell(t, "yes")
	var out Output
	for c.Timeout = 200 * time.Millisecond; !out.Truncated && c.Timeout < 10*time.Second; c.Timeout *= 2 {
		out = run(t, c)
	}
	if !out.TimedOut || !out.Truncated || len(out.Text) > DefaultMaxOutput+100 || strings.Trim(out.Text, "y\n")[0] != '[' {
		t.Errorf("got %d bytes, timed out %v", len(out.Text), out.TimedOut)
	}
}

// refusing takes some bytes and then no more.
type refusing struct {
	strings.Builder
	limit int
}

func (r *refusing) Write(p []byte) (int, error) {
	if r.Len()+len(p) > r.limit {
		return 0, io.ErrShortWrite
	}
	return r.Builder.Write(p)
}

func TestRunHandsOutStdout(t *testing.T) {
	t.Parallel()
	var stdout strings.Builder
	c := shell(t, `printf 'a\033[1m\377'; echo err >&2`)
	c.Stdout = &stdout
	if out := run(t, c); stdout.String() != "a\x1b[1m\xff" || out.Text != "err\n" {
		t.Errorf("got %q and %q", stdout.String(), out.Text)
	}
	for _, script := range []string{"yes", "trap '' PIPE TERM; while :; do echo y; done 2>/dev/null"} {
		c = shell(t, script)
		c.Stdout = &refusing{limit: 100_000}
		if out := run(t, c); out.Cancelled || out.TimedOut {
			t.Errorf("%s: got %+v", script, out)
		}
	}
}

func BenchmarkRun(b *testing.B) {
	c := Command{Argv: []string{"/bin/sh", "-c", "echo hi"}, Dir: b.TempDir(), Env: []string{"PATH=" + os.Getenv("PATH")}}
	for b.Loop() {
		if out, err := box.Run(b.Context(), c); err != nil || out.Text != "hi\n" {
			b.Fatal(out, err)
		}
	}
}
