package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// parseYAML reads a config.yaml into nodes. A file that has no settings gives a
// nil node. What YAML allows and nobody needs here (several documents, anchors,
// tags, keys that stand twice) is refused, which also ends the known bombs. No
// problem quotes a value.
func parseYAML(data []byte) (*yaml.Node, *Problem) {
	if problem := checkText(data); problem != nil {
		return nil, problem
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, yamlProblem(data, err)
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, &Problem{Line: second.Line, Text: "a second document begins here; keep one and take the --- away"}
	case !errors.Is(err, io.EOF):
		return nil, yamlProblem(data, err)
	}
	if len(document.Content) == 0 {
		return nil, nil
	}
	root := document.Content[0]
	if isNull(root) {
		return nil, nil
	}
	if problem := checkNode(root); problem != nil {
		return nil, problem
	}
	if root.Kind != yaml.MappingNode {
		return nil, &Problem{Line: root.Line, Text: "the file is no list of settings; write sections like `model:` with `key: value` lines below"}
	}
	return root, nil
}

// checkText finds what is wrong with the bytes before YAML is asked.
func checkText(data []byte) *Problem {
	if len(data) > maxFile {
		return &Problem{Text: fmt.Sprintf("the file is larger than %d bytes", maxFile)}
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return &Problem{Line: 1, Text: "the file is UTF-16; save it as UTF-8"}
	}
	line := 1
	text := data
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == '\n':
			line++
		case r == 0:
			return &Problem{Line: line, Text: "the line has a NUL byte; is this a text file?"}
		case r == utf8.RuneError && size == 1:
			return &Problem{Line: line, Text: "the line is not UTF-8 text"}
		case r < ' ' && r != '\t' && r != '\r', r == 0x7f, r >= 0x80 && r < 0xa0 && r != 0x85:
			return &Problem{Line: line, Text: "the line has a control character; take it away"}
		}
		text = text[size:]
	}
	return nil
}

var (
	yamlLinePattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`line (\d+)`)
	})
	tabPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?m)^[ ]*\t[ \t]*[^ \t\r\n#]`)
	})
)

// yamlProblem says in our words what the YAML parser says: its own may quote the
// file, and so a secret.
func yamlProblem(data []byte, err error) *Problem {
	problem := &Problem{Text: "the YAML cannot be read here; look for a missing colon, quote or bracket, or wrong indentation"}
	message := err.Error()
	if match := yamlLinePattern().FindStringSubmatch(message); match != nil {
		problem.Line, _ = strconv.Atoi(match[1])
	}
	if place := tabPattern().FindIndex(data); place != nil {
		problem.Line = 1 + bytes.Count(data[:place[0]], []byte("\n"))
		problem.Text = "the line is indented with a tab; YAML wants spaces"
		return problem
	}
	for _, known := range []struct{ says, text string }{
		{"mapping values are not allowed", "there is a colon where none may be; put the value into quotes, or begin a new line"},
		{"did not find expected key", "the line does not fit under the one above; look at its indentation and quotes"},
		{"could not find expected ':'", "the colon after a key is missing; write `key: value`"},
		{"cannot start any token", "a value begins with a character that has a meaning in YAML; put it into quotes"},
		{"unknown anchor", aliasText},
		{"anchor", aliasText},
		{"unexpected end of stream", "a quote or bracket is opened and never closed"},
		{"exceeded max depth", "brackets or sections are nested too deep"},
	} {
		if strings.Contains(message, known.says) {
			problem.Text = known.text
			break
		}
	}
	if problem.Line == 0 && problem.Text == aliasText {
		if before, _, found := bytes.Cut(data, []byte("*")); found {
			problem.Line = 1 + bytes.Count(before, []byte("\n"))
		}
	}
	return problem
}

const aliasText = "anchors and aliases (& and *) are not supported; write the value out, or put it into quotes"

// checkNode refuses what would make one thing stand in two places or mean
// something else than it says.
func checkNode(node *yaml.Node) *Problem {
	switch {
	case node.Kind == yaml.AliasNode || node.Anchor != "":
		return &Problem{Line: node.Line, Text: aliasText}
	case node.Style&yaml.TaggedStyle != 0:
		return &Problem{Line: node.Line, Text: "tags (!) are not supported; write the plain value"}
	}
	seen := map[string]int{}
	for i, child := range node.Content {
		if problem := checkNode(child); problem != nil {
			return problem
		}
		if node.Kind != yaml.MappingNode || i%2 == 1 {
			continue
		}
		if child.Kind != yaml.ScalarNode {
			return &Problem{Line: child.Line, Text: "a key must be a plain word"}
		}
		if child.ShortTag() == "!!merge" {
			return &Problem{Line: child.Line, Text: aliasText}
		}
		if line, found := seen[child.Value]; found {
			return &Problem{
				Line: child.Line,
				Text: fmt.Sprintf("the key %s stands twice, here and in line %d; keep one", quote(child.Value), line),
			}
		}
		seen[child.Value] = child.Line
	}
	return nil
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" }

// parseNode makes a value of what config.yaml says for k, and writes it as a
// user would. A number where text belongs is refused: YAML would have read 007
// as 7 and 1e3 as 1000.
func (k Key) parseNode(node *yaml.Node) (value any, text string, err error) {
	if k.Kind == Models {
		models, err := parseModels(node)
		return models, fmt.Sprintf("%d models", len(models)), err
	}
	if node.Kind == yaml.SequenceNode && k.Kind.list() {
		return k.parseSequence(node)
	}
	if node.Kind != yaml.ScalarNode {
		want := "one value"
		if k.Kind.list() {
			want = "a list like [a, b]"
		}
		return nil, "", fmt.Errorf("this is %s; write %s", nodeName(node), want)
	}
	if tag := node.ShortTag(); k.wantsText() && tag != "!!str" {
		return nil, "", fmt.Errorf("this is %s to YAML; put the value into quotes", tagName(tag))
	}
	value, err = k.parse(node.Value)
	if items, ok := value.([]string); ok {
		return value, strings.Join(items, ","), err
	}
	return value, node.Value, err
}

func (k Key) parseSequence(node *yaml.Node) (any, string, error) {
	items := []string{}
	for _, item := range node.Content {
		if item.Kind != yaml.ScalarNode || item.ShortTag() != "!!str" && (k.wantsText() || item.ShortTag() != "!!int") {
			return nil, "", fmt.Errorf("an entry is %s; write each as a word in quotes", nodeName(item))
		}
		if strings.Contains(item.Value, ",") {
			return nil, "", fmt.Errorf("the entry %s has a comma in it; write one entry for each", quote(item.Value))
		}
		items = append(items, item.Value)
	}
	text := strings.Join(items, ",")
	value, err := k.parse(text)
	return value, text, err
}

// wantsText reports whether the value is text to YAML too, and not a number or
// a truth value.
func (k Key) wantsText() bool {
	switch k.Kind {
	case Bool, Int, Port, Ports, Size, Duration:
		return false
	default:
		return true
	}
}

func nodeName(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a section"
	case yaml.SequenceNode:
		return "a list"
	default:
		return tagName(node.ShortTag())
	}
}

func tagName(tag string) string {
	switch tag {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "a truth value"
	case "!!timestamp":
		return "a date"
	case "!!null":
		return "nothing"
	default:
		return "text"
	}
}
