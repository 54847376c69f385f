package configs

import (
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
)

// takeNamed takes the variables that api_key_env names from the process
// environment of the default profile.
func (l *loader) takeNamed(named map[string]bool) {
	for _, entry := range l.sources.Environ {
		name, text, _ := strings.Cut(entry, "=")
		if named[name] && text != "" {
			l.env[name] = variable{value: NewSecret(text), source: "environment"}
		}
	}
}

// takeHome takes provider keys from the home's .env: those of the tables and
// those that api_key_env names. The home's other secrets stay where they are.
// A line of it that cannot be read is the default profile's matter; that this
// process cannot open files is everybody's.
func (l *loader) takeHome(named map[string]bool) {
	path := filepath.Join(l.sources.HomeDir, EnvFile)
	lines, _ := l.openEnv(path, func(p Problem) {
		if errors.Is(p.Err, syscall.EMFILE) || errors.Is(p.Err, syscall.ENFILE) || errors.Is(p.Err, syscall.ENOMEM) {
			l.problem(p)
			return
		}
		l.warn("%s", p.Error())
	})
	for i, line := range lines {
		if line.value == "" || strings.HasPrefix(line.name, serverPrefix) {
			continue
		}
		isKey := sharedKey(line.name)
		if own, set := l.env[line.name]; (!isKey && !named[line.name]) || (set && !own.shared) {
			continue
		}
		l.env[line.name] = variable{value: NewSecret(line.value), source: "home " + where(path, i+1), shared: true}
	}
}

// because says which setting decided for an endpoint, and where it stands.
func (l *loader) because(key, leaf string) string {
	place := l.chosen[key+"."+leaf]
	if key != "model" {
		place = l.chosen["fallback_models"]
	}
	return key + "." + leaf + " in " + place.place()
}

// at is a problem of the setting key.leaf, at the place where it stands.
func (l *loader) at(key, leaf, text string) Problem {
	place, set := l.chosen[key+"."+leaf]
	if !set {
		place = l.chosen["fallback_models"]
	}
	return Problem{File: place.file, Line: place.line, Key: key + "." + leaf, Text: text}
}

// providerAt returns the provider of the table that is served at the host of a
// base URL.
func providerAt(base string) (provider, bool) {
	for _, row := range providers() {
		if sameHost(base, row.BaseURL) {
			return row, true
		}
	}
	return provider{}, false
}

func sameHost(a, b string) bool {
	u, err := url.Parse(a)
	if err != nil {
		return false
	}
	v, err := url.Parse(b)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, v.Host)
}
