package configs

import (
	"fmt"
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
	mcp       mcpServers
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
	loaded.mcp = l.fillMCP(loaded.Config)
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
		if value, set := own(k.Key); set && k.Home && l.hasHome() {
			l.problem(Problem{
				File: value.file, Line: value.line, Key: k.Key,
				Text: "it is about all profiles, so only the home's settings can say it; remove it with: " + l.unsetCommand(k.Key),
			})
			continue
		}
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
	case Servers:
		return []MCPServer{}, nil
	case Token:
		return Secret{}, nil
	default:
		return k.parse(k.Default)
	}
}
