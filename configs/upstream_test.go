package configs

import (
	"strings"
	"testing"
)

func TestUpstreams(t *testing.T) {
	t.Parallel()
	const (
		shared = "home"
		mine   = "mine"
	)
	tests := []struct {
		name                      string
		home, homeKeys, own, keys string
		want                      Upstream
		key                       string
		source                    string
	}{
		{
			name: "nothing", want: Upstream{Provider: Auto, Name: Auto}, source: "no provider",
		},
		{
			name: "a model alone", own: "default: qwen3", want: Upstream{Provider: Auto, Name: Auto, Model: "qwen3"}, source: "no provider",
		},
		{
			name: "OpenAI key of the home", homeKeys: "OPENAI_API_KEY=" + shared,
			want: Upstream{Provider: "openai", Name: "openai", Model: "gpt-5-mini", BaseURL: "https://api.openai.com/v1", KeyEnv: "OPENAI_API_KEY"},
			key:  shared, source: "OPENAI_API_KEY in home /",
		},
		{
			name: "own key before the home's", homeKeys: "OPENAI_API_KEY=" + shared, keys: "ANTHROPIC_API_KEY=" + mine,
			want: Upstream{Provider: "anthropic", Name: "anthropic", Model: "claude-sonnet-5", BaseURL: "https://api.anthropic.com/v1", KeyEnv: "ANTHROPIC_API_KEY"},
			key:  mine, source: "ANTHROPIC_API_KEY in /",
		},
		{
			name: "order of the table", keys: "GROQ_API_KEY=g\nOPENROUTER_API_KEY=" + mine,
			want: Upstream{Provider: Compatible, Name: "openrouter", Model: "openrouter/auto", BaseURL: "https://openrouter.ai/api/v1", KeyEnv: "OPENROUTER_API_KEY"},
			key:  mine, source: "OPENROUTER_API_KEY in /",
		},
		{
			name: "provider before keys", own: "provider: groq\n  default: m", keys: "OPENAI_API_KEY=x\nGROQ_API_KEY=" + mine,
			want: Upstream{Provider: Compatible, Name: "groq", Model: "m", BaseURL: "https://api.groq.com/openai/v1", KeyEnv: "GROQ_API_KEY"},
			key:  mine, source: "model.provider in /",
		},
		{
			name: "ollama", own: "provider: ollama\n  default: qwen3", homeKeys: "OPENAI_API_KEY=" + shared,
			want: Upstream{Provider: "ollama", Name: "ollama", Model: "qwen3", BaseURL: "http://127.0.0.1:11434/v1"}, source: "model.provider in /",
		},
		{
			name: "demo", own: "provider: demo", keys: "OPENAI_API_KEY=" + mine,
			want: Upstream{Provider: "demo", Name: "demo", Model: "demo"}, source: "model.provider in /",
		},
		{
			name: "base URL alone", own: "base_url: http://127.0.0.1:8080/v1/\n  default: m",
			want:   Upstream{Provider: Compatible, Name: Compatible, Model: "m", BaseURL: "http://127.0.0.1:8080/v1", KeyEnv: "OPENAI_API_KEY"},
			source: "model.base_url in /",
		},
		{
			name: "base URL of a known provider", own: "base_url: https://api.mistral.ai/v1", homeKeys: "MISTRAL_API_KEY=" + shared,
			want: Upstream{Provider: Compatible, Name: "mistral", Model: "mistral-medium-latest", BaseURL: "https://api.mistral.ai/v1", KeyEnv: "MISTRAL_API_KEY"},
			key:  shared, source: "model.base_url in /",
		},
		{
			name: "base URL of ollama", own: "base_url: http://127.0.0.1:11434/v1\n  default: m", homeKeys: "OPENAI_API_KEY=" + shared,
			want:   Upstream{Provider: "ollama", Name: "ollama", Model: "m", BaseURL: "http://127.0.0.1:11434/v1"},
			source: "model.base_url in /",
		},
		{
			name: "base URL of Anthropic", own: "base_url: https://api.anthropic.com\n  default: m", homeKeys: "ANTHROPIC_API_KEY=" + shared,
			want: Upstream{Provider: "anthropic", Name: "anthropic", Model: "m", BaseURL: "https://api.anthropic.com", KeyEnv: "ANTHROPIC_API_KEY"},
			key:  shared, source: "model.base_url in /",
		},
		{
			name: "a server that imitates Anthropic's API", own: "provider: anthropic\n  base_url: https://proxy.example/anthropic\n  default: m", keys: "ANTHROPIC_API_KEY=" + mine,
			want: Upstream{Provider: "anthropic", Name: "anthropic", Model: "m", BaseURL: "https://proxy.example/anthropic", KeyEnv: "ANTHROPIC_API_KEY"},
			key:  mine, source: "model.provider in /",
		},
		{
			name: "chat completions of Anthropic", own: "provider: openai-compatible\n  base_url: https://api.anthropic.com/v1\n  default: m", keys: "ANTHROPIC_API_KEY=" + mine,
			want: Upstream{Provider: Compatible, Name: "anthropic", Model: "m", BaseURL: "https://api.anthropic.com/v1", KeyEnv: "ANTHROPIC_API_KEY"},
			key:  mine, source: "model.base_url in /",
		},
		{
			name: "chat completions of Ollama", own: "provider: openai-compatible\n  base_url: http://127.0.0.1:11434/v1\n  default: m",
			want:   Upstream{Provider: Compatible, Name: "ollama", Model: "m", BaseURL: "http://127.0.0.1:11434/v1"},
			source: "model.base_url in /",
		},
		{
			name: "the home's key stays away from alice's base URL", own: "base_url: https://proxy.example/v1\n  default: m", homeKeys: "OPENAI_API_KEY=" + shared,
			want:   Upstream{Provider: Compatible, Name: Compatible, Model: "m", BaseURL: "https://proxy.example/v1", KeyEnv: "OPENAI_API_KEY"},
			source: "model.base_url in /",
		},
		{
			name: "unless she names it", own: "base_url: https://proxy.example/v1\n  default: m\n  api_key_env: OPENAI_API_KEY", homeKeys: "OPENAI_API_KEY=" + shared,
			want: Upstream{Provider: Compatible, Name: Compatible, Model: "m", BaseURL: "https://proxy.example/v1", KeyEnv: "OPENAI_API_KEY"},
			key:  shared, source: "model.base_url in /",
		},
		{
			name: "her own key goes there", own: "base_url: https://proxy.example/v1\n  default: m", keys: "OPENAI_API_KEY=" + mine,
			want: Upstream{Provider: Compatible, Name: Compatible, Model: "m", BaseURL: "https://proxy.example/v1", KeyEnv: "OPENAI_API_KEY"},
			key:  mine, source: "model.base_url in /",
		},
		{
			name: "base URL and key of the home", home: "base_url: https://proxy.example/v1\n  default: m", homeKeys: "OPENAI_API_KEY=" + shared,
			want: Upstream{Provider: Compatible, Name: Compatible, Model: "m", BaseURL: "https://proxy.example/v1", KeyEnv: "OPENAI_API_KEY"},
			key:  shared, source: "model.base_url in home /",
		},
		{
			name: "alice's provider does not mix with the home's base URL", home: "provider: openai\n  base_url: https://proxy.example/v1\n  default: m\n  api_key_env: PROXY_KEY",
			homeKeys: "PROXY_KEY=" + shared, own: "provider: ollama",
			want: Upstream{Provider: "ollama", Name: "ollama", Model: "m", BaseURL: "http://127.0.0.1:11434/v1"}, source: "model.provider in /",
		},
		{
			name: "key by name alone", own: "api_key_env: MY_KEY", keys: "MY_KEY=" + mine,
			want: Upstream{Provider: "openai", Name: "openai", Model: "gpt-5-mini", BaseURL: "https://api.openai.com/v1", KeyEnv: "MY_KEY"},
			key:  mine, source: "model.api_key_env in /",
		},
		{
			name: "contract's example", own: "provider: auto\n  default: gpt-5-mini\n  base_url: https://api.openai.com/v1\n  api_key_env: OPENAI_API_KEY\n  context_length: 1000\n  streaming: false",
			keys: "OPENAI_API_KEY=" + mine,
			want: Upstream{Provider: "openai", Name: "openai", Model: "gpt-5-mini", BaseURL: "https://api.openai.com/v1", KeyEnv: "OPENAI_API_KEY", ContextLength: 1000},
			key:  mine, source: "model.base_url in /",
		},
		{
			name: "missing key of a local server is no matter", own: "base_url: http://localhost:1234/v1\n  default: m\n  api_key_env: LOCAL_KEY",
			want:   Upstream{Provider: Compatible, Name: Compatible, Model: "m", BaseURL: "http://localhost:1234/v1", KeyEnv: "LOCAL_KEY"},
			source: "model.base_url in /",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{homeEnv: test.homeKeys + "\n", aliceEnv: test.keys + "\n"}
			if test.home != "" {
				files[homeYAML] = "model:\n  " + test.home + "\n"
			}
			if test.own != "" {
				files[aliceYAML] = "model:\n  " + test.own + "\n"
			}
			got := mustLoad(t, newDirs(t, files).aliceSources()).Upstreams()
			if len(got) != 1 {
				t.Fatalf("got %d upstreams", len(got))
			}
			key, source := got[0].APIKey.Reveal(), got[0].Source
			got[0].APIKey, got[0].Source = Secret{}, ""
			test.want.Streaming = !strings.Contains(test.own, "streaming: false")
			if got[0] != test.want || key != test.key || !strings.HasPrefix(source, test.source) {
				t.Errorf("got  %+v %q %q\nwant %+v %q %q", got[0], key, source, test.want, test.key, test.source)
			}
		})
	}
}

