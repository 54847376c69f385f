package configs

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// errByHand says that a place is written in a way that an edit cannot keep.
var errByHand = errors.New("the place is written in a way that cannot be changed automatically; edit it by hand with `hermes config edit`")

// yamlDoc is a config.yaml as bytes and as nodes, with the way from one to the
// other.
type yamlDoc struct {
	data   []byte
	root   *yaml.Node // nil when there are no settings
	starts []int      // offset of each line
}

func newYAMLDoc(data []byte) (*yamlDoc, *Problem) {
	root, problem := parseYAML(data)
	if problem != nil {
		return nil, problem
	}
	return &yamlDoc{data: data, root: root, starts: lineStarts(data)}, nil
}

// lineStarts finds the lines as YAML counts them: it also breaks lines at a
// lone carriage return, NEL, LS and PS.
func lineStarts(data []byte) []int {
	starts := []int{0}
	if bytes.HasPrefix(data, []byte(byteOrderMark)) {
		starts[0] = len(byteOrderMark) // columns are counted from behind it
	}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		i += size
		switch r {
		case '\r':
			if i < len(data) && data[i] == '\n' {
				i++
			}
		case '\n', 0x85, 0x2028, 0x2029:
		default:
			continue
		}
		starts = append(starts, i)
	}
	return starts
}

// offset is where a node begins, in bytes.
func (d *yamlDoc) offset(node *yaml.Node) (int, error) {
	if node.Line < 1 || node.Line > len(d.starts) {
		return 0, errByHand
	}
	at := d.starts[node.Line-1]
	for range node.Column - 1 {
		if at >= len(d.data) {
			return 0, errByHand
		}
		_, size := utf8.DecodeRune(d.data[at:])
		at += size
	}
	return at, nil
}

// lineOf is the index of the line that holds an offset.
func (d *yamlDoc) lineOf(offset int) int {
	line := 0
	for line+1 < len(d.starts) && d.starts[line+1] <= offset {
		line++
	}
	return line
}

// line returns a line without its ending.
func (d *yamlDoc) line(i int) string {
	return strings.TrimRight(string(d.data[d.starts[i]:d.lineEnd(i)]), "\r\n\u0085\u2028\u2029")
}

// lineEnd is where the line after i begins.
func (d *yamlDoc) lineEnd(i int) int {
	if i+1 < len(d.starts) {
		return d.starts[i+1]
	}
	return len(d.data)
}

// entry is a key and its value in a mapping.
type entry struct{ key, value *yaml.Node }

// lookup finds the entry at a path of keys, or reports false.
func (d *yamlDoc) lookup(path ...string) (entry, bool) {
	node := d.root
	var found entry
	for _, name := range path {
		var ok bool
		if found, ok = child(node, name); !ok {
			return entry{}, false
		}
		node = found.value
	}
	return found, len(path) > 0
}

func child(node *yaml.Node, name string) (entry, bool) {
	if node == nil || node.Kind != yaml.MappingNode {
		return entry{}, false
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return entry{node.Content[i], node.Content[i+1]}, true
		}
	}
	return entry{}, false
}

// span is where an entry's value is written. A value that is not written at all
// is an empty span right after the colon.
func (d *yamlDoc) span(e entry) (start, end int, err error) {
	if isNull(e.value) && e.value.Value == "" {
		at, err := d.end(e.key)
		if err != nil {
			return 0, 0, err
		}
		colon := at
		for colon < len(d.data) && isBlank(d.data[colon]) {
			colon++
		}
		if colon < len(d.data) && d.data[colon] == ':' {
			return colon + 1, colon + 1, nil
		}
		return at, at, nil
	}
	if start, err = d.offset(e.value); err != nil {
		return 0, 0, err
	}
	end, err = d.end(e.value)
	return start, end, err
}

// end is where a written node ends.
func (d *yamlDoc) end(node *yaml.Node) (int, error) {
	start, err := d.offset(node)
	if err != nil {
		return 0, err
	}
	if node.Kind == yaml.ScalarNode {
		return d.scalarEnd(node, start)
	}
	last := start + 1
	switch count := len(node.Content); {
	case count > 0 && node.Kind == yaml.MappingNode:
		_, last, err = d.span(entry{node.Content[count-2], node.Content[count-1]})
	case count > 0:
		last, err = d.end(node.Content[count-1])
	}
	if err != nil || node.Style&yaml.FlowStyle == 0 {
		return last, err
	}
	return d.bracketEnd(last)
}

func (d *yamlDoc) scalarEnd(node *yaml.Node, start int) (int, error) {
	rest := d.data[start:]
	switch {
	case node.Style&yaml.DoubleQuotedStyle != 0:
		for i := 1; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
			case '"':
				return start + i + 1, nil
			}
		}
	case node.Style&yaml.SingleQuotedStyle != 0:
		for i := 1; i < len(rest); i++ {
			if rest[i] != '\'' {
				continue
			}
			if i+1 < len(rest) && rest[i+1] == '\'' {
				i++
				continue
			}
			return start + i + 1, nil
		}
	case node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 && bytes.HasPrefix(rest, []byte(node.Value)):
		return start + len(node.Value), nil
	}
	return 0, errByHand // a text over several lines
}

// bracketEnd is the place behind the bracket that closes a flow list or mapping
// whose last entry ends at offset at.
func (d *yamlDoc) bracketEnd(at int) (int, error) {
	for ; at < len(d.data); at++ {
		switch c := d.data[at]; c {
		case ']', '}':
			return at + 1, nil
		case ' ', '\t', '\r', '\n', ',':
		case '#':
			at = d.lineEnd(d.lineOf(at)) - 1
		default:
			return 0, errByHand
		}
	}
	return 0, errByHand
}
