package memory

import (
	"regexp"
	"strings"
	"sync"
	"unicode"
)

var (
	// markers are what chat templates put between messages.
	markers = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)<\|[a-z0-9_ ]{1,30}\|>|\[/?INST\]|<</?SYS>>|</?(?:system|assistant|user|tool_call|tool_response|developer)>|^\s*(?:system|developer|assistant)\s*(?:prompt|message)?\s*:|\n\s*(?:system|developer|assistant)\s*(?:prompt|message)?\s*:`)
	})
	// overrides are sentences that want to take the place of the prompt.
	overrides = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)\b(?:ignore|disregard|forget|override)\b[^.\n]{0,30}\b(?:previous|prior|above|earlier|all|your|system)\b[^.\n]{0,20}\b(?:instructions?|prompts?|rules)\b`)
	})
)

// threat says in a clause what makes an entry unfit for a prompt, "" if nothing
// does. It is a light check: it keeps out what came in by accident or by a clumsy
// hand. An entry in plain words can still say anything.
func threat(text string) string {
	if strings.ContainsFunc(text, invisible) {
		return "holds invisible or control characters"
	}
	if markers().MatchString(text) {
		return "holds marks that separate the messages of a chat"
	}
	if overrides().MatchString(text) {
		return "tells to disregard instructions"
	}
	return ""
}

// invisible reports whether a rune controls the display or cannot be seen at all.
// Those that join emoji and letters of some scripts can stay.
func invisible(r rune) bool {
	switch {
	case r == '\n', r == '\t', r == '\u200c', r == '\u200d', r == '\u00ad':
		return false
	case unicode.IsControl(r):
		return true
	case r >= 0xe0020 && r <= 0xe007f: // of flags of regions; they also hide text
		return true
	default:
		return unicode.Is(unicode.Cf, r)
	}
}

// Safe is an entry as it is shown to a model: itself, or a note that it is blocked.
func Safe(text string) string {
	if threat := threat(text); threat != "" {
		return "[blocked: this entry " + threat + "]"
	}
	return strings.ToValidUTF8(text, "\ufffd")
}
