package main_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// elsewhere serves at an address of this machine that is not the usual loopback one,
// which programs reach without a proxy.
func elsewhere(t *testing.T, secure bool, handler http.Handler) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = ln
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return ln.Addr().String()
}

// repository is a bare repository with one commit, as a directory of plain files.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	work, bare := filepath.Join(dir, "work"), filepath.Join(dir, "repo.git")
	for _, args := range [][]string{
		{"init", "-q", "-b", "main", work},
		{"-C", work, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "came through the proxy"},
		{"clone", "-q", "--bare", work, bare},
		{"-C", bare, "update-server-info"},
	} {
		cmd := exec.Command("git", args...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1"}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("git %v: %v %s", args, err, out)
		}
	}
	return dir
}

// Commands see the web through their proxy, and nothing beside it: not this machine,
// not what answers at the address of metadata, not a resolver.
func TestCommandsReachTheWebThroughTheirProxy(t *testing.T) {
	t.Parallel()
	plain := elsewhere(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "plain "+r.URL.Path) }))
	other := elsewhere(t, false, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("what is not allowed was reached") }))
	git := elsewhere(t, true, http.FileServer(http.Dir(repository(t))))
	m := newMachine(t, true)
	alice := m.create("alice")
	m.run("-p", "alice", "config", "set", "agent.approvals", "allow")
	m.run("-p", "alice", "config", "set", "terminal.allow_private", plain+","+git)
	m.gateway(1, "--all")
	if _, health := alice.get(t, "/health/detailed"); !strings.Contains(health, "commands: FULL") {
		t.Skipf("this machine has no walls: %s", health)
	}
	for _, test := range []struct{ command, want string }{
		{"curl -sS http://" + plain + "/a", "plain /a"},
		{"git -c http.sslVerify=false clone -q https://" + git + "/repo.git && git -C repo log --format=%s", "came through the proxy"},
		{"curl -sS http://" + other + "/b", "terminal.ports say what is allowed"},
		{"curl -sS http://169.254.169.254/latest/meta-data/", "not public"},
		{"curl -sS https://169.254.169.254/ 2>&1; true", "403"},
		{"curl -sS --noproxy '*' --max-time 5 http://" + plain + "/c 2>&1; true", "onnect"},
		{"curl -sS --noproxy '*' --max-time 5 http://127.0.0.1:" + alice.url[strings.LastIndexByte(alice.url, ':')+1:] + "/ 2>&1; true", "onnect"},
		{"curl -sS --noproxy '*' --max-time 5 http://example.com/ 2>&1; true", "resolve"},
		{"python3 -c \"import urllib.request as u; print(u.urlopen('http://" + plain + "/d').read().decode())\"", "plain /d"},
	} {
		if got := alice.tool(t, "proxy", "terminal", map[string]any{"command": test.command}); !strings.Contains(got, test.want) {
			t.Errorf("%s: %s", test.command, got)
		}
	}
	// Another list counts at once.
	m.run("-p", "alice", "config", "set", "terminal.hosts", ".example.org")
	m.run("gateway", "reload")
	if got := alice.tool(t, "proxy", "terminal", map[string]any{"command": "curl -sS http://" + plain + "/e"}); !strings.Contains(got, "not among the hosts") {
		t.Errorf("a host that is not on the list: %s", got)
	}
	audit, err := os.ReadFile(filepath.Join(m.home, "logs", "egress.log"))
	if err != nil || !strings.Contains(string(audit), `"kind":"tool","method":"CONNECT"`) || !strings.Contains(string(audit), `"host":"169.254.169.254"`) {
		t.Errorf("the audit is %s, %v", audit, err)
	}
	m.run("-p", "alice", "config", "set", "terminal.network", "host")
	m.run("gateway", "reload")
	if got := alice.tool(t, "host", "terminal", map[string]any{"command": "curl -sS http://" + plain + "/f"}); !strings.Contains(got, "plain /f") {
		t.Errorf("with the machine's network: %s", got)
	}
}
