package configs

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// serverPrefix begins the names of the API server's own variables.
const serverPrefix = "API_SERVER_"

// maxFile is the largest .env or config.yaml that is read, in bytes.
const maxFile = mebibyte

// EnvEntry is one NAME=value line of a .env file.
type EnvEntry struct {
	Name  string
	Value Secret
	Line  int // from 1
}

// envLine is a line of a .env file and where its parts stand in the file's
// bytes.
type envLine struct {
	start, end int // the line, without its line ending
	next       int // where the next line begins
	name       string
	value      string
	// valueStart and valueEnd enclose the value as written, quotes included.
	valueStart, valueEnd int
	quote                byte // ' or " or 0
	comment              bool
}

var envLinePattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*`)
})

// ParseEnv reads a .env file: NAME=value lines, with an optional `export `,
// comments from # on, values bare, in single quotes (taken as they are) or in
// double quotes (\n, \t, \", \\, \$ are escapes). Nothing is expanded and no
// value spans lines. Of a name that stands twice the last line counts. The error
// is a *Problems without a file; the entries are those of the good lines.
func ParseEnv(data []byte) ([]EnvEntry, error) {
	lines, problems := parseEnv(data)
	var entries []EnvEntry
	for i, line := range lines {
		if line.name != "" {
			entries = append(entries, EnvEntry{line.name, NewSecret(line.value), i + 1})
		}
	}
	return entries, problemsOrNil(problems)
}

// parseEnv splits a .env file into lines. A bad line gives a problem that never
// quotes it, since it may hold a secret.
func parseEnv(data []byte) ([]envLine, []Problem) {
	if len(data) > maxFile {
		return nil, []Problem{{Text: fmt.Sprintf("the file is larger than %d bytes", maxFile)}}
	}
	var lines []envLine
	var problems []Problem
	for start := 0; start < len(data); {
		line := envLine{start: start, end: len(data), next: len(data)}
		if i := bytes.IndexByte(data[start:], '\n'); i >= 0 {
			line.end, line.next = start+i, start+i+1
		}
		if line.end > start && data[line.end-1] == '\r' {
			line.end--
		}
		if start == 0 && bytes.HasPrefix(data, []byte(byteOrderMark)) {
			line.start = len(byteOrderMark) // editors of Windows put it there
		}
		if err := line.parse(data); err != nil {
			problems = append(problems, Problem{Line: len(lines) + 1, Text: err.Error()})
			line.name = ""
		}
		lines = append(lines, line)
		start = line.next
	}
	return lines, problems
}

// byteOrderMark may begin a UTF-8 file; it is no part of the text.
const byteOrderMark = "\xef\xbb\xbf"

func (l *envLine) parse(data []byte) error {
	text := string(data[l.start:l.end])
	if strings.ContainsRune(text, 0) {
		return errors.New("the line has a NUL byte; is this a text file?")
	}
	if !utf8.ValidString(text) {
		return errors.New("the line is not UTF-8 text")
	}
	trimmed := strings.TrimSpace(text)
	if trimmed == "" {
		return nil
	}
	if trimmed[0] == '#' {
		l.comment = true
		return nil
	}
	match := envLinePattern().FindStringSubmatchIndex(text)
	if match == nil {
		return errors.New("the line is not of the form NAME=value; comments begin with #")
	}
	l.name = text[match[2]:match[3]]
	spaced := text[match[1]-1] != '='
	value, length, err := l.parseValue(text[match[1]:], spaced)
	if err != nil {
		return fmt.Errorf("%s: %w", l.name, err)
	}
	if strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' }) {
		return fmt.Errorf("%s: the value has a control character", l.name)
	}
	l.value = value
	l.valueStart = l.start + match[1]
	l.valueEnd = l.valueStart + length
	return nil
}

// parseValue reads the value at the beginning of rest and says how many bytes of
// it are the value as written. spaced says that a blank stands before rest, so
// that a # there begins a comment.
func (l *envLine) parseValue(rest string, spaced bool) (value string, length int, err error) {
	if rest == "" || (rest[0] != '\'' && rest[0] != '"') {
		end := len(rest)
		for i := range len(rest) {
			if rest[i] == '#' && (i == 0 && spaced || i > 0 && isBlank(rest[i-1])) {
				end = i
				break
			}
		}
		value = strings.TrimRight(rest[:end], " \t")
		return value, len(value), nil
	}
	l.quote = rest[0]
	var b strings.Builder
	i := 1
	for ; i < len(rest) && rest[i] != l.quote; i++ {
		if l.quote == '"' && rest[i] == '\\' && i+1 < len(rest) {
			i++
			b.WriteString(unescape(rest[i]))
			continue
		}
		b.WriteByte(rest[i])
	}
	if i >= len(rest) {
		return "", 0, fmt.Errorf("the closing %c is missing; a value stands in one line", l.quote)
	}
	after := strings.TrimSpace(rest[i+1:])
	if after != "" && (after[0] != '#' || rest[i+1] == '#') {
		return "", 0, fmt.Errorf("there is text after the closing %c", l.quote)
	}
	return b.String(), i + 1, nil
}

// unescape gives what \c means in double quotes. A backslash before any other
// character stands for itself, so that Windows paths survive.
func unescape(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	case 't':
		return "\t"
	case '"', '\\', '$', '`':
		return string(rune(c))
	default:
		return `\` + string([]byte{c})
	}
}
