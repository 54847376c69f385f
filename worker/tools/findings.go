package tools

import (
	"fmt"
	"strings"
)

// maxFindings is how much text of a search the model gets, in bytes.
const maxFindings = 40_000

// findings gathers what a search finds, in the order in which it is found, and
// says when that is enough.
type findings struct {
	mode          string // content, files_only, count
	context       int
	limit, offset int

	seen    int // results, those that were skipped too
	shown   int
	more    bool
	note    string
	out     strings.Builder
	waiting []lineFound // context that may belong to a match to come
	last    lineFound   // the last line in out
	match   lineFound   // the last match in out
}

// lineFound is a line of a result: a match, or one beside it.
type lineFound struct {
	path   string
	number int // from 1; 0 means that there is no line
	text   string
	match  bool
}

func newFindings(arguments searchArguments) *findings {
	mode := arguments.OutputMode
	if arguments.Target == "files" {
		mode = "files_only"
	}
	return &findings{
		mode:    mode,
		context: min(max(arguments.Context, 0), maxContextLines),
		limit:   min(max(arguments.Limit, 1), maxResults),
		offset:  max(arguments.Offset, 0),
	}
}

// file takes a file, with the number of its matching lines if that is wanted.
func (f *findings) file(path string, count int) error {
	if !f.next() {
		return f.enough()
	}
	if f.seen <= f.offset {
		return nil
	}
	f.shown++
	if f.mode == "count" {
		fmt.Fprintf(&f.out, "%s:%d\n", path, count)
	} else {
		fmt.Fprintln(&f.out, path)
	}
	return nil
}

// line takes a line, in the order of the file.
func (f *findings) line(l lineFound) error {
	if !l.match {
		if f.match.path == l.path && f.match.number > 0 && l.number <= f.match.number+f.context {
			f.add(l)
		} else {
			f.waiting = append(f.waiting, l)
			f.waiting = f.waiting[max(0, len(f.waiting)-f.context):]
		}
		return nil
	}
	if !f.next() {
		return f.enough()
	}
	if f.seen > f.offset {
		for _, before := range f.waiting {
			if before.path == l.path {
				f.add(before)
			}
		}
		f.add(l)
		f.shown++
		f.match = l
	}
	f.waiting = f.waiting[:0]
	return nil
}

// next counts a result and reports whether it may be shown or skipped.
func (f *findings) next() bool {
	if f.shown == f.limit || f.out.Len() > maxFindings {
		return false
	}
	f.seen++
	return true
}

func (f *findings) enough() error {
	f.more = true
	return errEnough
}

// add writes a line as grep does.
func (f *findings) add(l lineFound) {
	if f.context > 0 && f.last.number > 0 && (f.last.path != l.path || f.last.number+1 != l.number) {
		f.out.WriteString("--\n")
	}
	sign := ':'
	if !l.match {
		sign = '-'
	}
	fmt.Fprintf(&f.out, "%s%c%d%c%s\n", l.path, sign, l.number, sign, l.text)
	f.last = l
}

// text is what the model gets.
func (f *findings) text() string {
	switch {
	case f.shown > 0 && f.more:
		fmt.Fprintf(&f.out, "[results %d to %d; there are more, from offset %d]\n", f.offset+1, f.offset+f.shown, f.offset+f.shown)
	case f.shown == 0 && f.seen > 0:
		fmt.Fprintf(&f.out, "There are only %d results; offset %d is beyond them.\n", f.seen, f.offset)
	case f.shown == 0 && f.note == "":
		f.out.WriteString("Nothing found.\n")
	}
	if f.note != "" {
		fmt.Fprintf(&f.out, "[%s]\n", f.note)
	}
	return f.out.String()
}
