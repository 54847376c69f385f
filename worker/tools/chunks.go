package tools

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// findChunks finds the places that the chunks of a patch change, from the top of
// the file to its end. Exact says that each line is as the patch has it.
func findChunks(path, content string, chunks []chunk) (edits []edit, exact bool, problem string) {
	text := splitLines(content)
	exact = true
	at := 0 // the line from which on the next chunk is looked for
	for i := range chunks {
		c := &chunks[i]
		header := false
		for _, wanted := range c.headers {
			line := findHeader(text, wanted, at)
			if line < 0 {
				return nil, false, fmt.Sprintf("%s has no line %q after line %d, where the patch has it behind @@.", path, echo(wanted), at)
			}
			at, header = line+1, true
		}
		place, problem := c.find(path, text, at, header)
		if problem != "" {
			return nil, false, problem
		}
		exact = exact && place.exact
		edits = append(edits, c.edit(text, place))
		at = place.line + place.count
	}
	return edits, exact, ""
}

// findHeader returns the first line from at on that is, or else holds, the text of
// an @@ line, or -1.
func findHeader(text lines, wanted string, at int) int {
	for _, same := range []func(line string) bool{
		func(line string) bool { return strings.TrimSpace(line) == wanted },
		func(line string) bool { return strings.Contains(line, wanted) },
	} {
		for i := at; i < text.count(); i++ {
			if same(text.line(i)) {
				return i
			}
		}
	}
	return -1
}

// chunkPlace is where a chunk applies: count lines from line on.
type chunkPlace struct {
	line, count int
	exact       bool
}

// old returns the lines that the chunk expects in the file.
func (c *chunk) old() []string {
	var old []string
	for _, line := range c.lines {
		if line.kind != '+' {
			old = append(old, line.text)
		}
	}
	return old
}

// find finds the place of the chunk from line at on.
func (c *chunk) find(path string, text lines, at int, header bool) (place chunkPlace, problem string) {
	old := c.old()
	if len(old) == 0 { // lines that only come: behind the header, or at the end
		if header {
			return chunkPlace{line: at, exact: true}, ""
		}
		return chunkPlace{line: text.count(), exact: true}, ""
	}
	for {
		place, found, problem := c.match(path, text, old, at, header)
		if found || problem != "" {
			return place, problem
		}
		// Models add a blank line at the end that is not in the file.
		last := len(c.lines) - 1
		if len(old) == 1 || c.lines[last] != (chunkLine{' ', ""}) {
			break
		}
		c.lines = c.lines[:last]
		old = old[:len(old)-1]
	}
	problem = fmt.Sprintf("%s does not hold these lines of the patch after line %d:\n%s", path, at, echo(strings.Join(old, "\n")))
	var offsets []int
	for _, i := range resembling(text, strings.Join(old, "\n")) {
		offsets = append(offsets, text.start[i])
	}
	if offsets != nil {
		problem += "\nThese lines resemble the first one:\n" + strings.TrimRight(text.snippets(offsets), "\n")
	}
	return place, problem + "\nRead the file again and make the patch anew."
}

// match looks for the old lines: as they are, then with less care for white space
// and typography.
func (c *chunk) match(path string, text lines, old []string, at int, header bool) (place chunkPlace, found bool, problem string) {
	rest := text.slice(at, text.count())
	for i, key := range []func(string) string{
		asIs,
		func(line string) string { return strings.TrimRightFunc(line, unicode.IsSpace) },
		strings.TrimSpace,
		func(line string) string { plain, _ := plainText(strings.TrimSpace(line)); return plain },
	} {
		wanted := make([]string, len(old))
		for j, line := range old {
			wanted[j] = key(line)
		}
		hits := windows(rest.all(key), wanted)
		hits = slices.DeleteFunc(hits, func(hit int) bool {
			return !sameStructure(old, rest.slice(hit, hit+len(old)).all(asIs))
		})
		if c.atEnd && len(hits) > 1 && hits[len(hits)-1]+len(old) == rest.count() {
			hits = hits[len(hits)-1:]
		}
		if len(hits) == 0 {
			continue
		}
		if len(hits) > 1 && !header {
			offsets := make([]int, len(hits))
			for j, hit := range hits {
				offsets[j] = rest.start[hit]
			}
			return place, false, fmt.Sprintf("%s holds these lines of the patch %d times:\n%sGive more lines around them, or the line before them behind @@.",
				path, len(hits), text.snippets(offsets))
		}
		return chunkPlace{at + hits[0], len(old), i == 0}, true, ""
	}
	return place, false, ""
}

// edit makes the edit of the chunk at its place. Lines that stay are left as the
// file has them.
func (c *chunk) edit(text lines, place chunkPlace) edit {
	found := text.slice(place.line, place.line+place.count).all(asIs)
	old := c.old()
	var out []string
	next := 0
	for _, line := range c.lines {
		switch line.kind {
		case ' ':
			out = append(out, found[next])
			next++
		case '-':
			next++
		default:
			out = append(out, reindent(line.text, old, found))
		}
	}
	start, end := min(text.start[place.line], len(text.text)), min(text.start[place.line+place.count], len(text.text))
	e := edit{start: start, end: end, text: strings.Join(out, "\n")}
	if len(out) == 0 {
		return e
	}
	switch {
	case place.count == 0 && start > 0 && text.text[start-1] != '\n':
		e.text = "\n" + e.text // behind a last line without an end
	case place.count == 0, strings.HasSuffix(text.text[start:end], "\n"):
		e.text += "\n"
	}
	return e
}
