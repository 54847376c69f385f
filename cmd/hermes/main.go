// Command hermes gives every person of a group a private AI agent behind an
// OpenAI-compatible API. This package is the words of its command line: one
// file for each command or group of commands, each with an options struct, a
// constructor that declares flags and nothing else, and a function that does
// the work. What commands share hangs on app.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	_ "hermes/early" // the process of a wall begins and ends there
	"hermes/supervisor/egress"
	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox/wall"
	"hermes/supervisor/sandbox/wall/attack"
)

func main() { os.Exit(program()) }

// program is what this process is for, and returns its exit code.
func program() int {
	if len(os.Args) >= 2 && os.Args[1] == attack.Subcommand {
		return attack.Main(os.Args[2:])
	}
	if len(os.Args) >= 2 && os.Args[1] == wall.ShimSubcommand { // a try: any other has begun early
		return wall.ShimMain()
	}
	// The process that holds the keys runs nothing but itself.
	if len(os.Args) == 2 && os.Args[1] == egress.Subcommand {
		return egress.Main()
	}
	return run(context.Background(), os.Args[1:], systemStdio(), os.Environ())
}

// run runs one command line to its end and returns the exit code. The first
// SIGINT or SIGTERM cancels the command's context; after it the signals do what
// they do by default, so a command that hangs can still be ended.
func run(ctx context.Context, args []string, stdio stdio, environ []string) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()

	kept := &keptWriter{to: stdio.out}
	stdio.out = kept
	a := &app{stdio: stdio, environ: environ, letGo: stop}
	root, args := commandOf(a, args) //nolint:contextcheck // commands get theirs from cobra
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	code := a.report(ctx, cmd, err)
	if failed := kept.failed(); failed != nil && code == exitOK {
		a.errorf("the output is lost: %s; make room for it and run the command again", oneLine(bare(failed)))
		return exitFailure
	}
	return code
}

// commandOf is the tree of commands with its arguments. A worker, of which there is
// one for each profile, does not carry the other commands with it.
func commandOf(a *app, args []string) (root *cobra.Command, left []string) {
	if len(args) == 1 && args[0] == handoff.Subcommand {
		root = newWorkerCmd(a)
		root.SilenceErrors, root.SilenceUsage = true, true
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "hermes " + handoff.Subcommand}
		return root, []string{}
	}
	return newRootCmd(a), args
}
