package configs

import (
	"net"
	"reflect"
	"strings"
	"testing"
	"time"
)

func row(t *testing.T, name string) Key {
	t.Helper()
	k, known := find(name)
	if !known {
		t.Fatalf("there is no row %s", name)
	}
	return k
}

func TestGoodValues(t *testing.T) {
	t.Parallel()
	tests := []struct {
		key, text string
		want      any
	}{
		{"API_SERVER_ENABLED", "true", true},
		{"API_SERVER_ENABLED", "YES", true},
		{"API_SERVER_ENABLED", "on", true},
		{"API_SERVER_ENABLED", "1", true},
		{"API_SERVER_ENABLED", "no", false},
		{"API_SERVER_ENABLED", "Off", false},
		{"API_SERVER_ENABLED", "0", false},
		{"API_SERVER_PORT", "1", int64(1)},
		{"API_SERVER_PORT", "65535", int64(65535)},
		{"API_SERVER_HOST", "127.0.0.1", "127.0.0.1"},
		{"API_SERVER_HOST", "::1", "::1"},
		{"API_SERVER_HOST", "0.0.0.0", "0.0.0.0"},
		{"API_SERVER_HOST", "fe80::1%eth0", "fe80::1%eth0"},
		{"API_SERVER_HOST", "LocalHost", "localhost"},
		{"supervisor.metrics_address", "", ""},
		{"supervisor.metrics_address", "127.0.0.1:9642", "127.0.0.1:9642"},
		{"supervisor.metrics_address", "[::1]:1", "[::1]:1"},
		{"API_SERVER_HOST", "box.example.com", "box.example.com"},
		{"API_SERVER_MODEL_NAME", "team/alice-1.5:latest", "team/alice-1.5:latest"},
		{"API_SERVER_CORS_ORIGINS", "https://a.example, http://localhost:3000", []string{"https://a.example", "http://localhost:3000"}},
		{"API_SERVER_CORS_ORIGINS", "HTTPS://A.Example:443", []string{"https://a.example"}},
		{"API_SERVER_CORS_ORIGINS", "http://[::1]:80,app://obsidian.md,chrome-extension://abc", []string{"http://[::1]", "app://obsidian.md", "chrome-extension://abc"}},
		{"API_SERVER_CORS_ORIGINS", "", []string{}},
		{"terminal.timeout", "180s", 180 * time.Second},
		{"terminal.timeout", "2m30s", 150 * time.Second},
		{"api_server.drain_timeout", "0s", time.Duration(0)},
		{"limits.memory", "512MiB", int64(512 << 20)},
		{"limits.memory", "1gib", int64(1 << 30)},
		{"limits.memory", "100 MB", int64(100e6)},
		{"limits.memory", "536870912", int64(536870912)},
		{"api_server.max_body_bytes", "10000000", int64(10000000)},
		{"model.base_url", "http://127.0.0.1:11434/v1/", "http://127.0.0.1:11434/v1"},
		{"model.base_url", "https://[2001:db8::1]:8080/v1", "https://[2001:db8::1]:8080/v1"},
		{"model.base_url", "", ""},
		{"web.searxng_url", "http://127.0.0.1:8888/", "http://127.0.0.1:8888"},
		{"web.allow_private", "10.1.2.3/16, Wiki.lan, wiki.lan:8080, 10.0.0.5, [::1]:80", []string{"10.1.0.0/16", "wiki.lan", "wiki.lan:8080", "10.0.0.5", "[::1]:80"}},
		{"web.allow_private", "", []string{}},
		{"web.ports", "80, 443,8080", []string{"80", "443", "8080"}},
		{"model.default", "org/model-7b:latest", "org/model-7b:latest"},
		{"model.api_key_env", "MY_KEY", "MY_KEY"},
		{"display.tool_progress", "off", "off"},
		{"agent.tools", "[terminal, read_file]", []string{"terminal", "read_file"}},
		{"agent.tools", "terminal", []string{"terminal"}},
		{"agent.tools", "[]", []string{}},
		{"limits.tokens_per_day", "1000000000000", int64(1e12)},
	}
	for _, test := range tests {
		t.Run(test.key+"="+test.text, func(t *testing.T) {
			t.Parallel()
			got, err := row(t, test.key).parse(test.text)
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %#v, %v, want %#v", got, err, test.want)
			}
		})
	}
}

