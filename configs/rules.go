package configs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// classPrefix begins a rule that names a class of commands.
const classPrefix = "class:"

// maxRules bounds a list of rules: each is held against each word of a command.
const maxRules = 100

// parseRules takes rules about commands.
func parseRules(rules []string) (any, error) {
	if len(rules) > maxRules {
		return nil, fmt.Errorf("the list has %d rules; at most %d are taken", len(rules), maxRules)
	}
	for i, rule := range rules {
		if slices.Contains(rules[:i], rule) {
			return nil, fmt.Errorf("%s stands twice", quote(rule))
		}
		if err := CheckRule(rule); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// CheckRule says what is wrong with a rule about commands. A rule is plain words
// in which * stands for any text, or class: and the name of a class. What the
// characters of a shell would mean in one nobody could say, so they are refused.
// worker/policy reads the rules, and a test holds the two against each other: a
// worker must not be told what it cannot use.
func CheckRule(rule string) error {
	words := strings.Fields(rule)
	class, isClass := strings.CutPrefix(rule, classPrefix)
	switch {
	case len(words) == 0:
		return errors.New("a rule is empty")
	case isClass && !slices.Contains(RuleClasses(), class):
		return fmt.Errorf("%s names no class that a rule can be about; `hermes policy classes` lists them", quote(rule))
	case strings.Trim(words[0], "*") == "":
		return fmt.Errorf("%s names no program; a rule begins with one, like `git push --force*`", quote(rule))
	case strings.ContainsAny(rule, "\"'`\\$|&;<>(){}[]!#,") || strings.ContainsFunc(rule, unicode.IsControl):
		return fmt.Errorf("%s has a character that means something to a shell; a rule is plain words, and * for any text", quote(rule))
	}
	return nil
}

// RuleClasses are the classes of commands that a rule can be about: those of
// worker/policy that are not of the floor.
func RuleClasses() []string {
	return []string{
		"delete_recursive_outside", "system", "permissions", "accounts", "packages", "services", "processes", "network", "schedules",
		"remote_code", "dynamic", "secrets", "own_setup", "git_history", "databases", "infrastructure",
	}
}
