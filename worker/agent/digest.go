package agent

import (
	"bytes"
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

// failureWords are how programs tell of what went wrong. They are looked for one by
// one: all results of a long chat are looked through in each of its turns, for which
// a regular expression is a hundred times too slow.
func failureWords() []string {
	return []string{"error", "fatal", "failed", "failure", "panic", "exception", "denied", "no such", "not found", "cannot", "undefined"}
}

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

// errorLine is the first line that tells of an error, or "".
func errorLine(text string) string {
	small := []byte(text)
	for i, c := range small {
		if c >= 'A' && c <= 'Z' {
			small[i] = c + 'a' - 'A'
		}
	}
	at := len(small)
	for _, word := range failureWords() {
		if i := bytes.Index(small[:at], []byte(word)); i >= 0 {
			at = i
		}
	}
	if at == len(small) {
		return ""
	}
	begin := strings.LastIndexByte(text[:at], '\n') + 1
	begin = max(begin, at-maxErrorLine/2) // the word may stand far behind
	line, _, _ := strings.Cut(text[begin:], "\n")
	return strings.ToValidUTF8(clipped(strings.TrimSpace(line), maxErrorLine), "")
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
