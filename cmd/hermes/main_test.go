package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary the program hermes for all tests of this
// directory: they run it as a process.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"hermes": func() { beTaken(); leave(program()) }, // a shim calls its worker so, whatever the name of the program
		// A hermes whose workers are somebody else's.
		takenProgram: func() { beTaken(); leave(program()) },
		// A hermes that cannot wait for the disk, nor can what it starts.
		"hermes-failing-syncs": func() { failSyncs(); leave(program()) },
		// A hermes that is started from a shell which leaves all files open.
		"hermes-open": func() {
			if slices.Contains(os.Args, "gateway") || slices.Contains(os.Args, "config") {
				syscall.Umask(0)
			}
			leave(program())
		},
		// An MCP server that fetches pages.
		"mcp-fetches": func() { fetches(); leave(0) },
		// A hermes on a machine that has namespaces and Landlock for nobody.
		"hermes-without-walls": func() { loseWalls(); leave(program()) },
		// One with Landlock, but without namespaces, as in most containers.
		"hermes-contained": func() { loseNamespaces(syscall.SYS_ACCT); leave(program()) },
	})
}

// leave ends a process of the tests. What a gateway starts has an environment of its
// own, without GORACE: at its end os.Exit would have the race detector wait for a second.
func leave(code int) {
	if os.Getenv("GORACE") == "" {
		syscall.Exit(code)
	}
	os.Exit(code)
}

// TestScript runs the stories in testdata/script, one a file. Each has an empty
// home of its own in $WORK/home.
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HERMES_HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("NL", "\n")
			env.Setenv("GORACE", "atexit_sleep_ms=0") // see quickExit
			// testscript kills what a failed script leaves in the background; what a
			// gateway has started is gone a moment later.
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code":     cmdCode,
			"freeport": cmdFreePort,
			"oneline":  cmdOneLine,
			"silent":   cmdSilent,
			"await":    cmdAwait,
			"mode":     cmdMode,
			"snapshot": cmdSnapshot,
			"asbefore": cmdAsBefore,
			"gone":     cmdGone,
		},
	})
}

// cmdCode runs a command and checks its exit code: code 2 hermes foo.
func cmdCode(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if err != nil {
		ts.Fatalf("usage: code N COMMAND...")
	}
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := err.(interface{ ExitCode() int }); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code is %d, want %d", got, want)
	}
}

// cmdOneLine checks that stderr is one line of the form in which hermes tells of
// errors, and that it holds each of the texts.
func cmdOneLine(ts *testscript.TestScript, _ bool, args []string) {
	stderr := withoutProgress(ts.ReadFile("stderr"))
	if !strings.HasPrefix(stderr, "hermes: ") || strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n") {
		ts.Fatalf("stderr is not one line that begins with hermes: %q", stderr)
	}
	for _, text := range args {
		if !strings.Contains(stderr, text) {
			ts.Fatalf("stderr does not hold %q: %s", text, stderr)
		}
	}
}

// cmdSilent checks that nothing is on stderr.
func cmdSilent(ts *testscript.TestScript, _ bool, _ []string) {
	if stderr := withoutProgress(ts.ReadFile("stderr")); stderr != "" {
		ts.Fatalf("stderr is not empty: %q", stderr)
	}
}

// withoutProgress is what a command has said on stderr without the lines that it begins
// with where it takes more than a second, as anything may on a busy machine.
func withoutProgress(stderr string) string {
	progress := regexp.MustCompile(`^((asking|making|deleting|connecting|looking|waiting|exporting|importing|reading) .*\n)+`)
	return strings.TrimPrefix(stderr, progress.FindString(stderr))
}

// scriptPort keeps parallel scripts from being given the same port. The range
// lies below the one that the kernel takes for outgoing connections, and beside
// that of the other tests.
var scriptPort atomic.Int32

// cmdFreePort puts a free port into each of the variables.
func cmdFreePort(ts *testscript.TestScript, _ bool, args []string) {
	scriptPort.CompareAndSwap(0, 26000+rand.Int32N(5000))
	for _, name := range args {
		for {
			port := strconv.Itoa(int(scriptPort.Add(1)))
			if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
				l.Close()
				ts.Setenv(name, port)
				break
			}
		}
	}
}

// cmdAwait runs a command again and again until it succeeds, for at most a
// minute; with ! until it fails.
func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	deadline := time.After(time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := ts.Exec(args[0], args[1:]...); (err != nil) == neg {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("%s: not in time", strings.Join(args, " "))
		}
	}
}

// cmdMode checks the permissions of files: mode 600 FILE...
func cmdMode(ts *testscript.TestScript, _ bool, args []string) {
	for _, path := range args[1:] {
		info, err := os.Stat(ts.MkAbs(path))
		ts.Check(err)
		if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[0] {
			ts.Fatalf("%s has mode %s, want %s", path, got, args[0])
		}
	}
}

// cmdSnapshot remembers every file below a directory, and cmdAsBefore checks
// that nothing of it has changed.
func cmdSnapshot(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv("SNAPSHOT", contents(ts, args[0]))
}

func cmdAsBefore(ts *testscript.TestScript, _ bool, args []string) {
	if got, want := contents(ts, args[0]), ts.Getenv("SNAPSHOT"); got != want {
		ts.Fatalf("%s has changed:\n%s\nwas:\n%s", args[0], got, want)
	}
}

func contents(ts *testscript.TestScript, dir string) string {
	var b strings.Builder
	err := filepath.WalkDir(ts.MkAbs(dir), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, ".lock") {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %q\n", path, data)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		ts.Fatalf("%v", err)
	}
	return b.String()
}

// cmdGone waits until the process whose pid stands in the file is gone.
func cmdGone(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	deadline := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for syscall.Kill(pid, 0) == nil {
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("process %d is still there", pid)
		}
	}
}
