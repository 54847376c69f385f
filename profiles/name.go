package profiles

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Name is a profile's name: Default, or what ParseName accepted. It is safe as
// the name of a directory and as a model id.
type Name string

// Default is the profile that is used when none is named. Its directory is the
// home itself.
const Default Name = "default"

// maxName is the longest name, in characters.
const maxName = 64

var namePattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)
})

// NameError says why a text is no name of a profile.
type NameError struct {
	Text string
	Why  string
}

// Error is one sentence with the name and the rule that it breaks.
func (e *NameError) Error() string {
	text := e.Text
	if len(text) > maxName+1 {
		text = text[:maxName+1] + "…"
	}
	return fmt.Sprintf("%s is no name for a profile: %s", strconv.QuoteToASCII(text), e.Why)
}

// ParseName makes a name of what a user wrote: ASCII letters are lower-cased,
// then it must be 1 to 64 letters, digits, _ and -, beginning with a letter or a
// digit, and not reserved. It is the one place that decides; its result always
// names a directory inside profiles/. The error is a *NameError. Default is
// reserved; where a user may choose it, use ParseRef.
func ParseName(text string) (Name, error) {
	fail := func(why string) (Name, error) { return "", &NameError{text, why} }
	if text == "" {
		return fail("it is empty")
	}
	if len(text) > maxName {
		return fail(fmt.Sprintf("it is longer than %d characters", maxName))
	}
	// Checked before lower-casing, which makes an ASCII k of the Kelvin sign.
	if strings.ContainsFunc(text, func(r rune) bool { return r > '~' || r < ' ' }) {
		return fail("use the letters a to z, digits, _ and - only")
	}
	name := strings.ToLower(text)
	if !namePattern().MatchString(name) {
		return fail("use the letters a to z, digits, _ and - only, and begin with a letter or a digit")
	}
	if slices.Contains(reserved(), name) {
		return fail("the name is reserved; choose another one")
	}
	return Name(name), nil
}

// check refuses a Name that ParseName did not make: whoever converts a text by
// hand must not get around it.
func (n Name) check() error {
	parsed, err := ParseName(string(n))
	if err == nil && parsed != n {
		err = &NameError{string(n), "capital letters are not used"}
	}
	return err
}

// ParseRef is ParseName for places where a user chooses among the profiles that
// exist: it takes "default" as well.
func ParseRef(text string) (Name, error) {
	if strings.EqualFold(text, string(Default)) && len(text) == len(Default) {
		return Default, nil
	}
	return ParseName(text)
}

// reserved lists names that mean something else: to hermes, to a system
// administrator, or to Windows, which opens a device by them in any directory.
func reserved() []string {
	names := []string{
		string(Default), "hermes", "hermes-agent", "test", "tmp", "root", "sudo", "all",
		"con", "prn", "aux", "nul",
	}
	for digit := '0'; digit <= '9'; digit++ {
		names = append(names, "com"+string(digit), "lpt"+string(digit))
	}
	return names
}
