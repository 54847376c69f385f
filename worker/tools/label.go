package tools

import "strings"

// labelRunes is how long a label may be.
const labelRunes = 60

// shorten makes one short line of text, for a label.
func shorten(text string) string {
	// What is far beyond a label need not be looked at: a command may be long.
	text = strings.Join(strings.Fields(text[:min(len(text), 16*labelRunes)]), " ")
	text = strings.ToValidUTF8(text, "")
	runes := []rune(text)
	if len(runes) <= labelRunes {
		return text
	}
	return strings.TrimRight(string(runes[:labelRunes-1]), " ") + "…"
}

// firstLine returns the first line of text that is not blank.
func firstLine(text string) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return ""
}
