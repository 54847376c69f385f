// Package confine holds a profile to its memory and its number of processes.
//
// Where the kernel can do it, it does: a cgroup for each worker, with everything
// that the worker starts in it. That needs rights which an ordinary user has
// only under a service manager that delegates them. Everywhere else a Watcher in
// the worker looks at its tree of processes, and kills what is over the limit.
//
// Which of them is in use is found by doing it. Limits of single processes
// (setrlimit) are no third way: RLIMIT_AS counts what Go and Node only reserve,
// and RLIMIT_NPROC counts all processes of a user, who is the same for all
// profiles.
package confine

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Mechanism is how limits are held.
type Mechanism string

// The mechanisms, the best first.
const (
	CgroupV2 Mechanism = "cgroup2"
	CgroupV1 Mechanism = "cgroup1"
	Watched  Mechanism = "watch"
)

// Words say what a mechanism does, for people.
func (m Mechanism) Words() string {
	switch m {
	case CgroupV2:
		return "held by the kernel (cgroup v2)"
	case CgroupV1:
		return "held by the kernel (cgroup v1)"
	case Watched:
		return "watched by each worker, which kills what is over them a moment later; files in memory are not counted"
	default:
		return "not held"
	}
}

// Limits are what the processes of a profile may have together. 0 is no limit.
type Limits struct {
	Memory int64 // bytes
	// Processes counts threads too, as the kernel does, but not those of the
	// worker itself.
	Processes int
}

// MemoryWords say that the memory limit was reached.
func (l Limits) MemoryWords() string {
	return "the profile's memory limit of " + size(l.Memory) + " was reached"
}

// ProcessesWords say that the limit of processes was reached.
func (l Limits) ProcessesWords() string {
	return fmt.Sprintf("the profile's limit of %d processes and threads was reached", l.Processes)
}

func size(n int64) string {
	switch {
	case n%(1<<30) == 0:
		return fmt.Sprintf("%d GiB", n>>30)
	case n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	default:
		return fmt.Sprintf("%d bytes", n)
	}
}

// Counts are how often limits were reached.
type Counts struct {
	Memory    uint64 // processes that were killed for it
	Processes uint64 // forks that were refused, or commands that were killed
}

// Files are where the kernel counts; empty where it does not.
type Files struct {
	Memory    string `json:"memory,omitempty"`
	Processes string `json:"processes,omitempty"`
}

// Counts reads the files. What cannot be read counts nothing.
func (f Files) Counts() Counts {
	return Counts{Memory: field(f.Memory, "oom_kill"), Processes: field(f.Processes, "max")}
}

// field reads the number that follows a name in a file of lines.
func field(path, name string) uint64 {
	if path == "" {
		return 0
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(data) {
		if value, ok := strings.CutPrefix(string(line), name+" "); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(value), 10, 64) // what is no number is 0
			return n
		}
	}
	return 0
}
