package configs

import (
	"fmt"
)

// Upstream is one model endpoint, with everything resolved that the settings
// can tell.
type Upstream struct {
	// Provider is "openai", "anthropic", "ollama", "openai-compatible" or "demo", or
	// "auto" when neither a setting nor a provider key decides and a server on this
	// machine has to be looked for. It says which API is spoken at BaseURL: that of
	// Anthropic, that of Ollama, or else chat completions.
	Provider string `json:"provider"`
	// Name is the provider's name in the table (openrouter, groq, …), or the same
	// as Provider.
	Name string `json:"name"`
	// Model is the id to send. It is empty when none is set and the provider has
	// no usual one: the endpoint's list of models has to be asked.
	Model   string `json:"model"`
	BaseURL string `json:"base_url"` // without a slash at the end
	APIKey  Secret `json:"api_key"`
	// KeyEnv is the variable that the key came from, or should come from.
	KeyEnv        string `json:"key_env,omitempty"`
	ContextLength int    `json:"context_length"` // tokens; 0 is unknown
	Streaming     bool   `json:"streaming"`
	// Source says in a few words why this endpoint was chosen.
	Source string `json:"source"`
}

// Upstreams returns the endpoints that serve the profile: the primary one, then
// the fallbacks in their order.
func (l Loaded) Upstreams() []Upstream { return append([]Upstream(nil), l.upstreams...) }

func (l *loader) upstreams(config Config) []Upstream {
	baseShared := l.chosen["model.base_url"].shared()
	primary := l.upstream(config.Model, "model", baseShared)
	upstreams := []Upstream{primary}
	listShared := l.chosen["fallback_models"].shared()
	for i, model := range config.FallbackModels {
		upstreams = append(upstreams, l.upstream(model, fmt.Sprintf("fallback_models[%d]", i), listShared))
	}
	return upstreams
}

// shared reports whether the value comes from the home.
func (f found) shared() bool { return len(f.source) > 5 && f.source[:5] == "home " }

// upstream resolves one model section, whose settings stand at key. shared says
// that its base URL comes from the home.
func (l *loader) upstream(model Model, key string, shared bool) Upstream {
	up := Upstream{Model: model.Default, BaseURL: model.BaseURL, ContextLength: model.ContextLength, Streaming: model.Streaming}
	switch {
	case model.Provider == Demo:
		up.Provider, up.Name, up.Source = Demo, Demo, l.because(key, "provider")
		up.Model, up.BaseURL = Demo, ""
		return up
	case model.Provider == Compatible && model.BaseURL == "":
		l.problem(l.at(key, "provider", "openai-compatible needs the address of its server; set "+key+".base_url"))
		up.Provider, up.Name = Compatible, Compatible
		return up
	case model.Provider != Auto && model.Provider != Compatible:
		row, _ := providerNamed(model.Provider)
		up.Source = l.because(key, "provider")
		l.fill(&up, row, model, key, shared)
	case model.BaseURL != "":
		row, known := providerAt(model.BaseURL)
		if !known {
			row = provider{Name: Compatible, BaseURL: model.BaseURL}
		}
		up.Source = l.because(key, "base_url")
		l.fill(&up, row, model, key, shared)
	case model.APIKeyEnv != "":
		row, known := providerOfKey(model.APIKeyEnv)
		if !known {
			row, _ = providerNamed("openai")
		}
		up.Source = l.because(key, "api_key_env")
		l.fill(&up, row, model, key, shared)
	default:
		row, variable, decided := l.keyedProvider()
		if !decided {
			up.Provider, up.Name, up.Source = Auto, Auto, "no provider and no provider key is set"
			return up
		}
		up.Source = row.KeyEnv + " in " + variable.source
		l.fill(&up, row, model, key, shared)
	}
	return up
}

// fill takes from the provider's row what the settings leave open, and the key.
func (l *loader) fill(up *Upstream, row provider, model Model, key string, shared bool) {
	up.Name, up.Provider = row.Name, row.Name
	if row.KeyEnv != "" && row.Name != "openai" && row.Name != Anthropic || model.Provider == Compatible {
		up.Provider = Compatible // also where the service has an API of its own: whoever says so wants this one
	}
	if up.BaseURL == "" {
		up.BaseURL = row.BaseURL
	}
	usual := sameHost(up.BaseURL, row.BaseURL)
	if up.Model == "" && usual {
		up.Model = row.Model
	}
	if up.Model == "" {
		l.warn("%s.default is not set: the first model that %s lists is used", key, up.BaseURL)
	}
	l.fillKey(up, row, model, key, shared)
}

// fillKey finds the key of an endpoint. A key that was not named for it goes only
// to the provider's own address, or to one that stands beside it: a profile's
// base URL never gets the key that the home set for another service.
func (l *loader) fillKey(up *Upstream, row provider, model Model, key string, shared bool) {
	if model.APIKeyEnv != "" {
		up.KeyEnv = model.APIKeyEnv
		up.APIKey = l.env[model.APIKeyEnv].value
		if up.APIKey.IsZero() && !loopbackURL(up.BaseURL) && row.Name != Ollama {
			l.problem(l.at(key, "api_key_env", fmt.Sprintf("%s is not set; set the provider's key first: %s %s …",
				model.APIKeyEnv, l.setCommand(), model.APIKeyEnv)))
		}
		return
	}
	up.KeyEnv = row.KeyEnv
	if row.Name == Compatible {
		up.KeyEnv = "OPENAI_API_KEY" // what clients of such servers usually read
	}
	variable, set := l.env[up.KeyEnv]
	if set && (variable.shared == shared || sameHost(up.BaseURL, row.BaseURL) && row.Name != Compatible) {
		up.APIKey = variable.value
	}
	if up.APIKey.IsZero() && row.KeyEnv != "" && !loopbackURL(up.BaseURL) {
		l.warn("%s: %s is not set, so %s will refuse requests; set it with %s %s …", key, up.KeyEnv, row.Name, l.setCommand(), up.KeyEnv)
	}
}

// keyedProvider is the first provider of the table whose key is set; the
// profile's own keys go before the home's.
func (l *loader) keyedProvider() (provider, variable, bool) {
	for _, shared := range []bool{false, true} {
		for _, row := range providers() {
			if v, set := l.env[row.KeyEnv]; set && v.shared == shared {
				return row, v, true
			}
		}
	}
	return provider{}, variable{}, false
}

// chooseKeys completes the variables with what must be known first from the
// settings: keys that api_key_env names in the environment, and the home's keys.
func (l *loader) chooseKeys(config Config) {
	named := map[string]bool{config.Model.APIKeyEnv: true}
	for _, model := range config.FallbackModels {
		named[model.APIKeyEnv] = true
	}
	delete(named, "")
	if l.isDefault() {
		l.takeNamed(named)
	}
	if l.hasHome() {
		l.takeHome(named)
	}
}
