package configs

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// insert adds a row that the file does not have yet.
func (e *yamlEdit) insert() ([]byte, int, error) {
	paths := e.row.paths()
	slices.Reverse(paths) // an api_server below platforms goes on there, unless there is one at the usual place
	e.path = paths[len(paths)-1]
	for _, path := range paths {
		section, ok := e.doc.lookup(path[:len(path)-1]...)
		if !ok || section.value.Kind != yaml.MappingNode && !isNull(section.value) {
			continue
		}
		if _, usual := e.doc.lookup(paths[len(paths)-1][0]); usual && len(path) > 2 {
			continue
		}
		e.path = path
		return e.insertIn(section)
	}
	return e.insertSection()
}

// insertIn adds the row to a section that is there.
func (e *yamlEdit) insertIn(section entry) ([]byte, int, error) {
	flow := section.value.Kind == yaml.MappingNode && section.value.Style&yaml.FlowStyle != 0
	if flow {
		return e.insertFlow(section.value, e.row.Leaf()+": "+e.render(0), section.key.Line)
	}
	if isNull(section.value) && section.value.Value != "" {
		return nil, 0, e.byHand(section.key.Line) // section: null
	}
	indent := e.childIndent(section)
	text := indent + e.row.Leaf() + ": " + e.render(0) + e.eol
	for _, line := range e.insertLines(section) {
		at, before := e.lineStart(line)
		data := splice(e.doc.data, at, at, before+text)
		if e.verify(data) == nil {
			return data, line + 1, nil
		}
	}
	return nil, 0, e.byHand(section.key.Line)
}

// lineStart is where the line with index i begins, or would begin, and the line
// ending that is missing before it.
func (e *yamlEdit) lineStart(i int) (offset int, before string) {
	if i < len(e.doc.starts) {
		return e.doc.starts[i], ""
	}
	data := e.doc.data
	if len(data) > 0 && data[len(data)-1] != '\n' {
		return len(data), e.eol
	}
	return len(data), ""
}

var leadingBlanks = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[ \t]*`)
})

// childIndent is the indentation of a section's lines: that of the first one,
// of the first example that is commented out, or two more than the section's.
func (e *yamlEdit) childIndent(section entry) string {
	if section.value.Kind == yaml.MappingNode && len(section.value.Content) > 0 {
		return strings.Repeat(" ", section.value.Content[0].Column-1)
	}
	own := section.key.Column - 1
	for i := section.key.Line; i < e.sectionEnd(section); i++ {
		line := e.doc.line(i)
		indent := leadingBlanks().FindString(line)
		if len(indent) > own && strings.HasPrefix(line[len(indent):], "#") && !strings.Contains(indent, "\t") {
			return indent
		}
	}
	return strings.Repeat(" ", own+2)
}

// sectionEnd is the index of the line behind a section: the first that belongs
// to something else. Blank lines and comments at its end are not counted unless
// they are indented like it.
func (e *yamlEdit) sectionEnd(section entry) int {
	own := section.key.Column - 1
	end := section.key.Line
	for i := section.key.Line; i < len(e.doc.starts); i++ {
		line := e.doc.line(i)
		indent := len(leadingBlanks().FindString(line))
		switch {
		case indent == len(line):
			continue
		case indent > own:
			end = i + 1
		case line[indent] != '#':
			return end
		}
	}
	return end
}

// insertLines are the lines before which the row may go, the best first: below
// its commented example, below the section's last value, at the section's end,
// below its first line.
func (e *yamlEdit) insertLines(section entry) []int {
	example := regexp.MustCompile(`^[ \t]*#[ \t]*` + regexp.QuoteMeta(e.row.Leaf()) + `[ \t]*:`)
	end := e.sectionEnd(section)
	var lines []int
	for i := section.key.Line; i < end; i++ {
		if example.MatchString(e.doc.line(i)) {
			lines = append(lines, i+1)
			break
		}
	}
	if section.value.Kind == yaml.MappingNode {
		if last, err := e.doc.end(section.value); err == nil {
			lines = append(lines, e.doc.lineOf(last)+1)
		}
		lines = append(lines, end)
	}
	return append(lines, section.key.Line)
}

// insertFlow adds an entry to a mapping in braces, before the closing one.
func (e *yamlEdit) insertFlow(mapping *yaml.Node, text string, line int) ([]byte, int, error) {
	count := len(mapping.Content)
	if count == 0 {
		start, err := e.doc.offset(mapping)
		if err != nil {
			return nil, 0, e.byHand(line)
		}
		return e.finish(splice(e.doc.data, start+1, start+1, text), line)
	}
	_, end, err := e.doc.span(entry{mapping.Content[count-2], mapping.Content[count-1]})
	if err != nil {
		return nil, 0, e.byHand(line)
	}
	return e.finish(splice(e.doc.data, end, end, ", "+text), e.doc.lineOf(end)+1)
}

// insertSection adds the row with its section: below a section of that name that
// is commented out, else at the end of the file.
func (e *yamlEdit) insertSection() ([]byte, int, error) {
	if e.doc.root != nil && e.doc.root.Style&yaml.FlowStyle != 0 {
		text := e.row.Section() + ": {" + e.row.Leaf() + ": " + e.render(0) + "}"
		return e.insertFlow(e.doc.root, text, e.doc.root.Line)
	}
	text := e.row.Section() + ":" + e.eol + "  " + e.row.Leaf() + ": " + e.render(0) + e.eol
	for _, line := range e.sectionLines() {
		at, before := e.lineStart(line)
		number := line + 2
		if line > 0 && strings.TrimSpace(e.doc.line(line-1)) != "" {
			before += e.eol
			number++
		}
		after := ""
		if at < len(e.doc.data) && strings.TrimSpace(e.doc.line(line)) != "" {
			after = e.eol
		}
		data := splice(e.doc.data, at, at, before+text+after)
		if e.verify(data) == nil {
			return data, number, nil
		}
	}
	return nil, 0, e.byHand(0)
}

// sectionLines are the lines before which a new section may go, the best first.
func (e *yamlEdit) sectionLines() []int {
	example := regexp.MustCompile(`^#[ \t]*` + regexp.QuoteMeta(e.row.Section()) + `[ \t]*:`)
	count := len(e.doc.starts)
	if e.doc.starts[count-1] == len(e.doc.data) {
		count-- // what follows the last line ending is no line
	}
	var lines []int
	last := count
	for i := range count {
		line := e.doc.line(i)
		if strings.HasPrefix(line, "...") {
			last = min(last, i)
		}
		if len(lines) > 0 || !example.MatchString(line) {
			continue
		}
		below := i + 1
		for below < count && strings.HasPrefix(e.doc.line(below), "#") {
			below++
		}
		lines = append(lines, below)
	}
	return append(lines, last)
}
