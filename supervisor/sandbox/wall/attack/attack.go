// Package attack proves what stands around commands by attacking it. A scene is made
// for the purpose: a home with secrets of two profiles, a process beside it, sockets.
// Behind the same wall that commands of agents run behind, this same binary, started
// with Subcommand, then tries one attack after the other, and reports which succeed.
//
// No attack harms what it reaches, whoever runs it and whatever stands around it: what
// is opened is not written to, what is made is removed, signals are those that nobody
// notices, and calls that change the machine get arguments with which the kernel can do
// nothing once it has let them pass. So they may run on anybody's machine.
package attack

import (
	"time"

	"hermes/supervisor/sandbox/wall"
)

// Subcommand is the first argument of the process that attacks.
const Subcommand = "attack"

// Outcome is what came of all attacks.
type Outcome struct {
	// Report is what the wall says of itself.
	wall.Report
	// Tried is how many attacks there were, Hits the names of those that succeeded.
	Tried int
	Hits  []string
	Took  time.Duration
}

// Options say where the scene is made.
type Options struct {
	// Home is whose directory the scene is made in, and which is attacked beside it;
	// where it does not exist, or who attacks could not get there, the scene is made
	// among the temporary files.
	Home string
	// Without leaves layers of the wall out, for tests that show that the attacks are
	// none that fail anyway.
	Without []wall.Layer
}