func TestBadValuesAreExplained(t *testing.T) {
	t.Parallel()
	tests := []struct{ key, text, want string }{
		{"API_SERVER_ENABLED", "maybe", `"maybe" is neither true nor false`},
		{"API_SERVER_ENABLED", "", "neither true nor false"},
		{"API_SERVER_PORT", "0", "use 1 to 65535"},
		{"API_SERVER_PORT", "65536", "use 1 to 65535"},
		{"API_SERVER_PORT", "-1", "use 1 to 65535"},
		{"API_SERVER_PORT", "80 80", `"80 80" is no port`},
		{"API_SERVER_PORT", "8642.0", "is no port"},
		{"API_SERVER_PORT", "0x50", "is no port"},
		{"API_SERVER_PORT", "99999999999999999999", "is no port"},
		{"API_SERVER_PORT", "tcp://10.0.0.1:8642", "enableServiceLinks"},
		{"API_SERVER_PORT", "８６４２", "is no port"},
		{"API_SERVER_HOST", "", "the address is empty"},
		{"API_SERVER_HOST", "*", "0.0.0.0"},
		{"API_SERVER_HOST", "[::1]", "without brackets"},
		{"API_SERVER_HOST", "127.0.0.1:8642", "API_SERVER_PORT"},
		{"API_SERVER_HOST", "localhost:8642", "API_SERVER_PORT"},
		{"API_SERVER_HOST", "http://127.0.0.1", "host alone"},
		{"supervisor.metrics_address", "127.0.0.1", "no address with a port"},
		{"supervisor.metrics_address", ":9642", "0.0.0.0 for all networks"},
		{"supervisor.metrics_address", "127.0.0.1:0", "no port between 1 and 65535"},
		{"supervisor.metrics_address", "127.0.0.1:http", "no port between 1 and 65535"},
		{"supervisor.metrics_address", "*:9642", "0.0.0.0"},
		{"API_SERVER_HOST", "256.1.1.1", "neither an IP address nor a host name"},
		{"API_SERVER_HOST", "127.1", "neither an IP address nor a host name"},
		{"API_SERVER_HOST", "my host", "neither an IP address nor a host name"},
		{"API_SERVER_HOST", "-x", "neither an IP address nor a host name"},
		{"API_SERVER_MODEL_NAME", "a b", "no model name"},
		{"API_SERVER_MODEL_NAME", `a"b`, "no model name"},
		{"API_SERVER_MODEL_NAME", "-a", "no model name"},
		{"API_SERVER_MODEL_NAME", strings.Repeat("a", 129), "no model name"},
		{"API_SERVER_CORS_ORIGINS", "*", "`*` is not allowed"},
		{"API_SERVER_CORS_ORIGINS", "https://*.example.com", "`*` is not allowed"},
		{"API_SERVER_CORS_ORIGINS", "null", "sandboxed"},
		{"API_SERVER_CORS_ORIGINS", "https://a.example/", "without a slash"},
		{"API_SERVER_CORS_ORIGINS", "https://a.example/path", "after the host"},
		{"API_SERVER_CORS_ORIGINS", "https://a.example?x", "after the host"},
		{"API_SERVER_CORS_ORIGINS", "a.example", "scheme://host"},
		{"API_SERVER_CORS_ORIGINS", "https://", "scheme://host"},
		{"API_SERVER_CORS_ORIGINS", "https://a.example:99999", "scheme://host"},
		{"API_SERVER_CORS_ORIGINS", "https://аpple.example", "scheme://host"},
		{"API_SERVER_KEY", "with space in it", "request header"},
		{"API_SERVER_KEY", "schlüssel-für-alle", "request header"},
		{"API_SERVER_KEY", strings.Repeat("k", 1025), "longer than 1024 bytes"},
		{"terminal.timeout", "180", "such as 180s"},
		{"terminal.timeout", "fast", "such as 180s"},
		{"terminal.timeout", "-5s", "use 1s to 24h"},
		{"terminal.timeout", "25h", "use 1s to 24h"},
		{"limits.memory", "512M", "512MiB"},
		{"limits.memory", "lots", "512MiB"},
		{"limits.memory", "-1", "512MiB"},
		{"limits.memory", "1MiB", "use 64MiB to 1TiB"},
		{"limits.memory", "9223372036854775807TiB", "use 64MiB to 1TiB"},
		{"limits.processes", "1", "use 16 to 65536"},
		{"web.search", "google", "use auto, searxng"},
		{"web.searxng_url", "localhost:8888", "is no URL"},
		{"web.allow_private", "0.0.0.0/0", "name what is meant"},
		{"web.allow_private", "::/0", "name what is meant"},
		{"web.allow_private", "http://wiki.lan/", "neither a range of addresses"},
		{"web.allow_private", "wiki.lan:0", "neither a range of addresses"},
		{"web.allow_private", "*.lan", "neither a range of addresses"},
		{"web.allow_private", "127.1", "neither a range of addresses"},
		{"web.ports", "http", "is no port"},
		{"web.ports", "0", "is no port"},
		{"web.ports", "70000", "is no port"},
		{"model.provider", "opnai", "use auto"},
		{"model.base_url", "api.openai.com/v1", "like https://api.openai.com/v1"},
		{"model.base_url", "ftp://x/v1", "http://"},
		{"model.base_url", "https://x/v1?key=abc", "? or #"},
		{"model.base_url", "https://x:0/v1", "valid port"},
		{"model.base_url", "https://x/v1/chat/completions", "without /chat/completions"},
		{"model.base_url", "http:///v1", "is no URL"},
		{"model.api_key_env", "sk-abc", "no name of a variable"},
		{"model.api_key_env", "API_SERVER_KEY", "must not be sent"},
		{"model.default", " gpt", "begins or ends with a space"},
		{"model.default", "a\nb", "line break"},
		{"model.default", "a\x00b", "control character"},
		{"model.default", "a\xffb", "UTF-8"},
		{"model.default", strings.Repeat("m", 5000), "longer than 4096 bytes"},
		{"model.context_length", "-1", "use 0 to"},
		{"model.context_length", "128k", "whole number"},
		{"display.tool_progress", "Off", "use auto, inline, event, both or off"},
		{"agent.tools", "terminal,bash", `"bash" is not among the values`},
		{"agent.tools", "all,terminal", "`all` stands alone"},
		{"agent.tools", "patch,patch", "stands twice"},
		{"fallback_models", "x", "edited by hand"},
	}
	for _, test := range tests {
		t.Run(test.key+"="+test.text[:min(len(test.text), 30)], func(t *testing.T) {
			t.Parallel()
			value, err := row(t, test.key).parse(test.text)
			if err == nil {
				t.Fatalf("it was taken as %#v", value)
			}
			if !strings.Contains(err.Error(), test.want) || strings.ContainsAny(err.Error(), "\n\x00") || len(err.Error()) > 300 {
				t.Errorf("got %q, want one line with %q", err, test.want)
			}
		})
	}
}

