package openaichat

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hermes/worker/llm"
	"hermes/worker/llm/upstream"
)

func TestPlainContentKnowsOrdinaryChunks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		chunk string
		want  string // the literal, empty when the full decoder must look
	}{
		{"OpenAI", `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"content":" Hi\n"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x9"}`, `" Hi\n"`},
		{"OpenRouter", `{"id":"gen-1","provider":"X","model":"x/y","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":"Hi","reasoning":null,"reasoning_details":[]},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}`, `"Hi"`},
		{"vLLM", `{"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"Hi","reasoning_content":null,"tool_calls":[]},"logprobs":{"content":[{"token":"Hi","logprob":-1.5e-3,"bytes":[72,105],"top_logprobs":[]}]},"finish_reason":null,"token_ids":null}]}`, `"Hi"`},
		{"llama.cpp", `{"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hi"}}],"created":1,"id":"1","model":"m","system_fingerprint":"b1","object":"chat.completion.chunk","timings":{"predicted_ms":1.25}}`, `"Hi"`},
		{"white space", " { \"choices\" : [ { \"delta\" : { \"content\" : \"Hi\" } , \"index\" : 0 } ] } \n", `"Hi"`},
		{"escapes", `{"choices":[{"delta":{"content":"\"\\\/\b\f\n\r\t\u00e4é😀"}}]}`, `"\"\\\/\b\f\n\r\t\u00e4é😀"`},
		{"an empty text", `{"choices":[{"delta":{"role":"assistant","content":""}}]}`, `""`},
		{"finish", `{"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}`, ""},
		{"usage", `{"choices":[{"delta":{"content":"Hi"}}],"usage":{"prompt_tokens":1}}`, ""},
		{"tool calls", `{"choices":[{"delta":{"content":"Hi","tool_calls":[{}]}}]}`, ""},
		{"thinking", `{"choices":[{"delta":{"content":"Hi","reasoning":"hm"}}]}`, ""},
		{"an error", `{"choices":[{"delta":{"content":"Hi"}}],"error":{}}`, ""},
		{"another choice", `{"choices":[{"index":1,"delta":{"content":"Hi"}}]}`, ""},
		{"a number like zero", `{"choices":[{"index":01,"delta":{"content":"Hi"}}]}`, ""},
		{"two choices", `{"choices":[{"delta":{"content":"Hi"}},{"delta":{"content":"Ho"}}]}`, ""},
		{"no choices", `{"choices":[]}`, ""},
		{"content twice", `{"choices":[{"delta":{"content":"Hi","content":"Ho"}}]}`, ""},
		{"delta twice", `{"choices":[{"delta":{"content":"Hi"},"delta":{}}]}`, ""},
		{"capitals, which the decoder takes for the same key", `{"choices":[{"delta":{"content":"Hi","Content":"Ho"}}]}`, ""},
		{"an escaped key", `{"choices":[{"delta":{"content":"Hi","\u0063ontent":"Ho"}}]}`, ""},
		{"content is null", `{"choices":[{"delta":{"content":null}}]}`, ""},
		{"content is a list", `{"choices":[{"delta":{"content":["Hi"]}}]}`, ""},
		{"a surrogate", `{"choices":[{"delta":{"content":"\ud83d"}}]}`, ""},
		{"no UTF-8", "{\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}", ""},
		{"a line feed in a string", "{\"choices\":[{\"delta\":{\"content\":\"a\nb\"}}]}", ""},
		{"a wrong escape", `{"choices":[{"delta":{"content":"\x"}}]}`, ""},
		{"cut", `{"choices":[{"delta":{"content":"Hi"}}]`, ""},
		{"more behind it", `{"choices":[{"delta":{"content":"Hi"}}]}{}`, ""},
		{"no object", `[]`, ""},
		{"nothing", ``, ""},
		{"a deep value", `{"x":[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]],"choices":[{"delta":{"content":"Hi"}}]}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := plainContent(&scanner{}, []byte(tt.chunk))
			if ok != (tt.want != "") || ok && string(got) != tt.want {
				t.Errorf("plainContent = %q, %v, want %q", got, ok, tt.want)
			}
			agree(t, []byte(tt.chunk))
		})
	}
}

// agree holds plainContent against the full decoder: what the one takes for a
// chunk of text, the other must take for the same text and nothing else.
func agree(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, data []byte,
) {
	t.Helper()
	literal, ok := plainContent(&scanner{}, data)
	if !ok {
		return
	}
	var want string
	if err := json.Unmarshal(literal, &want); err != nil {
		t.Fatalf("%q: content %q is no string: %v", data, literal, err)
	}
	var decoded chunk
	if err := json.Unmarshal(data, &decoded); err != nil {
		t.Fatalf("%q: plain, but no JSON: %v", data, err)
	}
	if decoded.failed() {
		t.Fatalf("%q: plain, but an error", data)
	}
	got := ""
	a := &answer{Answer: upstream.Answer{Buffered: func() bool { return false }, Emit: func(event llm.Event) error {
		text, ok := event.(llm.Text)
		if !ok {
			t.Fatalf("%q: plain, but emits %T", data, event)
		}
		got += upstream.Unquote(text.JSON)
		return nil
	}}}
	if err := a.take(decoded); err != nil {
		t.Fatalf("%q: plain, but %v", data, err)
	}
	if got != want || a.Text() != want {
		t.Fatalf("%q: plain content is %q, the full decoder has %q", data, want, got)
	}
	if a.finish != "" || a.usage != (llm.Usage{}) || len(a.tools.calls) > 0 || a.extras() != nil || a.Thinking() != "" {
		t.Fatalf("%q: plain, but the full decoder finds more: %+v", data, a)
	}
}

func FuzzScan(f *testing.F) {
	for _, delta := range []string{
		`{"content":"Hi"}`, `{"role":"assistant","content":"","refusal":null}`, `{"content":"a","tool_calls":[]}`,
		`{"content":"a","tool_calls":[{"index":0}]}`, `{"content":"\ud83d\ude00"}`, `{"content":"a","reasoning":""}`,
		`{"content":"a","reasoning_details":[]}`, `{"content":"a","function_call":null,"extra_content":null}`,
	} {
		f.Add([]byte(deltaChunk(delta)))
	}
	f.Add([]byte(finish("stop")))
	f.Add([]byte(`{"choices":[{"delta":{"content":"a"},"index":0,"message":null,"error":null,"logprobs":{"a":[1.5e3,true]}}],"usage":null,"error":null,"message":"x","detail":1}`))
	f.Fuzz(func(t *testing.T, data []byte) { agree(t, data) })
}

// TestPlainContentAgreesWithTheFullDecoder builds chunks out of the keys and
// values that matter, far more often valid than what a fuzzer makes.
func TestPlainContentAgreesWithTheFullDecoder(t *testing.T) {
	t.Parallel()
	values := []string{
		`null`, `""`, `"Hi"`, `"\ud83d"`, `"a\u00e4"`, `[]`, `{}`, `0`, `1`, `-0`, `0.0`, `1e2`, `true`, `"stop"`, `[{"index":0}]`, `{"prompt_tokens":3}`,
		`"chat.completion.chunk"`, `"error"`, `[{"type":"text","text":"x"}]`, `{"name":"f","arguments":"{}"}`,
	}
	keys := map[string][]string{
		"chunk":  {"id", "object", "choices", "usage", "error", "message", "detail", "Usage", "x"},
		"choice": {"index", "delta", "message", "finish_reason", "error", "logprobs", "Index", "Delta"},
		"delta":  {"role", "content", "refusal", "reasoning", "reasoning_content", "reasoning_details", "tool_calls", "function_call", "extra_content", "CONTENT", "x"},
	}
	// object makes an object at one of the three levels, mostly with the key
	// that leads on in it.
	var object func(t *rapid.T, level string) string
	object = func(t *rapid.T, level string) string {
		var members []string
		for _, key := range rapid.SliceOfN(rapid.SampledFrom(keys[level]), 0, 4).Draw(t, level) {
			members = append(members, `"`+key+`":`+rapid.SampledFrom(values).Draw(t, key))
		}
		within := map[string]string{"chunk": `"choices":[%]`, "choice": `"delta":%`}[level]
		if next := map[string]string{"chunk": "choice", "choice": "delta"}[level]; next != "" && rapid.IntRange(0, 9).Draw(t, "lead") > 0 {
			members = append(members, strings.Replace(within, "%", object(t, next), 1))
		}
		if level == "delta" {
			members = append(members, `"content":"Hi"`)
		}
		return "{" + strings.Join(rapid.Permutation(members).Draw(t, "order"), ",") + "}"
	}
	plain := 0
	rapid.Check(t, func(t *rapid.T) {
		data := []byte(object(t, "chunk"))
		if _, ok := plainContent(&scanner{}, data); ok {
			plain++
		}
		agree(t, data)
	})
	if plain == 0 {
		t.Error("no chunk was taken for plain, so nothing was compared")
	}
}
