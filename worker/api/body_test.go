package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"hermes/worker/api"
)

func TestMediaTypes(t *testing.T) {
	t.Parallel()
	server := api.New(fixed(says("hi")))
	for _, test := range []struct {
		name   string
		header []string
		status int
	}{
		{"json", []string{"Content-Type: application/json"}, 200},
		{"json with charset", []string{"Content-Type: application/json; charset=utf-8"}, 200},
		{"json in capitals", []string{"Content-Type: Application/JSON; Charset=UTF-8"}, 200},
		{"a kind of json", []string{"Content-Type: application/vnd.api+json"}, 200},
		{"none", []string{"Content-Type: "}, 200},
		{"identity", []string{"Content-Encoding: identity"}, 200},
		{"what curl sends by itself", []string{"Content-Type: application/x-www-form-urlencoded"}, 415},
		{"text", []string{"Content-Type: text/plain"}, 415},
		{"form", []string{"Content-Type: multipart/form-data; boundary=x"}, 415},
		{"broken", []string{"Content-Type: application/json; charset"}, 415},
		{"latin", []string{"Content-Type: application/json; charset=iso-8859-1"}, 415},
		{"gzip", []string{"Content-Encoding: gzip"}, 415},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := call(t, server, "POST", "/v1/chat/completions", hello, test.header...)
			if got.status != test.status {
				t.Fatalf("status is %d, want %d: %s", got.status, test.status, got.body)
			}
			if test.status == 415 && got.error(t).Code != "unsupported_media_type" {
				t.Errorf("error is %s", got.body)
			}
		})
	}
	t.Run("a compressed body", func(t *testing.T) {
		t.Parallel()
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, hello)
		z.Close()
		if got := call(t, server, "POST", "/v1/chat/completions", b.String(), "Content-Encoding: gzip"); got.status != 415 {
			t.Errorf("got %d", got.status)
		}
	})
}

// chatOf makes a chat request of about that many bytes.
func chatOf(size int) string {
	const head, tail = `{"messages":[{"role":"user","content":"`, `"}]}`
	return head + strings.Repeat("x", max(0, size-len(head)-len(tail))) + tail
}

func TestBodiesUpToTheLimit(t *testing.T) {
	t.Parallel()
	opts := fixed(says("hi"))
	opts.MaxBodyBytes = 1000
	server := api.New(opts)
	for size, status := range map[int]int{100: 200, 999: 200, 1000: 200, 1001: 413, 100_000: 413} {
		if got := call(t, server, "POST", "/v1/chat/completions", chatOf(size)); got.status != status {
			t.Errorf("%d bytes: status is %d, want %d", size, got.status, status)
		} else if status == 413 && got.error(t).Code != "request_too_large" {
			t.Errorf("error is %s", got.body)
		}
	}
}

