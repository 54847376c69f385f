package configs

import "slices"

// searchService is one row of the table of search services.
type searchService struct {
	Name   string
	KeyEnv string // variable that holds the key; "" needs none
}

// searchServices returns the table of search services, in the order in which they
// are asked.
func searchServices() []searchService {
	return []searchService{
		{"searxng", ""},
		// https://api-dashboard.search.brave.com
		{"brave", "BRAVE_API_KEY"},
		// https://docs.tavily.com
		{"tavily", "TAVILY_API_KEY"},
		// https://exa.ai/docs
		{"exa", "EXA_API_KEY"},
		// https://docs.firecrawl.dev
		{"firecrawl", "FIRECRAWL_API_KEY"},
		{"exa-keyless", ""},
		{"parallel-keyless", ""},
		{"duckduckgo", ""},
	}
}

// searchNames lists what web.search may be.
func searchNames() []string {
	names := []string{Auto}
	for _, s := range searchServices() {
		names = append(names, s.Name)
	}
	return names
}

// sharedKey reports whether a variable holds the key of a model service or of a
// search service. Such keys pass from the home to named profiles, and may come
// from the environment.
func sharedKey(env string) bool {
	_, isModel := providerOfKey(env)
	return isModel || slices.ContainsFunc(searchServices(), func(s searchService) bool { return s.KeyEnv != "" && s.KeyEnv == env })
}

// SearchKeys returns the keys of the search services that have one, by service.
func (l Loaded) SearchKeys() map[string]Secret {
	keys := map[string]Secret{}
	for _, s := range searchServices() {
		if key := l.Env[s.KeyEnv]; s.KeyEnv != "" && !key.IsZero() {
			keys[s.Name] = key
		}
	}
	return keys
}

// checkSearch warns of a search service that cannot answer.
func (l *loader) checkSearch(config Config) {
	place := l.chosen["web.search"].place()
	if config.Web.Search == "searxng" && config.Web.SearXNGURL == "" {
		l.warn("%s: searxng needs its address; set it with %s web.searxng_url …", place, l.setCommand())
	}
	for _, s := range searchServices() {
		if s.Name == config.Web.Search && s.KeyEnv != "" && l.env[s.KeyEnv].value.IsZero() {
			l.warn("%s: %s needs a key; set it with %s %s …", place, s.Name, l.setCommand(), s.KeyEnv)
		}
	}
}
