package api

import (
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// maxLabel is how many characters of a tool's label are shown.
const maxLabel = 200

// details matches the blocks in which Open WebUI keeps reasoning and tool calls
// inside the text of an answer. Other <details> are the model's own.
var details = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?s)<details\s[^>]*\btype="[^>]*>.*?</details>\s*`)
})

// marker is the line that says in the text that a tool has started. It is given
// back without the line breaks around it.
func marker(emoji, label string) string {
	text := strings.TrimSpace(emoji + " " + oneLine(label))
	return "`" + strings.ReplaceAll(text, "`", "'") + "`"
}

// isMarker reports whether a line of a transcript is a marker. They are known
// by their form, an emoji and a label in backticks and nothing else, rather
// than by a list: a transcript may be older than the tools of today.
func isMarker(line string) bool {
	line = strings.TrimRight(line, " \t\r")
	inner, ok := strings.CutPrefix(line, "`")
	if !ok {
		return false
	}
	inner, ok = strings.CutSuffix(inner, "`")
	if !ok || strings.Contains(inner, "`") {
		return false
	}
	emoji, _, _ := strings.Cut(inner, " ")
	first, _ := utf8.DecodeRuneInString(emoji)
	return unicode.Is(unicode.So, first) && len(emoji) <= 32 // a family of four takes 25 bytes
}

// stripShown takes out of an answer what was put in for people to see: markers
// of tools and Open WebUI's blocks. Text without either comes back as it is.
func stripShown(text string) string {
	if strings.Contains(text, "<details") {
		text = details().ReplaceAllString(text, "")
	}
	if !strings.Contains(text, "`") {
		return text
	}
	var kept []string
	found, fenced := false, false
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		if !fenced && isMarker(line) {
			found = true
			// One of the two line breaks around it goes with it, and so does the
			// blank line that sets it off.
			if n := len(kept); n > 0 && kept[n-1] == "" {
				kept = kept[:n-1]
			}
			continue
		}
		kept = append(kept, line)
	}
	if !found {
		return text
	}
	return strings.Trim(strings.Join(kept, "\n"), "\n")
}

// oneLine makes a label of any text: no line breaks, no control characters, a
// bounded length.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, shorten(text, maxLabel))
	return strings.Join(strings.Fields(text), " ")
}

// shorten keeps at most limit characters of a text.
func shorten(text string, limit int) string {
	if len(text) <= limit || utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}
