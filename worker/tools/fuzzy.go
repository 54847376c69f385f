package tools

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// edit puts text in the place of content[start:end].
type edit struct {
	start, end int
	text       string
}

// strategy is one way of finding a text that a model has copied not quite right.
type strategy struct {
	name string
	// similar strategies guess. They never replace more than one place.
	similar bool
	// find returns the edits that put replacement in the place of old, in the
	// order of the content and without overlaps.
	find func(content, old, replacement string) []edit
}

// strategies are all of them, the strictest first. The first one that finds
// anything decides.
func strategies() []strategy {
	return []strategy{
		{name: "exact", find: findExact},
		{name: "line-trimmed", find: byLines(func(line string) string { return strings.TrimRightFunc(line, unicode.IsSpace) })},
		{name: "whitespace-normalised", find: byLines(normaliseSpace)},
		{name: "indentation-flexible", find: byLines(strings.TrimSpace)},
		{name: "escape-normalised", find: findUnescaped},
		{name: "trimmed-boundary", find: findTrimmed},
		{name: "unicode-normalised", find: findPlain},
		{name: "block-anchor", similar: true, find: findBlock},
	}
}

// findExact finds old as it is.
func findExact(content, old, replacement string) []edit {
	var edits []edit
	for at := 0; ; {
		i := strings.Index(content[at:], old)
		if i < 0 || old == "" {
			return edits
		}
		edits = append(edits, edit{at + i, at + i + len(old), replacement})
		at += i + len(old)
	}
}

// normaliseSpace makes one space of each run of spaces and tabs, but for the
// indentation.
func normaliseSpace(line string) string {
	text := strings.TrimLeft(line, " \t")
	return line[:len(line)-len(text)] + strings.Join(strings.Fields(text), " ")
}

// lines is a text with its lines.
type lines struct {
	text  string
	start []int // of each line, and one past the last
}

func splitLines(text string) lines {
	l := lines{text: text, start: []int{0}}
	for i := range len(text) {
		if text[i] == '\n' {
			l.start = append(l.start, i+1)
		}
	}
	if last := l.start[len(l.start)-1]; last < len(text) {
		l.start = append(l.start, len(text)+1) // as if it had a line end
	}
	return l
}

func (l lines) count() int { return len(l.start) - 1 }

// line returns line i without its end.
func (l lines) line(i int) string { return l.text[l.start[i] : l.start[i+1]-1] }

// all returns the lines without their ends, as key makes them.
func (l lines) all(key func(string) string) []string {
	all := make([]string, l.count())
	for i := range all {
		all[i] = key(l.line(i))
	}
	return all
}

// at returns the number of the line, from 0, that holds the byte offset.
func (l lines) at(offset int) int {
	i, found := slices.BinarySearch(l.start, offset)
	if !found {
		i--
	}
	return min(i, max(l.count()-1, 0))
}

// slice returns the lines from i to j.
func (l lines) slice(i, j int) lines { return lines{l.text, l.start[i : j+1]} }

// edit makes an edit of the whole lines from i to j. What is put there gets the
// indentation that the file has where the model has written old, and the line end
// of the last line.
func (l lines) edit(i, j int, old, found []string, replacement string) edit {
	start, end := l.start[i], min(l.start[j], len(l.text))
	if replacement = reindent(replacement, old, found); replacement != "" {
		replacement = strings.TrimSuffix(replacement, "\n")
		if strings.HasSuffix(l.text[start:end], "\n") {
			replacement += "\n"
		}
	}
	return edit{start, end, replacement}
}

func asIs(line string) string { return line }

// byLines finds whole lines that are the same by key. Blank lines alone are
// nothing to go by.
func byLines(key func(string) string) func(content, old, replacement string) []edit {
	return func(content, old, replacement string) []edit {
		from, wanted := splitLines(content), splitLines(old)
		keys := wanted.all(key)
		if strings.TrimSpace(old) == "" {
			return nil
		}
		var edits []edit
		for _, i := range windows(from.all(key), keys) {
			old, found := wanted.all(asIs), from.slice(i, i+len(keys)).all(asIs)
			if sameStructure(old, found) {
				edits = append(edits, from.edit(i, i+len(keys), old, found, replacement))
			}
		}
		return edits
	}
}

