package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"hermes/worker/api"
)

func digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func TestEveryAnswerCarriesTheSafetyHeaders(t *testing.T) {
	t.Parallel()
	opts := fixed(says("hi"))
	opts.CORSOrigins = []string{"https://chat.example"}
	server := api.New(opts)
	tests := []struct {
		name, method, path, body string
		header                   []string
		status                   int
	}{
		{"models", "GET", "/v1/models", "", nil, 200},
		{"health", "GET", "/health", "", nil, 200},
		{"root", "GET", "/", "", nil, 200},
		{"answer", "POST", "/v1/chat/completions", hello, nil, 200},
		{"stream", "POST", "/v1/chat/completions", helloSSE, nil, 200},
		{"unknown path", "GET", "/v1/nothing", "", nil, 404},
		{"wrong method", "DELETE", "/v1/models", "", nil, 405},
		{"no key", "GET", "/v1/models", "", []string{"Authorization: "}, 401},
		{"bad body", "POST", "/v1/chat/completions", "{", nil, 400},
		{"bad media type", "POST", "/v1/chat/completions", hello, []string{"Content-Type: text/plain"}, 415},
		{"foreign page", "GET", "/v1/models", "", []string{"Origin: https://evil.example"}, 403},
		{"preflight", "OPTIONS", "/v1/chat/completions", "", []string{"Origin: https://chat.example", "Access-Control-Request-Method: POST"}, 204},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := call(t, server, test.method, test.path, test.body, test.header...)
			if got.status != test.status {
				t.Errorf("status is %d, want %d: %s", got.status, test.status, got.body)
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Request-Id": "req_0001",
			} {
				if got := got.header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if got.status >= 400 {
				got.error(t)
			}
		})
	}
}

func TestRequestIDsAreTakenIfSane(t *testing.T) {
	t.Parallel()
	server := api.New(fixed(says("hi")))
	for _, test := range []struct{ name, sent, want string }{
		{"none", "", "req_0001"},
		{"sane", "abc-123_~", "abc-123_~"},
		{"longest", strings.Repeat("x", 128), strings.Repeat("x", 128)},
		{"too long", strings.Repeat("x", 129), "req_0001"},
		{"with a space", "a b", "req_0001"},
		{"not ASCII", "ä", "req_0001"},
		{"with a control character", "a\x01b", "req_0001"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := call(t, server, "GET", "/health", "", "X-Request-Id: "+test.sent)
			if got := got.header.Get("X-Request-Id"); got != test.want {
				t.Errorf("id is %q, want %q", got, test.want)
			}
		})
	}
}

func TestPathsThatClientsSend(t *testing.T) {
	t.Parallel()
	server := api.New(fixed(says("hi")))
	for _, test := range []struct {
		name, method, path string
		status             int
		code               string
	}{
		{"models", "GET", "/v1/models", 200, ""},
		{"models by HEAD", "HEAD", "/v1/models", 200, ""},
		{"v1 twice", "GET", "/v1/v1/models", 200, ""},
		{"no v1", "GET", "/models", 200, ""},
		{"v1 three times", "GET", "/v1/v1/v1/models", 404, "not_found"},
		{"double slash", "GET", "/v1//models", 200, ""},
		{"slash at the end", "GET", "/v1/models/", 200, ""},
		{"one model", "GET", "/v1/models/alice", 200, ""},
		{"one model, no v1", "GET", "/models/alice", 200, ""},
		{"another model", "GET", "/v1/models/bob", 404, "model_not_found"},
		{"model with a slash", "GET", "/v1/models/a/b", 404, "model_not_found"},
		{"chat", "POST", "/v1/chat/completions", 200, ""},
		{"chat, v1 twice", "POST", "/v1/v1/chat/completions", 200, ""},
		{"chat, no v1", "POST", "/chat/completions", 200, ""},
		{"health", "GET", "/health", 200, ""},
		{"health by HEAD", "HEAD", "/health", 200, ""},
		{"health below v1", "GET", "/v1/health", 200, ""},
		{"root", "GET", "/", 200, ""},
		{"v1", "GET", "/v1", 200, ""},
		{"root by HEAD", "HEAD", "/", 200, ""},
		{"details", "GET", "/health/detailed", 200, ""},
		{"details below v1", "GET", "/v1/health/detailed", 200, ""},
		{"unknown", "GET", "/v2/models", 404, "not_found"},
		{"like v1", "GET", "/v11/models", 404, "not_found"},
		{"responses", "POST", "/v1/responses", 404, "not_found"},
		{"one response", "GET", "/v1/responses/resp_1", 404, "not_found"},
		{"dots", "GET", "/v1/../../etc/passwd", 404, "not_found"},
		{"chat by GET", "GET", "/v1/chat/completions", 405, "method_not_allowed"},
		{"models by POST", "POST", "/v1/models", 405, "method_not_allowed"},
		{"health by PUT", "PUT", "/health", 405, "method_not_allowed"},
		{"root by PATCH", "PATCH", "/", 405, "method_not_allowed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			body := ""
			if test.method == "POST" {
				body = hello
			}
			got := call(t, server, test.method, test.path, body)
			if got.status != test.status {
				t.Fatalf("status is %d, want %d: %s", got.status, test.status, got.body)
			}
			if test.code == "" {
				return
			}
			if e := got.error(t); e.Code != test.code || e.Message == "" {
				t.Errorf("error is %+v, want code %s", e, test.code)
			}
			if allow := got.header.Get("Allow"); (test.status == 405) != (allow != "") {
				t.Errorf("Allow is %q", allow)
			}
		})
	}
}

