package agent

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// leastDigested is how long a result must be for its digest to be shorter.
	leastDigested = 400
	maxErrorLine  = 160
	maxNote       = 200
)

// digest is one line in the place of a tool's result: how long it was, how it ended,
// and the first line that tells of an error. A result that is short stays.
func digest(tool, text string) string {
	if len(text) < leastDigested {
		return text
	}
	parts := []string{fmt.Sprintf("%d bytes", len(text))}
	parts = append(parts, endNotes(text)...)
	if line := errorLine(text); line != "" {
		parts = append(parts, "first error: "+line)
	}
	short := fmt.Sprintf("[Old result of %s left out to save room: %s]", orSomeTool(tool), strings.Join(parts, "; "))
	if len(short) >= len(text) {
		return text
	}
	return short
}

func orSomeTool(name string) string {
	if name == "" {
		return "a tool"
	}
	return name
}

// endNotes are what tools say at the end of a result about it, in lines of their own
// in square brackets: the exit code, the file that has all of the output.
func endNotes(text string) []string {
	var notes []string
	text = strings.TrimRight(text, "\n")
	for len(notes) < 3 {
		begin := strings.LastIndexByte(text, '\n') + 1
		line := text[begin:]
		if len(line) < 2 || line[0] != '[' || line[len(line)-1] != ']' {
			break
		}
		notes = append([]string{clipped(line[1:len(line)-1], maxNote)}, notes...)
		text = strings.TrimRight(text[:begin], "\n")
	}
	return notes
}

// errorLine is the first line that tells of an error, or "". It is one pass over the
// text: all results of a long chat are looked through at the beginning of its turns,
// for which a regular expression is a hundred times too slow.
func errorLine(text string) string {
	before := byte(' ')
	for i := range len(text) {
		c := text[i]
		begins := !letter(before) || c <= 'Z' && before >= 'a' // TypeError
		before = c
		if begins && letter(c) && tellsOfFailure(text[i:]) {
			begin := strings.LastIndexByte(text[:i], '\n') + 1
			begin = max(begin, i-maxErrorLine/2) // the word may stand far behind
			line, _, _ := strings.Cut(text[begin:], "\n")
			return strings.ToValidUTF8(clipped(strings.TrimSpace(line), maxErrorLine), "")
		}
	}
	return ""
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// tellsOfFailure reports whether a text begins with a word by which programs tell of
// what went wrong.
func tellsOfFailure(text string) bool {
	switch text[0] | 0x20 {
	case 'c':
		return begins(text, "cannot")
	case 'd':
		return begins(text, "denied")
	case 'e':
		return begins(text, "error") || begins(text, "exception")
	case 'f':
		return begins(text, "fatal") || begins(text, "fail")
	case 'n':
		return begins(text, "no such") || begins(text, "not found")
	case 'p':
		return begins(text, "panic")
	case 'u':
		return begins(text, "undefined")
	default:
		return false
	}
}

// begins compares without regard to case.
func begins(text, word string) bool {
	return len(text) >= len(word) && strings.EqualFold(text[:len(word)], word)
}

// clipped is a text of at most so many bytes.
func clipped(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	for bytes > 0 && !utf8.RuneStart(text[bytes]) {
		bytes--
	}
	return text[:bytes] + "…"
}
