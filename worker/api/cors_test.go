package api_test

import (
	"strings"
	"testing"

	"hermes/worker/api"
)

func TestBrowsers(t *testing.T) {
	t.Parallel()
	opts := fixed(says("hi"))
	off := api.New(opts)
	opts.CORSOrigins = []string{"https://chat.example", "http://localhost:3000"}
	opts.MaxBodyBytes = 100
	on := api.New(opts)

	t.Run("off", func(t *testing.T) {
		t.Parallel()
		got := call(t, off, "GET", "/v1/models", "", "Origin: https://chat.example")
		if got.status != 200 || got.header.Get("Access-Control-Allow-Origin") != "" || got.header.Get("Vary") != "" {
			t.Errorf("got %d %v", got.status, got.header)
		}
		got = call(t, off, "OPTIONS", "/v1/models", "", "Origin: https://chat.example", "Access-Control-Request-Method: GET", "Authorization: ")
		if got.header.Get("Access-Control-Allow-Origin") != "" || got.header.Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("preflight got %v", got.header)
		}
	})
	t.Run("preflight", func(t *testing.T) {
		t.Parallel()
		const asked = "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,x-stainless-runtime,x-stainless-runtime-version"
		got := call(t, on, "OPTIONS", "/v1/chat/completions", "", "Authorization: ",
			"Origin: https://chat.example", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: "+asked)
		want := map[string]string{
			"Access-Control-Allow-Origin": "https://chat.example", "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
			"Access-Control-Allow-Headers": asked, "Access-Control-Max-Age": "600", "Vary": "Origin",
			"Access-Control-Allow-Credentials": "",
		}
		for name, value := range want {
			if got.header.Get(name) != value {
				t.Errorf("%s is %q, want %q", name, got.header.Get(name), value)
			}
		}
		if got.status != 204 || got.body != "" {
			t.Errorf("got %d %q", got.status, got.body)
		}
		got = call(t, on, "OPTIONS", "/v1/models", "", "Authorization: ", "Origin: http://localhost:3000", "Access-Control-Request-Method: GET")
		if allowed := got.header.Get("Access-Control-Allow-Headers"); allowed != "Authorization, Content-Type, Idempotency-Key" {
			t.Errorf("headers that nobody asked for: %q", allowed)
		}
	})
	for _, test := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
	}{
		{"answer", "POST", "/v1/chat/completions", hello, nil, 200},
		{"stream", "POST", "/v1/chat/completions", helloSSE, nil, 200},
		{"bad key", "GET", "/v1/models", "", []string{"Authorization: Bearer x"}, 401},
		{"unknown path", "GET", "/nothing", "", nil, 404},
		{"wrong method", "PUT", "/v1/models", "", nil, 405},
		{"too large", "POST", "/v1/chat/completions", strings.Repeat("x", 200), nil, 413},
		{"bad body", "POST", "/v1/chat/completions", "{}", nil, 400},
	} {
		t.Run("headers on "+test.name, func(t *testing.T) {
			t.Parallel()
			got := call(t, on, test.method, test.path, test.body, append(test.header, "Origin: https://chat.example")...)
			if got.status != test.status {
				t.Errorf("status is %d, want %d", got.status, test.status)
			}
			if got.header.Get("Access-Control-Allow-Origin") != "https://chat.example" || got.header.Get("Vary") != "Origin" ||
				got.header.Get("Access-Control-Expose-Headers") != "X-Request-Id, Retry-After, X-Should-Retry, Idempotency-Replayed" {
				t.Errorf("headers are %v", got.header)
			}
		})
	}
	for _, origin := range []string{
		"null", "https://chat.example.evil.example", "https://evilchat.example", "http://chat.example", "https://chat.example:444",
		"https://chat.example/", "https://CHAT.example", "https://chat.example@evil.example", "https://sub.chat.example", "chat.example", "*",
	} {
		t.Run("refused "+origin, func(t *testing.T) {
			t.Parallel()
			for _, method := range []string{"GET", "OPTIONS"} {
				got := call(t, on, method, "/v1/models", "", "Origin: "+origin, "Access-Control-Request-Method: GET")
				if got.status != 403 || got.header.Get("Access-Control-Allow-Origin") != "" || got.header.Get("Vary") != "Origin" {
					t.Errorf("%s got %d %v", method, got.status, got.header)
				}
			}
		})
	}
	t.Run("programs send no origin", func(t *testing.T) {
		t.Parallel()
		got := call(t, on, "GET", "/v1/models", "")
		if got.status != 200 || got.header.Get("Access-Control-Allow-Origin") != "" || got.header.Get("Vary") != "Origin" {
			t.Errorf("got %d %v", got.status, got.header)
		}
	})
}
