package supervisor

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// shortage says for a person what this machine or this process has run out of, if
// that is what err is about, else it returns "". It passes, so whatever met it is
// to be tried again.
func shortage(err error) string {
	switch {
	case errors.Is(err, syscall.EMFILE):
		limit := "a limit"
		var rlimit unix.Rlimit
		if unix.Getrlimit(unix.RLIMIT_NOFILE, &rlimit) == nil {
			limit = fmt.Sprintf("its limit of %d", rlimit.Cur)
		}
		return fmt.Sprintf("not started: the gateway has as many files open as %s allows; raise that (ulimit -n, or LimitNOFILE= of its unit) and restart the gateway", limit)
	case errors.Is(err, syscall.ENFILE):
		return "not started: this machine has as many files open as its limit allows (sysctl fs.file-max)"
	case errors.Is(err, syscall.EAGAIN) && forking(err):
		return "not started: no further process is allowed; raise the limit (ulimit -u, TasksMax= of the gateway's unit, or pids of its container), or end other processes"
	case errors.Is(err, syscall.ENOMEM):
		return "not started: the machine has no memory for another process"
	default:
		return ""
	}
}

// forking reports whether err is of the start of a process. EAGAIN is also said of
// locks that others have.
func forking(err error) bool {
	path, ok := errors.AsType[*os.PathError](err)
	return ok && path.Op == "fork/exec"
}

// scarce says why no worker should be started now, with less than least percent of
// memory free, or returns "". What is not known keeps nobody from starting.
func scarce(least int, free func() (percent float64, known bool)) string {
	if least == 0 {
		return ""
	}
	percent, known := free()
	if !known || percent >= float64(least) {
		return ""
	}
	return fmt.Sprintf("not started: %.0f %% of memory is free, and supervisor.min_free_memory wants %d %%; stop something, or lower that", percent, least)
}
