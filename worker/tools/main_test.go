package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hermes/supervisor/sandbox"
	"hermes/worker/llm"
	"hermes/worker/memory"
	"hermes/worker/skills"
)

// box is the one Sandbox of the test process, which is a subreaper like a worker.
var box = sandbox.New(sandbox.Options{})

func TestMain(m *testing.M) {
	if err := sandbox.BecomeSubreaper(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// newSet makes all tools, in a fresh workspace.
func newSet(t *testing.T) (set *Set, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "workspace")
	set, err := NewSet(kept(Options{Workspace: dir, Home: filepath.Join(t.TempDir(), "home"), Sandbox: box}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Close)
	return set, dir
}

// kept are options with a memory and skills, which lie beside the workspace.
func kept(opts Options) Options {
	dir := filepath.Dir(opts.Workspace)
	opts.Memory = memory.New(memory.Options{Dir: filepath.Join(dir, "memories")})
	opts.Skills = skills.New(filepath.Join(dir, "skills"))
	return opts
}

// call runs a tool with arguments given as any JSON value, or as text.
func call(ctx context.Context, t *testing.T, set *Set, tool string, arguments any) Result {
	t.Helper()
	text, ok := arguments.(string)
	if !ok {
		encoded, err := json.Marshal(arguments)
		if err != nil {
			t.Fatal(err)
		}
		text = string(encoded)
	}
	result, err := set.Run(ctx, toolCall(tool, text))
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	return result
}

// args are arguments of a call.
type args = map[string]any

// put writes a file of the workspace.
func put(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// content returns what is in a file of the workspace.
func content(t *testing.T, dir, name string) string {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// tree lists all that is in a directory, with the content of the files.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fmt.Fprint(&out, strings.TrimPrefix(path, dir), " ", entry.Type())
		if entry.Type().IsRegular() {
			fmt.Fprintf(&out, " %q", content(t, path, ""))
		}
		fmt.Fprintln(&out)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// living lists the processes that have an argument which contains marker.
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

// eventually polls for what a process does in its own time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		}
	}
}

// expect fails the test unless the result is as it should be; want is a part of
// its text.
func expect(t *testing.T, got Result, failed bool, want string) {
	t.Helper()
	if got.Failed != failed || !strings.Contains(got.Text, want) {
		t.Errorf("failed %v, text:\n%s\nwant failed %v and %q in it", got.Failed, got.Text, failed, want)
	}
}

func toolCall(tool, arguments string) llm.ToolCall {
	return llm.ToolCall{ID: "call_0", Name: tool, Arguments: arguments}
}
