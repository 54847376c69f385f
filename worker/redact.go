package worker

import (
	"slices"
	"strings"
)

// shortestSecret is the length below which a value is not taken out of text:
// shorter ones would blank ordinary words.
const shortestSecret = 8

// newRedactor returns a function that takes the given secrets out of a text.
func newRedactor(secrets []string) func(string) string {
	secrets = slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return len(s) < shortestSecret })
	if len(secrets) == 0 {
		return func(text string) string { return text }
	}
	// Longest first, so that a secret which begins with another one goes whole.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(secrets))
	for _, secret := range secrets {
		pairs = append(pairs, secret, "[redacted]")
	}
	return strings.NewReplacer(pairs...).Replace
}
