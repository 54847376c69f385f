package tools

import (
	"fmt"
	"slices"
	"strings"
)

// replacement is what is to be done to a text.
type replacement struct {
	edits []edit
	how   string // the name of the strategy that found the places
	done  string // instead of edits: why there is nothing to do
}

// findReplacement finds where old is in content, exactly or nearly. The problem is
// a sentence for the model.
func findReplacement(content, old, with string, all bool) (r replacement, problem string) {
	switch old {
	case "":
		return r, "old_string is empty. Give the text to replace, or use write_file for a whole file."
	case with:
		return r, "old_string and new_string are the same; there is nothing to change."
	}
	text := splitLines(content)
	for _, s := range strategies() {
		if s.similar {
			if all {
				continue
			}
			// What resembles the old text may be the new one.
			if i := strings.Index(content, with); i >= 0 && len(strings.TrimSpace(with)) >= 4 {
				r.done = fmt.Sprintf("old_string is not there, and new_string is there already, at line %d", text.at(i)+1)
				return r, ""
			}
		}
		edits := s.find(content, old, with)
		switch {
		case len(edits) == 0:
			continue
		case len(edits) > 1 && !all:
			return r, fmt.Sprintf("old_string is there %d times:\n%sGive more lines around it, or set replace_all.", len(edits), text.snippets(starts(edits)))
		}
		edits = slices.DeleteFunc(edits, func(e edit) bool { return content[e.start:e.end] == e.text })
		if len(edits) == 0 {
			r.done = "the file has this text already"
		}
		r.edits, r.how = edits, s.name
		return r, ""
	}
	problem = "old_string is not there."
	var offsets []int
	for _, i := range resembling(text, old) {
		offsets = append(offsets, text.start[i])
	}
	if offsets != nil {
		problem += " These lines resemble its first one:\n" + strings.TrimRight(text.snippets(offsets), "\n")
	}
	return r, problem + "\nRead the file again and copy the text as it is."
}

// starts are the offsets at which edits begin.
func starts(edits []edit) []int {
	offsets := make([]int, len(edits))
	for i, e := range edits {
		offsets[i] = e.start
	}
	return offsets
}

// snippets shows the lines at some offsets, five at most.
func (l lines) snippets(offsets []int) string {
	var out strings.Builder
	for _, offset := range offsets[:min(len(offsets), 5)] {
		i := l.at(offset)
		line := strings.ToValidUTF8(strings.TrimSpace(l.line(i)), "\ufffd")
		if short := firstOf(line, 100); short != line {
			line = short + "…"
		}
		fmt.Fprintf(&out, "L%d: %s\n", i+1, line)
	}
	if len(offsets) > 5 {
		fmt.Fprintf(&out, "… and %d more\n", len(offsets)-5)
	}
	return out.String()
}

// applyEdits returns content with the edits, which are in order and do not
// overlap.
func applyEdits(content string, edits []edit) string {
	var out strings.Builder
	at := 0
	for _, e := range edits {
		out.WriteString(content[at:e.start])
		out.WriteString(e.text)
		at = e.end
	}
	out.WriteString(content[at:])
	return out.String()
}
