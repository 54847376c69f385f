package configs

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// unsetYAML takes a row out of a config.yaml, from everywhere it may stand, and
// returns the file and the first line that was taken out.
func unsetYAML(data []byte, row Key) ([]byte, int, error) {
	first := 0
	for _, path := range row.paths() {
		doc, problem := newYAMLDoc(data)
		if problem != nil {
			return nil, 0, problem
		}
		found, ok := doc.lookup(path...)
		if !ok {
			continue
		}
		parent := doc.root
		if section, nested := doc.lookup(path[:len(path)-1]...); nested {
			parent = section.value
		}
		edit := yamlEdit{doc: doc, row: row, path: path, eol: lineEnding(data)}
		result, err := edit.remove(parent, found)
		if err != nil {
			return nil, 0, err
		}
		if first == 0 {
			first = found.key.Line
		}
		data = result
	}
	if first == 0 {
		return nil, 0, errNotSet
	}
	return data, first, nil
}

func (e *yamlEdit) remove(parent *yaml.Node, found entry) ([]byte, error) {
	start, err := e.doc.offset(found.key)
	if err != nil {
		return nil, e.byHand(found.key.Line)
	}
	_, end, err := e.doc.span(found)
	if err != nil {
		return nil, e.byHand(found.key.Line)
	}
	data := e.doc.data
	if parent.Style&yaml.FlowStyle != 0 {
		start, end = flowCut(data, start, end)
	} else {
		first, last := e.doc.lineOf(start), e.doc.lineOf(max(start, end-1))
		if strings.TrimSpace(string(data[e.doc.starts[first]:start])) != "" {
			return nil, e.byHand(found.key.Line) // something else stands before it
		}
		start, end = e.doc.starts[first], e.doc.lineEnd(last)
	}
	result := splice(data, start, end, "")
	if err := e.verify(result); err != nil {
		return nil, err
	}
	return result, nil
}

// flowCut widens the span of an entry in braces by the comma that goes with it.
func flowCut(data []byte, start, end int) (from, to int) {
	next := end
	for next < len(data) && isBlank(data[next]) {
		next++
	}
	if next < len(data) && data[next] == ',' {
		next++
		for next < len(data) && isBlank(data[next]) {
			next++
		}
		return start, next
	}
	before := start
	for before > 0 && isBlank(data[before-1]) {
		before--
	}
	if before > 0 && data[before-1] == ',' {
		return before - 1, end
	}
	return start, end
}

// replaceItems changes a list that is written with a line for each entry. Lines
// of entries that stay are kept with the comments above them.
func (e *yamlEdit) replaceItems(found entry) ([]byte, int, error) {
	wanted, _ := e.wanted.([]string)
	items := found.value.Content
	type chunk struct {
		above, line string
		value       string
	}
	var chunks []chunk
	indent := strings.Repeat(" ", found.value.Column-1)
	top := found.key.Line // index of the line below the key
	for _, item := range items {
		line := item.Line - 1
		text := e.doc.line(line)
		if line < top || item.Kind != yaml.ScalarNode || !strings.HasPrefix(strings.TrimLeft(text, " "), "- ") {
			return nil, 0, e.byHand(item.Line)
		}
		if end, err := e.doc.end(item); err != nil || e.doc.lineOf(end) != line && end != e.doc.lineEnd(line) {
			return nil, 0, e.byHand(item.Line)
		}
		chunks = append(chunks, chunk{
			above: string(e.doc.data[e.doc.starts[top]:e.doc.starts[line]]),
			line:  string(e.doc.data[e.doc.starts[line]:e.doc.lineEnd(line)]),
			value: item.Value,
		})
		top = line + 1
	}
	var b strings.Builder
	kept := map[int]bool{}
	write := func(text string) {
		b.WriteString(text)
		if !strings.HasSuffix(text, "\n") {
			b.WriteString(e.eol)
		}
	}
	for _, value := range wanted {
		i := slices.IndexFunc(chunks, func(c chunk) bool { return c.value == value })
		if i < 0 || kept[i] {
			write(indent + "- " + yamlText(value, 0))
			continue
		}
		kept[i] = true
		b.WriteString(chunks[i].above)
		write(chunks[i].line)
	}
	for i, c := range chunks {
		if !kept[i] {
			b.WriteString(c.above) // the comment outlives its entry
		}
	}
	start, end := e.doc.starts[found.key.Line], e.doc.lineEnd(top-1)
	data := splice(e.doc.data, start, end, b.String())
	if len(wanted) == 0 {
		at, _, err := e.doc.span(entry{found.key, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}})
		if err != nil {
			return nil, 0, e.byHand(found.key.Line)
		}
		data = splice(data, at, at, " []")
	}
	return e.finish(data, found.key.Line)
}