// TestBadValuesDoNotShowSecrets gives keys where something else belongs.
func TestBadValuesDoNotShowSecrets(t *testing.T) {
	t.Parallel()
	const secret = "sk-proj-Zx81"
	for _, test := range []struct{ key, text string }{
		{"model.api_key_env", secret},
		{"model.base_url", "https://me:" + secret + "@host/v1"},
		{"model.base_url", "https://host/v1?key=" + secret},
		{"API_SERVER_KEY", secret + " " + secret},
		{"API_SERVER_KEY", secret + "\n"},
		{"API_SERVER_CORS_ORIGINS", "https://me:" + secret + "@host"},
	} {
		if _, err := row(t, test.key).parse(test.text); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error is %v", test.key, err)
		}
	}
}

func TestEveryRowIsSound(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, k := range Keys() {
		if seen[k.Key] || seen[k.Env] && k.Env != "" {
			t.Errorf("%s stands twice", k.Key)
		}
		seen[k.Key], seen[k.Env] = true, true
		if _, err := k.defaultValue(); err != nil {
			t.Errorf("%s: the default %q is bad: %v", k.Key, k.Default, err)
		}
		if !strings.HasSuffix(k.Help, ".") {
			t.Errorf("%s: the help %q is no sentence", k.Key, k.Help)
		}
		if k.Env != "" && (k.Shared || plainKey(k.Key) != strings.ToLower(k.Env)) {
			t.Errorf("%s: %s is shared, or not its name in capitals", k.Key, k.Env)
		}
		if (k.Kind == Enum || k.Kind == Words) != (len(k.Allowed) > 0) {
			t.Errorf("%s: a %s has the values %v", k.Key, k.Kind, k.Allowed)
		}
	}
}

