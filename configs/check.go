package configs

import (
	"fmt"
	"net"
	"strings"
)

// MinKey is the shortest key that may guard an address other than loopback, in
// characters.
const MinKey = 16

// MetricsToken is the variable in the home's .env with the bearer token for
// supervisor.metrics_address.
const MetricsToken = "SUPERVISOR_METRICS_TOKEN"

// check holds the settings against each other.
func (l *loader) check(config Config) {
	l.checkSearch(config)
	l.checkMetrics(config.Supervisor)
	server := config.APIServer
	if Loopback(server.Host) {
		return
	}
	at := func(key string) Problem {
		place := l.chosen[key]
		return Problem{File: place.file, Line: place.line}
	}
	switch reason := WeakKey(server.Key); {
	case server.Key.IsZero():
		problem := at("api_server.host")
		problem.Key = "API_SERVER_HOST"
		problem.Text = fmt.Sprintf("%s can be reached from other machines, and no API_SERVER_KEY is set; "+
			"set a key of at least %d characters first: %s API_SERVER_KEY …", server.Host, MinKey, l.setCommand())
		l.problem(problem)
	case reason != "":
		problem := at("api_server.key")
		problem.Key = "API_SERVER_KEY"
		problem.Text = fmt.Sprintf("the key %s, and API_SERVER_HOST %s can be reached from other machines; "+
			"set another one: %s API_SERVER_KEY …", reason, server.Host, l.setCommand())
		l.problem(problem)
	}
}

// checkMetrics wants a token where other machines can ask for metrics.
func (l *loader) checkMetrics(config Supervisor) {
	var reason string
	token := l.env[MetricsToken].value
	host, _, err := net.SplitHostPort(config.MetricsAddress)
	switch {
	case err != nil || Loopback(host):
		return
	case token.IsZero():
		reason = "no " + MetricsToken + " is set"
	case WeakKey(token) != "":
		reason = "the token " + WeakKey(token)
	default:
		return
	}
	place := l.chosen["supervisor.metrics_address"]
	l.problem(Problem{
		File: place.file, Line: place.line, Key: "supervisor.metrics_address",
		Text: fmt.Sprintf("%s can be reached from other machines, and %s; set a token of at least %d characters first: hermes config set %s …",
			config.MetricsAddress, reason, MinKey, MetricsToken),
	})
}

// setCommand is the command that sets something for this profile.
func (l *loader) setCommand() string {
	if l.isDefault() {
		return "hermes config set"
	}
	return "hermes -p " + l.sources.Profile + " config set"
}

// unsetCommand is the command that takes a setting out of this profile's files.
func (l *loader) unsetCommand(key string) string {
	return "hermes -p " + l.sources.Profile + " config unset " + key
}

// WeakKey says why a key must not guard an address other than loopback, in
// words that go on after "the key", or returns "".
func WeakKey(key Secret) string {
	text := key.Reveal()
	switch {
	case len(text) < MinKey:
		return fmt.Sprintf("has fewer than %d characters", MinKey)
	case repeats(text):
		return "repeats the same few characters"
	case placeholder(text):
		return "is a well-known placeholder"
	default:
		return ""
	}
}

// repeats reports whether the text has too few different characters, or is one
// short piece over and over.
func repeats(text string) bool {
	const fewest = 6
	different := map[rune]bool{}
	for _, r := range strings.TrimPrefix(text, "sk-") {
		different[r] = true
	}
	if len(different) < fewest {
		return true
	}
	for period := 1; period <= len(text)/2; period++ {
		if strings.Repeat(text[:period], len(text)/period+1)[:len(text)] == text {
			return true
		}
	}
	return false
}

// placeholder reports whether nothing random is left of the key when the words
// and sequences of documentation and examples are taken away.
func placeholder(text string) bool {
	rest := strings.ToLower(text)
	for _, word := range []string{
		"change-me", "change_me", "changeme", "change", "replace-me", "replace", "placeholder", "example", "sample", "insert",
		"password", "passwd", "secret", "super", "default", "hermes", "server", "openai", "project", "proj", "test", "demo", "admin", "token",
		"bearer", "local", "your", "this", "with", "some", "long", "strong", "random", "value", "please", "enter", "here", "my", "api", "key", "sk",
		"1234567890", "0123456789", "123456789", "12345678", "123456", "12345", "1234", "123",
		"abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnop", "abcdefgh", "abcdef", "abcd", "abc", "qwertyuiop", "qwerty",
		"deadbeef", "0000", "xxx", "in", "to", "me", "a",
	} {
		rest = strings.ReplaceAll(rest, word, " ")
	}
	left := 0
	for _, r := range rest {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			left++
		}
	}
	const fewest = 8
	return left < fewest
}
