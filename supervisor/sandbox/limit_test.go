package sandbox

import (
	"io"
	"sync/atomic"
	"testing"
)

// A command that ends while a limit is reached is told apart from one that ends
// badly for other reasons, and from one that nothing happened to.
func TestLimitIsTheReason(t *testing.T) {
	t.Parallel()
	var times atomic.Uint64
	s := New(Options{Children: box.children, Reached: func() (uint64, string) { return times.Load(), "the limit was reached" }})
	for name, test := range map[string]struct {
		script string
		during uint64
		want   string
	}{
		"killed":        {"kill -9 $$", 1, "killed: the limit was reached"},
		"of its shell":  {"sh -c 'kill -9 $$'; exit $?", 1, "killed: the limit was reached"},
		"refused":       {"exit 2", 1, "exit code 2, and meanwhile the limit was reached"},
		"ended well":    {"true", 1, ""},
		"other reasons": {"kill -9 $$", 0, "ended by SIGKILL, perhaps out of memory"},
	} {
		out, err := s.Run(t.Context(), Command{
			Argv: []string{"sh", "-c", test.script}, Dir: "/", Env: []string{"PATH=/usr/bin:/bin"},
			OnStart: func(int) { times.Add(test.during) },
		})
		if err != nil || out.Ending() != test.want {
			t.Errorf("%s: got %q, %v, want %q", name, out.Ending(), err, test.want)
		}
	}
}

func TestCommandsGoFirst(t *testing.T) {
	t.Parallel()
	input, writer := io.Pipe()
	out, err := box.Run(t.Context(), Command{
		Argv: []string{"sh", "-c", "read x; cat /proc/self/oom_score_adj"}, Dir: "/", Env: []string{"PATH=/usr/bin:/bin"},
		Stdin:   input, // it is offered once it has started
		OnStart: func(int) { _, _ = writer.Write([]byte("\n")); _ = writer.Close() },
	})
	if err != nil || out.Text != "500\n" {
		t.Errorf("got %q, %v", out.Text, err)
	}
}
