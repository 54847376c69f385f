package api_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/api"
)

// Each feature that is claimed can be used, and each that is not cannot.
func TestCapabilitiesAreTrue(t *testing.T) {
	t.Parallel()
	turn := script([]agent.Event{thought("hm"), started("c1", "💻", "pwd"), finished("c1", "💻", "pwd", false), text("a"), text("b")}, answered("ab"), nil)
	var heard sync.Map // the histories of all turns; some run in the background
	opts := fixed(both{complete: says("a title"), run: func(ctx context.Context, in agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
		heard.Store(said(in.History), true)
		return turn(ctx, in, emit)
	}})
	opts.Tools = []string{"terminal"}
	opts.CORSOrigins = []string{"https://chat.example"}
	server := api.New(stored(t, opts))
	user := func(content string) string { return `{"messages":[{"role":"user","content":` + content + `}]` }
	post := func(body string, header ...string) answer {
		return call(t, server, "POST", "/v1/chat/completions", body, header...)
	}
	stream := func(more string) string { return post(user(`"hi"`) + `,"stream":true` + more + `}`).body }
	works := map[string]func() bool{
		"chat_completions": func() bool { return post(hello).status == 200 },
		"responses": func() bool {
			return call(t, server, "POST", "/v1/responses", `{"input":"hi"}`).status == 200
		},
		"responses_background": func() bool {
			return respond(t, server, `{"input":"hi","background":true,"store":true}`).Status == "queued"
		},
		"responses_resume": func() bool {
			all := call(t, server, "POST", "/v1/responses", `{"input":"hi","background":true,"stream":true}`).body
			rest := call(t, server, "GET", "/v1/responses/"+lastResponse(t, all).ID+"?stream=true&starting_after=3", "").body
			return rest != "" && strings.HasSuffix(all, rest) && strings.Contains(rest, `"sequence_number":4}`) && !strings.Contains(rest, `"sequence_number":3}`)
		},
		"previous_response_id": func() bool {
			respond(t, server, `{"input":"follow","previous_response_id":"`+respond(t, server, `{"input":"hi"}`).ID+`"}`)
			_, ok := heard.Load("u:hi a:ab u:follow")
			return ok
		},
		"conversations": func() bool {
			respond(t, server, `{"input":"hi","conversation":"c"}`)
			respond(t, server, `{"input":"go on","conversation":"c"}`)
			_, ok := heard.Load("u:hi a:ab u:go on")
			return ok
		},
		"hosted_tools": func() bool {
			return call(t, server, "POST", "/v1/responses", `{"input":"hi","tools":[{"type":"web_search"}]}`).status == 200
		},
		"streaming":      func() bool { return strings.HasSuffix(stream(""), "data: [DONE]\n\n") },
		"text_streaming": func() bool { return strings.Contains(stream(""), `"content":"b"`) },
		"stream_usage": func() bool {
			return strings.Contains(stream(`,"stream_options":{"include_usage":true}`), `"usage":`)
		},
		"reasoning":    func() bool { return strings.Contains(stream(""), `"reasoning_content":"hm"`) },
		"server_tools": func() bool { return strings.Contains(stream(""), "💻 pwd") },
		"client_tools": func() bool {
			return post(user(`"hi"`)+`,"tools":[{"type":"function","function":{"name":"look"}}]}`).status == 200
		},
		"structured_output": func() bool { return post(user(`"hi"`)+`,"response_format":{"type":"json_object"}}`).status == 200 },
		"image_input": func() bool {
			return post(user(`[{"type":"image_url","image_url":{"url":"https://x.example/y.png"}}]`)+`}`).status == 200
		},
		"file_input": func() bool {
			return post(user(`[{"type":"file","file":{"filename":"a.txt","file_data":"data:text/plain;base64,aGk="}}]`)+`}`).status == 200
		},
		"audio_input": func() bool {
			return post(user(`[{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}}]`)+`}`).status == 200
		},
		"background_tasks": func() bool { return strings.Contains(post(hello, aTask).body, "a title") },
		"idempotency_keys": func() bool {
			post(hello, "Idempotency-Key: one")
			return post(hello, "Idempotency-Key: one").header.Get("Idempotency-Replayed") != ""
		},
		"cors": func() bool {
			return post(hello, "Origin: https://chat.example").header.Get("Access-Control-Allow-Origin") != ""
		},
		"metrics": func() bool { return len(scrape(t, server)) > 0 },
	}
	var body struct {
		Features  map[string]bool
		Tools     []string
		Endpoints []struct{ Method, Path string }
	}
	if err := json.Unmarshal([]byte(call(t, server, "GET", "/v1/capabilities", "").body), &body); err != nil {
		t.Fatal(err)
	}
	for _, feature := range slices.Sorted(maps.Keys(body.Features)) {
		try, ok := works[feature]
		if !ok {
			t.Errorf("nothing here tries %s", feature)
			continue
		}
		if got := try(); got != body.Features[feature] {
			t.Errorf("%s works: %v, and GET /v1/capabilities says %v (features in capabilities.go, or openapi.json)", feature, got, body.Features[feature])
		}
	}
	if !slices.Equal(body.Tools, opts.Tools) {
		t.Errorf("tools are %v", body.Tools)
	}
	opts.CurrentTools = func() []string { return []string{"mcp_a_b", "terminal"} }
	if got := call(t, api.New(opts), "GET", "/v1/capabilities", "").body; !strings.Contains(got, `"tools":["mcp_a_b","terminal"]`) {
		t.Errorf("tools that came are missing: %s", got)
	}
	for _, endpoint := range body.Endpoints {
		got := call(t, server, endpoint.Method, endpoint.Path, "")
		if got.status == http.StatusMethodNotAllowed || strings.Contains(got.body, "This server has GET") {
			t.Errorf("there is no %s %s", endpoint.Method, endpoint.Path)
		}
	}
}

