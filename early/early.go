// Package early is where a process leaves that needs nothing of hermes but a wall, or is the process 1 of a worker. It
// imports little, so Go initialises it before most of what else is in the binary: a
// command of an agent does not wait for parsers of HTML and tables of a command line.
//
// It has the one init of this repository. Nothing else runs before other packages are
// initialised; what it calls may start goroutines and lock its thread, as in main.
package early

import (
	"os"

	"hermes/supervisor/sandbox/wall"
)

func init() { //nolint:gochecknoinits // see above
	switch {
	case len(os.Args) < 2:
	case os.Args[1] == wall.Subcommand:
		os.Exit(wall.Main())
	case os.Args[1] == wall.ShimSubcommand:
		os.Exit(wall.ShimMain())
	}
}
