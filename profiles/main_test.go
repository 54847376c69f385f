package profiles

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// childVar makes the test binary do one thing with the home that stdin names
// instead of running tests: what must hold across processes, and when one is
// killed, is tested with processes.
const childVar = "PROFILES_TEST_CHILD"

func TestMain(m *testing.M) {
	if what := os.Getenv(childVar); what != "" {
		var home [2]string
		if err := json.NewDecoder(os.Stdin).Decode(&home); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		if err := child(what, home[0], home[1]); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func child(what, dir, name string) error {
	home, err := Open(dir)
	if err != nil {
		return err
	}
	ctx := context.Background()
	switch what {
	case "create":
		home.free = func(int) error { return nil }
		created, err := home.Create(ctx, CreateOptions{Name: Name(name)})
		fmt.Println(created.Port)
		return err
	case "create with umask":
		syscall.Umask(0o277)
		home.free = func(int) error { return nil }
		_, err := home.Create(ctx, CreateOptions{Name: Name(name)})
		return err
	case "die while creating":
		home.free = func(int) error {
			p := Profile{Name: Name(name), Dir: home.unfinished(stagingPrefix, Name(name))}
			if err := makeDir(p.Dir); err != nil {
				return err
			}
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		_, err := home.Create(ctx, CreateOptions{Name: Name(name)})
		return err
	case "lock":
		p, err := home.Get(Name(name))
		if err != nil {
			return err
		}
		lock, err := p.Lock()
		if err != nil {
			return err
		}
		fmt.Println("locked")
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent closes it, or kills us
		return lock.Release()
	}
	return fmt.Errorf("unknown child %s", what)
}

// startChild runs the test binary as a child; its output is read by the caller.
func startChild(t *testing.T, what string, home Home, name Name) (cmd *exec.Cmd, out *bufio.Reader) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), exe)
	cmd.Env = []string{childVar + "=" + what}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := json.NewEncoder(stdin).Encode([2]string{home.dir, string(name)}); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewReader(stdout)
}

// readLine reads a line of a child's output.
func readLine(t *testing.T, out *bufio.Reader) string {
	t.Helper()
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatalf("read child: %q, %v", line, err)
	}
	return strings.TrimSpace(line)
}
