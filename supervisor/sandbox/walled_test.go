package sandbox

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hermes/supervisor/sandbox/wall"
)

// walled is a Sandbox with a wall, and the workspace of its commands. The Children
// are those of box: a process has one. It does not know the jobs of box, so tests
// with it do not run beside others.
func walled(t *testing.T, without ...wall.Layer) (*Sandbox, string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"workspace", "home"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	workspace := filepath.Join(dir, "workspace")
	w := wall.New(wall.Options{
		Workspace: workspace, Home: filepath.Join(dir, "home"), Temp: filepath.Join(dir, "tmp"), Hidden: []string{dir}, Without: without,
	})
	if report := w.Report(t.Context()); report.Level != wall.Full && len(without) == 0 {
		t.Skipf("this machine gives level %s: %s", report.Level, report.Why)
	}
	return New(Options{Children: box.children, Wall: w}), workspace
}

// What is told of a command is the same behind a wall.
func TestEndingsBehindAWall(t *testing.T) {
	for name, without := range map[string][]wall.Layer{"all": nil, "no namespaces": {wall.LayerNamespaces}} {
		t.Run(name, func(t *testing.T) {
			s, dir := walled(t, without...)
			for script, want := range map[string]Output{
				"echo out; echo err >&2":           {Text: "out\nerr\n"},
				"exit 7":                           {ExitCode: 7},
				"kill -SEGV $$":                    {ExitCode: 139, Signal: "SIGSEGV"},
				"kill -KILL $$":                    {ExitCode: 137, Signal: "SIGKILL"},
				"(sleep 0.02; echo late) & echo 1": {Text: "1\nlate\n"},
				"exec > /dev/null 2>&1; sleep 600 & exit 3": {ExitCode: 3},
				"no-such-program-here 2> /dev/null":         {ExitCode: 127},
				"cat":                                       {Text: "typed"},
			} {
				c := Command{Argv: []string{"/bin/sh", "-c", script}, Dir: dir, Env: []string{"PATH=/usr/bin:/bin"}, Stdin: strings.NewReader("typed")}
				out, err := s.Run(t.Context(), c)
				for range lateTries {
					if !strings.Contains(want.Text, "late") || out.Text == want.Text {
						break
					}
					out, err = s.Run(t.Context(), c)
				}
				if err != nil || out.Text != want.Text || out.ExitCode != want.ExitCode || out.Signal != want.Signal {
					t.Errorf("%s: %v, %+v, want %+v", script, err, out, want)
				}
			}
			if _, err := s.Run(t.Context(), Command{Argv: []string{"/no/such/program"}, Dir: dir}); err == nil || !strings.Contains(err.Error(), "/no/such/program") {
				t.Errorf("a program that is not there: %v", err)
			}
			if _, err := s.Run(t.Context(), Command{Argv: []string{"/bin/sh"}, Dir: t.TempDir()}); name == "all" && err == nil {
				t.Error("a command starts in a directory that it cannot see")
			}
		})
	}
}

// All that a command leaves is gone within 100 ms of its end, and at once when it is
// stopped.
func TestNothingIsLeftBehindAWall(t *testing.T) {
	s, dir := walled(t)
	const leaves = `for i in 1 2 3; do (setsid sh -c 'trap "" TERM HUP INT; (sleep 6543 & wait) & exec sleep 6543' > /dev/null 2>&1 &) ; done; `
	out, err := s.Run(t.Context(), Command{Argv: []string{"/bin/sh", "-c", leaves + "sleep 0.1; exit 0"}, Dir: dir, Env: []string{"PATH=/usr/bin:/bin", "LEFT=" + dir}})
	if err != nil || out.ExitCode != 0 {
		t.Fatalf("%v, %+v", err, out)
	}
	if left := withMark(t, "LEFT="+dir); left != "" {
		t.Errorf("still there: %s", left)
	}
	began := time.Now()
	out = runBriefly(t, s, Command{
		Argv: []string{"/bin/sh", "-c", `trap "" TERM; echo begun; ` + leaves + "while :; do sleep 1; done"}, Dir: dir, Env: []string{"PATH=/usr/bin:/bin", "LEFT=" + dir},
	})
	if !out.TimedOut || out.Signal != "SIGKILL" || time.Since(began) > 30*time.Second {
		t.Errorf("%+v", out)
	}
	if left := withMark(t, "LEFT="+dir); left != "" {
		t.Errorf("still there: %s", left)
	}
}

// withMark is the arguments of a process that has that variable.
func withMark(t *testing.T, variable string) string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if environ, err := os.ReadFile(path); err == nil && strings.Contains(string(environ), variable) {
			args, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			return strings.ReplaceAll(string(args), "\x00", " ")
		}
	}
	return ""
}

func TestTermIsHeardBehindAWall(t *testing.T) {
	s, dir := walled(t)
	ctx, cancel := context.WithCancel(t.Context())
	ready := &lineSignal{line: "ready", seen: cancel}
	out, err := s.Run(ctx, Command{Argv: []string{"/bin/sh", "-c", `trap 'echo ends well; exit 4' TERM; echo ready; while :; do sleep 0.01; done`}, Dir: dir, Env: []string{"PATH=/usr/bin:/bin"}, Output: ready})
	if err != nil || !out.Cancelled || out.ExitCode != 4 || !strings.Contains(ready.all, "ends well") {
		t.Errorf("%v, %+v, %q", err, out, ready.all)
	}
}

