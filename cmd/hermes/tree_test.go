package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// newTestApp is an app whose output is kept. It sees an empty environment.
func newTestApp(t *testing.T) (a *app, out, err *bytes.Buffer) {
	t.Helper()
	out, err = &bytes.Buffer{}, &bytes.Buffer{}
	return &app{
		stdio:   stdio{in: strings.NewReader(""), out: out, err: err},
		environ: []string{"HERMES_HOME=" + t.TempDir()},
	}, out, err
}

// walk visits every command of the tree.
func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, visit)
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	t.Parallel()
	a, _, _ := newTestApp(t)
	root := newRootCmd(a)
	root.InitDefaultHelpCmd()
	count := 0
	walk(root, func(cmd *cobra.Command) {
		count++
		path := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: its short description is %q, want a phrase without a full stop", path, cmd.Short)
		}
		if !strings.Contains(cmd.Example, "hermes") {
			t.Errorf("%s has no example", path)
		}
		for line := range strings.Lines(cmd.Example) {
			if !strings.HasPrefix(line, "  ") {
				t.Errorf("%s: example line %q is not indented", path, line)
			}
		}
		if !cmd.Runnable() {
			t.Errorf("%s cannot be run", path)
		}
		if cmd.Args == nil && cmd.Name() != "help" {
			t.Errorf("%s does not check its arguments", path)
		}
	})
	if count < 25 {
		t.Errorf("walked %d commands only", count)
	}
}

// TestExamplesAreRight parses every example with the command line that it is an
// example of, so that no flag in them is stale.
func TestExamplesAreRight(t *testing.T) {
	t.Parallel()
	a, _, _ := newTestApp(t)
	walk(newRootCmd(a), func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Example) {
			for piece := range strings.SplitSeq(line, "|") {
				_, piece, found := strings.Cut(" "+piece, " hermes ")
				if !found {
					continue
				}
				piece, _, _ = strings.Cut(piece, " #")
				piece, _, _ = strings.Cut(piece, " >")
				piece, _, _ = strings.Cut(piece, " <")
				args := strings.Fields(strings.TrimRight(strings.TrimSpace(piece), ")"))
				other, _, _ := newTestApp(t)
				root := newRootCmd(other)
				found2, rest, err := root.Find(args)
				if err != nil {
					t.Errorf("%s: example %q: %v", cmd.CommandPath(), line, err)
					continue
				}
				if err := found2.ParseFlags(rest); err != nil {
					t.Errorf("%s: example %q: %v", cmd.CommandPath(), line, err)
				}
				if found2 == root && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
					t.Errorf("%s: example %q names no command", cmd.CommandPath(), line)
				}
			}
		}
	})
}
