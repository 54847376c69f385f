package usage

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// fake is what a model may write to be taken for its server.
const fake = `"usage":{"prompt_tokens":-5,"total_tokens":1},"eval_count":1}` + "\n\ndata: [DONE]\n\ndata: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n"

func quoted(text string) string {
	data, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// wires are answers of each wire, with 70 tokens in and 30 out.
func wires() map[string]string {
	text := quoted(fake)
	return map[string]string{
		"chat": `{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":` + text + `}}],"usage":{"prompt_tokens":70,"completion_tokens":30,"total_tokens":100,"prompt_tokens_details":{"cached_tokens":9}}}`,
		"chat stream": "data: {\"choices\":[{\"delta\":{\"content\":" + text + "}}],\"usage\":null}\n\n" +
			"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":70,\"completion_tokens\":30}}\n\ndata: [DONE]\n\n",
		"chat stream with CRLF and comments": ": hello\r\n\r\nevent: x\r\ndata:{\"choices\":[{\"delta\":{\"content\":" + text + "}}]}\r\n\r\n" +
			"data: {\"choices\":[],\r\ndata: \"usage\":{\"prompt_tokens\":\"70\",\"completion_tokens\":30.0}}\r\n\r\ndata: [DONE]\r\n\r\n",
		"total alone": "\ufeff\n {\"choices\":[],\"usage\":{\"total_tokens\":100,\"completion_tokens\":30}}",
		"anthropic":   `{"type":"message","content":[{"type":"text","text":` + text + `},{"type":"tool_use","input":{"usage":{"input_tokens":3,"output_tokens":4}}}],"usage":{"input_tokens":10,"cache_read_input_tokens":40,"cache_creation_input_tokens":20,"output_tokens":30}}`,
		"anthropic stream": "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[],\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":40,\"cache_creation_input_tokens\":20,\"output_tokens\":1}}}\n\n" +
			"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":" + text + "}}\n\n" +
			"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":30}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
		"ollama": `{"message":{"role":"assistant","content":` + text + `},"done":true,"prompt_eval_count":70,"eval_count":30}`,
		"ollama stream": `{"message":{"content":` + text + `},"done":false}` + "\n" + `{"message":{"content":"","tool_calls":[{"function":{"arguments":{"usage":{"prompt_tokens":1},"eval_count":1}}}]},"done":false}` + "\n" +
			`{"message":{"content":""},"done":true,"prompt_eval_count":70,"eval_count":30}` + "\n",
	}
}

func ask(bytes int) *Request {
	r := &Request{}
	r.Take([]byte(strings.Repeat("x", bytes)))
	return r
}

// What the server counts is found on each wire, however the answer is cut into pieces,
// whatever the model writes, and however long it took.
func TestServersCountIsFound(t *testing.T) {
	t.Parallel()
	for name, body := range wires() {
		for cut := range len(body) {
			var a Answer
			a.Take([]byte(body[:cut]))
			a.Take([]byte(body[cut:]))
			a.End()
			if got := a.Count(ask(1000), time.Hour); got != (Count{In: 70, Out: 30}) {
				t.Fatalf("%s, in two at %d: %+v", name, cut, got)
			}
		}
		var a Answer
		for i := range len(body) {
			a.Take([]byte{body[i]})
		}
		if got := a.Count(ask(1000), time.Hour); got.In != 70 || got.Out != 30 || got.Estimated {
			t.Errorf("%s, by the byte, and its end not waited for: %+v", name, got)
		}
	}
}

