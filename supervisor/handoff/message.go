package handoff

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// MaxMessage is the length in bytes that a message may have at most, its line
// feed included. Start is the only one that comes near: it carries settings.
const MaxMessage = 1 << 20

// usualMessage has room for what is said of a worker that runs. A supervisor keeps
// so much for each of them.
const usualMessage = 256

// BeatEvery is the time between two signs of life of a child.
const BeatEvery = 5 * time.Second

// Kind says what a Message is about.
type Kind string

// The kinds of messages. Start, Settings, Drain and Stop go to a child, the others
// come from it. Unknown kinds are skipped by their readers, so that an upgraded
// supervisor can speak to workers of the old one.
const (
	KindStart    Kind = "start"
	KindSettings Kind = "settings"
	KindDrain    Kind = "drain"
	KindStop     Kind = "stop"
	KindReady    Kind = "ready"
	KindApplied  Kind = "applied"
	KindClosed   Kind = "closed"
	KindBusy     Kind = "busy"
	KindBeat     Kind = "beat"
	KindWalls    Kind = "walls"
)

// The kinds of messages between a child whose parent has died and the next gateway:
// hello and report come from the child, claim and adopt go to it.
const (
	KindHello  Kind = "hello"
	KindClaim  Kind = "claim"
	KindReport Kind = "report"
	KindAdopt  Kind = "adopt"
)

// Message is one line on the control socket.
type Message struct {
	Kind Kind `json:"kind"`
	// Start is set on start messages and reports.
	Start *Start `json:"start,omitempty"`
	// Carries names the descriptors that come with a start message, in their order.
	Carries []string `json:"carries,omitempty"`
	// Live is set on settings messages only. Revision counts them, and comes back in
	// the applied message.
	Live     *Live `json:"live,omitempty"`
	Revision int   `json:"revision,omitempty"`
	// Limit is how long a drain may take; 0 is the child's own drain timeout.
	Limit time.Duration `json:"limit,omitempty"`
	// Patient says that a drain waits for background jobs too.
	Patient bool `json:"patient,omitempty"`
	// Busy is the number of running turns, set on busy messages.
	Busy int `json:"busy,omitempty"`
	// Jobs is the number of background jobs that run, set on busy messages.
	Jobs int `json:"jobs,omitempty"`
	// Walls is set on walls messages.
	Walls *Walls `json:"walls,omitempty"`
	// Version, Profile and Generation are who says hello; Proof is set on claims and
	// reports.
	Version    int    `json:"version,omitempty"`
	Profile    string `json:"profile,omitempty"`
	Generation int    `json:"generation,omitempty"`
	Proof      string `json:"proof,omitempty"`
	// Ready, Closed and Drains say in a report how the child stands.
	Ready  bool `json:"ready,omitempty"`
	Closed bool `json:"closed,omitempty"`
	Drains bool `json:"drains,omitempty"`
}

// ErrTooLong is returned for a message longer than MaxMessage.
var ErrTooLong = errors.New("message is longer than 1 MiB")

// Decoder reads messages. It holds at most MaxMessage bytes of what the other
// side sends.
type Decoder struct {
	lines *bufio.Scanner
	rest  []byte // what had come of a message when the stream ended
}

// NewDecoder returns a Decoder that reads from r.
func NewDecoder(r io.Reader) *Decoder {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, usualMessage), MaxMessage)
	d := &Decoder{lines: lines}
	lines.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		advance, line, err := wholeLines(data, atEOF)
		if err != nil {
			d.rest = bytes.Clone(data)
		}
		return advance, line, err
	})
	return d
}

// Decode returns the next message. It returns io.EOF at the end of the stream,
// io.ErrUnexpectedEOF if the stream ends within a message, and another error for
// what is no message; after an error the stream cannot be read on. No error
// quotes what was read, since that may be a secret.
func (d *Decoder) Decode() (Message, error) {
	if !d.lines.Scan() {
		switch err := d.lines.Err(); {
		case err == nil:
			return Message{}, io.EOF
		case errors.Is(err, bufio.ErrTooLong):
			return Message{}, ErrTooLong
		default:
			return Message{}, err
		}
	}
	var m Message
	if err := json.Unmarshal(d.lines.Bytes(), &m); err != nil {
		return Message{}, errors.New("message is not valid JSON")
	}
	switch {
	case m.Kind == "":
		return Message{}, errors.New("message has no kind")
	case m.Busy < 0 || m.Jobs < 0:
		return Message{}, errors.New("message counts a negative number of turns")
	case m.Kind == KindStart && m.Start == nil:
		return Message{}, errors.New("start message is empty")
	case m.Kind == KindSettings && m.Live == nil:
		return Message{}, errors.New("settings message is empty")
	case m.Kind == KindWalls && (m.Walls == nil || !m.Walls.known()):
		return Message{}, errors.New("walls message names no level")
	case m.Limit < 0:
		return Message{}, errors.New("drain message has a negative limit")
	}
	return m, nil
}

// Encode writes m as one line with one call of w.Write.
func Encode(w io.Writer, m Message) error {
	line, err := m.line()
	if err != nil {
		return err
	}
	if _, err := w.Write(line); err != nil {
		return fmt.Errorf("send %s message: %w", m.Kind, err)
	}
	return nil
}

// Check returns the error that Encode would return for m before it has written
// anything, such as ErrTooLong.
func (m Message) Check() error {
	_, err := m.line()
	return err
}

// line returns m as it is sent.
func (m Message) line() ([]byte, error) {
	line, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s message: %w", m.Kind, err)
	}
	if len(line) >= MaxMessage {
		return nil, fmt.Errorf("encode %s message of %d bytes: %w", m.Kind, len(line)+1, ErrTooLong)
	}
	return append(line, '\n'), nil
}

// wholeLines is a bufio.SplitFunc for which a last line without a line feed is
// an error: it was cut.
func wholeLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return 0, nil, nil
}
