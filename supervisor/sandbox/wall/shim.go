package wall

import (
	"math/rand/v2"
	"os"
	"os/exec"

	"hermes/supervisor/sandbox/wall/inside"
)

// ShimSubcommand is the first argument of process 1 of a worker's namespaces, and
// ControlFD the one descriptor that it hands on to the worker: the supervisor's.
const (
	ShimSubcommand = inside.ShimSubcommand
	ControlFD      = inside.ControlFD
	// ShimFD is the worker's end of a socket to its shim.
	ShimFD = inside.ShimFD
)

// AttackerArgument is an argument of a shim that has it start, in place of a worker, what
// attacks the wall around one: package attack.
const AttackerArgument = inside.AttackerArgument

// Where root runs workers, each has a number that no other process has: from
// firstOutside on, so many. Neither people nor containers are given such numbers.
const (
	firstOutside = 1_900_000_000
	mostOutside  = 90_000_000
	// strangerInside is what such a worker is called inside, where it is the only user
	// known.
	strangerInside = 65534
)

// Stranger is somebody whom the machine does not know, another one each time.
func Stranger() Identity {
	return Outsider(firstOutside + rand.IntN(mostOutside)) // it has to be rare, not secret
}

// Outsider is somebody whom the machine knows as that user and group.
func Outsider(number int) Identity {
	return Identity{UID: strangerInside, GID: strangerInside, Outside: number}
}

// IsStranger reports whether a user may be one.
func IsStranger(uid int) bool { return uid >= firstOutside && uid < firstOutside+mostOutside }

// Identity is as whom a worker runs. To itself and its files it is UID and GID; for the
// rest of the machine it is Outside, which is the same, or a number that nobody else has.
type Identity struct {
	UID, GID int
	Outside  int // of user and group; 0 is UID and GID
}

// Elsewhere reports whether that is somebody else than who asks, and may not get to where
// this process is.
func (i Identity) Elsewhere() bool { return i.Outside != 0 || i.UID != os.Geteuid() }

// RoomOptions say what stands around a worker. Paths are absolute.
type RoomOptions struct {
	// Level is what was found for workers, and is built or fails.
	Level Level
	// Dir is where it works from then on, the root if empty.
	Dir string
	// Reads and Writes are what it sees beside the files of the system. What is not
	// there is left out.
	Reads, Writes []string
	// MayRead and MayWrite are further places, of which those are left out that are
	// hidden or hold what is.
	MayRead, MayWrite []string
	// Hidden are directories of which nothing else may be seen.
	Hidden []string
	// Soul is a file that may be replaced while the worker runs. Socket is where it
	// waits for another gateway. Neither can be seen; the shim opens them.
	Soul, Socket string
	// Tree is a mount of the directory Dir, Run one of the directory of Socket, if this
	// process cannot use them by their names. Enter closes them.
	Tree, Run *os.File `json:"-"`
	// Offline takes sockets away from the worker itself, which has its connections from
	// others. Without a shim its commands start with what it has, so only those of
	// networks go, and Offline is to be set if commands have no network either.
	Offline bool
	// As is who the worker becomes at levels without namespaces, if root has started it; of
	// it UID and GID count, and 0 is root without its capabilities.
	As Identity
	// Without leaves layers out.
	Without []Layer
}

// Starter starts processes and waits for them, in place of exec.Cmd.
type Starter interface {
	Start(cmd *exec.Cmd) error
	Wait(cmd *exec.Cmd) error
}

// Socket is where a worker waits for another gateway.
type Socket interface {
	Listen() (*os.File, error)
	Deaf() // the contrary
}
