// Package inside is the two processes that walls are built by from inside: the stage of
// a command's wall, and the shim, process 1 of a worker. They come and go with each
// command, and there is one shim for each profile, so they begin before most of what is
// in this binary is initialised.
//
// Go initialises a package when all that it imports is, in the order of their names.
// Whoever waits for unicode, as strings and bytes do, for reflect, as fmt, json and
// golang.org/x/sys/unix do, or for net, waits for hundreds of others with it. So this
// package, and what it imports, does without.
package inside

// Subcommand is the first argument of the process that becomes a command.
const Subcommand = "wall"

const (
	// ShimSubcommand is the first argument of process 1 of a worker's namespaces.
	ShimSubcommand = "shim"
	// ProbeArgument is the second argument of one that only tries whether the wall around
	// a worker can be built. It needs more than what is here.
	ProbeArgument = "probe"
	// AttackerArgument is an argument of one that starts, in place of a worker, what
	// attacks the wall around one: package attack.
	AttackerArgument = "=room"
	// ControlFD is the one descriptor that it hands on to the worker: the supervisor's.
	ControlFD = 3
	// ShimFD is the worker's end of a socket to its shim.
	ShimFD = 4
)
