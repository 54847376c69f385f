// Package sse reads event streams (text/event-stream) as the HTML standard
// describes them, with a buffer that is used again for every event. It exists
// because a relay wants to know whether another event has arrived already, so
// that it can put off its flush, and because line readers with a limit of
// 64 KiB break on the long events that models do send.
package sse

import (
	"bytes"
	"errors"
	"io"
)

// MaxEvent is how many bytes one event may take, its field names and line ends
// included. The longest events seen in the wild are tool calls that carry a
// whole file.
const MaxEvent = 8 << 20

const (
	// firstBuffer holds some dozens of ordinary events.
	firstBuffer = 16 << 10
	// keepBuffer is the largest buffer that Reset keeps for the next stream.
	keepBuffer = 64 << 10
	// maxRead bounds one read, so that a buffer which a long event has grown is
	// not filled with thousands of short ones that are then searched again and
	// again.
	maxRead = 32 << 10
	// maxEmptyReads is how often a source may return nothing and no error.
	maxEmptyReads = 100
)

// mark is the byte order mark, which a stream may begin with.
const mark = "\ufeff"

// ErrTooLong is the error of an event beyond MaxEvent.
var ErrTooLong = errors.New("read event stream: an event is longer than 8 MiB")

// Event is one event of a stream.
type Event struct {
	// Name is the event's type, empty when the stream names none.
	Name string
	// Data is the event's data lines, joined by line feeds. It is valid until
	// the next call of Next, and not nil when the event has a data line.
	Data []byte
}

// Reader splits a stream into events. It is not safe for use by several
// goroutines.
type Reader struct {
	src io.Reader
	buf []byte
	// line is where the next unread line begins, scan from where its end has
	// not been looked for yet, end where the bytes that were read end.
	line, scan, end int
	// data and dataEnd enclose the data lines of the event that is being read,
	// joined in place; they mean something only if hasData is true.
	data, dataEnd int
	hasData       bool
	name          []byte // of the event that is being read
	last          string // the name of the event before, so that equal names share one string
	began         bool   // the byte order mark has been dealt with
	skipLF        bool   // the line before ended in CR, so a LF belongs to it
	err           error
}

// NewReader makes a Reader of src.
func NewReader(src io.Reader) *Reader {
	r := &Reader{}
	r.Reset(src)
	return r
}

// Reset makes the Reader read src from its beginning, and keeps the buffer
// unless it has grown large. Reset(nil) lets go of the source.
func (r *Reader) Reset(src io.Reader) {
	buf, name := r.buf, r.name
	if buf == nil || len(buf) > keepBuffer {
		buf = make([]byte, firstBuffer)
	}
	*r = Reader{src: src, buf: buf, name: name[:0]}
}

// Next returns the next event that has data. The error is io.EOF at the end of
// the stream. When the stream ends inside an event, what there is of it comes
// together with io.ErrUnexpectedEOF: the standard drops such events, but some
// servers forget the empty line after the last one. Every other error is
// ErrTooLong or the source's own. After an error every call returns it again.
func (r *Reader) Next() (Event, error) {
	r.hasData = false
	r.name = r.name[:0]
	for {
		from, to, ok := r.nextLine()
		switch {
		case !ok && r.err != nil:
			return r.final()
		case !ok:
			r.fill()
		case from < to:
			r.field(from, to)
		case r.hasData:
			return r.event(), nil
		default:
			// An event without data is none, and takes its name with it.
			r.name = r.name[:0]
		}
	}
}

// Buffered reports whether a call of Next would return an event without reading
// from the source.
func (r *Reader) Buffered() bool {
	rest := r.buf[r.line:r.end]
	if !r.began {
		rest = bytes.TrimPrefix(rest, []byte(mark))
	}
	for hasData, skipLF := false, r.skipLF; ; {
		if skipLF && len(rest) > 0 && rest[0] == '\n' {
			rest = rest[1:]
		}
		stop := lineEnd(rest)
		if stop < 0 {
			return false
		}
		if stop == 0 && hasData {
			return true
		}
		hasData = hasData || isData(rest[:stop])
		skipLF = rest[stop] == '\r'
		rest = rest[stop+1:]
	}
}

