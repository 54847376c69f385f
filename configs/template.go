package configs

import (
	_ "embed" // the templates
	"strconv"
	"strings"
)

//go:embed templates/config.yaml
var configTemplate string

//go:embed templates/SOUL.md
var soulTemplate string

// ConfigTemplate is the config.yaml of a new profile: every setting with its
// default, commented out. A test holds it against the table of settings.
func ConfigTemplate() []byte { return []byte(configTemplate) }

// SoulTemplate is the SOUL.md of a new profile.
func SoulTemplate() []byte { return []byte(soulTemplate) }

// EnvOptions is what the .env of a new profile says.
type EnvOptions struct {
	Enabled bool
	Port    int
	Key     Secret // empty: no key
	// Secrets are further variables, such as provider keys that a clone takes
	// along.
	Secrets []EnvEntry
}

// EnvTemplate is the .env of a new profile. It holds the key in plain text: it
// is to be written with mode 0600 and not to be logged.
func EnvTemplate(opts EnvOptions) []byte {
	var b strings.Builder
	b.WriteString("# The API server of this profile, and its secrets. Keep this file to yourself (mode 0600).\n" +
		"# Everything else stands in config.yaml.\n\n")
	b.WriteString("API_SERVER_ENABLED=" + strconv.FormatBool(opts.Enabled) + "\n")
	b.WriteString("API_SERVER_PORT=" + strconv.Itoa(opts.Port) + "\n")
	if opts.Key.IsZero() {
		b.WriteString("# Without a key only programs on this machine are answered, and no browser pages.\n# API_SERVER_KEY=\n")
	} else {
		b.WriteString("API_SERVER_KEY=" + writeEnvValue(opts.Key.Reveal(), 0) + "\n")
	}
	b.WriteString("# Address to listen on. Anything but loopback needs a key.\n# API_SERVER_HOST=127.0.0.1\n" +
		"# Browser origins that may call the API, comma-separated.\n# API_SERVER_CORS_ORIGINS=\n" +
		"# Model id on /v1/models; the profile's name if not set.\n# API_SERVER_MODEL_NAME=\n\n" +
		"# Provider keys. Those of the home serve every profile that has none of its own.\n")
	for _, p := range providers() {
		if p.KeyEnv != "" {
			b.WriteString("# " + p.KeyEnv + "=\n")
		}
	}
	b.WriteString("# Keys of search services; web.search works without any.\n")
	for _, s := range searchServices() {
		if s.KeyEnv != "" {
			b.WriteString("# " + s.KeyEnv + "=\n")
		}
	}
	for _, entry := range opts.Secrets {
		b.WriteString(entry.Name + "=" + writeEnvValue(entry.Value.Reveal(), 0) + "\n")
	}
	return []byte(b.String())
}
