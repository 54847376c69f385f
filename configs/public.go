package configs

import (
	"errors"
	"slices"
	"strings"
)

// PublicEnv returns what may be told of a profile's .env: the settings of its API
// server but for the key. Whatever else stands there, a provider key or a
// variable that nothing here knows, may be a secret and is left out.
func PublicEnv(env []byte) []byte {
	var b strings.Builder
	b.WriteString("# The secrets of this profile were left out.\n")
	for _, entry := range serverEntries(env) {
		b.WriteString(entry.Name + "=" + writeEnvValue(entry.Value.Reveal(), 0) + "\n")
	}
	return []byte(b.String())
}

// serverEntries lists the settings of the API server that are no secrets; of one
// that is there twice the last counts.
func serverEntries(env []byte) []EnvEntry {
	entries, _ := ParseEnv(env)
	var taken []EnvEntry
	for _, entry := range entries {
		row, known := find(entry.Name)
		if !known || row.Env != entry.Name || row.Secret || entry.Value.IsZero() {
			continue
		}
		taken = slices.DeleteFunc(taken, func(e EnvEntry) bool { return e.Name == entry.Name })
		taken = append(taken, entry)
	}
	return taken
}

// PublicYAML returns a config.yaml without the secrets in it. The error is a
// *Problem without a file.
func PublicYAML(data []byte) ([]byte, error) {
	return withoutYAML(data, func(k Key) bool { return k.Secret })
}

// MovedYAML returns the config.yaml of a profile that gets another port and key.
// The error is a *Problem without a file.
func MovedYAML(data []byte) ([]byte, error) {
	return withoutYAML(data, func(k Key) bool { return moved(k.Env) })
}

// MovedEnv returns the entries of a .env that a profile keeps which gets another
// port and key. Whether it is served is said anew as well.
func MovedEnv(env []byte) []EnvEntry {
	entries, _ := ParseEnv(env)
	var kept []EnvEntry
	for _, entry := range entries {
		if moved(entry.Name) || entry.Name == "API_SERVER_ENABLED" || entry.Value.IsZero() {
			continue
		}
		kept = slices.DeleteFunc(kept, func(e EnvEntry) bool { return e.Name == entry.Name })
		kept = append(kept, entry)
	}
	return kept
}

// moved reports whether a variable is the port or the key.
func moved(env string) bool { return env == "API_SERVER_PORT" || env == "API_SERVER_KEY" }

func withoutYAML(data []byte, drop func(Key) bool) ([]byte, error) {
	if data == nil {
		return nil, nil
	}
	for _, k := range Keys() {
		if !drop(k) {
			continue
		}
		result, _, err := unsetYAML(data, k)
		if errors.Is(err, errNotSet) {
			continue
		}
		if err != nil {
			return nil, err
		}
		data = result
	}
	return data, nil
}
