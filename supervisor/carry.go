package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"hermes/supervisor/confine"
	"hermes/supervisor/egress"
	"hermes/supervisor/handoff"
)

// CarryVersion is the version of what a gateway tells the program that takes its
// place. A program refuses every other.
const CarryVersion = 2

// carryLimit is how long that may be in bytes: a mebibyte for each of a thousand
// workers.
const carryLimit = 1 << 30

// carried is everything that a gateway knows when it becomes another program: as
// JSON in memory that only the process itself can read, with the numbers of the
// descriptors that it keeps. Times are relative to the moment: clocks start anew.
type carried struct {
	Version  int      `json:"version"`
	PID      int      `json:"pid"`
	Home     string   `json:"home"`
	Profiles []string `json:"profiles"` // null: all
	// Binary is the sum of the program that is begun, Before that of the one that
	// ends, From its version and Schema that of its tables.
	Binary string    `json:"binary"`
	Before string    `json:"before"`
	From   string    `json:"from"`
	Schema int       `json:"schema"`
	Image  int       `json:"image"` // counts the programs
	Began  time.Time `json:"began"`
	Hangup hangup    `json:"hangup"`
	Ready  bool      `json:"ready"` // the service manager has been told so

	Lease   int             `json:"lease"`
	Socket  int             `json:"socket"`
	Confine confine.State   `json:"confine"`
	Events  []Event         `json:"events,omitempty"` // the last ones
	Members []carriedMember `json:"members"`
	// Outlets are the generations of the egress process, Used what profiles have used.
	Outlets []carriedOutlet        `json:"outlets,omitempty"`
	Used    map[string]egress.Used `json:"used,omitempty"`
}

// carriedOutlet is a generation of the egress process. The next program drains it.
type carriedOutlet struct {
	PID     int    `json:"pid"`
	Control int    `json:"control"`
	Log     int    `json:"log"`
	LogRest []byte `json:"log_rest,omitempty"`
}

// carriedMember is a member.
type carriedMember struct {
	Name      string           `json:"name"`
	Identity  string           `json:"identity,omitempty"`
	Gone      bool             `json:"gone,omitempty"`
	Service   carriedService   `json:"service"`
	Claim     carriedClaim     `json:"claim"`
	Claimed   bool             `json:"claimed"`
	Address   carriedAddress   `json:"address"`
	Coming    carriedAddress   `json:"coming"`
	Lock      int              `json:"lock,omitempty"`
	Refused   fingerprint      `json:"refused,omitempty"`
	Keyless   bool             `json:"keyless,omitempty"`
	LastExit  *Exit            `json:"last_exit,omitempty"`
	Deaths    map[string]int   `json:"deaths,omitempty"`
	Killed    map[string]int   `json:"killed,omitempty"`
	Drains    int              `json:"drains,omitempty"`
	Adopted   int              `json:"adopted,omitempty"`
	Drained   time.Duration    `json:"drained,omitempty"`
	Announced string           `json:"announced,omitempty"`
	Told      string           `json:"told,omitempty"`
	Warned    []string         `json:"warned,omitempty"`
	Lines     []string         `json:"lines,omitempty"` // the last of the log
	Dropped   int              `json:"dropped,omitempty"`
	Processes []carriedProcess `json:"processes,omitempty"`
}

type carriedClaim struct {
	Host string `json:"host"`
	Port int    `json:"port"`
}

func carriedClaimOf(c claim) carriedClaim { return carriedClaim{c.host, c.port} }

func (c carriedClaim) claim() claim { return claim{c.Host, c.Port} }

// carriedAddress is an address; Listener is 0 when nothing listens.
type carriedAddress struct {
	Claim    carriedClaim `json:"claim"`
	Listener int          `json:"listener,omitempty"`
}

// carriedService is a service without its generations.
type carriedService struct {
	Wanted      bool          `json:"wanted"`
	Held        bool          `json:"held,omitempty"`
	Forced      bool          `json:"forced,omitempty"`
	Rushed      bool          `json:"rushed,omitempty"`
	Mode        startMode     `json:"mode"`
	Awake       bool          `json:"awake,omitempty"`
	Idle        time.Duration `json:"idle"`
	Drain       time.Duration `json:"drain"`
	Phase       phase         `json:"phase"`
	PhaseSince  *moment       `json:"phase_since,omitempty"`
	Deadline    *moment       `json:"deadline,omitempty"`
	Outcome     State         `json:"outcome"`
	Reason      string        `json:"reason,omitempty"`
	Rejected    string        `json:"rejected,omitempty"`
	Forcing     bool          `json:"forcing,omitempty"`
	Failures    int           `json:"failures,omitempty"`
	Generations int           `json:"generations"`
	Restarts    int           `json:"restarts,omitempty"`
	State       State         `json:"state"`
	Since       *moment       `json:"since,omitempty"`
	Loaded      fingerprint   `json:"loaded,omitempty"`
	Seen        fingerprint   `json:"seen,omitempty"`
}

// place is what a process is to its service.
type place string

const (
	placeCurrent  place = "current"
	placeNext     place = "next"
	placeRetiring place = "retiring"
)

