package configs

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/viper"
)

// DefaultProfile is the name of the profile that is the home itself.
const DefaultProfile = "default"

// defaultModelName is the default profile's model id on /v1/models.
const defaultModelName = "hermes-agent"

// Sources says where a profile's settings are to be read.
type Sources struct {
	// Profile is "default" or the profile's name.
	Profile string
	// Dir is the profile's directory.
	Dir string
	// HomeDir is the home, from which named profiles take model settings and
	// provider keys. Empty, or the same as Dir: there is none.
	HomeDir string
	// Environ is the process environment, NAME=value. It is looked at for the
	// default profile only.
	Environ []string
	// Overrides are the command line's flags: key or variable to value.
	Overrides map[string]string

	// replaced holds files by path that are to be read as if they had other
	// contents: an edit that has not been written yet.
	replaced map[string][]byte
}

// Loaded is what Load read.
type Loaded struct {
	Config Config
	// Values has every setting in the order of the table, then every variable of
	// the .env files, with where it came from.
	Values []Value
	// Env holds the profile's variables other than API_SERVER_*: those of its .env,
	// and the provider keys that come from the environment or the home.
	Env map[string]Secret
	// Warnings are sentences about what works but should be looked at.
	Warnings []string

	upstreams []Upstream
}

// Value is one setting as it is in effect.
type Value struct {
	Key string `json:"key"` // dotted key, or a variable's name
	Env string `json:"env,omitempty"`
	// Value is written as a user would write it; secrets are masked.
	Value string `json:"value"`
	// Source is "flag", "environment", "/path/.env:3", "/path/config.yaml:12",
	// "home /path/config.yaml:12" or "default".
	Source string `json:"source"`
	Secret bool   `json:"secret,omitempty"`
	// Raw is the value of a secret, to be shown only when asked for.
	Raw Secret `json:"-"`
}

// found is a value on one level.
type found struct {
	key   string
	value any
	text  string
	file  string
	line  int
	// source overrides file and line as the name of the place.
	source string
}

func (f found) place() string {
	if f.source != "" {
		return f.source
	}
	return where(f.file, f.line)
}

// variable is one entry of the merged environment of a profile.
type variable struct {
	value  Secret
	source string
	shared bool // it comes from the home
}

// loader carries one Load through its steps.
type loader struct {
	sources  Sources
	keys     []Key
	levels   []map[string]found // strongest first, without the default
	chosen   map[string]found
	env      map[string]variable
	problems []Problem
	warnings []string
}

// Load reads, merges and checks a profile's settings. Files that are missing
// are empty. The error is a *Problems with all findings; what could be read is
// returned beside it, so that a broken profile can be shown.
func Load(sources Sources) (Loaded, error) {
	l := &loader{sources: sources, keys: Keys(), chosen: map[string]found{}, env: map[string]variable{}}
	flags := l.readFlags()
	environment := l.readEnvironment()
	env := l.readEnvFile()
	file := l.readConfigFile()
	shared := l.readHome()
	l.levels = []map[string]found{flags, environment, env, file, shared}
	l.choose(shared)
	l.warnUnused()

	loaded := Loaded{Env: map[string]Secret{}}
	loaded.Config = l.decode()
	l.chooseKeys(loaded.Config)
	loaded.upstreams = l.upstreams(loaded.Config)
	l.check(loaded.Config)
	for name, v := range l.env {
		loaded.Env[name] = v.value
	}
	loaded.Values = l.values(loaded.Config)
	loaded.Warnings = l.warnings
	return loaded, problemsOrNil(l.problems)
}

// read reads a file, or what takes its place.
func (l *loader) read(path string) (file, error) {
	if data, replaced := l.sources.replaced[path]; replaced {
		return file{path: path, data: data, exists: true, mode: 0o600}, nil
	}
	return readFile(path)
}

func (l *loader) isDefault() bool { return l.sources.Profile == DefaultProfile }

func (l *loader) hasHome() bool {
	return !l.isDefault() && l.sources.HomeDir != "" && l.sources.HomeDir != l.sources.Dir
}

func (l *loader) problem(p Problem) { l.problems = append(l.problems, p) }

func (l *loader) warn(format string, args ...any) {
	l.warnings = append(l.warnings, fmt.Sprintf(format, args...))
}

