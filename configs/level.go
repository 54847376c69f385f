package configs

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// readFlags takes the settings of the command line.
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

// readEnvironment takes API_SERVER_*, provider keys and the token for metrics from the process
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
		if sharedKey(name) || name == MetricsToken {
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
		report(Problem{File: path, Text: err.Error(), Err: err})
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
		l.problem(Problem{File: path, Text: err.Error(), Err: err})
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
		l.problem(Problem{File: path, Text: err.Error(), Err: err})
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
	return strings.HasPrefix(p.Key, "model") || strings.HasPrefix(p.Key, "fallback_models") || strings.HasPrefix(p.Key, "web.") || p.Key == "isolation.accept"
}
