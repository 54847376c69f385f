package skills

import (
	"fmt"
	"strings"
)

const (
	// maxIndex is how many bytes the index takes of a prompt, about 1,500 tokens.
	maxIndex = 6000
	// maxLine is how many characters of a description are in it.
	maxLine = 100
)

// Index is the section of a system prompt that names the skills, empty if there
// are none. When they do not all fit with their descriptions, the last ones have
// only their names, and when those do not fit either, the rest is counted.
func (l *Library) Index() (string, error) {
	all, err := l.List()
	if err != nil {
		return "", err
	}
	const heading = "# Skills\n\nEach says how a kind of task is done. When one fits, read it with skill_view before you begin.\n\n"
	var lines, names []string
	for _, skill := range all {
		if skill.Problem == "" {
			lines = append(lines, "- "+skill.Name+": "+Shorten(skill.Description, maxLine))
			names = append(names, skill.Name)
		}
	}
	if len(lines) == 0 {
		return "", nil
	}
	return heading + fit(lines, names, maxIndex-len(heading)), nil
}

// fit makes a text of at most so many bytes.
func fit(lines, names []string, room int) string {
	// rest is how much the names from the i-th on take.
	rest := make([]int, len(names)+1)
	for i := len(names) - 1; i >= 0; i-- {
		rest[i] = rest[i+1] + len(names[i]) + len(", ")
	}
	const also, more = "Also: ", ", and %d more: use skills_list"
	full, size := 0, 0
	for i, line := range lines {
		size += len(line) + 1
		need := size
		if i+1 < len(lines) {
			need += len(also) + rest[i+1]
		}
		if need <= room {
			full = i + 1
		}
	}
	if full == len(lines) {
		return strings.Join(lines, "\n")
	}
	size = len(also) + len(more) + 5
	for _, line := range lines[:full] {
		size += len(line) + 1
	}
	named := full
	for full == 0 && named < len(names) && size+len(names[named])+2 <= room {
		size += len(names[named]) + 2
		named++
	}
	if full > 0 {
		named = len(names)
	}
	text := also + strings.Join(names[full:named], ", ")
	if named < len(names) {
		text += fmt.Sprintf(more, len(names)-named)
	}
	return strings.Join(append(lines[:full:full], text+"."), "\n")
}

// Shorten returns the first characters of a text.
func Shorten(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return strings.TrimRight(string(runes[:most-1]), " ") + "…"
}
