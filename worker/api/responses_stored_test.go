package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/llm"
	"hermes/worker/openai"
)

// Turns on one conversation run one after the other, and each knows all before it.
func TestParallelTurnsOfAConversation(t *testing.T) {
	t.Parallel()
	var heard listener
	var mu sync.Mutex
	running, most := 0, 0
	server := api.New(stored(t, fixed(runs(func(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
		mu.Lock()
		running++
		most = max(most, running)
		mu.Unlock()
		defer func() {
			mu.Lock()
			running--
			mu.Unlock()
		}()
		return heard.run(ctx, turn, emit)
	}))))
	respond(t, server, `{"input":"first","conversation":"trip"}`)
	var clients sync.WaitGroup
	for i := range 5 {
		body := fmt.Sprintf(`{"input":"turn %d","conversation":{"id":"trip"},"stream":%v,"background":%v}`, i, i%2 == 0, i == 3)
		clients.Go(func() {
			if got := call(t, server, "POST", "/v1/responses", body); got.status != 200 {
				t.Errorf("status %d: %s", got.status, got.body)
			}
		})
	}
	clients.Wait()
	respond(t, server, `{"input":"last","conversation":"trip"}`)
	history := said(heard.last().History)
	for i := range 5 {
		if !strings.Contains(history, fmt.Sprint("u:turn ", i, " a:answer ")) {
			t.Errorf("turn %d is missing in %q", i, history)
		}
	}
	if most != 1 || len(heard.last().History) != 13 || !strings.HasPrefix(history, "u:first a:answer 1 ") {
		t.Errorf("%d turns ran at once, and the history is %q", most, history)
	}
	other := respond(t, server, `{"input":"x","conversation":"other"}`)
	if said(heard.last().History) != "u:x" || other.Conversation.ID != "other" {
		t.Errorf("another conversation knows %q", said(heard.last().History))
	}
}

// A conversation whose head was deleted goes on from the newest turn that is left.
func TestConversationWithoutItsHead(t *testing.T) {
	t.Parallel()
	var heard listener
	server := api.New(stored(t, fixed(runs(heard.run))))
	respond(t, server, `{"input":"one","conversation":"c"}`)
	second := respond(t, server, `{"input":"two","conversation":"c"}`)
	call(t, server, "DELETE", "/v1/responses/"+second.ID, "")
	third := respond(t, server, `{"input":"three","conversation":"c"}`)
	if got := said(heard.last().History); got != "u:one a:answer 1 u:three" {
		t.Errorf("history is %q", got)
	}
	call(t, server, "DELETE", "/v1/responses/"+third.ID, "")
	respond(t, server, `{"input":"four","conversation":"c","store":false}`)
	respond(t, server, `{"input":"five","conversation":"c"}`)
	if got := said(heard.last().History); got != "u:one a:answer 1 u:five" {
		t.Errorf("after a turn that was not to be stored the history is %q", got)
	}
}

// The least recently used response gives way, not the oldest: reading and
// following count as use.
func TestTheLeastRecentlyUsedResponseGoes(t *testing.T) {
	t.Parallel()
	var heard listener
	opts := stored(t, fixed(runs(heard.run)))
	opts.StoredResponses = 4
	server := api.New(opts)
	var ids []string
	for i := range 4 {
		ids = append(ids, respond(t, server, fmt.Sprintf(`{"input":"%d"}`, i)).ID)
	}
	call(t, server, "GET", "/v1/responses/"+ids[0], "")
	respond(t, server, `{"input":"follows","previous_response_id":"`+ids[1]+`"}`) // evicts 2
	respond(t, server, `{"input":"new"}`)                                         // evicts 3
	for i, want := range []int{200, 200, 404, 404} {
		if got := call(t, server, "GET", "/v1/responses/"+ids[i], ""); got.status != want {
			t.Errorf("response %d: status %d, want %d", i, got.status, want)
		}
	}
}

func TestResponsesThatAreNotStored(t *testing.T) {
	t.Parallel()
	var heard listener
	server := api.New(stored(t, fixed(runs(heard.run))))
	got := respond(t, server, `{"input":"x","store":false}`)
	if answer := call(t, server, "GET", "/v1/responses/"+got.ID, ""); answer.status != 404 || answer.error(t).Code != "not_found" || got.Store {
		t.Errorf("status %d: %s", answer.status, answer.body)
	}
	for _, request := range []string{"DELETE /v1/responses/resp_1", "POST /v1/responses/resp_1/cancel", "GET /v1/responses/resp_1/input_items", "GET /v1/responses/resp_1?stream=true"} {
		method, path, _ := strings.Cut(request, " ")
		if answer := call(t, server, method, path, ""); answer.status != 404 || answer.error(t).Code != "not_found" {
			t.Errorf("%s: status %d: %s", request, answer.status, answer.body)
		}
	}
}