// lineSignal calls seen when a line has come.
type lineSignal struct {
	line, all string
	seen      func()
}

func (l *lineSignal) Write(p []byte) (int, error) {
	l.all += string(p)
	if strings.Contains(l.all, l.line) {
		l.seen()
	}
	return len(p), nil
}

// A job goes on while other commands come and go, and sees what they see.
func TestJobBehindAWall(t *testing.T) {
	s, dir := walled(t)
	job, err := s.Start(t.Context(), Command{Argv: []string{"/bin/sh", "-c", `until test -e /tmp/go; do sleep 0.01; done; echo went`}, Dir: dir, Env: []string{"PATH=/usr/bin:/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	job.Keep()
	for range 3 {
		if out, err := s.Run(t.Context(), Command{Argv: []string{"/bin/sh", "-c", "setsid true & exit 0"}, Dir: dir, Env: []string{"PATH=/usr/bin:/bin"}}); err != nil || out.ExitCode != 0 {
			t.Fatalf("%v, %+v", err, out)
		}
	}
	select {
	case <-job.Done():
		t.Fatalf("the job has ended: %+v", job.Output())
	default:
	}
	if _, err := s.Run(t.Context(), Command{Argv: []string{"/bin/sh", "-c", "touch /tmp/go"}, Dir: dir, Env: []string{"PATH=/usr/bin:/bin"}}); err != nil {
		t.Fatal(err)
	}
	if out := job.Output(); out.Text != "went\n" || out.ExitCode != 0 {
		t.Errorf("%+v", out)
	}
}

func TestDescriptorsBehindAWall(t *testing.T) {
	for _, without := range [][]wall.Layer{nil, {wall.LayerNamespaces}} {
		s, dir := walled(t, without...)
		ours, theirs, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer ours.Close()
		out, err := s.Run(t.Context(), Command{
			Argv: []string{"/bin/sh", "-c", `echo said >&5; cd /proc/self/fd && echo [0-9]*`}, Dir: dir, ExtraFiles: []*os.File{nil, nil, theirs}, Env: []string{"PATH=/usr/bin:/bin"},
		})
		_ = theirs.Close()
		said := make([]byte, 10)
		n, _ := ours.Read(said)
		if err != nil || string(said[:n]) != "said\n" || out.Text != "0 1 2 3 5\n" && out.Text != "0 1 2 5\n" {
			t.Errorf("%v, %+v, %q", err, out, said[:n])
		}
	}
}

// The same command with and without walls, in turn. A machine changes more from run
// to run than the walls cost, and the least of many is what it can do.
func BenchmarkWall(b *testing.B) {
	dir := b.TempDir()
	for _, name := range []string{"workspace", "home"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			b.Fatal(err)
		}
	}
	opts := wall.Options{Workspace: dir + "/workspace", Home: dir + "/home", Temp: dir + "/tmp", Hidden: []string{dir}, Exe: trueHermes(b)}
	less := opts
	less.Without = []wall.Layer{wall.LayerNamespaces}
	boxes := map[string]*Sandbox{
		"plain": box, "full": New(Options{Children: box.children, Wall: wall.New(opts)}), "reduced": New(Options{Children: box.children, Wall: wall.New(less)}),
	}
	argv := map[string][]string{}
	if bwrap, err := exec.LookPath("bwrap"); err == nil {
		boxes["bwrap"], argv["bwrap"] = box, besideBubblewrap(bwrap, dir)
	}
	times := map[string][]time.Duration{}
	for b.Loop() {
		for name, s := range boxes {
			began := time.Now()
			if out, err := s.Run(b.Context(), Command{Argv: append(argv[name], "/bin/sh", "-c", "echo hi"), Dir: dir + "/workspace"}); err != nil || out.Text != "hi\n" {
				b.Fatal(err, out)
			}
			times[name] = append(times[name], time.Since(began))
		}
	}
	for name, took := range times {
		slices.Sort(took)
		b.ReportMetric(float64(took[0].Microseconds())/1000, name+"-least-ms")
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, name+"-p50-ms")
	}
}

// besideBubblewrap is how the program that others use shows a command about the same: it
// has neither Landlock nor a filter of system calls.
func besideBubblewrap(bwrap, dir string) []string {
	argv := []string{
		bwrap, "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--new-session", "--proc", "/proc", "--dev", "/dev",
		"--bind", dir + "/home", "/tmp", "--bind", dir + "/workspace", dir + "/workspace", "--bind", dir + "/home", dir + "/home",
	}
	for _, path := range []string{"/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/opt"} {
		if says, err := os.Readlink(path); err == nil {
			argv = append(argv, "--symlink", says, path)
		} else {
			argv = append(argv, "--ro-bind-try", path, path)
		}
	}
	return append(argv, "--chdir", dir+"/workspace")
}

// trueHermes is the binary whose start users wait for: the one that HERMES_EXE names,
// else one that is built here. The binary of the tests is smaller.
func trueHermes(b *testing.B) string {
	b.Helper()
	if exe := os.Getenv("HERMES_EXE"); exe != "" {
		return exe
	}
	exe := filepath.Join(b.TempDir(), "hermes")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", exe, "hermes/cmd/hermes")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return exe
}