// Whoever sends a body that is too large, or sends one without a key, reads an
// answer and not a broken connection.
func TestAnswersReachClientsThatAreStillSending(t *testing.T) {
	t.Parallel()
	opts := fixed(says("hi"))
	opts.MaxBodyBytes = 1_000_000
	_, base := serve(t, opts)
	for _, test := range []struct {
		name, key string
		size      int
		chunked   bool
		status    int
	}{
		{"a bit too large", testKey, 1_100_000, false, 413},
		{"much too large", testKey, 40_000_000, false, 413},
		{"much too large, length not told", testKey, 40_000_000, true, 413},
		{"no key", "wrong", 900_000, false, 401},
		{"no key, large", "wrong", 20_000_000, true, 401},
		{"no key, small", "wrong", 100_000, false, 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for range 3 {
				var body io.Reader = strings.NewReader(chatOf(test.size))
				if test.chunked {
					body = io.MultiReader(body) // hides its length
				}
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/v1/chat/completions", body)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Authorization", "Bearer "+test.key)
				client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
				response, err := client.Do(r)
				if err != nil {
					t.Fatalf("no answer: %v", err)
				}
				text, err := io.ReadAll(response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != test.status || !bytes.Contains(text, []byte(`"error"`)) {
					t.Fatalf("got %d %s %v", response.StatusCode, text, err)
				}
			}
		})
	}
	// A client that wants the connection closed, and has its answer before it has sent all.
	t.Run("small, raw", func(t *testing.T) {
		t.Parallel()
		c := dial(t, base)
		piece := strings.Repeat("x", 1000)
		if got := exchange(t, c, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\nConnection: close"+
			"\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"+piece); got.status != 401 {
			t.Errorf("got %d %s", got.status, got.body)
		}
		for range 99 {
			if _, err := io.WriteString(c, piece); err != nil {
				t.Fatal("the connection was broken: ", err)
			}
		}
	})
	// A client that sends everything before it reads anything.
	t.Run("raw", func(t *testing.T) {
		t.Parallel()
		c := dial(t, base)
		body := chatOf(8_000_000)
		got := exchange(t, c, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+testKey+
			"\r\nContent-Type: application/json\r\nContent-Length: 8000000\r\n\r\n"+body)
		if got.status != 413 || got.error(t).Code != "request_too_large" {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
	t.Run("curl", func(t *testing.T) {
		t.Parallel()
		curl, err := exec.LookPath("curl")
		if err != nil {
			t.Skip("no curl")
		}
		for _, expect := range []string{"Expect:", "Expect: 100-continue"} {
			command := exec.CommandContext(t.Context(), curl, "-sS", "-w", " %{http_code}", "--data-binary", "@-", "-H", expect,
				"-H", "Content-Type: application/json", "-H", "Authorization: Bearer "+testKey, base+"/v1/chat/completions")
			command.Stdin = strings.NewReader(chatOf(5_000_000))
			out, err := command.CombinedOutput()
			if err != nil || !bytes.HasSuffix(out, []byte(" 413")) || !bytes.Contains(out, []byte("request_too_large")) {
				t.Errorf("%s: %v: %s", expect, err, out)
			}
		}
	})
}

func TestABodyThatStopsOnTheWay(t *testing.T) {
	t.Parallel()
	_, base := serve(t, fixed(says("hi")))
	const head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + testKey + "\r\nContent-Type: application/json\r\n"
	t.Run("closed half-way", func(t *testing.T) {
		t.Parallel()
		c := dial(t, base)
		io.WriteString(c, head+"Content-Length: 100\r\n\r\n{\"mess")
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
			t.Errorf("half a request is answered with %q (%v)", rest, err)
		}
	})
	t.Run("broken chunks", func(t *testing.T) {
		t.Parallel()
		if got := exchange(t, dial(t, base), head+"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"); got.status != 400 {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
	t.Run("good chunks", func(t *testing.T) {
		t.Parallel()
		got := exchange(t, dial(t, base), head+"Transfer-Encoding: chunked\r\n\r\n5\r\n"+hello[:5]+"\r\n39\r\n"+hello[5:]+"\r\n0\r\n\r\n")
		if got.status != 200 {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
}

func TestBrokenHTTP(t *testing.T) {
	t.Parallel()
	_, base := serve(t, fixed(says("hi")))
	const auth = "Authorization: Bearer " + testKey + "\r\nContent-Type: application/json\r\n"
	for _, test := range []struct {
		name, request string
		status        int
	}{
		{"no HTTP", "hello\r\n\r\n", 400},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
		{"no host", "GET /v1/models HTTP/1.1\r\n\r\n", 400},
		{"two hosts", "GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		{"NUL in a header", "GET /v1/models HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400},
		{"space in a name", "GET /v1/models HTTP/1.1\r\nHost: a\r\nX Y: a\r\n\r\n", 400},
		{"header too large", "GET /v1/models HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 80<<10) + "\r\n\r\n", 431},
		{"two lengths", "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" + auth + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400},
		{"negative length", "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" + auth + "Content-Length: -2\r\n\r\n{}", 400},
		{"unknown encoding", "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" + auth + "Transfer-Encoding: gzip\r\n\r\n{}", 501},
		{"length and encoding", "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" + auth + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400},
		{"encoding and length", "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\nCONTENT-LENGTH:2\r\n" + auth + "\r\n2\r\n{}\r\n0\r\n\r\n", 400},
		{"version from the future", "GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := exchange(t, dial(t, base), test.request)
			if got.status != test.status {
				t.Fatalf("status is %d, want %d: %s", got.status, test.status, got.body)
			}
			if e := got.error(t); e.Message == "" || e.Code == "" {
				t.Errorf("error is %+v", e)
			}
			if got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Referrer-Policy") != "no-referrer" || got.header.Get("X-Request-Id") == "" {
				t.Errorf("headers are %v", got.header)
			}
		})
	}
	t.Run("a good request after a good one", func(t *testing.T) {
		t.Parallel()
		c := dial(t, base)
		for range 3 {
			got := exchange(t, c, "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"+auth+"Transfer-Encoding: chunked\r\n\r\n3e\r\n"+hello+"\r\n0\r\n\r\n")
			if got.status != 200 {
				t.Fatalf("got %d %s", got.status, got.body)
			}
			got = exchange(t, c, "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"+auth+"Content-Length: 62\r\n\r\n"+hello)
			if got.status != 200 {
				t.Fatalf("got %d %s", got.status, got.body)
			}
		}
	})
}

func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	_, base := serve(t, fixed(says("hi")))
	transport := &http.Transport{MaxConnsPerHost: 1}
	defer transport.CloseIdleConnections()
	dials := 0
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials++
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	for _, body := range []string{hello, helloSSE, "{", hello} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/v1/chat/completions", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+testKey)
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	if dials != 1 {
		t.Errorf("%d connections for 4 requests", dials)
	}
}