func TestDeletedResponses(t *testing.T) {
	t.Parallel()
	var heard listener
	server := api.New(stored(t, fixed(runs(heard.run))))
	first := respond(t, server, `{"input":"one"}`)
	second := respond(t, server, `{"input":"two","previous_response_id":"`+first.ID+`"}`)
	got := call(t, server, "DELETE", "/v1/responses/"+first.ID, "")
	if want := `{"id":"` + first.ID + `","object":"response","deleted":true}`; strings.TrimSpace(got.body) != want {
		t.Errorf("answer %s, want %s", got.body, want)
	}
	if got := call(t, server, "GET", "/v1/responses/"+first.ID, ""); got.status != 404 {
		t.Errorf("it is still there: %s", got.body)
	}
	respond(t, server, `{"input":"three","previous_response_id":"`+second.ID+`"}`)
	if got := said(heard.last().History); got != "u:one a:answer 1 u:two a:answer 2 u:three" {
		t.Errorf("those that follow have lost it: %q", got)
	}
}

func TestInputItemsInPages(t *testing.T) {
	t.Parallel()
	var heard listener
	server := api.New(stored(t, fixed(runs(heard.run))))
	var input []string
	for i := range 5 {
		input = append(input, fmt.Sprintf(`{"role":"user","content":"%d"}`, i))
	}
	response := respond(t, server, `{"input":[`+strings.Join(input, ",")+`]}`)
	list := func(query string) (texts string, page openai.ItemPage) {
		got := call(t, server, "GET", "/v1/responses/"+response.ID+"/input_items"+query, "")
		if err := json.Unmarshal([]byte(got.body), &page); err != nil || got.status != 200 {
			t.Fatalf("%s: status %d: %s", query, got.status, got.body)
		}
		for _, item := range page.Data {
			message, _ := item.(openai.MessageItem)
			texts += openai.PartsText(message.Content)
		}
		return texts, page
	}
	all, page := list("")
	if all != "43210" || page.HasMore || *page.FirstID != page.Data[0].ItemID() {
		t.Errorf("the list is %q, more %v", all, page.HasMore)
	}
	two, page := list("?limit=2&order=asc")
	if two != "01" || !page.HasMore {
		t.Errorf("the first page is %q, more %v", two, page.HasMore)
	}
	if rest, page := list("?order=asc&after=" + *page.LastID); rest != "234" || page.HasMore {
		t.Errorf("the second page is %q, more %v", rest, page.HasMore)
	}
	for _, query := range []string{"?limit=0", "?limit=101", "?limit=x", "?order=up", "?after=msg_1"} {
		if got := call(t, server, "GET", "/v1/responses/"+response.ID+"/input_items"+query, ""); got.status != 400 {
			t.Errorf("%s: status %d", query, got.status)
		}
	}
}

// A client's own tool ends the turn; its output, sent as the next input, goes on.
func TestClientToolsOfResponses(t *testing.T) {
	t.Parallel()
	var turns []agent.Turn
	asked, left := leaves("Let me ask.", llm.ToolCall{ID: "c7", Name: "f", Arguments: `{"a":1}`})
	for _, stream := range []bool{false, true} {
		server := api.New(stored(t, fixed(runs(func(_ context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
			turns = append(turns, turn)
			if turn.History[len(turn.History)-1].Role == llm.Tool {
				emit(text("done"))
				return answered("done"), nil
			}
			for _, event := range asked {
				emit(event)
			}
			return left, nil
		}))))
		const tools = `"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]`
		body := fmt.Sprintf(`{"input":"go",%s,"stream":%v}`, tools, stream)
		got := call(t, server, "POST", "/v1/responses", body)
		response := lastResponse(t, got.body)
		if kinds(response) != "message Let me ask., function_call f" || response.Status != "completed" {
			t.Errorf("the output is %s, %s", kinds(response), response.Status)
		}
		next := respond(t, server, `{"previous_response_id":"`+response.ID+`",`+tools+`,"input":[{"type":"function_call_output","call_id":"c7","output":"42"}]}`)
		if history := said(turns[len(turns)-1].History); history != `u:go a:Let me ask. c:f{"a":1} t:42` || kinds(next) != "message done" {
			t.Errorf("it went on with %q to %s", history, kinds(next))
		}
		respond(t, server, `{"previous_response_id":"`+response.ID+`","input":"never mind"}`)
		if history := said(turns[len(turns)-1].History); history != `u:go a:Let me ask. c:f{"a":1} t:There is no result of this call. u:never mind` {
			t.Errorf("without an output it went on with %q", history)
		}
	}
}

