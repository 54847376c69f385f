package configs

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Target is the profile whose settings are changed.
type Target struct {
	Profile string // "default" or the name
	Dir     string // the profile's directory
	// HomeDir and Environ complete the settings against which the change is
	// checked, as in Sources. Both may be empty.
	HomeDir string
	Environ []string
}

// Change says what Set or Unset did.
type Change struct {
	File string `json:"file"`
	Key  string `json:"key"`
	Line int    `json:"line,omitempty"`
	// Shadowed names, in a sentence, the stronger place that keeps this setting
	// from having an effect; "" if it has one.
	Shadowed string `json:"shadowed,omitempty"`
	// Unchanged says that the file said so already.
	Unchanged bool `json:"unchanged,omitempty"`
}

// place is where a key is written.
type place struct {
	name string // as written in the file
	row  Key    // zero for variables that are not in the table
	env  bool   // .env rather than config.yaml
}

var (
	variablePattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	})
	// secretSuffixes end the names of variables that .env holds.
	secretPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`_(KEY|TOKEN|SECRET|PASSWORD)$`)
	})
)

// classify decides by the key alone in which file it is written.
func classify(key string) (place, error) {
	dotted := strings.TrimPrefix(key, platforms+".")
	row, known := find(dotted)
	upper := strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
	switch {
	case known && row.Env == key:
		return place{name: key, row: row, env: true}, nil
	case known && row.Secret:
		return place{}, &InputError{key, "a secret is kept in .env, not in config.yaml; use " + row.Env}
	case known && (row.Kind == Models || row.Kind == Servers):
		return place{}, &InputError{key, "this list is edited by hand; open config.yaml with `hermes config edit`"}
	case known:
		return place{name: row.Key, row: row}, nil
	case strings.HasPrefix(key, serverPrefix):
		return place{}, &InputError{key, unknownServerName(key)}
	case len(key) <= maxName && variablePattern().MatchString(key) && secretPattern().MatchString(key):
		return place{name: key, env: true}, nil
	}
	if row, known := find(upper); known {
		return place{}, &InputError{key, "write it as " + row.Env}
	}
	if row, known := find(strings.ToLower(key)); known {
		return place{}, &InputError{key, "write it as " + row.Key}
	}
	if len(upper) <= maxName && variablePattern().MatchString(upper) && secretPattern().MatchString(upper) && !strings.Contains(key, ".") {
		return place{}, &InputError{key, "variables are written in capitals: " + upper}
	}
	return place{}, &InputError{key, "there is no such setting" + didYouMean(key)}
}

// Set changes one setting in place. The key decides the file: API_SERVER_* and
// names that end in _KEY, _TOKEN, _SECRET or _PASSWORD go to .env, dotted keys
// to config.yaml. Nothing is written when the key is unknown or the value is bad
// (*InputError), or when the settings as a whole would have a problem that they
// did not have before (*Problems).
func Set(target Target, key, value string) (Change, error) {
	at, err := classify(key)
	if err != nil {
		return Change{}, err
	}
	if err := at.checkValue(key, value); err != nil {
		return Change{}, err
	}
	return target.edit(at, func(data []byte) ([]byte, int, error) {
		if at.env {
			return setEnv(data, at.name, value)
		}
		return setYAML(data, at.row, value)
	})
}

// Unset takes one setting out of the file that its key decides, under the rules
// of Set. That it is not there is a Change with Unchanged.
func Unset(target Target, key string) (Change, error) {
	at, err := classify(key)
	if err != nil {
		return Change{}, err
	}
	return target.edit(at, func(data []byte) ([]byte, int, error) {
		edit := func() ([]byte, int, error) { return unsetYAML(data, at.row) }
		if at.env {
			edit = func() ([]byte, int, error) { return unsetEnv(data, at.name) }
		}
		result, line, err := edit()
		if errors.Is(err, errNotSet) {
			return data, 0, nil
		}
		return result, line, err
	})
}

