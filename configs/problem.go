package configs

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Problem is one finding about a setting: where it stands and, in one sentence,
// what is wrong and how to mend it. It never holds a secret.
type Problem struct { //nolint:errname // a finding first, an error second
	// File is the path of the file, "environment", "command line", or "" when the
	// finding is about several places.
	File string `json:"file"`
	// Line counts from 1; 0 is the file as a whole.
	Line int    `json:"line,omitempty"`
	Key  string `json:"key,omitempty"`
	Text string `json:"text"`
	// Err is why a file could not be read; nil for what is wrong in one.
	Err error `json:"-"`
}

// Unwrap returns Err.
func (p Problem) Unwrap() error { return p.Err }

// Error is "file:line: key: text", without the parts that are not known.
func (p Problem) Error() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			b.WriteString(":" + strconv.Itoa(p.Line))
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems is the error of Load, Set and Unset for settings that do not
// validate: all findings, one per line of its text.
type Problems struct{ List []Problem } //nolint:errname // reads as a sentence where it is asked for

// Error joins the findings, one per line.
func (p *Problems) Error() string {
	lines := make([]string, len(p.List))
	for i, problem := range p.List {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the findings, so that errors.Is finds why a file could not be
// read.
func (p *Problems) Unwrap() []error {
	all := make([]error, len(p.List))
	for i, problem := range p.List {
		all[i] = problem
	}
	return all
}

// InputError is the error of Set and Unset for a key or a value that cannot be
// taken, whatever the files say.
type InputError struct {
	Key  string
	Text string // what is wrong and how to mend it
}

// Error is "key: text".
func (e *InputError) Error() string { return e.Key + ": " + e.Text }

// problemsOrNil makes an error of findings, in the order of files and lines, each
// once. No findings are no error.
func problemsOrNil(list []Problem) error {
	if len(list) == 0 {
		return nil
	}
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return &Problems{slices.Compact(list)}
}