// lastResponse is the response of an answer, a stream or not.
func lastResponse(t *testing.T, body string) openai.Response {
	t.Helper()
	if strings.HasPrefix(body, "{") {
		return decodeResponse(t, body)
	}
	blocks := strings.Split(strings.TrimSpace(body), "\n\n")
	if len(blocks) < 2 || blocks[len(blocks)-1] != "data: [DONE]" {
		t.Fatalf("the stream has no end: %s", body)
	}
	_, data, _ := strings.Cut(blocks[len(blocks)-2], "\ndata: ")
	var event struct{ Response openai.Response }
	if err := json.Unmarshal([]byte(data), &event); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return event.Response
}

// A turn that failed before it did anything is an error, which SDKs may try again,
// and leaves nothing behind; one that has run tools is a response that says so.
func TestFailedResponses(t *testing.T) {
	t.Parallel()
	broken := &llm.Error{Class: llm.Network, Message: "The connection broke."}
	acted := []agent.Event{text("I look."), started("c1", "💻", "pwd"), finished("c1", "💻", "pwd", false)}
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		opts := stored(t, fixed(script([]agent.Event{text("Hel")}, agent.Result{}, broken)))
		got := call(t, api.New(opts), "POST", "/v1/responses", `{"input":"x","conversation":"c"}`)
		if got.status != 502 || got.header.Get("X-Should-Retry") != "" || got.error(t).Code != "upstream_network" {
			t.Errorf("status %d, %v: %s", got.status, got.header, got.body)
		}
		if head, err := opts.Store.ConversationHead(t.Context(), "c"); head != "" || err != nil {
			t.Errorf("the conversation goes on from %q (%v)", head, err)
		}
	})
	t.Run("after a tool", func(t *testing.T) {
		t.Parallel()
		server := api.New(stored(t, fixed(script(acted, agent.Result{}, broken))))
		response := respond(t, server, `{"input":"x"}`)
		if response.Status != "failed" || response.Error == nil || response.Error.Code != "server_error" || response.Error.Message != broken.Message ||
			kinds(response) != "message I look., function_call terminal, function_call_output out" {
			t.Errorf("the response is %+v", response)
		}
		if stored := call(t, server, "GET", "/v1/responses/"+response.ID, ""); decodeResponse(t, stored.body).Status != "failed" {
			t.Errorf("stored is %s", stored.body)
		}
	})
	t.Run("in a stream", func(t *testing.T) {
		t.Parallel()
		server := api.New(stored(t, fixed(script([]agent.Event{text("Hel")}, agent.Result{}, broken))))
		got := call(t, server, "POST", "/v1/responses", `{"input":"x","stream":true}`)
		response := lastResponse(t, got.body)
		if response.Status != "failed" || kinds(response) != "message Hel" || !strings.Contains(got.body, "event: response.failed\n") {
			t.Errorf("the stream is %s", got.body)
		}
		if again := call(t, server, "GET", "/v1/responses/"+response.ID, ""); decodeResponse(t, again.body).Status != "failed" {
			t.Errorf("stored is %s", again.body)
		}
	})
	t.Run("rate limit", func(t *testing.T) {
		t.Parallel()
		server := api.New(stored(t, fixed(script(acted, agent.Result{}, &llm.Error{Class: llm.RateLimit, Message: "Slow down."}))))
		if response := respond(t, server, `{"input":"x"}`); response.Error == nil || response.Error.Code != "rate_limit_exceeded" {
			t.Errorf("the response is %+v", response)
		}
	})
	t.Run("too long", func(t *testing.T) {
		t.Parallel()
		server := api.New(stored(t, fixed(script(acted, agent.Result{}, &llm.Error{Class: llm.Overflow, Message: "Too long."}))))
		if response := respond(t, server, `{"input":"x"}`); response.Error == nil || response.Error.Code != "invalid_prompt" {
			t.Errorf("the response is %+v", response)
		}
	})
	t.Run("inside", func(t *testing.T) {
		t.Parallel()
		server := api.New(stored(t, fixed(script(nil, agent.Result{}, errors.New("secret path")))))
		if got := call(t, server, "POST", "/v1/responses", `{"input":"x"}`); got.status != 500 || strings.Contains(got.body, "secret") {
			t.Errorf("status %d: %s", got.status, got.body)
		}
	})
}

