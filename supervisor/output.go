package supervisor

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	// lineLimit is the length in bytes at which a line is cut.
	lineLimit = 64 << 10
	// lineBuffer is what is kept for the output of each worker. Most lines fit; a
	// thousand workers say little.
	lineBuffer = 1 << 10
	// lineCost is what a line counts against the rate beyond its length: about what
	// a record adds to it.
	lineCost = 100
	// outputSeconds is for how many seconds of the rate lines may wait for a disk that
	// is slow or gone.
	outputSeconds = 2
	// keptLines and keptLength bound what status shows of a worker's last words.
	keptLines  = 20
	keptLength = 500
)

// output brings what a profile's workers write on stdout and stderr into a log
// of JSON lines. Neither a worker nor the supervisor ever waits for the disk:
// what does not fit is dropped and counted.
type output struct {
	profile string
	file    io.WriteCloser
	rate    int         // how many bytes may be logged in a second
	trouble func(error) // told of a log that cannot be written, and of its return with nil

	wake chan struct{} // has room for one: there is something to write
	done chan struct{} // closed when the last writer has ended

	mu      sync.Mutex // guards the rest
	writing bool       // the writer runs; a profile whose workers say nothing has none
	broken  bool       // the log could not be written; of the writer alone
	closed  bool
	pending []byte
	window  time.Time // begin of the second that used counts
	used    int
	dropped int
	total   int       // dropped lines since the beginning
	told    time.Time // when dropped was written down, or began
	last    []string
	secrets []string // with all their spellings, the longest first, as one may hold another
}

// newOutput returns an output. Whoever has logged to it closes it.
func newOutput(profile string, file io.WriteCloser, rate int, trouble func(error)) *output {
	return &output{
		profile: profile, file: file, rate: rate, trouble: trouble,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// redact replaces the values in every line from now on, as they are and as they
// stand in JSON.
func (o *output) redact(values []string) {
	var secrets []string
	for _, value := range values {
		secrets = append(secrets, spellings(value)...)
	}
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	o.mu.Lock()
	defer o.mu.Unlock()
	o.secrets = slices.Clip(slices.Compact(secrets))
}

// redacted is a line without the secrets. A strings.Replacer would keep 7 KB of
// tables for each profile. The caller holds mu.
func (o *output) redacted(line string) string {
	for _, secret := range o.secrets {
		line = strings.ReplaceAll(line, secret, "[redacted]")
	}
	return line
}

// spellings are the ways in which a value can stand in a line: as it is, and
// inside a JSON string with and without the escapes that browsers want.
func spellings(value string) []string {
	if value == "" {
		return nil
	}
	forms := []string{value}
	for _, html := range []bool{false, true} {
		var buffer bytes.Buffer
		encoder := json.NewEncoder(&buffer)
		encoder.SetEscapeHTML(html)
		if err := encoder.Encode(value); err != nil {
			continue // no string fails to encode
		}
		quoted := buffer.String() // with quotes and a line break
		form := quoted[1 : len(quoted)-2]
		if !slices.Contains(forms, form) {
			forms = append(forms, form)
		}
	}
	// The longest first: one may begin with another.
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	return forms
}

// copy reads lines from r until it ends or fails. A line that is a JSON object is
// passed through; any other text, a panic for one, becomes the message of a
// record of its own. It returns what it had of a line when the deadline of r passed,
// for whoever reads on.
func (o *output) copy(r io.Reader, pid int) (rest []byte) {
	lines := bufio.NewReaderSize(r, lineBuffer)
	for {
		line, cut, err := readLine(lines)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return bytes.Clone(line)
		}
		if len(line) > 0 {
			o.line(bytes.TrimRight(line, "\r\n"), pid, cut)
		}
		if err != nil {
			return nil
		}
	}
}

// flush waits until nothing is pending, but at most limit.
func (o *output) flush(limit time.Duration) {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); <-time.After(time.Millisecond) {
		o.mu.Lock()
		pending := len(o.pending)
		o.mu.Unlock()
		if pending == 0 {
			return
		}
	}
}

// readLine returns the next line, or the first lineLimit bytes of it and that the
// rest was cut. It is valid until the next call.
func readLine(r *bufio.Reader) (line []byte, cut bool, err error) {
	line, err = r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, false, err
	}
	line = slices.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		var more []byte
		more, err = r.ReadSlice('\n')
		room := lineLimit - len(line)
		cut = cut || len(more) > room
		line = append(line, more[:min(len(more), room)]...)
	}
	return line, cut, err
}

