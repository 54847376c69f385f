package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/api"
)

// limitsBody is what GET /v1/capabilities says of limits, as far as requests can
// meet them.
type limitsBody struct {
	MaxBodyBytes           int `json:"max_body_bytes"`
	MaxBackgroundResponses int `json:"max_background_responses"`
	StoredResponses        int `json:"stored_responses"`
	MaxClientTools         int `json:"max_client_tools"`
}

// limited returns a server with small limits, and what it says of them. A message
// "wait" makes a turn that does not end by itself.
func limited(t *testing.T) (*api.Server, limitsBody) {
	t.Helper()
	opts := stored(t, fixed(runs(func(ctx context.Context, turn agent.Turn, _ func(agent.Event) error) (agent.Result, error) {
		if turn.History[0].Text() == "wait" {
			<-ctx.Done()
			return agent.Result{}, context.Cause(ctx)
		}
		return answered("hi"), nil
	})))
	opts.StoredResponses, opts.MaxConcurrentRuns, opts.MaxBodyBytes = 3, 2, 50_000
	server := api.New(opts)
	var body struct{ Limits limitsBody }
	if err := json.Unmarshal([]byte(call(t, server, "GET", "/v1/capabilities", "").body), &body); err != nil {
		t.Fatal(err)
	}
	return server, body.Limits
}

// What GET /v1/capabilities says of limits is what a client meets: as much as that
// passes, and no more.
func TestLimitsOfCapabilitiesAreTrue(t *testing.T) {
	t.Parallel()
	create := func(t *testing.T, server *api.Server, request string) int {
		t.Helper()
		return call(t, server, "POST", "/v1/responses", request).status
	}
	t.Run("body", func(t *testing.T) {
		t.Parallel()
		server, limits := limited(t)
		request := func(size int) string { return `{"input":"` + strings.Repeat("x", size-len(`{"input":""}`)) + `"}` }
		if n := limits.MaxBodyBytes; create(t, server, request(n)) != 200 || create(t, server, request(n+1)) != 413 {
			t.Errorf("it is not %d", n)
		}
	})
	t.Run("tools", func(t *testing.T) {
		t.Parallel()
		server, limits := limited(t)
		request := func(n int) string {
			var tools []string
			for i := range n {
				tools = append(tools, fmt.Sprintf(`{"type":"function","name":"f%d"}`, i))
			}
			return `{"input":"x","tools":[` + strings.Join(tools, ",") + `]}`
		}
		if n := limits.MaxClientTools; create(t, server, request(n)) != 200 || create(t, server, request(n+1)) != 400 {
			t.Errorf("it is not %d", n)
		}
	})
	t.Run("stored", func(t *testing.T) {
		t.Parallel()
		server, limits := limited(t)
		ids := []string{respond(t, server, `{"input":"x"}`).ID}
		for range limits.StoredResponses {
			ids = append(ids, respond(t, server, `{"input":"x"}`).ID)
		}
		for i, id := range ids {
			want := 200
			if i == 0 {
				want = 404
			}
			if got := call(t, server, "GET", "/v1/responses/"+id, ""); got.status != want {
				t.Errorf("response %d of %d: status %d, want %d", i, len(ids), got.status, want)
			}
		}
	})
	t.Run("background", func(t *testing.T) {
		t.Parallel()
		server, limits := limited(t)
		var ids []string
		for range limits.MaxBackgroundResponses {
			ids = append(ids, respond(t, server, `{"input":"wait","background":true}`).ID)
		}
		if got := create(t, server, `{"input":"wait","background":true}`); got != 429 {
			t.Errorf("one too many: status %d", got)
		}
		for _, id := range ids {
			call(t, server, "DELETE", "/v1/responses/"+id, "")
		}
	})
}

// What it says of the items that show tools is what clients of each kind get.
func TestToolItemsOfCapabilitiesAreTrue(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"auto", "function_call", "mcp_call"} {
		var heard listener
		opts := stored(t, fixed(runs(heard.run)))
		opts.ToolItems = setting
		server := api.New(opts)
		var body struct {
			ToolItems map[string]any `json:"tool_items"`
		}
		if err := json.Unmarshal([]byte(call(t, server, "GET", "/v1/capabilities", "").body), &body); err != nil {
			t.Fatal(err)
		}
		for client, header := range map[string]string{"openwebui": "X-OpenWebUI-Chat-Id: 1", "sdks": "User-Agent: ai/6.0 ai-sdk/openai/3.0", "others": "User-Agent: OpenAI/JS 7.0"} {
			if got := kinds(respond(t, server, `{"input":"tool"}`, header)); !strings.HasPrefix(got, fmt.Sprint(body.ToolItems[client], " terminal")) {
				t.Errorf("%s: %s is said to get %v, and gets %s", setting, client, body.ToolItems[client], got)
			}
		}
	}
}
