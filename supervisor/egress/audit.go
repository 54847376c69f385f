package egress

import (
	"encoding/json"
	"io"
	"sync"
	"time"
)

// entry is a line of the audit: what somebody wanted of the outside, and what came
// of it. Paths and queries are not in it, since they may hold keys.
type entry struct {
	Time    time.Time `json:"time"`
	Profile string    `json:"profile"`
	Kind    string    `json:"kind"` // api, page or tool
	// Upstream is the name of one that the settings name.
	Upstream string `json:"upstream,omitempty"`
	Method   string `json:"method"`
	Host     string `json:"host"`
	Port     string `json:"port"`
	// Status is that of the server, or of the refusal; tunnels have none.
	Status int   `json:"status,omitempty"`
	Out    int64 `json:"out"` // bytes of bodies, or of the tunnel
	In     int64 `json:"in"`
	// TokensIn and TokensOut are what a model was asked for; Estimated says that the
	// server has not counted them, or not all.
	TokensIn  int64  `json:"tokens_in,omitempty"`
	TokensOut int64  `json:"tokens_out,omitempty"`
	Estimated bool   `json:"tokens_estimated,omitempty"`
	Millis    int64  `json:"ms"`
	Verdict   string `json:"verdict"` // ok, refused or failed
	Reason    string `json:"reason,omitempty"`
}

// The verdicts.
const (
	verdictOK      = "ok"
	verdictRefused = "refused"
	verdictFailed  = "failed"
)

// maxField bounds what a worker or a command chose, in bytes.
const maxField = 255

// audit writes entries. Nobody waits for a reader that does not read: what does not
// fit into the queue is counted.
type audit struct {
	out  io.Writer
	wake chan struct{}
	done chan struct{}

	mu      sync.Mutex // guards the rest
	pending []byte
	dropped int
	closed  bool
}

// maxPending is how much waits for the supervisor to read, in bytes.
const maxPending = 1 << 20

func newAudit(out io.Writer) *audit {
	a := &audit{out: out, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go a.write()
	return a
}

// add queues an entry.
func (a *audit) add(e entry) {
	e.Host, e.Method, e.Reason = clip(e.Host), clip(e.Method), clip(e.Reason)
	line, err := json.Marshal(e)
	if err != nil {
		return // a year beyond 9999
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.pending)+len(line) > maxPending {
		a.dropped++
		return
	}
	if a.dropped > 0 {
		note, err := json.Marshal(map[string]any{"time": e.Time, "verdict": "lost", "lines": a.dropped})
		if err == nil {
			a.pending, a.dropped = append(append(a.pending, note...), '\n'), 0
		}
	}
	a.pending = append(append(a.pending, line...), '\n')
	a.signal()
}

// note queues a line about this process.
func (a *audit) note(level, message string) {
	line, err := json.Marshal(map[string]any{"time": time.Now(), "level": level, "msg": message})
	if err != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.pending)+len(line) <= maxPending {
		a.pending = append(append(a.pending, line...), '\n')
	}
	a.signal()
}

func (a *audit) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// write is the writer.
func (a *audit) write() {
	defer close(a.done)
	for range a.wake {
		a.mu.Lock()
		lines, closed := a.pending, a.closed
		a.pending = nil
		a.mu.Unlock()
		if len(lines) > 0 {
			_, _ = a.out.Write(lines) // a supervisor that is gone reads no more
		}
		if closed {
			return
		}
	}
}

// close writes what is pending, but waits for a reader no longer than limit.
func (a *audit) close(limit time.Duration) {
	a.mu.Lock()
	a.closed = true
	a.signal()
	a.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-a.done:
	case <-timer.C:
	}
}

func clip(text string) string { return text[:min(len(text), maxField)] }
