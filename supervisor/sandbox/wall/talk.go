package wall

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// How large the messages between a worker and its shim may be, and how many
// descriptors one may carry.
const (
	maxRequest = 64 << 10
	maxReply   = 4 << 10
	maxCarried = 4 + maxFiles
)

// What a worker may ask its shim for.
const (
	askRoom   = "room"   // build the root; once, before anything else
	askStage  = "stage"  // start the stage of a command's wall
	askSoul   = "soul"   // open the file that says who the agent is
	askListen = "listen" // listen for another gateway
	askDeaf   = "deaf"   // remove that socket
)

// request is what a worker asks. A room may come with two mounts. A stage comes with descriptors: the socket of its
// plan, stdin, stdout, stderr, and the command's own.
type request struct {
	Kind  string `json:"kind"`
	Room  *room  `json:"room,omitempty"`
	Stage *start `json:"stage,omitempty"`
}

// reply is what came of it: descriptors, or what went wrong.
type reply struct {
	PID   int    `json:"pid,omitempty"`
	Error string `json:"error,omitempty"`
	// Missing says that it was a file that is not there.
	Missing bool `json:"missing,omitempty"`
}

// room is what a worker sees, and what of the outside the shim opens for it later.
type room struct {
	Layers layers   `json:"layers"`
	System []place  `json:"system"`
	Masks  []string `json:"masks,omitempty"`
	Reads  []place  `json:"reads,omitempty"`
	Writes []place  `json:"writes"`
	// Soul is a file that may be replaced while the worker runs, Socket where a
	// worker waits for another gateway; both may be empty.
	Soul   string `json:"soul,omitempty"`
	Socket string `json:"socket,omitempty"`
	// Tree is the directory of which a mount comes with the request, and one of the
	// directory of Socket; empty if none does.
	Tree string `json:"tree,omitempty"`
}

// start is how a stage is started.
type start struct {
	Dir     string `json:"dir"`            // where it starts
	Mark    string `json:"mark,omitempty"` // the variable that marks the call
	Offline bool   `json:"offline,omitempty"`
	// Files says which of the command's descriptors from 3 on there are; those come
	// with the request, in this order.
	Files []bool `json:"files,omitempty"`
}

// decodeRequest reads what a worker sent with so many descriptors. What passes makes
// sense, whoever made it.
func decodeRequest(data []byte, carried int) (request, error) {
	var r request
	if len(data) > maxRequest {
		return r, fmt.Errorf("a request has %d bytes, %d are the limit", len(data), maxRequest)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("decode request: %w", err)
	}
	wanted := 0
	switch {
	case r.Kind == askRoom && r.Room != nil && r.Stage == nil:
		if err := r.Room.check(); err != nil {
			return r, err
		}
		if r.Room.Tree != "" {
			wanted = 2
		}
	case r.Kind == askStage && r.Stage != nil && r.Room == nil:
		if err := r.Stage.check(); err != nil {
			return r, err
		}
		wanted = r.Stage.carried()
	case slices.Contains([]string{askSoul, askListen, askDeaf}, r.Kind) && r.Room == nil && r.Stage == nil:
	default:
		return r, errors.New("the request is none")
	}
	if carried != wanted {
		return r, fmt.Errorf("the request came with %d descriptors instead of %d", carried, wanted)
	}
	return r, nil
}

// carried is how many descriptors come with it.
func (s *start) carried() int {
	n := 4 // the plan, and the first three of the command
	for _, given := range s.Files {
		if given {
			n++
		}
	}
	return n
}

func (s *start) check() error {
	if len(s.Files) > maxFiles {
		return fmt.Errorf("the stage has %d descriptors, %d are the limit", len(s.Files), maxFiles)
	}
	if s.Dir != "/" && !clean(s.Dir) {
		return fmt.Errorf("the stage starts in %q, which is no clean absolute path", s.Dir)
	}
	if len(s.Mark) > maxMark || slices.Contains([]byte(s.Mark), 0) {
		return errors.New("the mark of the call is none")
	}
	return nil
}

// maxMark is how long the variable may be that marks a call.
const maxMark = 512

func (r *room) check() error {
	p := r.plan()
	if err := p.check(); err != nil {
		return err
	}
	for _, path := range []string{r.Soul, r.Socket, r.Tree} {
		if path != "" && !clean(path) {
			return fmt.Errorf("the plan names %q, which is no clean absolute path", path)
		}
	}
	return nil
}

// plan is the room as a stage would build it: with a /tmp that nobody else sees and
// that is gone with the worker.
func (r *room) plan() plan {
	return plan{Layers: r.Layers, Probe: true, System: r.System, Masks: r.Masks, Reads: r.Reads, Writes: r.Writes, Temp: freshTemp}
}

// freshTemp is a plan's Temp that stands for a new one in memory.
const freshTemp = "/tmp"