// Peek passes over white space and returns what has been read behind it, at
// least one byte, without taking it. Before the first call of Next it shows
// what a body is that may be no event stream at all; the bytes are valid until
// that call.
func (r *Reader) Peek() ([]byte, error) {
	for {
		for r.line < r.end && isSpace(r.buf[r.line]) {
			r.line++
			r.scan = r.line
		}
		if r.line < r.end {
			return r.buf[r.line:r.end], nil
		}
		if r.err != nil {
			return nil, r.err
		}
		r.line, r.scan, r.end = 0, 0, 0
		r.fill()
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// event makes the Event of what has been gathered.
func (r *Reader) event() Event {
	if string(r.name) != r.last {
		r.last = string(r.name)
	}
	return Event{Name: r.last, Data: r.buf[r.data:r.dataEnd:r.dataEnd]}
}

// final ends the stream: a last line without an end still counts, and an event
// that it leaves open is handed out as incomplete.
func (r *Reader) final() (Event, error) {
	if !errors.Is(r.err, io.EOF) && !errors.Is(r.err, io.ErrUnexpectedEOF) {
		return Event{}, r.err
	}
	if from, to := r.begin(r.line, r.end); from < to {
		r.field(from, to)
	}
	r.line, r.scan = r.end, r.end
	if !r.hasData {
		return Event{}, r.err
	}
	r.err = io.ErrUnexpectedEOF
	return r.event(), r.err
}

// nextLine finds the next whole line in the buffer, without its end.
func (r *Reader) nextLine() (from, to int, ok bool) {
	if r.skipLF && r.line < r.end {
		r.skipLF = false
		if r.buf[r.line] == '\n' {
			r.line++
			r.scan = r.line
		}
	}
	stop := lineEnd(r.buf[r.scan:r.end])
	if stop < 0 {
		r.scan = r.end
		return 0, 0, false
	}
	from, to = r.begin(r.line, r.scan+stop)
	r.skipLF = r.buf[to] == '\r'
	r.line, r.scan = to+1, to+1
	return from, to, true
}

// begin passes over the byte order mark in the stream's first line.
func (r *Reader) begin(from, to int) (int, int) {
	if !r.began {
		r.began = true
		if bytes.HasPrefix(r.buf[from:to], []byte(mark)) {
			from += len(mark)
		}
	}
	return from, to
}

// lineEnd returns the index of the first CR or LF, or -1.
func lineEnd(b []byte) int {
	lf := bytes.IndexByte(b, '\n')
	if lf >= 0 {
		b = b[:lf]
	}
	if cr := bytes.IndexByte(b, '\r'); cr >= 0 {
		return cr
	}
	return lf
}

// isData reports whether a line is a data field.
func isData(line []byte) bool {
	return bytes.HasPrefix(line, []byte("data")) && (len(line) == 4 || line[4] == ':')
}

// field takes in one line that is not empty. Comments, unknown fields, ids and
// retry times mean nothing here.
func (r *Reader) field(from, to int) {
	line := r.buf[from:to]
	if isData(line) {
		r.appendData(to-len(value(line[4:])), to)
		return
	}
	if name, ok := bytes.CutPrefix(line, []byte("event")); ok && (len(name) == 0 || name[0] == ':') {
		r.name = append(r.name[:0], value(name)...)
	}
}

// value returns what stands behind a field's colon, without the one space that
// may follow it.
func value(rest []byte) []byte {
	if len(rest) == 0 {
		return rest
	}
	return bytes.TrimPrefix(rest[1:], []byte{' '})
}

// appendData joins another data line to the event, in place: the field's name
// in front of it always leaves room for the line feed between.
func (r *Reader) appendData(from, to int) {
	if !r.hasData {
		r.hasData = true
		r.data, r.dataEnd = from, to
		return
	}
	r.buf[r.dataEnd] = '\n'
	r.dataEnd += 1 + copy(r.buf[r.dataEnd+1:], r.buf[from:to])
}

// fill reads more bytes behind those that are still needed, or sets err.
func (r *Reader) fill() {
	if r.end == len(r.buf) {
		r.makeRoom()
		if r.err != nil {
			return
		}
	}
	for range maxEmptyReads {
		n, err := r.src.Read(r.buf[r.end:min(len(r.buf), r.end+maxRead)])
		r.end += n
		if err != nil {
			r.err = err
			return
		}
		if n > 0 {
			return
		}
	}
	r.err = io.ErrNoProgress
}

// makeRoom moves what is still needed to the front of the buffer, and doubles
// the buffer when that leaves less than half of it free.
func (r *Reader) makeRoom() {
	kept := 0
	if r.hasData {
		kept = r.dataEnd - r.data
	}
	need := kept + r.end - r.line
	if need >= MaxEvent {
		r.err = ErrTooLong
		return
	}
	to := r.buf
	if need > len(r.buf)/2 && len(r.buf) < MaxEvent {
		to = make([]byte, min(2*len(r.buf), MaxEvent))
	}
	copy(to, r.buf[r.data:r.data+kept])
	copy(to[kept:], r.buf[r.line:r.end])
	r.buf = to
	r.data, r.dataEnd = 0, kept
	r.scan = kept + r.scan - r.line
	r.line, r.end = kept, need
}
