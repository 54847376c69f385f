package tools

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
)

// What is kept of the output of a command, in bytes.
const (
	// maxHead is what the model sees of the beginning of long output.
	maxHead = maxCommandOutput * 2 / 5
	// maxTail is what stays in memory of the end.
	maxTail = 200_000
	// tailSlack is how far the tail grows before it is cut, so that it is not
	// moved for each line.
	tailSlack = 64 << 10
)

// output is what a command has written so far, as text for a model: the beginning
// and the end in bounded memory, and all of it in a file once it is too long for
// one result.
type output struct {
	id     string
	spills *spills
	// changed has room for one: something was written since it was read.
	changed chan struct{}

	mu       sync.Mutex // guards what follows
	head     []byte
	tail     []byte
	received int64
	lines    int64 // line feeds in all
	spill    *spill
}

func newOutput(id string, spills *spills) *output {
	return &output{id: id, spills: spills, changed: make(chan struct{}, 1)}
}

// Write takes text. It never fails: a full disk costs the file only.
func (o *output) Write(p []byte) (int, error) {
	n := len(p)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.spill == nil && o.received+int64(len(p)) > maxCommandOutput {
		o.spill = o.spills.create(o.id)
		o.spill.write(o.tail) // that is all until now
	}
	if o.spill != nil {
		o.spill.write(p)
	}
	o.received += int64(len(p))
	o.lines += int64(bytes.Count(p, []byte("\n")))
	o.head = append(o.head, p[:min(n, maxHead-len(o.head))]...)
	p = p[max(0, n-maxTail):]
	if len(o.tail)+len(p) > maxTail+tailSlack {
		o.tail = append(o.tail[:0], o.tail[len(o.tail)+len(p)-maxTail:]...)
	}
	o.tail = append(o.tail, p...)
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return n, nil
}

// close ends the writing to the file.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.spill != nil {
		o.spill.close()
	}
}

// view returns what there is now, its end at most limit bytes long.
func (o *output) view(limit int) view {
	o.mu.Lock()
	defer o.mu.Unlock()
	tail := o.tail[max(0, len(o.tail)-limit):]
	for len(tail) > 0 && !utf8.RuneStart(tail[0]) {
		tail = tail[1:]
	}
	v := view{tail: string(tail), received: o.received, lines: o.lines}
	if o.spill != nil {
		v.file = o.spill.name()
	}
	return v
}

// digest returns what a model gets to read of all that there is: the beginning
// and the end if it is long.
func (o *output) digest() (text string, seen int64) {
	v := o.view(maxTail)
	if v.received <= maxCommandOutput {
		return v.tail, v.received
	}
	o.mu.Lock()
	head := string(o.head)
	o.mu.Unlock()
	if i := strings.LastIndexByte(head, '\n'); i >= len(head)/2 {
		head = head[:i+1]
	} else {
		head = strings.ToValidUTF8(head, "") + "\n" // the last rune may be cut
	}
	tail := lastLines(v.tail, maxCommandOutput-maxHead)
	omitted := v.received - int64(len(head)+len(tail))
	return fmt.Sprintf("%s[… %d bytes left out%s …]\n%s", head, omitted, v.hint(), tail), v.received
}

// lastLines returns the last bytes of text, from the beginning of a line if there
// is one near.
func lastLines(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	text = text[len(text)-limit:]
	if i := strings.IndexByte(text, '\n'); i >= 0 && i < len(text)/2 {
		return text[i+1:]
	}
	return strings.ToValidUTF8(text, "") // the first rune may be cut
}

// view is the output of a command at one moment.
type view struct {
	tail     string // the end of it
	received int64  // bytes in all
	lines    int64  // line feeds in all
	file     string // where all of it is, or nothing
}

// viewOf is the output of a job that is known only by its record.
func viewOf(job Job) view { return view{job.Output, job.Received, job.Lines, job.File} }

// hint says where the rest is, as a clause.
func (v view) hint() string {
	if v.file == "" {
		return ""
	}
	return "; read_file pages through " + v.file
}

// since returns what was written after the first so many bytes, shortened to what
// one result may hold.
func (v view) since(seen int64) string {
	start := v.received - int64(len(v.tail))
	text := v.tail[max(0, min(seen, v.received)-start):]
	text = lastLines(text, maxCommandOutput)
	if lost := v.received - int64(len(text)) - seen; lost > 0 {
		text = fmt.Sprintf("[… %d bytes left out%s …]\n%s", lost, v.hint(), text)
	}
	return text
}

// page returns lines, from the first one that was asked for, or the last ones if
// first is 0, and a note on which they are.
func (v view) page(first, limit int64) string {
	lines := strings.SplitAfter(v.tail, "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	}
	total := v.lines
	if v.tail != "" && !strings.HasSuffix(v.tail, "\n") {
		total++
	}
	if v.received > int64(len(v.tail)) && len(lines) > 1 {
		lines = lines[1:] // the first one is not all there
	}
	kept := total - int64(len(lines)) + 1 // the number of the first line that there is
	switch {
	case total == 0:
		return "(no output)\n"
	case first <= 0:
		first = max(kept, total-limit+1)
	case first > total:
		return fmt.Sprintf("[it has %d lines; line %d is beyond its end]\n", total, first)
	}
	first = max(first, kept)
	var text strings.Builder
	next := first
	for _, line := range lines[first-kept:] {
		if next-first == limit || next > first && text.Len()+len(line) > maxCommandOutput {
			break
		}
		text.WriteString(lastLines(line, maxCommandOutput))
		next++
	}
	return ended(text.String()) + v.place(first, next-1, total, kept)
}

// place says which lines of the output a page shows.
func (v view) place(first, last, total, kept int64) string {
	if first == 1 && last == total {
		return ""
	}
	note := fmt.Sprintf("lines %d to %d of %d", first, last, total)
	if last < total {
		note += fmt.Sprintf("; go on with offset %d", last+1)
	}
	if kept > 1 && first == kept {
		note += "; those before are not kept here" + v.hint()
	}
	return "[" + note + "]\n"
}

// ended gives a text that is not empty a line feed at its end.
func ended(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}
