package worker

import (
	"slices"
	"strings"
	"sync/atomic"
)

// shortestSecret is the length below which a value is not taken out of text:
// shorter ones would blank ordinary words.
const shortestSecret = 8

// redactor takes secrets out of text.
type redactor struct {
	secrets atomic.Pointer[strings.Replacer]
}

// newRedactor returns a redactor of the given secrets.
func newRedactor(secrets []string) *redactor {
	r := &redactor{}
	r.set(secrets)
	return r
}

// set replaces the secrets.
func (r *redactor) set(secrets []string) {
	secrets = slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return len(s) < shortestSecret })
	// Longest first, so that a secret which begins with another one goes whole.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(secrets))
	for _, secret := range secrets {
		pairs = append(pairs, secret, "[redacted]")
	}
	r.secrets.Store(strings.NewReplacer(pairs...))
}

// text returns text without the secrets.
func (r *redactor) text(text string) string { return r.secrets.Load().Replace(text) }
