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
	server := api.New(stored(t, fixed(says("hi"))))
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
		{"metrics", "GET", "/metrics", 200, ""},
		{"metrics below v1", "GET", "/v1/metrics", 200, ""},
		{"capabilities", "GET", "/v1/capabilities", 200, ""},
		{"capabilities, no v1", "GET", "/capabilities", 200, ""},
		{"capabilities by HEAD", "HEAD", "/v1/capabilities", 200, ""},
		{"description", "GET", "/openapi.json", 200, ""},
		{"description below v1", "GET", "/v1/openapi.json", 200, ""},
		{"description by POST", "POST", "/openapi.json", 405, "method_not_allowed"},
		{"unknown", "GET", "/v2/models", 404, "not_found"},
		{"like v1", "GET", "/v11/models", 404, "not_found"},
		{"responses by GET", "GET", "/v1/responses", 405, "method_not_allowed"},
		{"responses", "POST", "/responses", 400, "invalid_value"},
		{"one response", "GET", "/v1/responses/resp_1", 404, "not_found"},
		{"dots", "GET", "/v1/../../etc/passwd", 404, "not_found"},
		{"chat by GET", "GET", "/v1/chat/completions", 405, "method_not_allowed"},
		{"models by POST", "POST", "/v1/models", 405, "method_not_allowed"},
		{"health by PUT", "PUT", "/health", 405, "method_not_allowed"},
		{"root by PATCH", "PATCH", "/", 405, "method_not_allowed"},
		{"what may be done", "OPTIONS", "/v1/models", 204, ""},
		{"what may be done nowhere", "OPTIONS", "/nothing", 404, "not_found"},
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
		first["request_id"] != "one" || first["bytes"] == 0.0 || first["duration_ms"] == nil {
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