func (l *loader) readFlags() map[string]found {
	values := map[string]found{}
	for _, name := range slices.Sorted(maps.Keys(l.sources.Overrides)) {
		text := l.sources.Overrides[name]
		row, known := find(name)
		if !known {
			l.problem(Problem{File: "command line", Text: "unknown key " + quote(name) + didYouMean(name)})
			continue
		}
		value, err := row.parse(text)
		if err != nil {
			l.problem(Problem{File: "command line", Key: row.Name(), Text: err.Error()})
			continue
		}
		values[row.Key] = found{key: row.Key, value: value, text: text, file: "command line", source: "flag"}
	}
	return values
}

// readEnvironment takes API_SERVER_* and, later, provider keys from the process
// environment, for the default profile only: `docker run -e` works, and nothing
// leaks into named profiles. Empty variables count as not set.
func (l *loader) readEnvironment() map[string]found {
	values := map[string]found{}
	if !l.isDefault() {
		return values
	}
	for _, entry := range l.sources.Environ {
		name, text, _ := strings.Cut(entry, "=")
		if text == "" {
			continue
		}
		if _, isKey := providerOfKey(name); isKey {
			l.env[name] = variable{value: NewSecret(text), source: "environment"}
		}
		if !strings.HasPrefix(name, serverPrefix) {
			continue
		}
		row, known := find(name)
		if !known {
			if !serviceLink(name) {
				l.warn("environment: unknown variable %s is passed over%s", name, didYouMean(name))
			}
			continue
		}
		value, err := row.parse(text)
		if err != nil {
			l.problem(Problem{File: "environment", Key: name, Text: err.Error()})
			continue
		}
		values[row.Key] = found{key: row.Key, value: value, text: text, file: "environment", source: "environment"}
	}
	return values
}

// serviceLink knows the variables that Kubernetes sets by itself for a service
// named api-server; they are nobody's mistake.
func serviceLink(name string) bool {
	return strings.HasPrefix(name, "API_SERVER_SERVICE_") || strings.HasPrefix(name, "API_SERVER_PORT_")
}

// readEnvFile reads the profile's .env: API_SERVER_* are settings, unknown ones
// are errors; all other names are the profile's own.
func (l *loader) readEnvFile() map[string]found {
	values := map[string]found{}
	path := filepath.Join(l.sources.Dir, EnvFile)
	lines, ok := l.openEnv(path, l.problem)
	if !ok {
		return values
	}
	lastLine := map[string]int{}
	for i, line := range lines {
		if line.name == "" {
			continue
		}
		if first, twice := lastLine[line.name]; twice {
			l.warn("%s: %s is set in line %d and again in line %d, which counts", path, line.name, first, i+1)
		}
		lastLine[line.name] = i + 1
	}
	for i, line := range lines {
		if line.name == "" || lastLine[line.name] != i+1 || line.value == "" {
			continue
		}
		if !strings.HasPrefix(line.name, serverPrefix) {
			if v, strong := l.env[line.name]; !strong || v.source != "environment" {
				l.env[line.name] = variable{value: NewSecret(line.value), source: where(path, i+1)}
			}
			continue
		}
		row, known := find(line.name)
		if !known {
			l.problem(Problem{File: path, Line: i + 1, Text: unknownServerName(line.name)})
			continue
		}
		value, err := row.parse(line.value)
		if err != nil {
			l.problem(Problem{File: path, Line: i + 1, Key: row.Env, Text: err.Error()})
			continue
		}
		values[row.Key] = found{key: row.Key, value: value, text: line.value, file: path, line: i + 1}
	}
	return values
}

// openEnv reads and splits a .env file and reports what is wrong with it.
func (l *loader) openEnv(path string, report func(Problem)) ([]envLine, bool) {
	f, err := l.read(path)
	if err != nil {
		report(Problem{File: path, Text: err.Error()})
		return nil, false
	}
	if f.exists && f.mode.Perm()&0o077 != 0 {
		l.warn("%s: mode %04o lets other users of this machine read the keys; run chmod 600 %s", path, f.mode.Perm(), path)
	}
	lines, problems := parseEnv(f.data)
	for _, p := range problems {
		p.File = path
		report(p)
	}
	return lines, true
}

// unknownServerName is the sentence about an API_SERVER_* name that is no
// setting.
func unknownServerName(name string) string {
	for _, k := range Keys() {
		if k.Env == "" && plainKey(k.Key) == plainKey(name) {
			return fmt.Sprintf("%s is set in config.yaml; use `hermes config set %s …`", name, k.Key)
		}
	}
	return "unknown setting " + name + didYouMean(name)
}