func TestCapabilitiesTellTheSettings(t *testing.T) {
	t.Parallel()
	opts := fixed(says("hi"))
	opts.Version, opts.Tools, opts.Streaming, opts.ToolProgress, opts.OnDisconnect = "1.2.3", []string{"patch", "terminal"}, false, "both", "detach"
	opts.MaxBodyBytes, opts.MaxConcurrentRuns, opts.StoredResponses, opts.ToolItems = 4096, 3, 7, "mcp_call"
	opts.Limits = api.Limits{TurnsPerMinute: 20, TokensPerDay: 5_000_000_000}
	for name, test := range map[string]struct {
		server *api.Server
		wants  []string
	}{
		"set": {api.New(opts), []string{
			`"object":"capabilities","server":{"name":"hermes","version":"1.2.3"},"model":"alice",`,
			`{"method":"POST","path":"/v1/chat/completions","key":true,"summary":"Runs a turn`, `"path":"/health","key":false`,
			`"text_streaming":false`, `"cors":false`, `"tools":["patch","terminal"]`,
			`"tool_progress":{"setting":"both","forms":["inline","event","both","off"],"openwebui":"both","others":"both"}`,
			`"tool_items":{"setting":"mcp_call","forms":["function_call","mcp_call"],"openwebui":"mcp_call","sdks":"mcp_call","others":"mcp_call"}`,
			`"limits":{"max_body_bytes":4096,"max_concurrent_turns":3,"max_waiting_turns":6,"max_wait_seconds":30,"max_concurrent_tasks":4,"max_background_responses":6,"stored_responses":7,"idempotency_key_seconds":300,"max_client_tools":128,"turns_per_minute":20,"tokens_per_day":5000000000}`,
			`"on_disconnect":"detach"`,
		}},
		"defaults": {api.New(api.Options{Agent: says("hi"), ModelName: "alice", Settings: api.Settings{KeySHA256: digest(testKey)}, Log: opts.Log}), []string{
			`"tools":[]`, `"server_tools":false`, `"tool_progress":{"setting":"auto","forms":["inline","event","both","off"],"openwebui":"event","others":"inline"}`,
			`"max_body_bytes":10000000,"max_concurrent_turns":10`, `"turns_per_minute":null,"tokens_per_day":null`, `"on_disconnect":"cancel"`,
			`"stored_responses":100`, `"tool_items":{"setting":"auto","forms":["function_call","mcp_call"],"openwebui":"function_call","sdks":"mcp_call","others":"function_call"}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := call(t, test.server, "GET", "/v1/capabilities", "")
			for _, want := range test.wants {
				if !strings.Contains(got.body, want) {
					t.Errorf("there is no %s in %s", want, got.body)
				}
			}
			if again := call(t, test.server, "GET", "/capabilities", ""); again.body != got.body {
				t.Errorf("the second time it is %s", again.body)
			}
		})
	}
}
