package api

import (
	"bytes"
	"context"
	"slices"
	"sync"
)

// eventLog holds the events of a stream while its turn runs, for all who follow
// it. It goes when the turn has ended: from then on replayResponse makes the same
// events from what is stored.
type eventLog struct {
	mu      sync.Mutex // guards what follows
	bytes   []byte
	ends    []int         // where each event ends
	over    bool          // nothing follows
	resumed int           // how many events are of a process that died; 0 if none died
	changed chan struct{} // closed at the next change
}

func newEventLog() *eventLog { return &eventLog{changed: make(chan struct{})} }

// add appends events. Each ends with an empty line, and holds none.
func (l *eventLog) add(events []byte, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := len(l.bytes)
	l.bytes = append(l.bytes, events...)
	for from < len(l.bytes) {
		from += bytes.Index(l.bytes[from:], []byte("\n\n")) + 2
		l.ends = append(l.ends, from)
	}
	l.over = l.over || over
	close(l.changed)
	l.changed = make(chan struct{})
}

// resumedHere says that what follows is of another process than what was added.
func (l *eventLog) resumedHere() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resumed = len(l.ends)
}

// place is where a reader goes on that wants the events from one on. Who has more
// events than there are has some of a process that died, which nobody knows any
// more: what came instead follows.
func (l *eventLog) place(from int64) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.resumed > 0 && from > int64(len(l.ends)) {
		return l.resumed
	}
	return int(max(from, 0))
}

// follow sends the events from the given one on, until the last one was sent,
// ctx ends, or send fails. What send gets stays valid.
func (l *eventLog) follow(ctx context.Context, from int64, send func([]byte) error) error {
	next := l.place(from)
	for {
		l.mu.Lock()
		var events []byte
		if next < len(l.ends) {
			begin := 0
			if next > 0 {
				begin = l.ends[next-1]
			}
			events = slices.Clip(l.bytes[begin:])
			next = len(l.ends)
		}
		over, changed := l.over, l.changed
		l.mu.Unlock()
		if len(events) > 0 {
			if err := send(events); err != nil {
				return err
			}
		}
		if over {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