func (p place) checkValue(key, value string) error {
	if p.env && value == "" {
		return &InputError{key, "the value is empty; to take the setting away use `hermes config unset " + key + "`"}
	}
	row := p.row
	if row.Key == "" {
		row = Key{Kind: Text}
		if strings.TrimSpace(value) != value {
			return &InputError{key, "the value begins or ends with a space"}
		}
	}
	if _, err := row.parse(value); err != nil {
		return &InputError{key, err.Error()}
	}
	return nil
}

// edit runs change on the file of a setting, under the lock of the profile's
// files, and writes the result if the settings are as valid as before.
func (t Target) edit(at place, change func([]byte) ([]byte, int, error)) (Change, error) {
	name := YAMLFile
	if at.env {
		name = EnvFile
	}
	path := filepath.Join(t.Dir, name)
	unlock, err := lockSettings(t.Dir)
	if err != nil {
		return Change{}, err
	}
	defer unlock()

	old, err := readFile(path)
	if err != nil {
		return Change{}, &Problems{[]Problem{{File: path, Text: err.Error()}}}
	}
	data, line, err := change(old.data)
	if err != nil {
		return Change{}, inFile(err, path)
	}
	result := Change{File: path, Key: at.name, Line: line}
	result.Unchanged = string(data) == string(old.data)
	loaded, err := t.try(name, data)
	if err != nil {
		return Change{}, err
	}
	result.Shadowed = shadow(loaded, at, path)
	if result.Unchanged && (!old.exists || old.mode.Perm()&0o077 == 0) {
		return result, nil
	}
	return result, writeFile(path, data)
}

// errNotSet says that there is nothing to take out.
var errNotSet = errors.New("it is not set")

// inFile puts the path into errors of an edit.
func inFile(err error, path string) error {
	if problem, ok := errors.AsType[*Problem](err); ok {
		problem.File = path
		return &Problems{[]Problem{*problem}}
	}
	return fmt.Errorf("edit %s: %w", path, err)
}

// try loads the settings as they are and as they would be, and refuses problems
// that are new.
func (t Target) try(name string, data []byte) (Loaded, error) {
	sources := Sources{Profile: t.Profile, Dir: t.Dir, HomeDir: t.HomeDir, Environ: t.Environ}
	before := map[string]bool{}
	_, err := Load(sources)
	for _, p := range listOf(err) {
		before[p.identity()] = true
	}
	sources.replaced = map[string][]byte{filepath.Join(t.Dir, name): data}
	loaded, err := Load(sources)
	fresh := slices.DeleteFunc(listOf(err), func(p Problem) bool { return before[p.identity()] })
	return loaded, problemsOrNil(fresh)
}

// listOf returns the findings in an error of Load.
func listOf(err error) []Problem {
	if problems, ok := errors.AsType[*Problems](err); ok {
		return problems.List
	}
	return nil
}

var lineNumberPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`line \d+`)
})

// identity is the same for one finding before and after an edit that moves lines.
func (p Problem) identity() string {
	return p.File + "\x00" + p.Key + "\x00" + lineNumberPattern().ReplaceAllString(p.Text, "line")
}

// shadow says what keeps the setting that was just written from having an
// effect.
func shadow(loaded Loaded, at place, path string) string {
	name := at.name
	if at.row.Key != "" {
		name = at.row.Key
	}
	for _, value := range loaded.Values {
		if value.Key != name {
			continue
		}
		if value.Source == "default" || strings.HasPrefix(value.Source, "home ") || strings.HasPrefix(value.Source, path) {
			return ""
		}
		return fmt.Sprintf("%s is stronger and stays in effect", value.written())
	}
	return ""
}

// written is "API_SERVER_PORT in /path/.env:3".
func (v Value) written() string {
	name := v.Key
	if v.Env != "" && !strings.Contains(v.Source, YAMLFile) {
		name = v.Env
	}
	if v.Source == "environment" {
		return name + " in the environment"
	}
	return name + " in " + v.Source
}
