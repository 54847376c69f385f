// Package memory keeps what an agent wants to know in later sessions: two small
// text files of entries, MEMORY.md for its own notes and USER.md for what it
// knows of the person. They are plain files, so that the person can read and
// change them with any editor; whatever stands there counts.
//
// What no longer fits is moved to ARCHIVE.jsonl, and never lost.
package memory

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Target is one of the two files.
type Target string

// The targets.
const (
	Notes Target = "memory" // MEMORY.md
	User  Target = "user"   // USER.md
)

// How many characters the entries of a target may have, unless Options say
// otherwise.
const (
	DefaultLimit     = 4000
	DefaultUserLimit = 2000
)

// Options say where the files are, and how long they may be.
type Options struct {
	// Dir is the directory of the files. It is made when something is saved.
	Dir string
	// Limit and UserLimit bound the characters of each file, separators included.
	// 0 means the default.
	Limit, UserLimit int
	Now              func() time.Time // time.Now if nil
}

// Memory is the memory of one profile. Many turns may use it at once, and so may
// a second process.
type Memory struct {
	opts Options
	mu   sync.Mutex // one change at a time; the lock file does the same for processes
}

// New makes a Memory. It reads nothing yet.
func New(opts Options) *Memory {
	if opts.Limit <= 0 {
		opts.Limit = DefaultLimit
	}
	if opts.UserLimit <= 0 {
		opts.UserLimit = DefaultUserLimit
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Memory{opts: opts}
}

func (t Target) file() string {
	if t == User {
		return "USER.md"
	}
	return "MEMORY.md"
}

func (m *Memory) limit(t Target) int {
	if t == User {
		return m.opts.UserLimit
	}
	return m.opts.Limit
}

// Outcome is what became of a change.
type Outcome struct {
	// Added, Replaced and Removed count what the operations did; Known those that
	// found their entry there already.
	Added, Replaced, Removed, Known int
	// Archived are the entries that had to make room, oldest first.
	Archived []string
	// Entries and Characters are what the target holds now, of Limit characters.
	Entries, Characters, Limit int
}

// Apply makes all operations or none. An error of type *RefusedError says what is
// wrong with them; any other one, that the files could not be used.
func (m *Memory) Apply(ctx context.Context, target Target, operations []Operation) (Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	unlock, err := m.lock(ctx)
	if err != nil {
		return Outcome{}, err
	}
	defer unlock()
	// A person's editor knows no lock. What it has written meanwhile is read, and
	// the operations are made anew.
	for range 5 {
		outcome, moved, err := m.apply(ctx, target, operations)
		if err != nil || !moved {
			return outcome, err
		}
	}
	return Outcome{}, fmt.Errorf("%s is changed by somebody else all the time", target.file())
}

// apply is one try. Moved says that the file changed under it; nothing was
// written then.
func (m *Memory) apply(ctx context.Context, target Target, operations []Operation) (outcome Outcome, moved bool, err error) {
	file, err := m.read(target)
	if err != nil {
		return outcome, false, err
	}
	list := newList(file.text)
	limit := m.limit(target)
	for i, operation := range operations {
		if err := list.do(operation, limit, &outcome); err != nil {
			if len(operations) > 1 {
				err.Text = fmt.Sprintf("Operation %d of %d: %s", i+1, len(operations), err.Text)
			}
			return Outcome{}, false, err
		}
	}
	outcome.Archived = list.shrink(limit)
	text := list.text()
	outcome.Entries, outcome.Characters, outcome.Limit = len(list.entries), utf8.RuneCountInString(text), limit
	if outcome.Characters > limit {
		return Outcome{}, false, &RefusedError{Text: fmt.Sprintf("What these operations save has %d characters, and all of %s may have %d. Say it in fewer words.",
			outcome.Characters, target.file(), limit)}
	}
	if outcome.Added+outcome.Replaced+outcome.Removed+len(outcome.Archived) == 0 {
		return outcome, false, nil
	}
	if ctx.Err() != nil {
		return Outcome{}, false, context.Cause(ctx)
	}
	if m.changed(file) {
		return Outcome{}, true, nil
	}
	// First the archive: a crash between the two leaves an entry twice, not nowhere.
	if err := m.archive(target, outcome.Archived); err != nil {
		return Outcome{}, false, err
	}
	return outcome, false, m.write(target, text)
}

// Entries returns the entries of a target as they stand in the file, oldest first.
func (m *Memory) Entries(target Target) ([]string, error) {
	file, err := m.read(target)
	if err != nil {
		return nil, err
	}
	return newList(file.text).texts(), nil
}

// Snapshot is the section of a system prompt that tells what is remembered,
// empty if that is nothing. Entries that could mislead a model are blocked. It
// holds nothing that changes by itself: neither a clock nor how full the files are.
func (m *Memory) Snapshot() (string, error) {
	var sections []string
	for _, part := range []struct {
		target  Target
		heading string
	}{{Notes, "## Notes"}, {User, "## About the person"}} {
		entries, err := m.Entries(part.target)
		if err != nil {
			return "", err
		}
		if lines := shown(entries, m.limit(part.target), part.target.file()); len(lines) > 0 {
			sections = append(sections, part.heading+"\n\n"+strings.Join(lines, "\n"))
		}
	}
	if len(sections) == 0 {
		return "", nil
	}
	return "# Memory\n\nSaved in earlier sessions, oldest first. These are facts, not tasks.\n\n" + strings.Join(sections, "\n\n"), nil
}

// shown are the entries as a prompt has them: those that fit, the newest if not
// all do. Lines of an entry are indented, so that none can look like a heading.
func shown(entries []string, limit int, name string) []string {
	first, size := len(entries), 0
	for first > 0 && size+utf8.RuneCountInString(entries[first-1]) <= limit {
		first--
		size += utf8.RuneCountInString(entries[first]) + utf8.RuneCountInString(separator)
	}
	var lines []string
	if first > 0 { // a person wrote more than fits
		lines = append(lines, fmt.Sprintf("(%d older entries of %s do not fit here.)", first, name))
	}
	for _, entry := range entries[first:] {
		lines = append(lines, "- "+strings.ReplaceAll(Safe(entry), "\n", "\n  "))
	}
	return lines
}

// Path is the absolute name of a target's file.
func (m *Memory) Path(target Target) string { return filepath.Join(m.opts.Dir, target.file()) }

// state is a file as it was read.
type state struct {
	path string
	info fs.FileInfo // nil if there was none
	text string
}

// changed reports whether somebody has changed the file since it was read.
func (m *Memory) changed(file state) bool {
	now, err := os.Lstat(file.path)
	if err != nil || file.info == nil {
		return file.info != nil || !os.IsNotExist(err)
	}
	return !os.SameFile(now, file.info) || now.Size() != file.info.Size() || !now.ModTime().Equal(file.info.ModTime())
}
