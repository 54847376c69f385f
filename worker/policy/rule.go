package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// classPrefix begins a rule that names a class instead of words.
const classPrefix = "class:"

// rule is one entry of agent.allow or agent.deny: words, in which * stands for
// any text, and a word that is * alone for any number of words.
type rule struct {
	text  string
	class Class // of a rule that names one
	words []string
}

// parseRule reads a rule. The characters that a shell gives a meaning to are
// refused: a rule with them looks as if it were parsed like a command, and would
// never match. configs checks the same when a person sets a rule.
func parseRule(text string) (rule, error) {
	r := rule{text: text, words: strings.Fields(text)}
	if name, isClass := strings.CutPrefix(text, classPrefix); isClass {
		known := slices.ContainsFunc(Classes(), func(i Info) bool { return string(i.Class) == name })
		if !known {
			return r, fmt.Errorf("rule %q names no class", text)
		}
		if Class(name).Floor() {
			return r, fmt.Errorf("rule %q: no setting allows or forbids what is never run", text)
		}
		r.class, r.words = Class(name), nil
		return r, nil
	}
	switch {
	case len(r.words) == 0:
		return r, fmt.Errorf("a rule is empty")
	case strings.Trim(r.words[0], "*") == "":
		return r, fmt.Errorf("rule %q names no program", text)
	case strings.ContainsFunc(text, func(c rune) bool { return strings.ContainsRune("\"'`\\$|&;<>(){}[]!#,", c) || unicode.IsControl(c) }):
		return r, fmt.Errorf("rule %q has a character that a rule cannot hold; write plain words and *", text)
	}
	return r, nil
}

func parseRules(texts []string) ([]rule, error) {
	rules := make([]rule, 0, len(texts))
	for _, text := range texts {
		r, err := parseRule(text)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// allows reports whether the rule is about the whole command. What is known only
// while it runs, and paths that climb, are matched by a * that stands alone and
// by nothing else: /srv/cache/* must not mean /srv/cache/../../etc.
func (r rule) allows(f finding) bool {
	if r.class != "" {
		return r.class == f.class
	}
	return len(f.argv) > 0 && r.programIs(f.argv[0]) && wholeMatch(r.words[1:], f.argv[1:])
}

// denies reports whether the words of the rule are in the command in their order,
// whatever stands between them: git push --force* is also git -C x push origin
// --force. A rule that forbids is meant, not spelled.
func (r rule) denies(argv []word) bool {
	if r.class != "" || len(argv) == 0 || !r.programIs(argv[0]) {
		return false
	}
	rest := argv[1:]
	for _, want := range r.words[1:] {
		if want == "*" {
			continue
		}
		i := slices.IndexFunc(rest, func(w word) bool { return glob(want, w.text) })
		if i < 0 {
			return false
		}
		rest = rest[i+1:]
	}
	return true
}

// programIs compares the program by its name, unless the rule has a path.
func (r rule) programIs(w word) bool {
	if w.unknown || w.globAt >= 0 {
		return false
	}
	if strings.Contains(r.words[0], "/") {
		return glob(r.words[0], w.text)
	}
	return glob(r.words[0], baseName(w.text))
}

// wholeMatch matches all words. It goes back to the last lone * only, which is
// enough and takes no more than len(rule) × len(argv).
func wholeMatch(rule []string, argv []word) bool {
	i, j, star, from := 0, 0, -1, 0
	for j < len(argv) {
		switch {
		case i < len(rule) && rule[i] == "*":
			star, from = i, j
			i++
		case i < len(rule) && wordMatch(rule[i], argv[j]):
			i++
			j++
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	for i < len(rule) && rule[i] == "*" {
		i++
	}
	return i == len(rule)
}

func wordMatch(want string, w word) bool {
	if w.unknown || w.globAt >= 0 && strings.Contains(want, "*") {
		return false
	}
	if strings.Contains(want, "*") && slices.Contains(strings.Split(w.text, "/"), "..") {
		return false
	}
	return glob(want, w.text)
}

// glob matches a text in which * is any text. Going back to the last * is enough.
func glob(pattern, text string) bool {
	i, j, star, from := 0, 0, -1, 0
	for j < len(text) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, from = i, j
			i++
		case i < len(pattern) && pattern[i] == text[j]:
			i++
			j++
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}