func TestFallbackModels(t *testing.T) {
	t.Parallel()
	d := newDirs(t, map[string]string{
		homeEnv: "OPENAI_API_KEY=sk-o\nGROQ_API_KEY=sk-g\n",
		homeYAML: "fallback_models:\n  - provider: groq\n    default: big\n  - base_url: http://127.0.0.1:9/v1\n    default: small\n    streaming: off\n    context_length: 8000\n" +
			"  - provider: demo\n",
	})
	ups := mustLoad(t, d.aliceSources()).Upstreams()
	if len(ups) != 4 {
		t.Fatalf("got %d upstreams", len(ups))
	}
	if ups[0].Name != "openai" || ups[1].Name != "groq" || ups[1].APIKey.Reveal() != "sk-g" || ups[1].Model != "big" {
		t.Errorf("got %+v", ups[:2])
	}
	if ups[2].BaseURL != "http://127.0.0.1:9/v1" || ups[2].Streaming || ups[2].ContextLength != 8000 || ups[3].Provider != Demo {
		t.Errorf("got %+v", ups[2:])
	}
	if !strings.HasPrefix(ups[1].Source, "fallback_models[0].provider in home "+d.home) {
		t.Errorf("the source is %q", ups[1].Source)
	}
}

func TestUpstreamProblems(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, yaml, want string }{
		{"key is not set", "model:\n  api_key_env: MY_KEY\n", "config.yaml:2: model.api_key_env: MY_KEY is not set; set the provider's key first: hermes -p alice config set MY_KEY"},
		{"key of a fallback", "fallback_models:\n  - provider: openai\n    api_key_env: MY_KEY\n", "config.yaml:2: fallback_models[0].api_key_env: MY_KEY is not set"},
		{"compatible with what", "model:\n  provider: openai-compatible\n", "config.yaml:2: model.provider: openai-compatible needs the address"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(newDirs(t, map[string]string{aliceYAML: test.yaml}).aliceSources())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// TestProviderTable checks the rows that nobody else would notice to be wrong.
func TestProviderTable(t *testing.T) {
	t.Parallel()
	for _, p := range providers() {
		if _, err := parseURL(p.BaseURL); err != nil || strings.HasSuffix(p.BaseURL, "/") {
			t.Errorf("%s: the base URL %s: %v", p.Name, p.BaseURL, err)
		}
		if p.KeyEnv != "" && !secretPattern().MatchString(p.KeyEnv) {
			t.Errorf("%s: `config set %s` would not go to .env", p.Name, p.KeyEnv)
		}
		if p.KeyEnv != "" && !strings.HasPrefix(p.BaseURL, "https://") {
			t.Errorf("%s: a key would be sent in the clear", p.Name)
		}
	}
}
