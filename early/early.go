// Package early is where a process leaves that needs nothing of hermes but a wall, or is the process 1 of a worker. It
// imports next to nothing, so Go initialises it before what else is in the binary: a
// command of an agent does not wait for parsers of HTML and tables of a command line.
//
// It has the one init of this repository. Nothing else runs before other packages are
// initialised; what it calls may start goroutines, and is locked to its thread, as all
// initialisers are.
package early

import (
	"os"
	"syscall"

	"hermes/supervisor/sandbox/wall/inside"
)

// It ends without os.Exit, which has the race detector of tests wait for a second first.
func init() { //nolint:gochecknoinits // see above
	switch {
	case len(os.Args) < 2:
	case os.Args[1] == inside.Subcommand:
		syscall.Exit(inside.Main())
	case os.Args[1] == inside.ShimSubcommand && (len(os.Args) == 2 || os.Args[2] != inside.ProbeArgument):
		syscall.Exit(inside.ShimMain())
	}
}
