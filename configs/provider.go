package configs

import "slices"

// The providers that stand for themselves in Upstream.Provider.
const (
	// Auto means that neither a setting nor a provider key decides.
	Auto = "auto"
	// Demo is the built-in model.
	Demo = "demo"
	// Anthropic is the Messages API, also of servers that imitate it.
	Anthropic = "anthropic"
	// Ollama is a local server that needs no key.
	Ollama = "ollama"
	// Compatible is any endpoint that speaks the OpenAI API and is not in the
	// table of providers.
	Compatible = "openai-compatible"
)

// provider is one row of the table of known model services. Anthropic and Ollama
// are spoken to in their own APIs, all others in chat completions.
type provider struct {
	Name    string
	KeyEnv  string // variable that holds the key; "" needs none
	BaseURL string
	Model   string // model id if none is set; "" has to be asked for
}

// providers returns the table of model services, in the order in which their
// keys are looked for. The model ids are the services' own moving names where
// they have such, so that they age slowly.
func providers() []provider {
	return []provider{
		// https://platform.openai.com/docs/api-reference
		{"openai", "OPENAI_API_KEY", "https://api.openai.com/v1", "gpt-5-mini"},
		// https://platform.claude.com/docs/en/api/messages
		{Anthropic, "ANTHROPIC_API_KEY", "https://api.anthropic.com/v1", "claude-sonnet-5"},
		// https://openrouter.ai/docs/quickstart
		{"openrouter", "OPENROUTER_API_KEY", "https://openrouter.ai/api/v1", "openrouter/auto"},
		// https://ai.google.dev/gemini-api/docs/openai
		{"gemini", "GEMINI_API_KEY", "https://generativelanguage.googleapis.com/v1beta/openai", "gemini-flash-latest"},
		// https://console.groq.com/docs/openai
		{"groq", "GROQ_API_KEY", "https://api.groq.com/openai/v1", "openai/gpt-oss-120b"},
		// https://docs.mistral.ai/api
		{"mistral", "MISTRAL_API_KEY", "https://api.mistral.ai/v1", "mistral-medium-latest"},
		// https://api-docs.deepseek.com
		{"deepseek", "DEEPSEEK_API_KEY", "https://api.deepseek.com", "deepseek-flash"},
		// https://github.com/ollama/ollama/blob/main/docs/api.md; with /v1, because
		// that is what people know its address by. The client does without.
		{Ollama, "", "http://127.0.0.1:11434/v1", ""},
	}
}

// providerNames lists what model.provider may be.
func providerNames() []string {
	names := []string{Auto, Demo, Compatible}
	for _, p := range providers() {
		names = append(names, p.Name)
	}
	return names
}

// providerNamed returns the row with that name.
func providerNamed(name string) (provider, bool) {
	rows := providers()
	i := slices.IndexFunc(rows, func(p provider) bool { return p.Name == name })
	if i < 0 {
		return provider{}, false
	}
	return rows[i], true
}

// providerOfKey returns the row whose key stands in the variable env.
func providerOfKey(env string) (provider, bool) {
	rows := providers()
	i := slices.IndexFunc(rows, func(p provider) bool { return env != "" && p.KeyEnv == env })
	if i < 0 {
		return provider{}, false
	}
	return rows[i], true
}