// Which items show a tool follows the setting, and the client in auto.
func TestShapesOfToolItems(t *testing.T) {
	t.Parallel()
	const list = `"output":[{"type":"input_text","text":"/here"}]`
	for _, test := range []struct{ setting, header, want string }{
		{"auto", "User-Agent: OpenAI/JS 7.0", `"output":"/here"`},
		{"auto", "User-Agent: Python/3.12 aiohttp/3.11", list},
		{"auto", "X-OpenWebUI-Chat-Id: 1", list},
		{"auto", "User-Agent: ai/6.0 ai-sdk/openai/3.0", `"type":"mcp_call"`},
		{"auto", "User-Agent: ai/7.0.173 ai-sdk-provider-utils/5.0.81 node.js/22", `"type":"mcp_call"`},
		{"auto", "User-Agent: hermes-chat/v1", `"type":"mcp_call"`},
		{"function_call", "User-Agent: hermes-chat/v1", `"type":"mcp_call"`},
		{"function_call", "User-Agent: ai/6.0 ai-sdk/openai/3.0", `"output":"/here"`},
		{"function_call", "User-Agent: Python/3.12 aiohttp/3.11", list},
		{"mcp_call", "User-Agent: OpenAI/JS 7.0", `"type":"mcp_call"`},
		{"mcp_call", "User-Agent: Python/3.12 aiohttp/3.11", `"type":"mcp_call"`},
	} {
		for _, stream := range []bool{false, true} {
			var heard listener
			opts := stored(t, fixed(runs(heard.run)))
			opts.ToolItems = test.setting
			got := call(t, api.New(opts), "POST", "/v1/responses", fmt.Sprintf(`{"input":"tool","stream":%v}`, stream), test.header)
			if !strings.Contains(got.body, test.want) {
				t.Errorf("%v: there is no %s in %s", test, test.want, got.body)
			}
			if lines := strings.Contains(got.body, `"event":{"type":"status"`); lines != (stream && (strings.Contains(test.header, "aiohttp") || strings.HasPrefix(test.header, "X-Open") || strings.Contains(test.header, "hermes-chat"))) {
				t.Errorf("%v: status lines: %v", test, lines)
			}
		}
	}
}

// Titles and the like are asked for through this API too.
func TestTasksThroughResponses(t *testing.T) {
	t.Parallel()
	opts := stored(t, fixed(both{
		run: func(context.Context, agent.Turn, func(agent.Event) error) (agent.Result, error) {
			t.Error("a task was taken for a turn")
			return agent.Result{}, nil
		},
		complete: says(`{"title":"A trip"}`),
	}))
	server := api.New(opts)
	const title = `{"stream":false,"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"### Task:\nGenerate a concise, 3-5 word title\n### Output:\nJSON\n<chat_history>\nUSER: x\n</chat_history>"}]}]}`
	response := respond(t, server, title, "User-Agent: Python/3.12 aiohttp/3.11")
	if kinds(response) != `message {"title":"A trip"}` {
		t.Errorf("the output is %s", kinds(response))
	}
	if got := call(t, server, "GET", "/v1/responses/"+response.ID, ""); got.status != http.StatusNotFound {
		t.Errorf("a task was stored: %s", got.body)
	}
	got := call(t, server, "POST", "/v1/responses", `{"input":"x","stream":true,"conversation":"c"}`, aTask)
	if kinds(lastResponse(t, got.body)) != `message {"title":"A trip"}` {
		t.Errorf("the stream is %s", got.body)
	}
	if head, err := opts.Store.ConversationHead(t.Context(), "c"); head != "" || err != nil {
		t.Errorf("a task went into a conversation: %q (%v)", head, err)
	}
}

// Any stored response can be streamed again, from any event, byte for byte as it
// was the first time.
func TestStreamsCanBePickedUp(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"function_call", "mcp_call"} {
		opts := stored(t, fixed(script([]agent.Event{
			thought("hm"), text("Let"), text(" me lo"), text("ok.\n"), started("c1", "📖", "a"), started("c2", "📖", "b"),
			finished("c2", "📖", "b", true), text("One is"), finished("c1", "📖", "a", false), text(" h"), text("ere: \"é💻\""),
		}, answered("x"), nil)))
		opts.ToolItems = setting
		server := api.New(opts)
		first := call(t, server, "POST", "/v1/responses", `{"input":"x","stream":true}`).body
		events := strings.SplitAfter(first, "\n\n")
		if len(events) < 30 {
			t.Fatalf("%d events", len(events))
		}
		url := "/v1/responses/" + lastResponse(t, first).ID + "?stream=true"
		for after := range len(events) - 2 {
			if got := call(t, server, "GET", fmt.Sprint(url, "&starting_after=", after), ""); got.body != strings.Join(events[after+1:], "") {
				t.Fatalf("%s: after %d came\n%s\nof\n%s", setting, after, got.body, first)
			}
		}
		if got := call(t, server, "GET", url, ""); got.body != first {
			t.Errorf("%s: all again is\n%s\nand was\n%s", setting, got.body, first)
		}
		for _, query := range []string{"?starting_after=1", "?stream=true&starting_after=-1", "?stream=true&starting_after=x", "?stream=perhaps"} {
			if got := call(t, server, "GET", strings.Replace(url, "?stream=true", query, 1), ""); got.status != 400 {
				t.Errorf("%s: status %d", query, got.status)
			}
		}
	}
}