// TestConfigHasAFieldForEveryRow fails when a row is added without its field, or
// a field without its row.
func TestConfigHasAFieldForEveryRow(t *testing.T) {
	t.Parallel()
	var fields []string
	config := reflect.TypeFor[Config]()
	for section := range config.Fields() {
		name := section.Tag.Get("mapstructure")
		if section.Type.Kind() != reflect.Struct {
			fields = append(fields, name)
			continue
		}
		for field := range section.Type.Fields() {
			fields = append(fields, name+"."+field.Tag.Get("mapstructure"))
		}
	}
	rows := map[string]bool{}
	for _, k := range Keys() {
		rows[k.Key] = true
	}
	for _, field := range fields {
		if !rows[field] {
			t.Errorf("the field %s has no row", field)
		}
		delete(rows, field)
	}
	for key := range rows {
		t.Errorf("the row %s has no field", key)
	}
}

func TestNearestFindsWhatWasMeant(t *testing.T) {
	t.Parallel()
	tests := []struct{ typed, want string }{
		{"API_SERVER_PROT", "API_SERVER_PORT"},
		{"api_server_port", "API_SERVER_PORT"},
		{"API_SERVER_CORS", "API_SERVER_CORS_ORIGINS"},
		{"model.defualt", "model.default"},
		{"model.base-url", "model.base_url"},
		{"Model.Default", "model.default"},
		{"timeout", "terminal.timeout"},
		{"OPENAI_APIKEY", "OPENAI_API_KEY"},
		{"port", "API_SERVER_PORT"},
	}
	for _, test := range tests {
		if got := Nearest(test.typed); len(got) == 0 || got[0] != test.want {
			t.Errorf("%s: nearest are %v, want %s first", test.typed, got, test.want)
		}
	}
	if got := Nearest("completely_different_thing"); len(got) != 0 {
		t.Errorf("a strange key is near to %v", got)
	}
	if got := Nearest(strings.Repeat("x", 1<<20)); len(got) != 0 {
		t.Errorf("a huge key is near to %v", got)
	}
}

// What is taken for an address can be listened on as it is, and is taken again.
func FuzzAddress(f *testing.F) {
	for _, text := range []string{"", "127.0.0.1:9642", "[::1]:1", "localhost:65535", ":80", "[fe80::1%eth0]:80", "a:b:c", "[x]:1", "1.2.3:4"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, err := parseAddress(text)
		if err != nil || value == "" {
			return
		}
		again, err := parseAddress(value.(string))
		host, port, splitErr := net.SplitHostPort(value.(string))
		if err != nil || again != value || splitErr != nil || host == "" || port == "" {
			t.Errorf("%q became %q, which is %v, %v, %v", text, value, again, err, splitErr)
		}
	})
}
