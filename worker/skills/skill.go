// Package skills finds the skills of a profile: directories with a SKILL.md in the
// public Agent Skills format, which say how certain tasks are done. A model sees
// an index of them, reads SKILL.md of the one that fits, and from there what else
// lies in its directory.
package skills

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// File is the file that makes a directory a skill.
const File = "SKILL.md"

// What the format allows, in characters.
const (
	maxName          = 64
	maxDescription   = 1024
	maxCompatibility = 500
)

// Skill is one skill.
type Skill struct {
	// Name is that of its directory; of a skill that is not broken, its own.
	Name        string
	Description string
	// Category is the path of the directory that it lies in, "" at the top.
	Category string
	// Dir is its directory, below that of all skills.
	Dir string
	// Problem says why it is broken, "" if it is not. A broken one has no place in
	// the index.
	Problem string
}

// nameForm is what a name may look like.
var nameForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
})

// CheckName says what is wrong with the name of a skill.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is missing")
	case len(name) > maxName:
		return fmt.Errorf("the name is longer than %d characters", maxName)
	case !nameForm().MatchString(name):
		return fmt.Errorf("the name %q must be of a-z, 0-9 and single hyphens between them", name)
	default:
		return nil
	}
}

// frontmatter is what stands above the text of a SKILL.md. The format has more
// fields; they and unknown ones are left to whoever reads the file.
type frontmatter struct {
	Name          string `yaml:"name"`
	Description   string `yaml:"description"`
	Compatibility string `yaml:"compatibility"`
}

// Parse reads a SKILL.md that lies in a directory of the given name, and returns
// its description. The error is a clause that says what is wrong with it.
func Parse(dir string, content []byte) (description string, err error) {
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	if bytes.Contains(content, []byte("\r\n")) {
		content = bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
	}
	if !utf8.Valid(content) {
		return "", errors.New("it is not UTF-8 text")
	}
	if !bytes.HasPrefix(content, []byte("---\n")) {
		return "", errors.New("it does not begin with --- and the frontmatter")
	}
	rest := content[len("---"):]
	head, _, found := bytes.Cut(rest, []byte("\n---\n"))
	if !found {
		if head, found = bytes.CutSuffix(rest, []byte("\n---")); !found {
			return "", errors.New("its frontmatter does not end with ---")
		}
	}
	var fields frontmatter
	if err := yaml.Unmarshal(head, &fields); err != nil {
		return "", fmt.Errorf("its frontmatter is no YAML: %s", strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "yaml: "))
	}
	if err := CheckName(fields.Name); err != nil {
		return "", err
	}
	description = plain(fields.Description)
	switch {
	case fields.Name != dir:
		return "", fmt.Errorf("its name %s is not that of its directory %s", fields.Name, dir)
	case description == "":
		return "", errors.New("the description is missing")
	case utf8.RuneCountInString(description) > maxDescription:
		return "", fmt.Errorf("the description is longer than %d characters", maxDescription)
	case utf8.RuneCountInString(fields.Compatibility) > maxCompatibility:
		return "", fmt.Errorf("compatibility is longer than %d characters", maxCompatibility)
	default:
		return description, nil
	}
}

// plain makes one line of a text, without what cannot be seen.
func plain(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d' {
			return -1
		}
		return r
	}, text)
}
