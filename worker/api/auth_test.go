package api_test

import (
	"strings"
	"testing"

	"hermes/worker/api"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	server := api.New(fixed(says("hi")))
	for _, test := range []struct {
		name, sent string
		status     int
	}{
		{"right", "Bearer " + testKey, 200},
		{"scheme in lower case", "bearer " + testKey, 200},
		{"scheme in upper case", "BEARER " + testKey, 200},
		{"more space", "Bearer   " + testKey + " ", 200},
		{"none", "", 401},
		{"wrong", "Bearer " + testKey + "x", 401},
		{"beginning of it", "Bearer " + testKey[:5], 401},
		{"empty", "Bearer ", 401},
		{"only the scheme", "Bearer", 401},
		{"only the key", testKey, 401},
		{"another scheme", "Basic " + testKey, 401},
		{"its digest", "Bearer " + digest(testKey), 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := call(t, server, "GET", "/v1/models", "", "Authorization: "+test.sent)
			if got.status != test.status {
				t.Fatalf("status is %d, want %d", got.status, test.status)
			}
			if test.status != 401 {
				return
			}
			if got.error(t).Code != "invalid_api_key" || got.header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("got %v %s", got.header, got.body)
			}
			if strings.Contains(got.body, testKey[:5]) {
				t.Errorf("the key is in the answer: %s", got.body)
			}
		})
	}
	t.Run("two headers", func(t *testing.T) {
		t.Parallel()
		_, base := serve(t, fixed(says("hi")))
		got := exchange(t, dial(t, base), "GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+testKey+"\r\nAuthorization: Bearer "+testKey+"\r\n\r\n")
		if got.status != 401 {
			t.Errorf("status is %d", got.status)
		}
	})
	t.Run("every protected path", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"POST /v1/chat/completions", "POST /chat/completions", "POST /v1/v1/chat/completions", "GET /models/x", "HEAD /v1/models", "GET /health/detailed", "GET //v1//health//detailed"} {
			method, path, _ := strings.Cut(path, " ")
			if got := call(t, server, method, path, "", "Authorization: Bearer x"); got.status != 401 {
				t.Errorf("%s %s without the key is %d", method, path, got.status)
			}
		}
	})
}

func TestTheKeyCanChange(t *testing.T) {
	t.Parallel()
	server := api.New(fixed(says("hi")))
	server.Apply(api.Settings{KeySHA256: digest("another-long-key")})
	if got := call(t, server, "GET", "/v1/models", ""); got.status != 401 {
		t.Errorf("the old key is still good: %d", got.status)
	}
	if got := call(t, server, "GET", "/v1/models", "", "Authorization: Bearer another-long-key"); got.status != 200 {
		t.Errorf("the new key is not good: %d", got.status)
	}
	for _, broken := range []string{"x", digest("")[:60], digest("") + "00", strings.Repeat("g", 64)} {
		server.Apply(api.Settings{KeySHA256: broken})
		for _, sent := range []string{"", "x", broken, testKey} {
			if got := call(t, server, "GET", "/v1/models", "", "Authorization: Bearer "+sent); got.status != 401 {
				t.Errorf("digest %q lets %q in", broken, sent)
			}
		}
	}
}

func TestWithoutAKeyOnlyThisMachineIsServed(t *testing.T) {
	t.Parallel()
	opts := fixed(says("hi"))
	opts.KeySHA256 = ""
	plain := api.New(opts)
	opts.CORSOrigins = []string{"http://localhost:3000"}
	listed := api.New(opts)
	for _, test := range []struct {
		name   string
		server *api.Server
		header []string
		status int
	}{
		{"address", plain, []string{"Host: 127.0.0.1:8642"}, 200},
		{"address without port", plain, []string{"Host: 127.0.0.1"}, 200},
		{"another loopback address", plain, []string{"Host: 127.9.9.9:1"}, 200},
		{"name", plain, []string{"Host: LOCALHOST:8642"}, 200},
		{"name without port", plain, []string{"Host: localhost"}, 200},
		{"v6", plain, []string{"Host: [::1]:8642"}, 200},
		{"v6 without port", plain, []string{"Host: [::1]"}, 200},
		{"v4 in v6", plain, []string{"Host: [::ffff:127.0.0.1]:1"}, 200},
		{"any key is ignored", plain, []string{"Authorization: Bearer x"}, 200},
		{"rebound name", plain, []string{"Host: evil.example:8642"}, 403},
		{"name that begins the same", plain, []string{"Host: localhost.evil.example"}, 403},
		{"address that begins the same", plain, []string{"Host: 127.0.0.1.evil.example"}, 403},
		{"all addresses", plain, []string{"Host: 0.0.0.0:8642"}, 403},
		{"private address", plain, []string{"Host: 192.168.1.2:8642"}, 403},
		{"short address", plain, []string{"Host: 127.1"}, 403},
		{"zone", plain, []string{"Host: [::1%25lo]:8642"}, 403},
		{"foreign page", plain, []string{"Origin: https://evil.example"}, 403},
		{"no origin to speak of", plain, []string{"Origin: null"}, 403},
		{"page on another port", plain, []string{"Origin: http://127.0.0.1:3000"}, 403},
		{"own page", plain, []string{"Origin: http://127.0.0.1:8642"}, 200},
		{"cross-site", plain, []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"same-site", plain, []string{"Sec-Fetch-Site: same-site"}, 403},
		{"same-origin", plain, []string{"Sec-Fetch-Site: same-origin"}, 200},
		{"typed by hand", plain, []string{"Sec-Fetch-Site: none"}, 200},
		{"listed page", listed, []string{"Origin: http://localhost:3000", "Sec-Fetch-Site: same-site"}, 200},
		{"listed page, rebound name", listed, []string{"Origin: http://localhost:3000", "Host: evil.example"}, 403},
		{"unlisted page", listed, []string{"Origin: http://localhost:3001"}, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := call(t, test.server, "POST", "/v1/chat/completions", hello, append([]string{"Authorization: "}, test.header...)...)
			if got.status != test.status {
				t.Fatalf("status is %d, want %d: %s", got.status, test.status, got.body)
			}
			if test.status == 403 && got.error(t).Code != "forbidden_origin" {
				t.Errorf("error is %s", got.body)
			}
		})
	}
	t.Run("over the network", func(t *testing.T) {
		t.Parallel()
		_, base := serve(t, opts)
		if got := exchange(t, dial(t, base), "GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); got.status != 200 {
			t.Errorf("status is %d", got.status)
		}
		if got := exchange(t, dial(t, base), "GET /v1/models HTTP/1.0\r\n\r\n"); got.status != 403 {
			t.Errorf("without a Host the status is %d", got.status)
		}
	})
}
