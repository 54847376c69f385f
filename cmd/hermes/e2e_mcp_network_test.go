package main_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An MCP server that is a command has the network of commands: public hosts over their
// proxy, and nothing of this machine. Another one has what it is granted by its name.
func TestMCPServersHaveTheNetworkOfCommands(t *testing.T) {
	t.Parallel()
	page := elsewhere(t, false, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the page") }))
	other := elsewhere(t, false, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the other page") }))
	program, err := exec.LookPath("mcp-fetches")
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, true)
	alice := m.create("alice")
	// Where the worker sees it, which has a /tmp of its own.
	here := filepath.Join(alice.dir, "workspace", "mcp-fetches")
	if out, err := exec.Command("cp", "-L", program, here).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	program = here
	alice.mcpServers(t, map[string]any{
		"web":  map[string]any{"command": program},
		"free": map[string]any{"command": program, "network": "host"},
	})
	m.run("-p", "alice", "config", "set", "terminal.allow_private", page)
	if out := m.run("-p", "alice", "mcp", "test", "web"); !strings.Contains(out, "mcp_web_fetch") {
		t.Errorf("the test says %s", out)
	}
	m.gateway(1, "--all")
	if _, health := alice.get(t, "/health/detailed"); !strings.Contains(health, "commands: FULL") && !strings.Contains(health, "commands: NAMESPACES") {
		t.Skipf("this machine has no walls: %s", health)
	}
	for _, test := range []struct{ server, tool, to, want string }{
		{"web", "fetch", page, "the page"},
		{"web", "fetch", other, "terminal.ports say what is allowed"},
		{"web", "connect", page, "failed: "},
		{"web", "connect", other, "failed: "},
		{"free", "fetch", other, "the other page"},
		{"free", "connect", other, "connected"},
	} {
		call := fmt.Sprintf(`call mcp_%s_%s {"to":%q}`, test.server, test.tool, test.to)
		if status, got := alice.answer(t, call); status != http.StatusOK || !strings.Contains(got, test.want) {
			t.Errorf("%s: %d %s, want %s", call, status, got, test.want)
		}
	}
	// What counts for commands counts for it, after a start.
	m.run("-p", "alice", "config", "set", "terminal.network", "none")
	m.run("gateway", "reload")
	if _, got := alice.answer(t, `call mcp_web_fetch {"to":"`+page+`"}`); !strings.Contains(got, "failed: ") {
		t.Errorf("without a network it says %s", got)
	}
}