// windows returns where wanted occurs in all, without overlaps (Knuth, Morris and
// Pratt: a file of equal lines must not take forever).
func windows(all, wanted []string) []int {
	if len(wanted) == 0 {
		return nil
	}
	border := make([]int, len(wanted)) // of each prefix, the longest that it ends with too
	for i, k := 1, 0; i < len(wanted); i++ {
		for k > 0 && wanted[i] != wanted[k] {
			k = border[k-1]
		}
		if wanted[i] == wanted[k] {
			k++
		}
		border[i] = k
	}
	var found []int
	for i, k := 0, 0; i < len(all); i++ {
		for k > 0 && all[i] != wanted[k] {
			k = border[k-1]
		}
		if all[i] == wanted[k] {
			k++
		}
		if k == len(wanted) {
			found = append(found, i+1-k)
			k = 0
		}
	}
	return found
}

// findUnescaped finds what a model has escaped once too often: \n for a line
// break, \" for a quote.
func findUnescaped(content, old, replacement string) []edit {
	plain := unescape(old)
	if plain == old {
		return nil
	}
	return findExact(content, plain, unescape(replacement))
}

func unescape(text string) string {
	return strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\t`, "\t", `\r`, "", `\"`, `"`, `\'`, `'`, "\\`", "`").Replace(text)
}

// findTrimmed finds old without the space around it, where it does not end
// within a word.
func findTrimmed(content, old, replacement string) []edit {
	core := strings.TrimSpace(old)
	if core == old || core == "" {
		return nil
	}
	edits := findExact(content, core, strings.TrimSpace(replacement))
	return slices.DeleteFunc(edits, func(e edit) bool {
		return joins(content[:e.start], core) || joins(core, content[e.end:])
	})
}

// joins reports whether a word goes on from a to b.
func joins(a, b string) bool {
	return a != "" && b != "" && wordByte(a[len(a)-1]) && wordByte(b[0])
}

func wordByte(b byte) bool {
	return b == '_' || b >= 0x80 || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

// findPlain finds old where only typographic characters differ: quotation marks,
// dashes, spaces.
func findPlain(content, old, replacement string) []edit {
	plain, offsets := plainText(content)
	wanted, _ := plainText(old)
	if plain == content && wanted == old {
		return nil
	}
	edits := findExact(plain, wanted, replacement)
	edits = slices.DeleteFunc(edits, func(e edit) bool {
		return offsets[e.start] < 0 || offsets[e.end] < 0 // within a character that became several
	})
	for i, e := range edits {
		edits[i].start, edits[i].end = offsets[e.start], offsets[e.end]
	}
	return edits
}

// plainText puts ASCII in the place of typographic characters. The offsets tell
// for each byte of the result where it began in text, or -1.
func plainText(text string) (plain string, offsets []int) {
	var out strings.Builder
	out.Grow(len(text))
	offsets = make([]int, 0, len(text)+1)
	for i := 0; i < len(text); {
		size, replacement := typographic(text[i:])
		if replacement == "" {
			replacement = text[i : i+size]
			for j := range size {
				offsets = append(offsets, i+j)
			}
		} else {
			offsets = append(offsets, i)
			for range len(replacement) - 1 {
				offsets = append(offsets, -1)
			}
		}
		out.WriteString(replacement)
		i += size
	}
	return out.String(), append(offsets, len(text))
}

// typographic returns the length of the first character, and its plain spelling
// if it has one.
func typographic(text string) (size int, plain string) {
	r, size := utf8.DecodeRuneInString(text)
	switch r {
	case '‘', '’', '‚', '‛', '′':
		plain = "'"
	case '“', '”', '„', '‟', '″', '«', '»':
		plain = `"`
	case '‐', '‑', '‒', '–', '—', '―', '−':
		plain = "-"
	case '…':
		plain = "..."
	case '\u00a0', '\u2002', '\u2003', '\u2009', '\u200a', '\u202f', '\u3000':
		plain = " "
	}
	return size, plain
}
