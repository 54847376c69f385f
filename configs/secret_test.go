package configs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestSecretIsNeverPrinted puts a secret where it might leak: in a struct, behind
// an unexported field, in a map, in an error.
func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	const text = "hk-very-private"
	secret := NewSecret(text)
	type hidden struct{ inner Secret }
	values := []any{
		secret, &secret,
		hidden{secret},
		&hidden{secret},
		[]Secret{secret},
		map[string]Secret{"a": secret},
		Config{APIServer: APIServer{Key: secret}},
		Value{Raw: secret, Secret: true},
		Upstream{APIKey: secret},
		Loaded{upstreams: []Upstream{{APIKey: secret}}, Env: map[string]Secret{"A_KEY": secret}},
		fmt.Errorf("no good: %v", secret),
		EnvEntry{Name: "A", Value: secret},
	}
	for _, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			printed := fmt.Sprintf(verb, value)
			if strings.Contains(printed, text) || strings.Contains(strings.ToLower(printed), fmt.Sprintf("%x", text)) {
				t.Errorf("%s of %T shows the secret: %s", verb, value, printed)
			}
		}
		if encoded, err := json.Marshal(value); err == nil && bytes.Contains(encoded, []byte(text)) {
			t.Errorf("JSON of %T shows the secret: %s", value, encoded)
		}
		if encoded, err := yaml.Marshal(value); err == nil && bytes.Contains(encoded, []byte(text)) {
			t.Errorf("YAML of %T shows the secret: %s", value, encoded)
		}
		var logged bytes.Buffer
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "value", value)
		slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "value", value)
		if strings.Contains(logged.String(), text) {
			t.Errorf("log of %T shows the secret: %s", value, logged.String())
		}
	}
}

func TestSecretSaysWhetherItIsSet(t *testing.T) {
	t.Parallel()
	empty, set := NewSecret(""), NewSecret("x")
	if !empty.IsZero() || empty.String() != "" || empty.Reveal() != "" {
		t.Errorf("an empty secret is %q, zero %v", empty, empty.IsZero())
	}
	if set.IsZero() || set.String() != "[redacted]" || set.Reveal() != "x" {
		t.Errorf("a secret is %q, zero %v", set, set.IsZero())
	}
	if encoded, err := json.Marshal(map[string]Secret{"a": empty, "b": set}); err != nil || string(encoded) != `{"a":"","b":"[redacted]"}` {
		t.Errorf("JSON is %s", encoded)
	}
}
