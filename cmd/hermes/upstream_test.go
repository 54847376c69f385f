package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"hermes/configs"
)

// TestModelsAreListedByEveryKindOfServer asks for the list at the address and
// with the headers that each kind wants.
func TestModelsAreListedByEveryKindOfServer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ provider, base, path string }{
		{configs.Compatible, "/v1", "/v1/models"},
		{configs.Compatible, "", "/models"},
		{configs.Anthropic, "", "/v1/models"},
		{configs.Anthropic, "/v1", "/v1/models"},
		{configs.Ollama, "", "/v1/models"},
		{configs.Ollama, "/v1", "/v1/models"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != test.path || (r.Header.Get("X-Api-Key") == "k") != (test.provider == configs.Anthropic) || r.Header.Get("Authorization") != "Bearer k" {
				t.Errorf("%+v: asked %s with %v", test, r.URL.Path, r.Header)
			}
			io.WriteString(w, `{"data":[{"id":"a"},{"id":"b"}]}`)
		}))
		models, err := listModels(t.Context(), configs.Upstream{Provider: test.provider, BaseURL: server.URL + test.base, APIKey: configs.NewSecret("k")})
		server.Close()
		if err != nil || !slices.Equal(models, []string{"a", "b"}) {
			t.Errorf("%+v: got %v, %v", test, models, err)
		}
	}
}
