package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"hermes/supervisor/handoff"
)

// StatusVersion is the version of Status and of the paths of the control socket.
const StatusVersion = 1

// memoryTime is how long the memory of workers is looked at for one status. Those
// that are not reached have none in it.
const memoryTime = time.Second

// The modes of a gateway.
const (
	// ModeAll serves every enabled profile of its home.
	ModeAll = "all"
	// ModeProfile serves the profiles that it was given, usually one.
	ModeProfile = "profile"
)

// Status is what a gateway says of itself. It holds no secrets.
type Status struct {
	API     int       `json:"api"` // StatusVersion
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	Home    string    `json:"home"`
	Mode    string    `json:"mode"`
	Since   time.Time `json:"since"`
	// Stopping says that the gateway drains and will be gone.
	Stopping bool `json:"stopping"`
	// Image counts the programs that the process has been, Upgrade is how the last
	// upgrade stands that this one was asked for.
	Image   int            `json:"image"`
	Upgrade *UpgradeStatus `json:"upgrade,omitempty"`
	// Isolation says how profiles are kept within what they may have.
	Isolation Isolation `json:"isolation"`
	// Spares are the processes that wait to become workers, of no profile yet.
	Spares   int             `json:"spares"`
	Profiles []ProfileStatus `json:"profiles"`
}

// ProfileStatus is how the service of one profile stands.
type ProfileStatus struct {
	Name  string    `json:"name"`
	State State     `json:"state"`
	Since time.Time `json:"since"` // of State
	// Reason says why, for a person; it may be empty.
	Reason string `json:"reason,omitempty"`
	// Retry is when the next try is due, in StateBackoff and StateBlocked.
	Retry time.Time `json:"retry,omitzero"`
	// PID is the worker's, 0 when there is none.
	PID        int `json:"pid,omitempty"`
	Generation int `json:"generation"`
	// Port is the one that the profile's settings ask for, 0 before they have been
	// read.
	// URL is where it listens, empty if it does not: clients may connect there,
	// and wait, while there is no worker.
	Port int    `json:"port,omitempty"`
	URL  string `json:"url,omitempty"`
	// Keyless says that no key is set.
	Keyless bool `json:"keyless,omitempty"`
	// Walls is what its worker has found around its commands, nil before that.
	Walls *handoff.Walls `json:"walls,omitempty"`
	// Room is what stands around its worker itself, nil without one.
	Room *handoff.Walls `json:"room,omitempty"`
	// Restarts counts the deaths that nobody asked for.
	Restarts int   `json:"restarts"`
	LastExit *Exit `json:"last_exit,omitempty"`
	// Deaths are the same by their kind: oom, hung, signal or exit.
	Deaths map[string]int `json:"deaths,omitempty"`
	// Beat is the worker's last sign of life, StartSeconds how long it took to serve.
	Beat         time.Time `json:"beat,omitzero"`
	StartSeconds float64   `json:"start_seconds,omitempty"`
	// Started is when that worker was started, CPUSeconds the processor time that it
	// has used itself, without its commands.
	Started    time.Time `json:"started,omitzero"`
	CPUSeconds float64   `json:"cpu_seconds,omitempty"`
	// Killed counts the workers that a signal ended, by its name, whoever sent it.
	Killed map[string]int `json:"killed,omitempty"`
	// Drains counts the workers that have finished what they had begun and left, and
	// DrainSeconds how long that took all of them together.
	Drains       int     `json:"drains,omitempty"`
	Adopted      int     `json:"adopted,omitempty"` // workers taken over from a gateway that has died
	DrainSeconds float64 `json:"drain_seconds,omitempty"`
	// DroppedLines counts the lines of its workers that did not fit into the log.
	DroppedLines int `json:"dropped_lines,omitempty"`
	// Busy is the number of turns that run in all its workers, Jobs that of their
	// background jobs.
	Busy   int     `json:"busy"`
	Jobs   int     `json:"jobs,omitempty"`
	Memory *Memory `json:"memory,omitempty"`
	shim   int     // the process around the worker, which counts with it; 0 without one
	// Start is when a worker is started: always, on-demand or never.
	Start string `json:"start"`
	// Outdated says that the worker is going to be replaced at a quiet moment, because
	// it runs an older program.
	Outdated bool `json:"outdated,omitempty"`
	// Retiring are the workers that finish what they had begun when another one
	// took their place.
	Retiring []Retiring `json:"retiring,omitempty"`
}