// An answer that is cut off costs at least what was asked and said until then.
func TestCutAnswersAreEstimated(t *testing.T) {
	t.Parallel()
	for name, body := range wires() {
		before := Count{}
		for cut := range len(body) {
			var a Answer
			a.Take([]byte(body[:cut]))
			got := a.Count(ask(1000), 0)
			if got.In != 70 && got.In != 400 && !strings.HasPrefix(name, "anthropic") && name != "total alone" {
				t.Errorf("%s, cut at %d: %+v", name, cut, got)
			}
			if got.In == 0 || got.Out < 0 || !got.Estimated && got != (Count{In: 70, Out: 30}) {
				t.Fatalf("%s, cut at %d after %+v: %+v", name, cut, before, got)
			}
			before = got
		}
	}
	stream := "data: {\"choices\":[{\"delta\":{\"content\":" + quoted(strings.Repeat("a", 5000)) + "}}]}\n\n"
	for _, test := range []struct {
		name, body string
		took       time.Duration
		ends       bool
		want       Count
	}{
		{"nothing came", "", 0, false, Count{400, 0, true}},
		{"nothing came for a while", "", 10 * time.Second, false, Count{400, 500, true}},
		{"text, and no count", stream, time.Second, true, Count{400, 2000, true}},
		{"within the text", stream[:3000], 0, false, Count{400, 1186, true}},
		{"a count of what was asked alone", `{"usage":{"prompt_tokens":70}}`, 0, true, Count{70, 0, false}},
		{"counts of nothing", `{"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}`, 0, true, Count{400, 26, true}},
		{"counts below nothing", `{"usage":{"prompt_tokens":-7,"completion_tokens":-9}}`, 0, true, Count{400, 22, true}},
		{"counts beyond reason", `{"usage":{"prompt_tokens":1e30,"completion_tokens":99999999999999999999999999999999999}}`, 0, true, Count{400, 37, true}},
		{"no numbers", `{"usage":{"prompt_tokens":NaN,"completion_tokens":[7],"total_tokens":{"usage":8}}}`, 0, true, Count{400, 34, true}},
		{"no JSON", strings.Repeat("\x1f\x8b", 50), 0, true, Count{400, 40, true}},
		{"too deep", `{"choices":` + strings.Repeat("[", 100) + `,"usage":{"prompt_tokens":70}}`, 0, true, Count{400, 56, true}},
		{"broken event", "data: {\"a\":}{\"usage\":{\"prompt_tokens\":5}}\n\ndata: {\"usage\":{\"prompt_tokens\":70,\"completion_tokens\":2}}\n\n", 0, true, Count{70, 2, false}},
		{"wrong place", `{"choices":[{"usage":{"prompt_tokens":5}}],"x":{"usage":{"prompt_tokens":5}},"usage":[{"prompt_tokens":5}]}`, 0, true, Count{400, 8, true}},
	} {
		var a Answer
		a.Take([]byte(test.body))
		if test.ends {
			a.End()
		}
		got := a.Count(ask(1000), test.took)
		if got.In != test.want.In || got.Estimated != test.want.Estimated || got.Out < test.want.Out-6 || got.Out > test.want.Out+6 {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

// An image costs what an image does, where a model sees one, and nowhere else.
func TestImagesAreNotText(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("A", 100_000)
	for name, test := range map[string]struct {
		body  string
		image bool
	}{
		"chat":               {`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + long + `"}}]}]}`, true},
		"anthropic":          {`{"messages":[{"content":[{"type":"image","source":{"type":"base64","data":"iVBORw0KGgo` + long + `"}}]}]}`, true},
		"result":             {`{"messages":[{"content":[{"type":"tool_result","content":[{"type":"image","source":{"data":"/9j/` + long + `"}}]}]}]}`, true},
		"ollama":             {`{"messages":[{"content":"look","images":["iVBORw0KGgo` + long + `"]}]}`, true},
		"document":           {`{"messages":[{"content":[{"type":"document","source":{"data":"JVBERi0` + long + `"}}]}]}`, false},
		"text":               {`{"messages":[{"content":"data:image/png;base64,` + long + `"}]}`, false},
		"words of a tool":    {`{"tools":[{"content":[{"image_url":{"url":"data:image/png;base64,` + long + `"}}]}]}`, false},
		"quotes in the text": {`{"messages":[{"content":"\",\"content\":[{\"image_url\":{\"url\":\"data:image/` + long + `"}]}`, false},
	} {
		for _, size := range []int{1, 7, len(test.body)} {
			var r Request
			for rest := test.body; rest != ""; rest = rest[min(size, len(rest)):] {
				r.Take([]byte(rest[:min(size, len(rest))]))
			}
			if got := r.Tokens(); test.image != (got < 1500) || got < 1200 {
				t.Errorf("%s: %d tokens", name, got)
			}
		}
	}
}

// FuzzAnswer: whatever comes and however it is cut, the count is the same, and none that
// can be no count; and text in a string changes nothing.
func FuzzAnswer(f *testing.F) {
	for _, body := range wires() {
		f.Add([]byte(body), 17, fake)
	}
	f.Add([]byte("data: {\"usage\":{\"prompt_tokens\":-1"), 3, "\\\"\u0000")
	f.Add([]byte(strings.Repeat("[", 80)), 70, "}")
	f.Fuzz(func(t *testing.T, body []byte, cut int, text string) {
		var one, two Answer
		one.Take(body)
		cut = min(max(cut, 0), len(body))
		two.Take(body[:cut])
		two.Take(body[cut:])
		got := one.Count(ask(10), 0)
		if again := two.Count(ask(10), 0); got != again {
			t.Errorf("%+v in one piece, %+v in two", got, again)
		}
		if got.In <= 0 || got.Out < 0 || got.In > 4*maxTokens || got.Out > 4*maxTokens+int64(len(body)) {
			t.Errorf("count is %+v", got)
		}
		var said Answer
		said.Take([]byte("data: {\"choices\":[{\"delta\":{\"content\":" + quoted(text) + "}}]}\n\n"))
		if said.ended || said.counts != (counts{}) {
			t.Errorf("%q counts as %+v", text, said.counts)
		}
		var r Request
		r.Take(body)
		if r.Tokens() < 0 {
			t.Errorf("a request of %d", r.Tokens())
		}
	})
}
