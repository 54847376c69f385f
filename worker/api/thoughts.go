package api

import (
	"strings"
	"unicode/utf8"
)

// maxTag is how many bytes a tag with its attributes may have.
const maxTag = 1000

// withoutThoughts takes out of an answer what frontends take for thinking in its
// text, and the blocks in which they keep it. Open WebUI takes a tag with
// attributes for one too, and lets thoughts that do not end go on to the end of
// the text. Of a solution it takes the tags away only. There is no regular
// expression here because every answer of a chat passes through with each request.
func withoutThoughts(text string) string {
	const marks = "<◁"
	if !strings.ContainsAny(text, marks) {
		return text
	}
	var kept strings.Builder
	open := false // there is a block of details that does not end
	for {
		at := strings.IndexAny(text, marks)
		if at < 0 {
			kept.WriteString(text)
			return kept.String()
		}
		kept.WriteString(text[:at])
		text = text[at:]
		size, closing := thoughtTag(text)
		end := 0
		details := closing == "</details>"
		if size > 0 && closing != "" && (!details || !open) {
			end = indexFold(text[size:], closing)
		}
		switch {
		case size == 0, details && (open || end < 0):
			open = open || details
			_, size = utf8.DecodeRuneInString(text)
			kept.WriteString(text[:size])
			text = text[size:]
		case end < 0:
			return kept.String()
		default:
			text = text[size+end+len(closing):]
		}
	}
}

// thoughtTag returns the size of the tag that a text begins with, 0 if it is none
// of a thought, and the tag that ends it, "" if the tag stands for itself.
func thoughtTag(text string) (size int, closing string) {
	for _, tag := range []struct{ open, close string }{
		{"◁think▷", "◁/think▷"},
		{"<|begin_of_thought|>", "<|end_of_thought|>"},
		{"<|begin_of_solution|>", ""},
		{"<|end_of_solution|>", ""},
	} {
		if len(text) >= len(tag.open) && strings.EqualFold(text[:len(tag.open)], tag.open) {
			return len(tag.open), tag.close
		}
	}
	end := strings.IndexByte(text[:min(len(text), maxTag)], '>')
	if end < 0 {
		return 0, ""
	}
	name := text[1:end]
	if space := strings.IndexAny(name, " \t\r\n"); space >= 0 {
		name = name[:space]
	}
	switch name = strings.ToLower(name); name {
	case "details", "think", "thinking", "reason", "reasoning", "thought":
		return end + 1, "</" + name + ">"
	default:
		return 0, ""
	}
}

// indexFold is strings.Index for a tag in whatever case.
func indexFold(text, tag string) int {
	first, _ := utf8.DecodeRuneInString(tag)
	for at := 0; ; at++ {
		next := strings.IndexRune(text[at:], first)
		if next < 0 || len(text) < at+next+len(tag) {
			return -1
		}
		if at += next; strings.EqualFold(text[at:at+len(tag)], tag) {
			return at
		}
	}
}
