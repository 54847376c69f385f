// Package sandbox runs the commands that a model asks for, and sees to it that
// nothing of them stays: not a process that outlives its call, not a descriptor,
// not more output than a model can read. Only a job (Running.Keep) outlives the
// call that started it, and is known for as long as it runs. What a command can see
// and do is said by the Wall that it runs behind, see package wall.
//
// A process that runs commands calls BecomeSubreaper first. Children is for
// those who start processes of their own beside the commands.
package sandbox

import (
	"io"
	"os"
	"sync"
	"time"

	"hermes/supervisor/sandbox/wall"
)

// EnvCall is the variable that marks all processes of a command, so that those
// which leave its process group are found again.
const EnvCall = "HERMES_TOOL_CALL"

// DefaultMaxOutput is how much of a command's output is kept, in bytes, unless
// the command says otherwise.
const DefaultMaxOutput = 32 << 10

// Command is a program to run.
type Command struct {
	// Argv is the program, best as an absolute path, and its arguments. A bare name
	// is looked for in the PATH of this process, not in that of Env.
	Argv []string
	// Dir is where it starts, an absolute path.
	Dir string
	// Env is its whole environment, as NAME=value; nothing is inherited. Run
	// adds EnvCall.
	Env []string
	// Stdin is what it reads, nothing if nil.
	Stdin io.Reader
	// Stdout, if set, takes what the command writes there, as it comes and as it
	// is; only stderr goes into Output.Text then. An error of Write ends the
	// command.
	Stdout io.Writer
	// Output, if set, takes what would be Output.Text otherwise, as it comes and
	// as it is. An error of Write ends the command.
	Output io.Writer
	// PTY gives it a terminal, which it writes to and which Running.Write types
	// into. Stdin and Stdout must be nil then.
	PTY bool
	// ExtraFiles become its descriptors 3 and up, as with exec.Cmd; a nil stays
	// closed. They remain the caller's to close.
	ExtraFiles []*os.File
	// Timeout ends it, 0 means never.
	Timeout time.Duration
	// CallID is the id of the tool call. It becomes a part of the mark in EnvCall.
	CallID string
	// MaxOutput is how many bytes of the output are kept, 0 means
	// DefaultMaxOutput. Of longer output the first 40 % and the last 60 % stay.
	MaxOutput int
	// Plain runs it without the Wall. It is for programs of our own.
	Plain bool
	// Online gives it the network of the machine even where the Wall has none. Reads
	// and Writes are further places that it sees behind the Wall, absolute.
	Online        bool
	Reads, Writes []string
	// OnStart, if set, is told the pid, which is the id of the process group too.
	OnStart func(pid int)
}

// Output is what came of a Command that could be started.
type Output struct {
	// Text is what it wrote, stdout and stderr in the order in which they came,
	// as valid UTF-8 without the control sequences of terminals. A notice stands
	// where something was left out.
	Text string
	// ExitCode is the exit code, 128 plus the signal's number after a signal.
	ExitCode int
	// Signal names the signal that ended it (SIGKILL), or is empty.
	Signal string
	// TimedOut and Cancelled say that it was ended, by its Timeout or by the
	// context, instead of ending by itself.
	TimedOut, Cancelled bool
	// Limit says which limit was reached while it ran, if it did not end well: "the
	// profile's memory limit of 512 MiB was reached".
	Limit string
	// Truncated says that Text lacks Omitted bytes of the output.
	Truncated bool
	Omitted   int64
	Duration  time.Duration
}

// Options say what a Sandbox works with.
type Options struct {
	// Children starts the processes; a new one if nil. A process should have
	// only one.
	Children *Children
	// Wall stands around the commands; nil is none.
	Wall *wall.Wall
	// Reached says how often a limit of the profile has been reached until now, and
	// which one the last time. Nil: there are none.
	Reached func() (times uint64, which string)
	// Thread, if set, starts all of a new Children, and ends it.
	Thread *Thread
}

// Sandbox runs commands, many at a time.
type Sandbox struct {
	children *Children
	wall     *wall.Wall
	reached  func() (times uint64, which string)
	mark     string // ends all marks

	mu      sync.Mutex       // guards what follows, and kept and pgid of the calls
	calls   uint64           // since the beginning
	running map[string]*call // by mark
}

// New makes a Sandbox.
func New(opts Options) *Sandbox {
	if opts.Children == nil {
		opts.Children = &Children{thread: opts.Thread}
	}
	if opts.Reached == nil {
		opts.Reached = func() (uint64, string) { return 0, "" }
	}
	return &Sandbox{
		children: opts.Children, wall: opts.Wall, reached: opts.Reached, mark: MarkOf(os.Getpid()), running: make(map[string]*call),
	}
}
