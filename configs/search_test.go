package configs

import (
	"strings"
	"testing"
)

// The keys of search services go the way of the keys of models: from the home to
// named profiles, whose own come first, and from the environment to the default
// profile only. web.* settings of the home pass on too.
func TestSearchSettings(t *testing.T) {
	t.Parallel()
	d := newDirs(t, map[string]string{
		homeEnv:   "BRAVE_API_KEY=home-brave\nTAVILY_API_KEY=home-tavily\nOTHER_API_KEY=home-other\n",
		homeYAML:  "web:\n  searxng_url: http://127.0.0.1:8888\n  ports: [80, 443, 8443]\n",
		aliceEnv:  "TAVILY_API_KEY=own-tavily\n",
		aliceYAML: "web:\n  search: exa\n  allow_private: [wiki.lan]\n",
	})
	sources := d.aliceSources()
	sources.Environ = []string{"EXA_API_KEY=environment-exa"}
	loaded := mustLoad(t, sources)
	keys := loaded.SearchKeys()
	if len(keys) != 2 || keys["brave"].Reveal() != "home-brave" || keys["tavily"].Reveal() != "own-tavily" {
		t.Errorf("alice has %d keys: brave %s, tavily %s", len(keys), keys["brave"].Reveal(), keys["tavily"].Reveal())
	}
	web := loaded.Config.Web
	if web.Search != "exa" || web.SearXNGURL != "http://127.0.0.1:8888" || strings.Join(web.Ports, " ") != "80 443 8443" || strings.Join(web.AllowPrivate, " ") != "wiki.lan" {
		t.Errorf("alice has %+v", web)
	}
	if warnings := strings.Join(loaded.Warnings, "\n"); !strings.Contains(warnings, "exa needs a key; set it with hermes -p alice config set EXA_API_KEY") {
		t.Errorf("warnings: %s", warnings)
	}
	sources = d.defaultSources()
	sources.Environ = []string{"EXA_API_KEY=environment-exa", "FIRECRAWL_API_KEY="}
	keys = mustLoad(t, sources).SearchKeys()
	if len(keys) != 3 || keys["exa"].Reveal() != "environment-exa" {
		t.Errorf("the default profile has %d keys, exa %s", len(keys), keys["exa"].Reveal())
	}
}
