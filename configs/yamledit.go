package configs

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// setYAML gives a row the value, which has been checked, in a config.yaml and
// returns the file and the line. It changes the one value in place, or adds the
// one line; then it reads the result again and makes sure that nothing else
// changed its meaning.
func setYAML(data []byte, row Key, value string) ([]byte, int, error) {
	doc, problem := newYAMLDoc(data)
	if problem != nil {
		return nil, 0, problem
	}
	wanted, err := row.parse(value)
	if err != nil {
		return nil, 0, err
	}
	edit := yamlEdit{doc: doc, row: row, wanted: wanted, value: value, eol: lineEnding(data)}
	for _, path := range row.paths() {
		if found, ok := doc.lookup(path...); ok {
			edit.path = path
			return edit.replace(found)
		}
	}
	return edit.insert()
}

// paths are the places of a row in config.yaml, the usual one first.
func (k Key) paths() [][]string {
	path := strings.Split(k.Key, ".")
	if k.Section() == "api_server" {
		return [][]string{path, append([]string{platforms}, path...)}
	}
	return [][]string{path}
}

// yamlEdit is one change of one row.
type yamlEdit struct {
	doc    *yamlDoc
	row    Key
	path   []string
	wanted any    // nil: the row is to be gone
	value  string // as the user wrote it
	eol    string
}

// replace writes the new value over the old one.
func (e *yamlEdit) replace(found entry) ([]byte, int, error) {
	if !isNull(found.value) {
		if old, _, err := e.row.parseNode(found.value); err == nil && reflect.DeepEqual(old, e.wanted) {
			return e.doc.data, found.key.Line, nil
		}
	}
	if found.value.Kind == yaml.SequenceNode && found.value.Style&yaml.FlowStyle == 0 && e.row.Kind.list() {
		return e.replaceItems(found)
	}
	if found.value.Kind == yaml.MappingNode && len(found.value.Content) > 0 {
		return nil, 0, e.byHand(found.key.Line)
	}
	start, end, err := e.doc.span(found)
	if err != nil {
		return nil, 0, e.byHand(found.key.Line)
	}
	if old := e.doc.data[start:end]; bytes.ContainsRune(old, '\n') && bytes.ContainsRune(old, '#') {
		return nil, 0, e.byHand(found.key.Line) // a comment inside the brackets would be lost
	}
	text := e.render(found.value.Style)
	if start == end {
		text = " " + text
	}
	return e.finish(splice(e.doc.data, start, end, text), found.key.Line)
}

// byHand is the error for a place that is written in too unusual a way.
func (e *yamlEdit) byHand(line int) error {
	return &Problem{Line: line, Key: e.row.Key, Text: errByHand.Error()}
}

// render writes the new value: numbers and truth values bare, texts in the
// quotes that stand there already, lists in brackets.
func (e *yamlEdit) render(style yaml.Style) string {
	switch value := e.wanted.(type) {
	case bool:
		return strconv.FormatBool(value)
	case int64:
		if e.row.Kind == Size {
			return strings.ReplaceAll(e.value, " ", "")
		}
		return strconv.FormatInt(value, 10)
	case []string:
		items := make([]string, len(value))
		for i, item := range value {
			items[i] = yamlText(item, 0)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case string:
		return yamlText(value, style)
	default:
		return e.value
	}
}

// yamlText writes a text, bare only if every YAML parser reads it back as the
// same text.
func yamlText(text string, style yaml.Style) string {
	switch {
	case style&yaml.SingleQuotedStyle != 0:
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	case style&yaml.DoubleQuotedStyle == 0 && plainText(text):
		return text
	default:
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
	}
}

func plainText(text string) bool {
	_, isURL := cutScheme(text)
	for i, r := range text {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '/':
		case i > 0 && strings.ContainsRune("._+-", r):
		case isURL && strings.ContainsRune(":%~", r):
		default:
			return false
		}
	}
	if text == "" || strings.HasSuffix(text, ":") {
		return false
	}
	switch strings.ToLower(text) {
	case "y", "n", "yes", "no", "on", "off": // truth values to YAML 1.1
		return false
	}
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(text), &node); err != nil || len(node.Content) != 1 {
		return false
	}
	return node.Content[0].Kind == yaml.ScalarNode && node.Content[0].ShortTag() == "!!str" && node.Content[0].Value == text
}

func cutScheme(text string) (string, bool) {
	for _, scheme := range []string{"http://", "https://"} {
		if rest, found := strings.CutPrefix(text, scheme); found {
			return rest, true
		}
	}
	return text, false
}

// finish makes sure that an edited file means what the old one meant, but for
// the one row.
func (e *yamlEdit) finish(data []byte, line int) ([]byte, int, error) {
	if err := e.verify(data); err != nil {
		return nil, 0, err
	}
	return data, line, nil
}

func (e *yamlEdit) verify(data []byte) error {
	after, problem := newYAMLDoc(data)
	if problem != nil {
		return e.byHand(0)
	}
	skip := map[string]bool{}
	for _, path := range e.row.paths() {
		if e.wanted == nil || slices.Equal(path, e.path) {
			skip[strings.Join(path, ".")] = true
		}
	}
	if !reflect.DeepEqual(flatten(e.doc.root, "", skip), flatten(after.root, "", skip)) {
		return e.byHand(0)
	}
	found, set := after.lookup(e.path...)
	if e.wanted == nil {
		if set {
			return e.byHand(found.key.Line)
		}
		return nil
	}
	if !set {
		return e.byHand(0)
	}
	if value, _, err := e.row.parseNode(found.value); err != nil || !reflect.DeepEqual(value, e.wanted) {
		return e.byHand(found.key.Line)
	}
	return nil
}

// flatten lists every value of a tree as "path tag value", in order, without
// what stands at the places to skip. Sections that are empty count as not there.
func flatten(node *yaml.Node, place string, skip map[string]bool) []string {
	if node == nil || skip[place] || isNull(node) && place != "" {
		return nil
	}
	if node.Kind == yaml.ScalarNode {
		return []string{fmt.Sprintf("%s %s %q", place, node.ShortTag(), node.Value)}
	}
	var list []string
	for i, content := range node.Content {
		switch {
		case node.Kind == yaml.SequenceNode:
			list = append(list, flatten(content, place+"["+strconv.Itoa(i)+"]", skip)...)
		case i%2 == 1:
			list = append(list, flatten(content, join(place, node.Content[i-1].Value), skip)...)
		}
	}
	return list
}
