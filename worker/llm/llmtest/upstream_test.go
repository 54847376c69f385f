package llmtest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"hermes/worker/llm/llmtest"
)

// ask sends a request whose last user message is text.
func ask(t *testing.T, ctx context.Context, up *llmtest.Upstream, text string, stream bool) *http.Response { //nolint:revive // t comes first in helpers
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"model": "m", "stream": stream, "stream_options": map[string]any{"include_usage": stream},
		"messages": []any{
			map[string]any{"role": "system", "content": "be short"},
			map[string]any{"role": "user", "content": text},
		},
		"tools": []any{
			map[string]any{"type": "function", "function": map[string]any{"name": "terminal"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, up.URL+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func start(t *testing.T, answer func(llmtest.Call) llmtest.Reply) *llmtest.Upstream {
	t.Helper()
	up := llmtest.NewUpstream(answer)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	t.Cleanup(up.Close)
	return up
}

// deltas reads a stream and returns its data lines without the fields that are
// the same on all of them.
func deltas(t *testing.T, body io.Reader) []string {
	t.Helper()
	const prefix = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m",`
	var lines []string
	scanner := bufio.NewScanner(body)
	for scanner.Scan() {
		if line := scanner.Text(); line != "" {
			lines = append(lines, strings.TrimPrefix(line, prefix))
		}
	}
	return lines
}

func TestUpstreamStreamsLikeAProvider(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		reply llmtest.Reply
		want  []string
	}{
		{
			name:  "text with reasoning",
			reply: llmtest.Reply{Reasoning: []string{"hm"}, Chunks: []string{"a\n", "é"}, Prompt: 3, Completion: 2},
			want: []string{
				`"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`,
				`"choices":[{"index":0,"delta":{"reasoning_content":"hm"},"finish_reason":null}]}`,
				`"choices":[{"index":0,"delta":{"content":"a\n"},"finish_reason":null}]}`,
				`"choices":[{"index":0,"delta":{"content":"é"},"finish_reason":null}]}`,
				`"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
				`"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`,
				`data: [DONE]`,
			},
		},
		{
			name:  "tool call",
			reply: llmtest.Reply{Calls: []llmtest.ToolCall{{Name: "terminal", Arguments: `{"c":1}`}}, Prompt: 3, Completion: 2, Burst: true},
			want: []string{
				`"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`,
				`"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1_0","type":"function","function":{"name":"terminal","arguments":""}}]},"finish_reason":null}]}`,
				`"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"c"}}]},"finish_reason":null}]}`,
				`"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\":1}"}}]},"finish_reason":null}]}`,
				`"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`,
				`"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`,
				`data: [DONE]`,
			},
		},
		{
			name:  "with what providers add",
			reply: llmtest.Reply{Chunks: []string{"a"}, Extra: `"service_tier":"default",`, Prompt: 3, Completion: 2},
			want: []string{
				`"service_tier":"default","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`,
				`"service_tier":"default","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}`,
				`"service_tier":"default","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
				`"service_tier":"default","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`,
				`data: [DONE]`,
			},
		},
		{
			name:  "cut in the middle",
			reply: llmtest.Reply{Chunks: []string{"a"}, Cut: true},
			want: []string{
				`"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`,
				`"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}`,
				`"choices":[{"index":0,"del`,
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			up := start(t, func(llmtest.Call) llmtest.Reply { return test.reply })
			got := deltas(t, ask(t, t.Context(), up, "hi", true).Body)
			if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestUpstreamAnswersInOnePiece(t *testing.T) {
	t.Parallel()
	up := start(t, func(llmtest.Call) llmtest.Reply {
		return llmtest.Reply{Chunks: []string{"a", "b"}, Prompt: 3, Completion: 2}
	})
	body, err := io.ReadAll(ask(t, t.Context(), up, "hi", false).Body)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"choices":[{"finish_reason":"stop","index":0,"message":{"content":"ab","role":"assistant"}}],"created":1700000000,` +
		`"id":"chatcmpl-1","model":"m","object":"chat.completion","usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`
	var got, wanted any
	if json.Unmarshal(body, &got) != nil || json.Unmarshal([]byte(want), &wanted) != nil {
		t.Fatalf("no JSON: %s", body)
	}
	if !reflect.DeepEqual(got, wanted) {
		t.Errorf("got\n%s\nwant\n%s", body, want)
	}
	call := up.Calls()[0]
	if call.System() != "be short" || call.LastUser() != "hi" || !call.HasTool("terminal") || call.Stream {
		t.Errorf("the call was read as %+v", call)
	}
}

func TestUpstreamSeesItsClientLeave(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{true, false} {
		up := start(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan struct{})
		go func() {
			defer close(left)
			<-up.Arrived()
			cancel()
			if call := <-up.Gone(); call.LastUser() != "hang on" {
				t.Errorf("%q was left, want %q", call.LastUser(), "hang on")
			}
		}()
		body := strings.NewReader(`{"messages":[{"role":"user","content":"hang on"}],"stream":` + map[bool]string{true: "true", false: "false"}[stream] + `}`)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, up.URL+"/v1/chat/completions", body)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		<-left
	}
}

func TestUpstreamFailsAsAsked(t *testing.T) {
	t.Parallel()
	up := start(t, nil)
	resp := ask(t, t.Context(), up, "fail 429 2", true)
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "2" {
		t.Errorf("got %s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
	up.Key = "right"
	if resp := ask(t, t.Context(), up, "hi", true); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %s without a key, want 401", resp.Status)
	}
}
