package egress

import "strings"

// redactWindow is how many bytes of a secret in a row are taken for a part of it.
// Shorter ones are the placeholders of local servers, and no secrets.
const redactWindow = 8

// redact takes secrets, and every larger piece of them, out of a text. Providers
// like to repeat the key that they refuse.
func redact(text string, secrets []string) string {
	var hidden []bool
	for _, secret := range secrets {
		if len(secret) < redactWindow || len(text) < redactWindow {
			continue
		}
		for from := 0; from+redactWindow <= len(text); from++ {
			if !strings.Contains(secret, text[from:from+redactWindow]) {
				continue
			}
			if hidden == nil {
				hidden = make([]bool, len(text))
			}
			for i := from; i < from+redactWindow; i++ {
				hidden[i] = true
			}
		}
	}
	if hidden == nil {
		return text
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
