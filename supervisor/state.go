package supervisor

import "time"

// State says how the service of a profile looks to whoever sends it requests.
type State string

// The states of a service.
const (
	// StateStopped: not running and not wanted, or the profile is not enabled.
	StateStopped State = "stopped"
	// StateSleeping: the profile listens and has no worker; a connection starts one.
	StateSleeping State = "sleeping"
	// StateStarting: settings are being read, or the worker has yet to say READY.
	StateStarting State = "starting"
	// StateReady: requests are served.
	StateReady State = "ready"
	// StateDraining: what runs is finished, and nothing follows it.
	StateDraining State = "draining"
	// StateBackoff: the worker has died and is started again in a while.
	StateBackoff State = "backoff"
	// StateBadConfig: nothing is tried before the settings change.
	StateBadConfig State = "bad_config"
	// StateBlocked: something that is not the profile's fault is in the way, its
	// port or its lock in other hands. Tried again like StateBackoff.
	StateBlocked State = "blocked"
)

// startMode is when a profile's worker is started.
type startMode string

const (
	startAlways   startMode = "always"
	startOnDemand startMode = "on-demand" // by the first connection
	startNever    startMode = "never"     // by a command only
)

// maxRetiring is how many generations of a profile may finish their turns beside
// the one that serves: each costs a process. New settings wait for one of them to end;
// only a command of a person, or a worker that dies, hurries the oldest.
const maxRetiring = 4

// limits are the times that a service keeps.
type limits struct {
	start   time.Duration // from the start of a process to READY
	silence time.Duration // from one sign of life to the next
	dump    time.Duration // from SIGQUIT to SIGKILL
	hurry   time.Duration // from an order to stop to SIGKILL
	grace   time.Duration // from the end of a drain's time to SIGKILL
	reload  time.Duration // what a generation may take to finish that has been replaced
	stable  time.Duration // Ready for this long forgives earlier deaths
	backoff backoff
}

// order is what is to be done to a process.
type order int

const (
	orderDrain order = iota + 1 // take nothing new, finish what runs, leave
	orderStop                   // leave at once
	orderDump                   // SIGQUIT, which makes a Go program print its goroutines
	orderKill                   // SIGKILL to the whole process group
)

// instruction is an order to a generation.
type instruction struct {
	generation *generation
	order      order
}
