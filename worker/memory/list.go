package memory

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// separator stands between two entries: a line of its own.
const separator = "\n§\n"

// Operation is one change of a list of entries.
type Operation struct {
	Action  string `json:"action"` // add, replace or remove
	Content string `json:"content"`
	// OldText is a part of the one entry that is meant.
	OldText string `json:"old_text"`
}

// RefusedError is an error that says, in sentences for a model, why operations cannot
// be made as they are.
type RefusedError struct{ Text string }

func (r *RefusedError) Error() string { return r.Text }

func refused(format string, args ...any) *RefusedError {
	return &RefusedError{fmt.Sprintf(format, args...)}
}

// entry is an entry of a list.
type entry struct {
	text  string
	fresh bool // an operation of this batch wrote it
}

// list is the entries of a target, oldest first.
type list struct{ entries []entry }

// newList reads the text of a file, as we or a person wrote it.
func newList(text string) *list {
	l := &list{}
	var current []string
	end := func() {
		if text := strings.TrimSpace(strings.Join(current, "\n")); text != "" {
			l.entries = append(l.entries, entry{text: text})
		}
		current = nil
	}
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
	for line := range strings.SplitSeq(text, "\n") {
		if strings.TrimSpace(line) == "§" {
			end()
		} else {
			current = append(current, line)
		}
	}
	end()
	return l
}

// text is what the file is to hold, without the last line end.
func (l *list) text() string { return strings.Join(l.texts(), separator) }

func (l *list) texts() []string {
	texts := make([]string, len(l.entries))
	for i, entry := range l.entries {
		texts[i] = entry.text
	}
	return texts
}

// do makes one operation.
func (l *list) do(operation Operation, limit int, outcome *Outcome) *RefusedError {
	content, problem := clean(operation.Content, limit)
	switch operation.Action {
	case "add":
		if problem != nil {
			return problem
		}
		if l.has(content) {
			outcome.Known++
			return nil
		}
		l.entries = append(l.entries, entry{content, true})
		outcome.Added++
	case "replace":
		if problem != nil {
			return problem
		}
		at, problem := l.find(operation.OldText)
		if problem != nil {
			return problem
		}
		if l.entries[at].text == content {
			outcome.Known++
			return nil
		}
		if l.has(content) { // two entries become one
			l.entries = slices.Delete(l.entries, at, at+1)
		} else {
			l.entries[at] = entry{content, true}
		}
		outcome.Replaced++
	case "remove":
		at, problem := l.find(operation.OldText)
		if problem != nil {
			return problem
		}
		l.entries = slices.Delete(l.entries, at, at+1)
		outcome.Removed++
	default:
		return refused("The action must be add, replace or remove.")
	}
	return nil
}

// clean makes an entry of what a model wants to save.
func clean(content string, limit int) (string, *RefusedError) {
	content = strings.TrimSpace(strings.ReplaceAll(strings.ToValidUTF8(content, "\ufffd"), "\r\n", "\n"))
	switch parts := newList(content).entries; {
	case content == "", len(parts) == 0:
		return "", refused("The argument content is missing: it is the entry to save.")
	case len(parts) > 1 || parts[0].text != content:
		return "", refused("A line that holds only § separates entries; it cannot be part of one. Add them one by one.")
	case utf8.RuneCountInString(content) > limit:
		return "", refused("The entry has %d characters, and all entries together may have %d. Save the gist of it.", utf8.RuneCountInString(content), limit)
	}
	if threat := threat(content); threat != "" {
		return "", refused("The entry was not saved: it %s. Say in plain words what is to be remembered.", threat)
	}
	return content, nil
}

// has reports whether there is the same entry, white space aside.
func (l *list) has(content string) bool {
	words := strings.Join(strings.Fields(content), " ")
	return slices.ContainsFunc(l.entries, func(e entry) bool { return strings.Join(strings.Fields(e.text), " ") == words })
}

// find returns the one entry that is, or else that holds, a text.
func (l *list) find(text string) (int, *RefusedError) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	if text == "" {
		return 0, refused("The argument old_text is missing: it is a part of the entry that is meant.")
	}
	if at := slices.IndexFunc(l.entries, func(e entry) bool { return e.text == text }); at >= 0 {
		return at, nil
	}
	var found []int
	for i, entry := range l.entries {
		if strings.Contains(entry.text, text) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return 0, refused("old_text is in %d entries; give more of the one that is meant:\n%s", len(found), l.previews(found))
	case len(l.entries) == 0:
		return 0, refused("old_text is in no entry: there are none.")
	default:
		all := make([]int, len(l.entries))
		for i := range all {
			all[i] = i
		}
		return 0, refused("old_text is in no entry. The entries are:\n%s", l.previews(all))
	}
}

// previews shows the beginnings of entries, twenty at most.
func (l *list) previews(which []int) string {
	const most, runes = 20, 120
	var lines []string
	for _, i := range which[:min(len(which), most)] {
		lines = append(lines, "- "+preview(l.entries[i].text, runes))
	}
	if len(which) > most {
		lines = append(lines, fmt.Sprintf("… and %d more", len(which)-most))
	}
	return strings.Join(lines, "\n")
}

// preview is the beginning of an entry on one line.
func preview(text string, most int) string {
	line := []rune(strings.Join(strings.Fields(Safe(text)), " "))
	if len(line) > most {
		return string(line[:most-1]) + "…"
	}
	return string(line)
}

// shrink takes out the oldest entries until the rest fits, and returns them.
// What this batch wrote stays.
func (l *list) shrink(limit int) (gone []string) {
	size := utf8.RuneCountInString(l.text())
	l.entries = slices.DeleteFunc(l.entries, func(e entry) bool {
		if size <= limit || e.fresh {
			return false
		}
		size -= utf8.RuneCountInString(e.text) + utf8.RuneCountInString(separator)
		gone = append(gone, e.text)
		return true
	})
	return gone
}
