package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"hermes/profiles"
)

// modelServer lists two models to who knows the key.
func modelServer(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/bare/models":
			http.NotFound(w, r)
		case r.URL.Path != "/v1/models":
			t.Errorf("unexpected request of %s", r.URL.Path)
		case r.Header.Get("Authorization") != "Bearer right-key-0123456789":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			fmt.Fprint(w, `{"object":"list","data":[{"id":"small"},{"id":"large"}]}`)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestSetupAsksForAModel(t *testing.T) {
	t.Parallel()
	const key = "right-key-0123456789"
	tests := []struct {
		name    string
		answers []string // URL stands for the server's address
		config  []string // what config.yaml holds then
		demo    bool
		err     string
	}{
		{name: "all right", answers: []string{"URL/v1", key, "large"}, config: []string{"base_url: URL/v1", "default: large"}},
		{name: "proposed model", answers: []string{"URL/v1/", key, ""}, config: []string{"base_url: URL/v1", "default: small"}},
		{name: "wrong key, then right", answers: []string{"URL/v1", "wrong", "URL/v1", key, "small"}, config: []string{"default: small"}},
		{name: "no such model", answers: []string{"URL/v1", key, "huge", "large"}, config: []string{"default: large"}},
		{name: "no list of models", answers: []string{"URL/bare", key, "", "mine"}, config: []string{"base_url: URL/bare", "default: mine"}},
		{name: "nothing", answers: []string{""}, demo: true},
		{name: "end of input", demo: true},
		{name: "never right", answers: []string{"URL/v1", "a", "URL/v1", "b", "http://127.0.0.1:1/v1", "c"}, demo: true},
		{name: "no URL", answers: []string{"what?", "", "", "", "", ""}, demo: true},
		{name: "no model", answers: []string{"URL/v1", key, "x", "y", "z"}, err: "hermes config set model.default MODEL"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := modelServer(t)
			a, out, stderr := newTestApp(t)
			a.in, a.inTTY = strings.NewReader(strings.ReplaceAll(strings.Join(append(test.answers, ""), "\n"), "URL", server)), true
			home, err := a.home()
			if err != nil {
				t.Fatal(err)
			}
			created, err := home.Setup(t.Context(), profiles.SetupOptions{})
			if err != nil {
				t.Fatal(err)
			}
			err = (&setupOptions{app: a}).ask(t.Context(), created.Profile)
			if (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("error is %v, want %q", err, test.err)
			}
			printed := out.String() + stderr.String()
			if strings.Contains(printed, key) {
				t.Errorf("the key was printed:\n%s", printed)
			}
			if got := strings.Contains(printed, "demo model answers"); got != test.demo {
				t.Errorf("the demo model answers: %t, want %t:\n%s", got, test.demo, printed)
			}
			config, err := os.ReadFile(created.Profile.ConfigFile())
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.config {
				if want = strings.ReplaceAll(want, "URL", server); !strings.Contains(string(config), want) {
					t.Errorf("config.yaml does not hold %q:\n%s", want, config)
				}
			}
			env, err := os.ReadFile(created.Profile.EnvFile())
			if err != nil {
				t.Fatal(err)
			}
			if got, want := strings.Contains(string(env), key), len(test.config) > 0; got != want {
				t.Errorf(".env holds the key: %t, want %t", got, want)
			}
		})
	}
}

func TestQuestionsAreLeftByCtrlC(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	a, _, _ := newTestApp(t)
	r, w, err := os.Pipe() // nobody types anything
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	a.in, a.inTTY = r, true
	cancel()
	if _, err := a.readLine(ctx); err == nil {
		t.Error("no error")
	}
}