func TestModels(t *testing.T) {
	t.Parallel()
	server := api.New(fixed(says("hi")))
	const object = `{"id":"alice","object":"model","created":1700000000,"owned_by":"hermes","name":"alice","info":{"meta":` +
		`{"description":"A private agent that runs commands and works with files in its own workspace.",` +
		`"capabilities":{"builtin_tools":false,"usage":true,"vision":true}}}}`
	if got := call(t, server, "GET", "/v1/models", ""); strings.TrimSpace(got.body) != `{"object":"list","data":[`+object+`]}` {
		t.Errorf("list is %s", got.body)
	}
	if got := call(t, server, "GET", "/v1/models/alice", ""); strings.TrimSpace(got.body) != object {
		t.Errorf("model is %s", got.body)
	}
}

func TestHealthDetails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		parts  map[string]api.Part
		status int
		want   string
	}{
		{"nobody asked", nil, 200, `{"status":"ok","parts":{},"turns":{"running":0,"waiting":0,"limit":10}}`},
		{
			"all well",
			map[string]api.Part{"config": {Status: "ok"}, "database": {Status: "ok"}},
			200,
			`{"status":"ok","parts":{"config":{"status":"ok"},"database":{"status":"ok"}},"turns":{"running":0,"waiting":0,"limit":10}}`,
		},
		{
			"no model",
			map[string]api.Part{"model": {Status: "degraded", Detail: "no model"}},
			200,
			`{"status":"degraded","parts":{"model":{"status":"degraded","detail":"no model"}},"turns":{"running":0,"waiting":0,"limit":10}}`,
		},
		{
			"broken",
			map[string]api.Part{"model": {Status: "degraded"}, "database": {Status: "failed"}},
			503,
			`{"status":"failed","parts":{"database":{"status":"failed"},"model":{"status":"degraded"}},"turns":{"running":0,"waiting":0,"limit":10}}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := fixed(says("hi"))
			opts.Health = func(context.Context) api.Health { return api.Health{Parts: test.parts} }
			got := call(t, api.New(opts), "GET", "/health/detailed", "")
			if got.status != test.status || strings.TrimSpace(got.body) != test.want {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

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
	server.SetKey(digest("another-long-key"))
	if got := call(t, server, "GET", "/v1/models", ""); got.status != 401 {
		t.Errorf("the old key is still good: %d", got.status)
	}
	if got := call(t, server, "GET", "/v1/models", "", "Authorization: Bearer another-long-key"); got.status != 200 {
		t.Errorf("the new key is not good: %d", got.status)
	}
	for _, broken := range []string{"x", digest("")[:60], digest("") + "00", strings.Repeat("g", 64)} {
		server.SetKey(broken)
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
				got.header.Get("Access-Control-Expose-Headers") != "X-Request-Id, Retry-After, Idempotency-Replayed" {
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

func TestOneLineInTheLogForEachRequest(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	opts := fixed(says("hi"))
	opts.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	server := api.New(opts)
	call(t, server, "GET", "/v1/models?key=secret", "", "X-Request-Id: one")
	call(t, server, "GET", "/v1/health", "")
	call(t, server, "POST", "/v1/chat/completions", "{", "Authorization: Bearer wrong")
	call(t, server, "GET", "/"+strings.Repeat("x", 5000), "")
	var lines []map[string]any
	for line := range bytes.Lines(log.Bytes()) {
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fields)
	}
	if len(lines) != 4 {
		t.Fatalf("got %d lines:\n%s", len(lines), log.String())
	}
	first := lines[0]
	if first["level"] != "INFO" || first["method"] != "GET" || first["path"] != "/v1/models" || first["status"] != 200.0 ||
		first["request_id"] != "one" || first["bytes"] == 0.0 || first["duration"] == nil {
		t.Errorf("first line is %v", first)
	}
	if lines[1]["level"] != "DEBUG" {
		t.Errorf("health is logged as %v", lines[1])
	}
	if strings.Contains(log.String(), "secret") || strings.Contains(log.String(), "wrong") {
		t.Errorf("a secret is in the log:\n%s", log.String())
	}
	if slices.Max([]int{len(log.String()), 3000}) > 3000 {
		t.Errorf("a long path fills the log: %d bytes", log.Len())
	}
}

func TestPanicsBecomeErrors(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	opts := fixed(runs(nil))
	opts.Log = slog.New(slog.NewTextHandler(&log, nil))
	got := call(t, api.New(opts), "POST", "/v1/chat/completions", hello)
	if e := got.error(t); got.status != http.StatusInternalServerError || e.Code != "internal_error" || strings.Contains(e.Message, "nil pointer") {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if !strings.Contains(log.String(), "panic in a request") || !strings.Contains(log.String(), "req_0001") {
		t.Errorf("log is %s", log.String())
	}
}
