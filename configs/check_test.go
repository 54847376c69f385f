package configs

import (
	"strings"
	"testing"
)

const goodKey = "hk-Zq8mT2vWc4YxN7bL0aRk"

func TestHostsThatNeedAKey(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, host, key string
		want            string // "" is fine
	}{
		{"loopback without a key", "127.0.0.1", "", ""},
		{"all of 127/8", "127.9.9.9", "", ""},
		{"IPv6 loopback", "::1", "", ""},
		{"mapped loopback", "::ffff:127.0.0.1", "", ""},
		{"localhost", "localhost", "", ""},
		{"loopback with a short key", "127.0.0.1", "x", ""},
		{"all networks with a key", "0.0.0.0", goodKey, ""},
		{"all networks", "0.0.0.0", "", "no API_SERVER_KEY is set; set a key of at least 16 characters first: hermes -p alice config set API_SERVER_KEY"},
		{"all IPv6 networks", "::", "", "no API_SERVER_KEY is set"},
		{"a private address", "192.168.1.5", "", "no API_SERVER_KEY is set"},
		{"a name", "box.lan", "", "no API_SERVER_KEY is set"},
		{"a name like localhost", "localhost.example.com", "", "no API_SERVER_KEY is set"},
		{"mapped network address", "::ffff:10.0.0.1", "", "no API_SERVER_KEY is set"},
		{"short key", "0.0.0.0", "hk-Zq8mT2vWc4Y", "fewer than 16"},
		{"placeholder", "0.0.0.0", "change-me-please-now", "well-known placeholder"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			env := "API_SERVER_HOST=" + test.host + "\n"
			if test.key != "" {
				env += "API_SERVER_KEY=" + test.key + "\n"
			}
			_, err := Load(newDirs(t, map[string]string{aliceEnv: env}).aliceSources())
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "/.env:")):
				t.Errorf("got %v, want file, line and %q", err, test.want)
			case test.key != "" && err != nil && strings.Contains(err.Error(), test.key):
				t.Errorf("the key is shown: %v", err)
			}
		})
	}
}

func TestMetricsForOtherMachinesNeedAToken(t *testing.T) {
	t.Parallel()
	tests := []struct{ address, token, want string }{
		{"127.0.0.1:9642", "", ""},
		{"[::1]:9642", "", ""},
		{"localhost:9642", "", ""},
		{"0.0.0.0:9642", goodKey, ""},
		{"0.0.0.0:9642", "", "no SUPERVISOR_METRICS_TOKEN is set"},
		{"[::]:9642", "", "no SUPERVISOR_METRICS_TOKEN is set"},
		{"box.lan:9642", "short", "fewer than 16 characters"},
	}
	for _, test := range tests {
		d := newDirs(t, map[string]string{
			aliceYAML: "supervisor:\n  metrics_address: \"" + test.address + "\"\n", aliceEnv: "SUPERVISOR_METRICS_TOKEN=" + test.token + "\n",
		})
		_, err := Load(d.aliceSources())
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s with token %q: got %v, want %q", test.address, test.token, err, test.want)
		}
	}
}

func TestWeakKeys(t *testing.T) {
	t.Parallel()
	weak := []string{
		"", "short", "aaaaaaaaaaaaaaaaaaaaaaaa", "abababababababababab", "1111222211112222", "xxxxxxxxxxxxxxxxxxxx",
		"change-me-change-me", "CHANGE_ME_PLEASE_NOW", "changemechangeme1", "your-api-key-here-please", "your-secret-api-key",
		"my-super-secret-key", "supersecretpassword", "password12345678", "secretsecretsecret", "sk-1234567890abcdef",
		"sk-xxxxxxxxxxxxxxxxxxxxxxxx", "sk-your-openai-key-here", "replace-with-a-long-random-value", "0123456789abcdef", "1234567890123456",
		"hermes-agent-api-key", "test-key-1234567", "sk-proj-xxxxxxxxxxxxxxxxxxxx", "00000000-0000-0000-0000-000000000000", "sk-abcdefghijklmnop",
	}
	for _, key := range weak {
		if WeakKey(NewSecret(key)) == "" {
			t.Errorf("%q passes", key)
		}
	}
	strong := []string{
		goodKey, "7f3a9c1e5b8d2046", "d41d8cd98f00b204e9800998ecf8427e", "correct horse battery staple", "Tr0ub4dor&3-und-mehr",
		"sk-proj-9fKq2LxT7vRb3WmZ", "f47ac10b-58cc-4372-a567-0e02b2c3d479",
	}
	for _, key := range strong {
		if reason := WeakKey(NewSecret(key)); reason != "" {
			t.Errorf("%q %s", key, reason)
		}
	}
}
