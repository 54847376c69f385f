// Package wall puts a command behind walls of the kernel: without root, without
// helper programs, and without cgo. A command is started as this same binary with
// Subcommand as its first argument (the stage), in namespaces of its own. The stage
// reads a plan from descriptor 3, builds a root that holds only what the plan lists,
// gives up all that it may do, and then starts the command. It is in package inside, as
// is process 1 of a worker: those two begin before the rest of the program does.
//
// Where the kernel gives namespaces the stage stays as process 1 of the command,
// reaps what the command leaves, and tells how it ended; when it is killed, the
// kernel kills all that runs behind the wall. Elsewhere it becomes the command.
package wall

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"sync"

	"hermes/supervisor/sandbox/wall/inside"
)

// Subcommand is the first argument of the process that becomes a command.
const Subcommand = inside.Subcommand

// Main is the stage, where it does not begin early.
func Main() int {
	runtime.LockOSThread()
	return inside.Main()
}

// Level says how much of the wall the kernel gives.
type Level string

// The levels, the best one first.
const (
	// Full is namespaces, Landlock and seccomp.
	Full Level = "FULL"
	// Namespaces is all but Landlock.
	Namespaces Level = "NAMESPACES"
	// Reduced is Landlock and seccomp, where the kernel refuses namespaces: contents
	// of files are closed, names and processes of others can be seen.
	Reduced Level = "REDUCED"
	// Weak is seccomp alone: commands read what the user can read.
	Weak Level = "WEAK"
	// None is no wall at all.
	None Level = "NONE"
)

// Spaces reports whether the level has namespaces.
func (l Level) Spaces() bool { return l == Full || l == Namespaces }

// Layer is a part of the wall.
type Layer string

// The layers that can be left out, for tests that show what each is for.
const (
	LayerNamespaces   Layer = "namespaces" // all of them, as if the kernel refused
	LayerMounts       Layer = "mounts"     // the root of its own
	LayerProcesses    Layer = "processes"  // the process and IPC namespaces
	LayerMasks        Layer = "masks"      // what is hidden inside of what is shown
	LayerLandlock     Layer = "landlock"
	LayerSeccomp      Layer = "seccomp"
	LayerCapabilities Layer = "capabilities"
	LayerDescriptors  Layer = "descriptors"
	LayerLimits       Layer = "limits"
)

// Options say what stands around a profile's commands. Paths are absolute.
type Options struct {
	// Workspace, Home and Skills are what commands see of the profile under the
	// names that they have outside: the first two to write to, the last to read.
	Workspace, Home, Skills string
	// Temp becomes /tmp. Its parent must not be writable to commands.
	Temp string
	// Hidden are directories of which nothing else may be seen.
	Hidden []string
	// Offline gives commands a network in which nothing but themselves is.
	Offline bool
	// Proxy, if set, gives commands a network in which nothing but themselves and a
	// proxy is, where the kernel gives namespaces; elsewhere they have the machine's
	// network. It is called for each command, with a listener of which it keeps a copy;
	// what it begins, stop ends when the command has ended. It is no net.Listener: this
	// package is in every stage, and package net is long to initialise.
	Proxy func(listener *os.File) (stop func(), err error)
	// Off builds no walls, because Why.
	Off string
	// Shim starts the stages, where this process may not any more; nil if it may.
	Shim *Shim
	// Without leaves layers out.
	Without []Layer
	// Exe is the program that builds the wall, as this one does if it is empty.
	Exe string
	// Found is told what was found out about the wall, once, by who needs it first.
	Found func(Report)
	Log   *slog.Logger // nil discards
}

// Report is what was found out about the wall by building it.
type Report struct {
	Level Level
	// Why says in a clause what is missing, "" at Full; Mend how to get it.
	Why, Mend string
}

// Wall stands around the commands of one profile.
type Wall struct {
	opts   Options
	find   func() found
	uid    int
	gid    int
	asRoot bool
}

// found is what probing found.
type found struct {
	Report
	layers inside.Layers
	hidden []string // files and directories of the system that are secret
}

// errRefused says that the wall could not be built around a command.
var errRefused = errors.New("its walls could not be built")

// New makes a Wall. Nothing is tried before it is needed.
func New(opts Options) *Wall {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	w := &Wall{opts: opts}
	w.find = sync.OnceValue(w.look)
	return w
}

// look probes, and tells what came of it.
func (w *Wall) look() found {
	f := w.probe()
	if w.opts.Found != nil {
		w.opts.Found(f.Report)
	}
	return f
}

// Report tries the wall when that was not done before, which takes some
// milliseconds, and says what came of it.
func (w *Wall) Report(context.Context) Report { return w.find().Report }

// Subject is a command to be walled in, beside what exec.Cmd says.
type Subject struct {
	// Online gives it the network of the machine even where Options.Offline and Proxy do
	// not.
	Online bool
	// Terminal makes its standard input the terminal that controls it.
	Terminal bool
	// Reads and Writes are further places that it sees, absolute. What is hidden, and
	// what holds something hidden, is left out.
	Reads, Writes []string
}
