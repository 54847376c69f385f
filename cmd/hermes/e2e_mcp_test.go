package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"hermes/worker/llm/llmtest"
)

// everything is the reference server of MCP, from npm, and the Node.js to run it
// with.
func everything(t *testing.T) (node, script string) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs node and the npm registry")
	}
	node, err := clients()
	if err != nil {
		t.Fatal("fetch the MCP server: ", err)
	}
	if node, err = exec.LookPath(node); err != nil {
		t.Fatal(err)
	}
	script, err = filepath.Abs(filepath.Join("testdata", "clients", "node_modules", "@modelcontextprotocol", "server-everything", "dist", "index.js"))
	if err != nil {
		t.Fatal(err)
	}
	return node, script
}

// mcpServers writes the MCP servers of a profile into its settings.
func (p person) mcpServers(t *testing.T, servers map[string]any) {
	t.Helper()
	section, err := json.Marshal(map[string]any{"mcp_servers": servers})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "config.yaml"), section, 0o600); err != nil { // JSON is YAML
		t.Fatal(err)
	}
}

// runs reports whether so many turns run.
func (p person) runs(t *testing.T, turns int) bool {
	t.Helper()
	_, metrics := p.get(t, "/metrics")
	return strings.Contains(metrics, fmt.Sprintf("hermes_turns_running %d\n", turns))
}

// secretOfServer is a variable of a server's environment that nobody may see.
const secretOfServer = "canary-secret-of-the-mcp-server"

