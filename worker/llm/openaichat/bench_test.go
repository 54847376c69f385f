package openaichat

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"hermes/worker/llm"
)

// canned is a transport that answers every request with the same stream, out of
// memory, in reads of at most 4 kB.
type canned struct{ stream []byte }

func (c canned) RoundTrip(req *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, req.Body)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(&limited{bytes.NewReader(c.stream)})}, nil
}

type limited struct{ r *bytes.Reader }

func (l *limited) Read(p []byte) (int, error) { return l.r.Read(p[:min(len(p), 4096)]) }

// BenchmarkRelay measures what one ordinary chunk of 330 bytes costs on its way
// from the upstream's bytes to emit. One op is one chunk.
func BenchmarkRelay(b *testing.B) {
	const chunks = 2000
	tests := []struct{ name, chunk string }{
		{"content", `{"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012","object":"chat.completion.chunk","created":1700000000,"model":"gpt-5-mini-2026-08-07","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"0123456789abcdef0123456789"}`},
		{"thinking", `{"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012","object":"chat.completion.chunk","created":1700000000,"model":"gpt-5-mini-2026-08-07","choices":[{"index":0,"delta":{"reasoning_content":" token"},"logprobs":null,"finish_reason":null}]}`},
		{"tool arguments", `{"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012","object":"chat.completion.chunk","created":1700000000,"model":"gpt-5-mini-2026-08-07","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":" token"}}]},"logprobs":null,"finish_reason":null}]}`},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			body := strings.Repeat("data: "+tt.chunk+"\n\n", chunks) + stream(content("end"), finish("stop"))
			client := New(Options{BaseURL: "http://upstream/v1", Model: "m", Streaming: true, HTTP: &http.Client{Transport: canned{[]byte(body)}}})
			b.SetBytes(int64(len(tt.chunk)))
			b.ReportAllocs()
			for n := 0; n < b.N; n += chunks {
				if _, err := client.Stream(b.Context(), llm.Request{}, func(llm.Event) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkScan measures the scanner alone.
func BenchmarkScan(b *testing.B) {
	chunk := []byte(content(" token"))
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	var s scanner
	for b.Loop() {
		if _, ok := plainContent(&s, chunk); !ok {
			b.Fatal("not plain")
		}
	}
}

// BenchmarkEncode measures a request with a history of 100 kB.
func BenchmarkEncode(b *testing.B) {
	client := New(Options{BaseURL: "http://upstream/v1", Model: "m", Streaming: true})
	var req llm.Request
	for range 100 {
		req.Messages = append(req.Messages, llm.TextMessage(llm.User, strings.Repeat("Some words, \"quoted\" and\nnot. ", 33)))
	}
	b.SetBytes(int64(len(client.encoded(req))))
	b.ReportAllocs()
	for b.Loop() {
		client.encoded(req)
	}
}