// line takes one line in, if the rate allows it.
func (o *output) line(line []byte, pid int, cut bool) {
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(line) == 0 || !o.admit(now, len(line)+lineCost) {
		return
	}
	text := o.redacted(strings.ToValidUTF8(string(line), "\uFFFD"))
	o.keep(text)
	if !cut && strings.HasPrefix(text, "{") && json.Valid([]byte(text)) {
		o.add([]byte(text + "\n"))
		return
	}
	if cut {
		text += " … (cut)"
	}
	o.add(o.record(now, "ERROR", pid, text))
}

// note writes a record of the supervisor's own into the profile's log.
func (o *output) note(pid int, message string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.add(o.record(time.Now(), "INFO", pid, message))
}

// lines returns the last lines, oldest first, and forgets them.
func (o *output) lines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	last := o.last
	o.last = nil
	return last
}

// admit counts size against the rate, and counts the line as dropped if there is
// no room for it. The caller holds mu.
func (o *output) admit(now time.Time, size int) bool {
	if since := now.Sub(o.window); since < 0 || since >= time.Second {
		o.window, o.used = now, 0
	}
	if o.used+size > o.rate || len(o.pending)+size > outputSeconds*o.rate {
		o.dropped++
		o.total++
		if o.dropped == 1 {
			o.told = now // the count is due in a second
			o.signal()
		}
		return false
	}
	o.used += size
	return true
}

// record makes a JSON line. The caller holds mu.
func (o *output) record(now time.Time, level string, pid int, message string) []byte {
	line, err := json.Marshal(struct {
		Time    time.Time `json:"time"`
		Level   string    `json:"level"`
		Message string    `json:"msg"`
		Profile string    `json:"profile"`
		PID     int       `json:"pid,omitempty"`
	}{now, level, message, o.profile, pid})
	if err != nil { // a year beyond 9999
		return nil
	}
	return append(line, '\n')
}

// keep remembers a line for status, short and without what could move a cursor.
// The caller holds mu.
func (o *output) keep(text string) {
	if len(text) > keptLength {
		text = text[:keptLength] + "…"
	}
	text = strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(text, "")) // cutting may have split a character
	if len(o.last) == keptLines {
		o.last = append(o.last[:0], o.last[1:]...)
	}
	o.last = append(o.last, text)
}

// add queues lines for the writer. The caller holds mu.
func (o *output) add(lines []byte) {
	o.pending = append(o.pending, lines...)
	o.signal()
}

// signal has the writer look. The caller holds mu.
func (o *output) signal() {
	if !o.writing {
		o.writing = true
		go o.write()
	}
	select {
	case o.wake <- struct{}{}:
	default: // the writer has yet to look, and will see everything
	}
}

// close writes what is pending and ends the writer. It waits at most limit: a
// disk that hangs is left to its fate.
func (o *output) close(limit time.Duration) {
	o.mu.Lock()
	o.closed = true
	o.signal()
	o.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-o.done:
	case <-timer.C:
	}
}

// write is the writer: the only goroutine that waits for the disk. It ends when
// there is nothing more to write.
func (o *output) write() {
	for {
		var timer <-chan time.Time
		o.mu.Lock()
		if len(o.pending) == 0 && o.dropped == 0 && !o.closed {
			o.writing = false
			o.mu.Unlock()
			return
		}
		if o.dropped > 0 { // say so soon, even if no line follows
			timer = time.After(time.Second)
		}
		o.mu.Unlock()
		select {
		case <-o.wake:
		case <-timer:
		}
		lines, dropped, closed := o.take()
		if len(lines) > 0 {
			n, err := o.file.Write(lines)
			if err != nil {
				o.lost(dropped, lines[n:])
			}
			if o.broken != (err != nil) {
				o.broken = !o.broken
				o.trouble(err)
			}
		}
		if closed {
			if err := o.file.Close(); err != nil && !o.broken {
				o.trouble(err)
			}
			close(o.done)
			return
		}
	}
}

// take returns what is to be written, how many dropped lines it tells of, and
// whether it is the last.
func (o *output) take() (lines []byte, dropped int, last bool) {
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dropped > 0 && (o.closed || now.Sub(o.told) >= time.Second) {
		dropped = o.dropped
		o.dropped, o.told = 0, now
		o.pending = append(o.pending, o.record(now, "WARN", 0, fmt.Sprintf("dropped %d lines", dropped))...)
	}
	lines, o.pending = o.pending, nil
	return lines, dropped, o.closed
}

// lost counts lines that could not be written, together with those that they
// would have told of.
func (o *output) lost(dropped int, lines []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fresh := bytes.Count(lines, []byte{'\n'})
	if dropped > 0 {
		fresh-- // the line that tells of the others, which have been counted
	}
	o.dropped += dropped + fresh
	o.total += fresh
}

// missing is how many lines were dropped since the beginning.
func (o *output) missing() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.total
}
