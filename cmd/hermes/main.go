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

	"hermes/supervisor/sandbox/wall"
	"hermes/supervisor/sandbox/wall/attack"
)

func main() {
	// Each command of an agent begins here, so nothing else comes before.
	if len(os.Args) == 2 && os.Args[1] == wall.Subcommand {
		os.Exit(wall.Main())
	}
	if len(os.Args) >= 2 && os.Args[1] == attack.Subcommand {
		os.Exit(attack.Main(os.Args[2:]))
	}
	os.Exit(run(context.Background(), os.Args[1:], systemStdio(), os.Environ()))
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
	root := newRootCmd(a) //nolint:contextcheck // commands get theirs from cobra
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	code := a.report(ctx, cmd, err)
	if failed := kept.failed(); failed != nil && code == exitOK {
		a.errorf("the output is lost: %s; make room for it and run the command again", oneLine(bare(failed)))
		return exitFailure
	}
	return code
}