// The reference server, as a command and as an address, beside each other.
func TestMCPServers(t *testing.T) {
	t.Parallel()
	node, script := everything(t)
	m := newMachine(t, true)
	alice := m.create("alice")
	port := freePort(t)
	remote := exec.Command(node, script, "streamableHttp")
	remote.Env = append(os.Environ(), "PORT="+strconv.Itoa(port))
	if err := remote.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = remote.Process.Kill()
		_ = remote.Wait()
	})
	eventually(t, patience, "the server listens", func() bool {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/mcp", port))
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	alice.mcpServers(t, map[string]any{
		"local": map[string]any{
			"command": node, "args": []string{script, "stdio"}, "env": map[string]string{"MY_SECRET": secretOfServer, "Marked_As": "86381.5"},
		},
		"remote": map[string]any{
			"url": fmt.Sprintf("http://127.0.0.1:%d/mcp", port), "headers": map[string]string{"X-Key": "canary-of-a-header"},
			"tools": map[string]any{"include": []string{"echo", "get-sum"}},
		},
	})
	if out := m.run("-p", "alice", "mcp", "test", "local"); !strings.Contains(out, "mcp_local_echo") {
		t.Fatalf("the test says\n%s", out)
	}
	if left := processes(t, "Marked_As=86381.5"); len(left) != 0 {
		t.Errorf("after the test there is %v", left)
	}
	g := m.gateway(1, "--all")

	for call, want := range map[string]string{
		`mcp_local_echo {"message":"hello there"}`:                          "Echo: hello there",
		`mcp_local_get-sum {"a":19,"b":23}`:                                 "The sum of 19 and 23 is 42",
		`mcp_local_get-tiny-image {}`:                                       "This is what the result of tool call", // the image, as a model gets it
		`mcp_local_get-structured-content {"location":"New York"}`:          `temperature`,
		`mcp_local_get-resource-links {"count":2}`:                          "[resource ",
		`mcp_local_get-resource-reference {"resourceId":1}`:                 "[resource demo://",
		`mcp_local_echo {"text":"x"}`:                                       "mcp_local_echo was not run: the argument message is missing",
		`mcp_local_get-structured-content {"location":"Nowhere"}`:           "do not fit its schema",
		`mcp_remote_echo {"message":"from afar"}`:                           "Echo: from afar",
		`mcp_remote_get-sum {"a":"1","b":2}`:                                "The sum of 1 and 2 is 3",
		`mcp_local_trigger-long-running-operation {"duration":1,"steps":2}`: "Long running operation completed",
	} {
		if status, got := alice.answer(t, "call "+call); status != http.StatusOK || !strings.Contains(got, want) {
			t.Errorf("%s: %d %s, want %s", call, status, got, want)
		}
	}
	if offered := m.upstream.Calls()[0]; !offered.HasTool("mcp_local_echo") || !offered.HasTool("mcp_remote_echo") || offered.HasTool("mcp_remote_get-env") {
		t.Errorf("the model is offered %q", offered.Tools)
	}
	if resp, err := alice.ask(t.Context(), `call mcp_local_echo {"message":"x"}`, true); err != nil {
		t.Error(err)
	} else {
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !strings.Contains(string(text), "`⚡ local: echo`") {
			t.Errorf("the stream shows %s", text)
		}
	}
	if _, health := alice.get(t, "/health/detailed"); !strings.Contains(health, `"mcp:local"`) || !strings.Contains(health, "connected, 2 tools") {
		t.Errorf("the health is %s", health)
	}
	servers := processes(t, "Marked_As=86381.5")
	if len(servers) != 1 {
		t.Fatalf("the server has the processes %v", servers)
	}

	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	left := make(chan struct{})
	go func() {
		defer close(left)
		if resp, err := alice.ask(ctx, `call mcp_local_trigger-long-running-operation {"duration":600,"steps":600}`, true); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}()
	eventually(t, patience, "the call runs", func() bool { return alice.runs(t, 1) })
	leave()
	<-left
	eventually(t, patience, "the turn has ended", func() bool { return alice.runs(t, 0) })
	if _, got := alice.answer(t, `call mcp_local_echo {"message":"still there"}`); !strings.Contains(got, "Echo: still there") {
		t.Errorf("after the cancelled call: %s", got)
	}

	if err := syscall.Kill(g.worker(alice), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, got := alice.answer(t, "say hi"); !strings.Contains(got, "hi") {
		t.Errorf("got %s", got)
	}
	for _, pid := range processes(t, "Marked_As=86381.5") {
		if pid == servers[0] {
			t.Error("the worker is dead, and its server is not")
		}
	}
	g.stop()
	if left := processes(t, "Marked_As=86381.5"); len(left) != 0 {
		t.Errorf("the gateway has stopped, and there is %v", left)
	}
	for _, secret := range []string{secretOfServer, "canary-of-a-header"} {
		if logs, err := os.ReadFile(filepath.Join(alice.dir, "logs", "worker.log")); err != nil || strings.Contains(string(logs), secret) {
			t.Errorf("the log (%v) holds %s", err, secret)
		}
		if strings.Contains(g.printed(), secret) {
			t.Errorf("the gateway has printed %s", secret)
		}
	}
	if out := m.run("-p", "alice", "mcp", "list"); !strings.Contains(out, "remote  http   asked ") {
		t.Errorf("the list is\n%s", out)
	}
}

// Two hundred tools do not fit into the requests: the model finds them, and the
// requests stay the same, also after a restart.
func TestManyMCPTools(t *testing.T) {
	t.Parallel()
	node, _ := everything(t)
	m := newMachineWith(t, func(call llmtest.Call) llmtest.Reply { return llmtest.Tiny(call) })
	alice := m.create("alice")
	script, err := filepath.Abs(filepath.Join("testdata", "clients", "many.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	alice.mcpServers(t, map[string]any{"shop": map[string]any{"command": node, "args": []string{script}}})
	g := m.gateway(1, "--all")
	got := alice.tool(t, "one", "tool_search", map[string]any{"query": "order number 137"})
	if !strings.Contains(got, "## mcp_shop_order_137") {
		t.Errorf("the search finds %s", got)
	}
	if got := alice.tool(t, "one", "mcp_call", map[string]any{"name": "mcp_shop_order_137", "arguments": map[string]any{"amount": 3}}); !strings.Contains(got, "order_137: 3") {
		t.Errorf("the call gives %s", got)
	}
	if got := alice.tool(t, "one", "mcp_call", map[string]any{"name": "mcp_shop_order_137", "arguments": map[string]any{"amount": "many"}}); !strings.Contains(got, "mcp_shop_order_137 was not run") {
		t.Errorf("the call gives %s", got)
	}
	if err := syscall.Kill(g.worker(alice), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	alice.tool(t, "one", "tool_search", map[string]any{"query": "order"})
	var first string
	for i, call := range m.upstream.Calls() {
		var request struct{ Tools json.RawMessage }
		if err := json.Unmarshal(call.Body, &request); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = string(request.Tools)
		}
		if string(request.Tools) != first {
			t.Errorf("request %d has other tools than the first", i)
		}
	}
	if !strings.Contains(first, "tool_search") || strings.Contains(first, "mcp_shop_order") || len(first) > 20_000 {
		t.Errorf("the requests have %d bytes of tools", len(first))
	}
}