func (l *loader) readConfigFile() map[string]found {
	path := filepath.Join(l.sources.Dir, YAMLFile)
	f, err := l.read(path)
	if err != nil {
		l.problem(Problem{File: path, Text: err.Error()})
		return nil
	}
	values, problems := readYAML(path, f.data)
	l.problems = append(l.problems, problems...)
	if key, set := values["api_server.key"]; set {
		l.warn("%s: api_server.key is a secret; move it into .env with `hermes config set API_SERVER_KEY …`", key.place())
	}
	return values
}

// readHome takes from the home what passes to named profiles: the rows that are
// shared, and provider keys. What is wrong with the home's other settings is the
// default profile's matter.
func (l *loader) readHome() map[string]found {
	if !l.hasHome() {
		return nil
	}
	path := filepath.Join(l.sources.HomeDir, YAMLFile)
	f, err := l.read(path)
	if err != nil {
		l.problem(Problem{File: path, Text: err.Error()})
		return nil
	}
	all, problems := readYAML(path, f.data)
	for _, p := range problems {
		if l.concerns(p) {
			l.problem(p)
		}
	}
	values := map[string]found{}
	for _, k := range l.keys {
		if value, set := all[k.Key]; set && k.Shared {
			value.source = "home " + value.place()
			values[k.Key] = value
		}
	}
	return values
}

// concerns reports whether a finding in the home's config.yaml is about what
// named profiles take from it, or keeps it from being read.
func (l *loader) concerns(p Problem) bool {
	if p.Key == "" {
		return !strings.HasPrefix(p.Text, "unknown key") || strings.HasPrefix(p.Text, `unknown key "model`)
	}
	return strings.HasPrefix(p.Key, "model") || strings.HasPrefix(p.Key, "fallback_models")
}

// endpoint are the settings that say together where a model is served.
func endpoint() []string { return []string{"model.provider", "model.base_url", "model.api_key_env"} }

// choose takes each setting from the strongest level that has it. A profile that
// names its own provider or base URL does not mix it with the home's: a base URL
// of one service with the key of another would send the key astray.
func (l *loader) choose(shared map[string]found) {
	own := func(key string) (found, bool) {
		for _, level := range l.levels[:len(l.levels)-1] {
			if value, set := level[key]; set {
				return value, true
			}
		}
		return found{}, false
	}
	for _, key := range endpoint()[:2] {
		value, set := own(key)
		if common, also := shared[key]; set && (!also || common.text != value.text) {
			for _, name := range endpoint() {
				delete(shared, name)
			}
			break
		}
	}
	for _, k := range l.keys {
		for _, level := range l.levels {
			if value, set := level[k.Key]; set {
				l.chosen[k.Key] = value
				break
			}
		}
	}
}

func (l *loader) warnUnused() {
	for _, k := range l.keys {
		if value, set := l.chosen[k.Key]; set && k.Unused && value.text != k.Default {
			l.warn("%s: %s has no effect in this version", value.place(), k.Key)
		}
	}
}

// decode fills a Config from the table: defaults, and above them what was
// chosen. UnmarshalExact makes a row without a field an error.
func (l *loader) decode() Config {
	// The delimiter keeps a dot in a value's key (gpt-4.1) from being taken for
	// a level.
	const delimiter = "::"
	v := viper.NewWithOptions(viper.KeyDelimiter(delimiter))
	for _, k := range l.keys {
		name := strings.ReplaceAll(k.Key, ".", delimiter)
		if value, err := k.defaultValue(); err == nil {
			v.SetDefault(name, value)
		}
		if value, set := l.chosen[k.Key]; set {
			v.Set(name, value.value)
		}
	}
	var config Config
	if err := v.UnmarshalExact(&config); err != nil {
		l.problem(Problem{Text: "settings do not fit: " + err.Error()})
	}
	if config.APIServer.ModelName == "" {
		config.APIServer.ModelName = l.sources.Profile
		if l.isDefault() {
			config.APIServer.ModelName = defaultModelName
		}
	}
	return config
}

// defaultValue parses the row's default. Rows without one give the empty value
// of their kind.
func (k Key) defaultValue() (any, error) {
	switch k.Kind {
	case Models:
		return []Model{}, nil
	case Token:
		return Secret{}, nil
	default:
		return k.parse(k.Default)
	}
}
