package inside

import (
	"errors"
	"slices"
	"strconv"
)

// How large the messages between a worker and its shim may be, and how many
// descriptors one may carry.
const (
	MaxRequest = 64 << 10
	MaxReply   = 4 << 10
	maxCarried = 4 + MaxFiles
)

// What a worker may ask its shim for.
const (
	AskRoom   = "room"   // build the root; once, before anything else
	AskStage  = "stage"  // start the stage of a command's wall
	AskSoul   = "soul"   // open the file that says who the agent is
	AskListen = "listen" // listen for another gateway
	AskDeaf   = "deaf"   // remove that socket
)

// Request is what a worker asks. A room may come with two mounts. A stage comes with descriptors: the socket of its
// plan, stdin, stdout, stderr, and the command's own.
type Request struct {
	Kind  string
	Room  *Room
	Stage *Start
}

func (r *Request) fields(w *wire) {
	w.text(&r.Kind)
	given(w, &r.Room, (*Room).fields)
	given(w, &r.Stage, (*Start).fields)
}

// Bytes is the request as it is sent, for those who try what else could be.
func (r *Request) Bytes() ([]byte, error) { return encode(r, MaxRequest) }

// Reply is what came of it: descriptors, or what went wrong.
type Reply struct {
	PID   int
	Error string
	// Missing says that it was a file that is not there, Denied that it was one that may
	// not be opened.
	Missing, Denied bool
}

func (r *Reply) fields(w *wire) {
	w.integer(&r.PID)
	w.text(&r.Error)
	w.flag(&r.Missing)
	w.flag(&r.Denied)
}

// Room is what a worker sees, and what of the outside the shim opens for it later.
type Room struct {
	Layers        Layers
	System        []Place
	Masks         []string
	Reads, Writes []Place
	// Soul is a file that may be replaced while the worker runs, Socket where a
	// worker waits for another gateway; both may be empty.
	Soul, Socket string
	// Tree is the directory of which a mount comes with the request, and one of the
	// directory of Socket; empty if none does.
	Tree string
}

func (r *Room) fields(w *wire) {
	r.Layers.fields(w)
	list(w, &r.System, placeFields)
	list(w, &r.Masks, (*wire).text)
	list(w, &r.Reads, placeFields)
	list(w, &r.Writes, placeFields)
	for _, s := range []*string{&r.Soul, &r.Socket, &r.Tree} {
		w.text(s)
	}
}

// Start is how a stage is started.
type Start struct {
	Dir     string // where it starts
	Mark    string // the variable that marks the call
	Offline bool
	// Files says which of the command's descriptors from 3 on there are; those come
	// with the request, in this order.
	Files []bool
}

func (s *Start) fields(w *wire) {
	w.text(&s.Dir)
	w.text(&s.Mark)
	w.flag(&s.Offline)
	list(w, &s.Files, (*wire).flag)
}

// decodeRequest reads what a worker sent with so many descriptors. What passes makes
// sense, whoever made it.
func decodeRequest(data []byte, carried int) (Request, error) {
	var r Request
	if len(data) > MaxRequest {
		return r, tooLong("request", len(data), MaxRequest)
	}
	if err := decode(data, &r); err != nil {
		return r, &failure{"decode request", err}
	}
	wanted := 0
	switch {
	case r.Kind == AskRoom && r.Room != nil && r.Stage == nil:
		if err := r.Room.check(); err != nil {
			return r, err
		}
		if r.Room.Tree != "" {
			wanted = 2
		}
	case r.Kind == AskStage && r.Stage != nil && r.Room == nil:
		if err := r.Stage.check(); err != nil {
			return r, err
		}
		wanted = r.Stage.carried()
	case slices.Contains([]string{AskSoul, AskListen, AskDeaf}, r.Kind) && r.Room == nil && r.Stage == nil:
	default:
		return r, errors.New("the request is none")
	}
	if carried != wanted {
		return r, errors.New("the request came with " + strconv.Itoa(carried) + " descriptors instead of " + strconv.Itoa(wanted))
	}
	return r, nil
}

// carried is how many descriptors come with it.
func (s *Start) carried() int {
	n := 4 // the plan, and the first three of the command
	for _, given := range s.Files {
		if given {
			n++
		}
	}
	return n
}

func (s *Start) check() error {
	if len(s.Files) > MaxFiles {
		return tooMany("stage", len(s.Files))
	}
	if s.Dir != "/" && !Clean(s.Dir) {
		return errors.New("the stage starts in " + strconv.Quote(s.Dir) + ", which is no clean absolute path")
	}
	if len(s.Mark) > maxMark || slices.Contains([]byte(s.Mark), 0) {
		return errors.New("the mark of the call is none")
	}
	return nil
}

// maxMark is how long the variable may be that marks a call.
const maxMark = 512

func (r *Room) check() error {
	p := r.Plan()
	if err := p.check(); err != nil {
		return err
	}
	for _, path := range []string{r.Soul, r.Socket, r.Tree} {
		if path != "" && !Clean(path) {
			return errors.New("the plan names " + strconv.Quote(path) + ", which is no clean absolute path")
		}
	}
	return nil
}

// Plan is the room as a stage would build it: with a /tmp that nobody else sees and
// that is gone with the worker.
func (r *Room) Plan() Plan {
	return Plan{Layers: r.Layers, Probe: true, System: r.System, Masks: r.Masks, Reads: r.Reads, Writes: r.Writes, Temp: freshTemp}
}

// freshTemp is a plan's Temp that stands for a new one in memory.
const freshTemp = "/tmp"

// DecodeReply reads what a shim has answered.
func DecodeReply(data []byte) (Reply, error) {
	var said Reply
	err := decode(data, &said)
	return said, err
}
