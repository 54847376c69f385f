package configs

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// setEnv gives name the value in a .env file and returns the file and the line.
// Of a name that stands twice the last line counts, so that one is changed. All
// other bytes stay: comments, quotes, `export `, line endings.
func setEnv(data []byte, name, value string) ([]byte, int, error) {
	lines, err := editableEnv(data)
	if err != nil {
		return nil, 0, err
	}
	for i, line := range slices.Backward(lines) {
		if line.name != name {
			continue
		}
		if line.value == value {
			return data, i + 1, nil
		}
		text := writeEnvValue(value, line.quote)
		if line.valueStart == line.valueEnd && line.valueEnd < line.end && !isBlank(data[line.valueEnd]) {
			text += " " // NAME= # comment: the blanks before # were read as part of the =
		}
		return verifyEnv(splice(data, line.valueStart, line.valueEnd, text), name, value, i+1)
	}
	return addEnv(data, lines, name, value)
}

// addEnv writes a new line: below a commented example of the same name, else at
// the end.
func addEnv(data []byte, lines []envLine, name, value string) ([]byte, int, error) {
	example := regexp.MustCompile(`^[ \t]*#[ \t]*(?:export[ \t]+)?` + name + `[ \t]*=`)
	ending := lineEnding(data)
	text := name + "=" + writeEnvValue(value, 0) + ending
	for i, line := range lines {
		if line.comment && line.next > line.end && example.Match(data[line.start:line.end]) {
			return verifyEnv(splice(data, line.next, line.next, text), name, value, i+2)
		}
	}
	number := len(lines) + 1
	if len(data) > 0 && data[len(data)-1] != '\n' {
		text = ending + text
	}
	return verifyEnv(splice(data, len(data), len(data), text), name, value, number)
}

// unsetEnv takes away every line that sets name, since removing only the last
// would bring an earlier one into effect.
func unsetEnv(data []byte, name string) ([]byte, int, error) {
	lines, err := editableEnv(data)
	if err != nil {
		return nil, 0, err
	}
	var kept []byte
	first := 0
	for i, line := range lines {
		begin := line.start
		if i == 0 {
			begin = 0
		}
		if line.name == name {
			if first == 0 {
				first = i + 1
			}
			kept = append(kept, data[begin:line.start]...) // a byte order mark
			continue
		}
		kept = append(kept, data[begin:line.next]...)
	}
	if first == 0 {
		return nil, 0, errNotSet
	}
	return verifyEnv(kept, name, "", first)
}

// editableEnv splits a file into lines. Bad lines are no hindrance, they stay as
// they are; but what is no text is not touched.
func editableEnv(data []byte) ([]envLine, error) {
	lines, problems := parseEnv(data)
	for _, p := range problems {
		if p.Line == 0 || bytes.IndexByte(data, 0) >= 0 {
			return nil, &p
		}
	}
	return lines, nil
}

// barePattern holds what needs no quotes, also for a shell that reads the file.
var barePattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,~^-]+$`)
})

// writeEnvValue writes a value in the quotes that stand there already; without
// any, in none if it needs none, else in single ones. Values have one line.
func writeEnvValue(value string, quote byte) string {
	single := !strings.Contains(value, "'")
	switch {
	case quote == 0 && barePattern().MatchString(value):
		return value
	case quote != '"' && single:
		return "'" + value + "'"
	default:
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`").Replace(value) + `"`
	}
}

// verifyEnv reads an edited file again: it must say what was wanted.
func verifyEnv(data []byte, name, value string, number int) ([]byte, int, error) {
	lines, err := editableEnv(data)
	if err != nil {
		return nil, 0, err
	}
	got := ""
	for _, line := range lines {
		if line.name == name {
			got = line.value
		}
	}
	if got != value {
		return nil, 0, errors.New("the value cannot be written in this file; edit it by hand")
	}
	return data, number, nil
}

// splice returns data with the bytes from start to end replaced by text.
func splice(data []byte, start, end int, text string) []byte {
	result := make([]byte, 0, len(data)-(end-start)+len(text))
	result = append(result, data[:start]...)
	result = append(result, text...)
	return append(result, data[end:]...)
}

// lineEnding is what the file's first line ends with.
func lineEnding(data []byte) string {
	if i := bytes.IndexByte(data, '\n'); i > 0 && data[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
