package supervisor

import (
	"cmp"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"hermes/profiles"
)

const (
	// keptEvents is how many events are kept for those who ask later.
	keptEvents = 1000
	// eventRoom is how many events may wait for a reader before it is cut off.
	eventRoom = 256
	// eventLimit is how long a reader may take for what is sent to it.
	eventLimit = 10 * time.Second
	// eventsType is the media type of a stream of events: a JSON object a line.
	eventsType = "application/x-ndjson"
)

// StateGone is what an event says of a profile whose directory is gone.
const StateGone State = "gone"

// Event is a change of how the service of a profile stands: another state, another
// worker, or another reason.
type Event struct {
	// Gateway is the pid of the gateway, Seq counts its events from 1.
	Gateway int       `json:"gateway"`
	Seq     int64     `json:"seq"`
	Time    time.Time `json:"time"`
	Profile string    `json:"profile"`
	// From is empty for a profile that is new. It equals To when only the worker or
	// the reason has changed.
	From State `json:"from,omitempty"`
	To   State `json:"to"`
	// Reason says why, for a person; it may be empty.
	Reason     string `json:"reason,omitempty"`
	PID        int    `json:"pid,omitempty"`
	Generation int    `json:"generation"`
	Restarts   int    `json:"restarts"`
}

// events keeps the last events and hands out new ones. Whoever adds one never
// waits: a reader that does not keep up is cut off.
type events struct {
	mu      sync.Mutex // guards the rest
	ring    []Event
	last    int64 // the number of the newest
	readers map[chan Event]bool
	closed  bool
}

// add numbers an event and hands it out.
func (e *events) add(event Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last++
	event.Seq, event.Gateway = e.last, os.Getpid()
	if len(e.ring) == keptEvents {
		e.ring = append(e.ring[:0], e.ring[1:]...)
	}
	e.ring = append(e.ring, event)
	for reader := range e.readers {
		select {
		case reader <- event:
		default: // it comes again, and says what it has seen
			delete(e.readers, reader)
			close(reader)
		}
	}
}

// since returns the kept events with a number above seq, and with follow a channel
// of those to come. That is closed for a reader which does not keep up, and by
// close; leave gives it back.
func (e *events) since(seq int64, follow bool) (kept []Event, next chan Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range e.ring {
		if event.Seq > seq {
			kept = append(kept, event)
		}
	}
	if !follow || e.closed {
		return kept, nil
	}
	if e.readers == nil {
		e.readers = map[chan Event]bool{}
	}
	next = make(chan Event, eventRoom)
	e.readers[next] = true
	return kept, next
}

func (e *events) leave(reader chan Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.readers, reader)
}

// kept returns the last events.
func (e *events) kept() []Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.ring)
}

// resume goes on from the events that another program of this process has kept.
func (e *events) resume(kept []Event) {
	if len(kept) == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ring, e.last = kept, kept[len(kept)-1].Seq
}

// close ends all streams, and begins no other.
func (e *events) close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.cut()
}

// cut ends all streams.
func (e *events) cut() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for reader := range e.readers {
		delete(e.readers, reader)
		close(reader)
	}
}

// shown is what the last event said of a member.
type shown struct {
	state      State
	reason     string
	generation int
}

// publish makes an event of every member that has changed.
func (f *fleet) publish(now time.Time) {
	for _, m := range f.members {
		is := shown{m.state, m.why(), m.served()}
		if is == m.shown || m.shown.state == "" && m.due(now) { // a new one begins with its first start
			continue
		}
		f.events.add(Event{
			Time: now, Profile: string(m.profile.Name), From: m.shown.state, To: is.state, Reason: is.reason,
			PID: m.pid(), Generation: cmp.Or(is.generation, m.generations), Restarts: m.restarts,
		})
		m.shown = is
	}
}

// served is the number of the generation that serves, or 0.
func (m *member) served() int {
	if m.current == nil {
		return 0
	}
	return m.current.number
}

// vanished makes an event of a member that is dropped.
func (f *fleet) vanished(name profiles.Name, was State) {
	f.events.add(Event{Time: time.Now(), Profile: string(name), From: was, To: StateGone, Reason: "its directory is gone"})
}

// getEvents answers with the kept events, one JSON object a line, and with
// ?follow=true with those to come. ?since=SEQ&gateway=PID leaves out what the
// reader has seen of this gateway.
func (c control) getEvents(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	seq, err := strconv.ParseInt(cmp.Or(query.Get("since"), "0"), 10, 64)
	follow, followErr := strconv.ParseBool(cmp.Or(query.Get("follow"), "false"))
	if err != nil || followErr != nil || seq < 0 {
		c.answer(w, http.StatusBadRequest, failure{Error: "since must be the number of an event, and follow true or false"})
		return
	}
	if of := query.Get("gateway"); of != "" && of != strconv.Itoa(os.Getpid()) {
		seq = 0 // of another one, which had this socket before
	}
	kept, next := c.events.since(seq, follow)
	defer c.events.leave(next)
	w.Header().Set("Content-Type", eventsType)
	out := json.NewEncoder(w)
	flow := http.NewResponseController(w)
	send := func(events ...Event) bool {
		_ = flow.SetWriteDeadline(time.Now().Add(eventLimit)) // a socket has deadlines
		for _, event := range events {
			if err := out.Encode(event); err != nil {
				return false
			}
		}
		return flow.Flush() == nil
	}
	for ok := send(kept...); ok && next != nil; {
		select {
		case event, more := <-next:
			ok = more && send(event)
		case <-r.Context().Done():
			return
		}
	}
}