// carriedProcess is a worker and its generation.
type carriedProcess struct {
	Place      place         `json:"place"`
	Number     int           `json:"number"`
	Stage      stage         `json:"stage"`
	Since      *moment       `json:"since,omitempty"`
	Deadline   *moment       `json:"deadline,omitempty"`
	Ending     ending        `json:"ending,omitempty"`
	Cause      string        `json:"cause,omitempty"`
	ReadySince *moment       `json:"ready_since,omitempty"`
	Drain      time.Duration `json:"drain,omitempty"`
	Patient    bool          `json:"patient,omitempty"`
	Closed     bool          `json:"closed,omitempty"`
	Turns      int           `json:"turns,omitempty"`
	Jobs       int           `json:"jobs,omitempty"`
	IdleSince  *moment       `json:"idle_since,omitempty"`
	Outdated   *moment       `json:"outdated,omitempty"`

	PID      int                 `json:"pid"`
	Began    *moment             `json:"began,omitempty"`
	Link     int                 `json:"link"`
	LinkRest []byte              `json:"link_rest,omitempty"`
	Log      int                 `json:"log"`
	LogRest  []byte              `json:"log_rest,omitempty"`
	Listens  string              `json:"listens,omitempty"` // address or coming
	Start    handoff.Start       `json:"start"`
	Revision int                 `json:"revision,omitempty"`
	Applied  int                 `json:"applied,omitempty"`
	Walls    handoff.Walls       `json:"walls,omitzero"`
	Orders   []handoff.Message   `json:"orders,omitempty"`
	Later    *handoff.Message    `json:"later,omitempty"`
	Group    *confine.GroupState `json:"group,omitempty"`
	Binary   string              `json:"binary"`
	Schema   int                 `json:"schema"`
	Pidfd    int                 `json:"pidfd,omitempty"` // of one that another gateway started
	// Way is the far end of its socket to the outside, and Table what it may reach.
	Way   int           `json:"way,omitempty"`
	Table *egress.Table `json:"table,omitempty"`
}

// moment is a time, relative to that of the carrying. Nil is no time.
type moment time.Duration

func momentOf(t, now time.Time) *moment {
	if t.IsZero() {
		return nil
	}
	m := moment(t.Sub(now))
	return &m
}

func (m *moment) at(now time.Time) time.Time {
	if m == nil {
		return time.Time{}
	}
	return now.Add(time.Duration(*m))
}

// String says nothing of what is in it: a carried holds secrets.
func (c carried) String() string { return "state of a gateway" }

// decodeCarried reads a carried. No error quotes what was read.
func decodeCarried(data []byte) (carried, error) {
	var head struct {
		Version int `json:"version"`
	}
	if json.Unmarshal(data, &head) != nil {
		return carried{}, errors.New("state of the gateway is not valid JSON")
	}
	if head.Version != CarryVersion {
		return carried{}, fmt.Errorf("state of the gateway has version %d, and this program knows version %d", head.Version, CarryVersion)
	}
	var c carried
	if json.Unmarshal(data, &c) != nil {
		return carried{}, errors.New("state of the gateway is not as this program knows it")
	}
	return c, c.check()
}

// check returns an error if a carried contradicts itself. Each descriptor is there
// once: none is used for two things, and none of the first three is taken.
func (c carried) check() error {
	seen := map[int]bool{}
	once := func(fds ...int) error {
		for _, fd := range fds {
			if fd < 3 || seen[fd] {
				return fmt.Errorf("state of the gateway names descriptor %d, which it cannot mean", fd)
			}
			seen[fd] = true
		}
		return nil
	}
	err := once(c.Lease, c.Socket)
	for _, o := range c.Outlets {
		err = errors.Join(err, once(o.Control, o.Log))
		if o.PID < 1 {
			err = errors.Join(err, errors.New("state of the gateway has an egress process that cannot be"))
		}
	}
	for _, m := range c.Members {
		if m.Name == "" {
			err = errors.Join(err, errors.New("state of the gateway has a profile without a name"))
		}
		for _, fd := range []int{m.Lock, m.Address.Listener, m.Coming.Listener} {
			if fd != 0 {
				err = errors.Join(err, once(fd))
			}
		}
		places := map[place]int{}
		for _, p := range m.Processes {
			places[p.Place]++
			err = errors.Join(err, once(p.Link, p.Log), p.check())
			for _, fd := range []int{p.Pidfd, p.Way} {
				if fd != 0 {
					err = errors.Join(err, once(fd))
				}
			}
		}
		if places[placeCurrent] > 1 || places[placeNext] > 1 {
			err = errors.Join(err, errors.New("state of the gateway has two workers in one place"))
		}
	}
	return err
}

func (p carriedProcess) check() error {
	switch p.Place {
	case placeCurrent, placeNext, placeRetiring:
	default:
		return errors.New("state of the gateway has a worker without a place")
	}
	if p.PID < 1 || (p.Way != 0) != (p.Table != nil) || len(p.Orders) > maxOrders || len(p.LinkRest) > handoff.MaxMessage {
		return errors.New("state of the gateway has a worker that cannot be")
	}
	return nil
}