// Retiring is a worker that takes nothing new any more.
type Retiring struct {
	PID        int       `json:"pid"`
	Generation int       `json:"generation"`
	Since      time.Time `json:"since"`
	// Until is when what it has not finished is cut short.
	Until time.Time `json:"until"`
	Busy  int       `json:"busy"`
	Jobs  int       `json:"jobs,omitempty"`
}

// Isolation is how profiles are kept from each other.
type Isolation struct {
	// Limits is how limits.memory and limits.processes are held: cgroup2, cgroup1 or
	// watch.
	Limits string `json:"limits"`
	// Words say the same for people, Why what keeps a better way from being used.
	Words string `json:"words"`
	Why   string `json:"why,omitempty"`
	// Walls is what this machine has for commands, Rooms what it has for workers. A
	// profile may have less.
	Walls handoff.Walls `json:"walls,omitzero"`
	Rooms handoff.Walls `json:"rooms,omitzero"`
}

// Exit is how a worker ended.
type Exit struct {
	At  time.Time `json:"at"`
	PID int       `json:"pid"`
	// Code is the exit code, -1 if a signal ended the process.
	Code   int    `json:"code"`
	Signal string `json:"signal,omitempty"`
	// Cause is "oom" when the profile had reached its memory limit.
	Cause  string `json:"cause,omitempty"`
	Reason string `json:"reason"`
	// Lines are the worker's last words in the log, oldest first.
	Lines []string `json:"lines,omitempty"`
}

// Memory is what a worker occupies, in bytes. PSS counts a page that several
// processes share in parts; what all of a gateway's workers need is the sum of
// it.
type Memory struct {
	PSS int64 `json:"pss"`
	RSS int64 `json:"rss"`
}

// with adds what another process occupies, 0 for none.
func (m *Memory) with(pid int) *Memory {
	if m == nil || pid == 0 {
		return m
	}
	if other := memoryOf(pid); other != nil {
		m.PSS += other.PSS
		m.RSS += other.RSS
	}
	return m
}

// status asks the loop how the members stand.
func (s *Supervisor) status(ctx context.Context, f *fleet, u *upgrader) (Status, error) {
	status := Status{
		API: StatusVersion, PID: os.Getpid(), Version: s.opts.Version, Home: s.opts.Home.Dir(),
		Mode: ModeProfile, Since: u.carry.Began, Image: u.carry.Image, Upgrade: u.status(), Isolation: isolationOf(f.maker.confiner),
	}
	if f.watcher.all {
		status.Mode = ModeAll
	}
	status.Isolation.Walls, status.Isolation.Rooms = f.walls, f.workers // do not change any more
	answered := make(chan struct{})
	asked := f.post(func() {
		defer close(answered)
		status.Stopping, status.Spares = f.stopping, f.spares.count()
		status.Profiles = make([]ProfileStatus, len(f.members))
		for i, m := range f.members {
			status.Profiles[i] = m.status()
			if p := m.serving(); p != nil {
				status.Profiles[i].Room = f.room(p.start.Isolation)
			}
		}
	})
	if !asked {
		return Status{}, errors.New("the gateway has stopped")
	}
	select {
	case <-answered:
	case <-ctx.Done():
		return Status{}, fmt.Errorf("ask for status: %w", context.Cause(ctx))
	}
	// The kernel counts every page of each process: over a second for a thousand of
	// them. Whoever asks waits for less than three.
	for i, until := 0, time.Now().Add(memoryTime); i < len(status.Profiles) && time.Now().Before(until); i++ {
		if pid := status.Profiles[i].PID; pid != 0 {
			status.Profiles[i].Memory = memoryOf(pid).with(status.Profiles[i].shim)
			status.Profiles[i].CPUSeconds = cpuOf(pid)
		}
	}
	return status, nil
}
