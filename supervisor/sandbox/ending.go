package sandbox

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ending is how a process ended.
type ending struct {
	status syscall.WaitStatus
	known  bool
}

// of takes over how the process ended that was started, unless it is known already
// how the command behind its wall did.
func (e *ending) of(last ending) {
	if !e.known {
		*e = last
	}
}

// ending fills in how a process ended.
func (o *Output) ending(e ending) {
	switch {
	case !e.known:
		o.ExitCode = -1
	case e.status.Signaled():
		o.ExitCode = 128 + int(e.status.Signal())
		o.Signal = unix.SignalName(e.status.Signal())
	default:
		o.ExitCode = e.status.ExitStatus()
	}
}

// Ending says in a few words how the command ended, or nothing if it ended well.
func (o *Output) Ending() string {
	switch {
	case o.Cancelled:
		return "cancelled"
	case o.TimedOut:
		return fmt.Sprintf("timed out after %s and was stopped", o.Duration.Round(100*time.Millisecond))
	case o.Limit != "" && (o.Signal == "SIGKILL" || o.ExitCode == 128+int(syscall.SIGKILL)):
		return "killed: " + o.Limit
	case o.Limit != "":
		return fmt.Sprintf("exit code %d, and meanwhile %s", o.ExitCode, o.Limit)
	case o.Signal != "":
		return "ended by " + o.Signal + hint(o.Signal)
	case o.ExitCode == -1:
		return "ended, how is not known"
	case o.ExitCode > 128:
		// A shell says by its own exit code that a signal ended what it ran.
		if name := unix.SignalName(syscall.Signal(o.ExitCode - 128)); name != "" {
			return fmt.Sprintf("exit code %d (%s%s)", o.ExitCode, name, hint(name))
		}
	case o.ExitCode == 127:
		return "exit code 127 (command not found)"
	case o.ExitCode == 126:
		return "exit code 126 (found, but it cannot be executed)"
	case o.ExitCode == 0:
		return ""
	}
	return fmt.Sprintf("exit code %d", o.ExitCode)
}

// hint explains the signals that programs do not send themselves.
func hint(signal string) string {
	switch signal {
	case "SIGKILL":
		return ", perhaps out of memory"
	case "SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT":
		return ", it crashed"
	case "SIGPIPE":
		return ", the reader of its output had gone"
	case "SIGXCPU", "SIGXFSZ":
		return ", it reached a limit"
	default:
		return ""
	}
}
