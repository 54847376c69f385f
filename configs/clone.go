package configs

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// CloneYAML returns the config.yaml of a profile without what belongs to that
// profile alone: every setting that also has an API_SERVER_* variable. The error
// is a *Problem without a file.
func CloneYAML(data []byte) ([]byte, error) {
	for _, k := range Keys() {
		if k.Env == "" {
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

// CloneEnv returns the provider keys of a profile's .env: those of the known
// services and those that its config.yaml names with api_key_env or, for an MCP
// server, as ${NAME}. Its other
// secrets and its API_SERVER_* are not taken along. Lines that cannot be read
// are passed over.
func CloneEnv(env, config []byte) []EnvEntry {
	named := map[string]bool{}
	for _, pattern := range []*regexp.Regexp{keyEnvPattern(), mcpReference()} {
		for _, match := range pattern.FindAllSubmatch(config, -1) {
			named[string(match[1])] = true
		}
	}
	entries, _ := ParseEnv(env)
	var taken []EnvEntry
	for _, entry := range entries {
		isKey := sharedKey(entry.Name)
		if strings.HasPrefix(entry.Name, serverPrefix) || entry.Value.IsZero() || (!isKey && !named[entry.Name]) {
			continue
		}
		taken = slices.DeleteFunc(taken, func(e EnvEntry) bool { return e.Name == entry.Name })
		taken = append(taken, entry)
	}
	return taken
}

var (
	keyEnvPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\bapi_key_env["']?\s*:\s*["']?([A-Z_][A-Z0-9_]*)`)
	})
	envPortPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?m)^[ \t]*(?:export[ \t]+)?API_SERVER_PORT[ \t]*=[ \t]*["']?([0-9]{1,5})\b`)
	})
	// yamlPortPattern matches any `port:`, in whatever section and also in a file
	// that is broken elsewhere.
	yamlPortPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?m)^[^#\r\n]*\bport["']?[ \t]*:[ \t]*["']?([0-9]{1,5})\b`)
	})
)

// ClaimedPorts lists the ports that a profile's files name, whether or not the
// files are valid and the port is in effect: a port that somebody wrote down is
// not given to somebody else. It is empty if they name none.
func ClaimedPorts(env, config []byte) []int {
	var ports []int
	for _, match := range slices.Concat(envPortPattern().FindAllSubmatch(env, -1), yamlPortPattern().FindAllSubmatch(config, -1)) {
		port, err := strconv.Atoi(string(match[1]))
		if err == nil && port > 0 && port <= maxPort && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports
}
