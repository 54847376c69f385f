package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a model has run sees the workspace, and of the machine only programs; the same
// from the terminal, from a job and from an MCP server. Everything around it goes on.
func TestWallsAroundTools(t *testing.T) {
	t.Parallel()
	const secret = "canary-behind-the-wall"
	m := newMachine(t, true)
	alice, bob := m.create("alice"), m.create("bob")
	for _, p := range []person{alice, bob} {
		for _, name := range []string{".env", "SOUL.md", "memories/MEMORY.md", "workspace/of-" + p.name} {
			path := filepath.Join(p.dir, name)
			before, _ := os.ReadFile(path)
			if err := os.WriteFile(path, append(before, []byte("\n# "+secret+"\n")...), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.run("-p", "alice", "config", "set", "agent.approvals", "allow") // what the walls hold, nothing else does
	m.gateway(2, "--all")
	_, health := alice.get(t, "/health/detailed")
	if !strings.Contains(health, "commands: FULL") {
		t.Skipf("this machine has no walls: %s", health)
	}
	look := "cat " + strings.Join([]string{
		alice.dir + "/.env", alice.dir + "/SOUL.md", alice.dir + "/memories/MEMORY.md", bob.dir + "/.env", bob.dir + "/workspace/of-bob", "../.env",
	}, " ") + " 2>/dev/null; ls -A .. " + bob.dir + " 2>&1; ps -eo args; env; cat /proc/1/environ 2>&1; true"
	got := alice.tool(t, "walls", "terminal", map[string]any{"command": look})
	if strings.Contains(got, secret) || strings.Contains(got, "hermes worker") || strings.Contains(got, "state.db") || !strings.Contains(got, "hermes wall") {
		t.Errorf("a command sees %s", got)
	}
	if got := alice.tool(t, "walls", "terminal", map[string]any{"command": "cat of-alice && echo new > made && mkdir -p deep && cd deep && echo x > /tmp/kept"}); !strings.Contains(got, secret) {
		t.Errorf("its own file is %s", got)
	}
	// The next command is where this one went, with the same /tmp.
	if got := alice.tool(t, "walls", "terminal", map[string]any{"command": "pwd; cat /tmp/kept"}); !strings.Contains(got, "workspace/deep\\nx") {
		t.Errorf("the next command: %s", got)
	}
	if made, err := os.ReadFile(filepath.Join(alice.dir, "workspace", "made")); err != nil || string(made) != "new\n" {
		t.Errorf("what it made is %q, %v", made, err)
	}
	if _, err := os.Stat("/tmp/kept"); err == nil {
		t.Error("its /tmp is the machine's")
	}
	if got := alice.tool(t, "walls", "search_files", map[string]any{"pattern": secret}); !strings.Contains(got, "of-alice") {
		t.Errorf("a search finds %s", got)
	}
	if got := alice.tool(t, "walls", "terminal", map[string]any{"command": "echo x > ../skills/x; echo y > ../config.yaml; test -e ../config.yaml || echo not there"}); !strings.Contains(got, "not there") {
		t.Errorf("writing outside: %s", got)
	}
}

// isolation.tools: off is what it says.
func TestWallsCanBeLeftOut(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	m.run("-p", "alice", "config", "set", "isolation.tools", "off")
	m.gateway(1, "--all")
	if _, health := alice.get(t, "/health/detailed"); !strings.Contains(health, "commands: NONE, because isolation.tools is off") {
		t.Errorf("health says %s", health)
	}
	if got := alice.tool(t, "walls", "terminal", map[string]any{"command": "ls -A .."}); !strings.Contains(got, "config.yaml") {
		t.Errorf("a command sees %s", got)
	}
	if out := m.run("doctor"); !strings.Contains(out, "isolation.tools is off") {
		t.Errorf("doctor says %s", out)
	}
}
