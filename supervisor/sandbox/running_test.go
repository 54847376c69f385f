package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// start starts c, and ends it with the test.
func start(t *testing.T, c Command) *Running {
	t.Helper()
	r, err := box.Start(t.Context(), c)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		r.Stop()
		<-r.Done()
	})
	return r
}

// screen is what a command has written so far.
type screen struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// shows waits until the text is on the screen.
func (s *screen) shows(t *testing.T, text string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%q on the screen", text), func() bool { return strings.Contains(s.String(), text) })
}

// eventually polls for what a process does in its own time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		}
	}
}

func TestStartReturnsWhileTheCommandRuns(t *testing.T) {
	t.Parallel()
	ready := fifo(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := box.Start(ctx, shell(t, "read word <"+ready+"; echo $word; exit 3"))
	if err != nil {
		t.Fatal(err)
	}
	cancel() // not its end
	select {
	case <-r.Done():
		t.Fatalf("it ended: %+v", r.Output())
	default:
	}
	if err := os.WriteFile(ready, []byte("hello\n"), 0); err != nil {
		t.Fatal(err)
	}
	if out := r.Output(); out.Text != "hello\n" || out.Ending() != "exit code 3" || out.Duration <= 0 {
		t.Errorf("got %+v", out)
	}
	if _, err := r.Write([]byte("x")); !errors.Is(err, errNoTerminal) {
		t.Errorf("typing without a terminal: %v", err)
	}
}

func TestStopLeavesNoProcess(t *testing.T) {
	t.Parallel()
	for _, pty := range []bool{false, true} {
		seconds, ready := marker(), fifo(t)
		c := shell(t, fmt.Sprintf("trap '' HUP; (setsid sleep %s &); (sleep %[1]s &); echo ready >%s; sleep %[1]s; true", seconds, ready))
		c.PTY = pty
		r := start(t, c)
		r.Keep()
		_, _ = os.ReadFile(ready)
		r.Stop()
		if out := r.Output(); !out.Cancelled {
			t.Errorf("terminal %v: got %+v", pty, out)
		}
		if left := living(t, seconds); left != nil {
			t.Errorf("terminal %v: still there: %q", pty, left)
		}
	}
}

func TestOutputIsHandedOutAsItComes(t *testing.T) {
	t.Parallel()
	ready := fifo(t)
	var got screen
	c := shell(t, "echo 1; echo 2 >&2; read word <"+ready+"; echo 3")
	c.Output = &got
	r := start(t, c)
	got.shows(t, "1\n2\n")
	if err := os.WriteFile(ready, []byte("\n"), 0); err != nil {
		t.Fatal(err)
	}
	if out := r.Output(); out.Text != "" || got.String() != "1\n2\n3\n" {
		t.Errorf("got %q and %q", out.Text, got.String())
	}
}

func TestExtraFilesReachTheCommand(t *testing.T) {
	t.Parallel()
	ours, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	c := shell(t, "echo word >&4; : >&3")
	c.ExtraFiles = []*os.File{nil, theirs}
	out := run(t, c)
	theirs.Close()
	if got, err := io.ReadAll(ours); string(got) != "word\n" || out.ExitCode == 0 {
		t.Errorf("got %q, %v, and %+v", got, err, out)
	}
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	var got screen
	c := shell(t, `test -t 0 && test -t 1 && test -t 2 && stty size; printf 'name? '; read name; echo "hello $name"; cat; echo end`)
	c.PTY = true
	c.Output = &Cleaner{To: &got, Terminal: true}
	r := start(t, c)
	got.shows(t, "40 160\nname? ")
	for _, step := range []struct{ typed, shown string }{
		{"anna\r", "name? anna\nhello anna\n"}, {"a word\r", "a word\na word\n"}, {"\x04", "end\n"},
	} {
		if _, err := r.Write([]byte(step.typed)); err != nil {
			t.Fatal(err)
		}
		got.shows(t, step.shown)
	}
	if out := r.Output(); out.ExitCode != 0 {
		t.Errorf("got %+v", out)
	}
	if _, err := r.Write([]byte("x")); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("typing after the end: %v", err)
	}
}

// A program that reads nothing must not hold up whoever types.
func TestTypingEndsInTime(t *testing.T) {
	t.Parallel()
	var got screen
	c := shell(t, "stty raw -echo; echo ready; sleep 98765")
	c.PTY, c.Output = true, &got
	r := start(t, c)
	got.shows(t, "ready")
	if _, err := r.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// A job keeps what it has started, whatever the calls beside it do; they keep
// nothing.
func TestJobsAreSparedAndCallsAreNot(t *testing.T) {
	theirs, ready := marker(), fifo(t)
	job := start(t, shell(t, fmt.Sprintf(
		"(setsid sleep %s &) ; (env -i /bin/sh -c 'setsid sleep %[1]s & true' &) ; echo ready >%s; sleep %[1]s; true", theirs, ready)))
	_, _ = os.ReadFile(ready)
	job.Keep()
	eventually(t, "the job has its processes", func() bool { return len(living(t, "sleep\x00"+theirs)) == 3 })
	for _, fugitive := range fugitives {
		ours := marker()
		run(t, shell(t, strings.ReplaceAll(fugitive.script, "SECONDS", ours)))
		if left := living(t, ours); left != nil {
			t.Errorf("%s: still there: %q", fugitive.name, left)
		}
	}
	if left := living(t, "sleep\x00"+theirs); len(left) != 3 {
		t.Errorf("of the job's three processes there are %q", left)
	}
	job.Stop()
	<-job.Done()
	if left := living(t, theirs); left != nil {
		t.Errorf("still there: %q", left)
	}
}
