package upstream

import "strings"

// redactWindow is how many bytes of a key in a row are taken for a part of it.
// Shorter keys are the placeholders of local servers, and no secrets.
const redactWindow = 8

// redact takes a key, and every larger piece of it, out of a text. Providers
// like to repeat the key that they refuse.
func redact(text, key string) string {
	if len(key) < redactWindow || len(text) < redactWindow {
		return text
	}
	hidden := make([]bool, len(text))
	for from := 0; from+redactWindow <= len(text); from++ {
		if strings.Contains(key, text[from:from+redactWindow]) {
			for i := from; i < from+redactWindow; i++ {
				hidden[i] = true
			}
		}
	}
	var clean strings.Builder
	for i := range len(text) {
		switch {
		case !hidden[i]:
			clean.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			clean.WriteString("[redacted]")
		}
	}
	return clean.String()
}
