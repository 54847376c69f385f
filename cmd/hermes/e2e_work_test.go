package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// deed is what people have an agent do, and the last line that it prints.
type deed struct {
	program, script, want string
	pty                   bool
}

// deeds need nothing but the machine.
func deeds() []deed {
	return []deed{
		{program: "sh", script: `for i in 1 2 3; do (echo $i > part$i) & done; wait; cat part1 part2 part3 | wc -l`, want: "3"},
		{program: "/usr/bin/python3", script: `/usr/bin/python3 -c 'import subprocess, threading, sqlite3; print(subprocess.run(["echo", "spawned"], capture_output=True, text=True).stdout.strip())'`, want: "spawned"},
		{program: "node", script: `node -e 'console.log(6*7)'`, want: "42"},
		{program: "make", script: `mkdir -p m && cd m && printf 'all: a b c\n\na b c:\n\t@touch $@\n' > Makefile && make -s -j4 && ls a b c | wc -l`, want: "3"},
		{program: "sqlite3", script: `sqlite3 x.db 'pragma journal_mode=wal; create table t(a); insert into t values (5);' && sqlite3 x.db 'select a from t'`, want: "5"},
		{program: "stty", script: `test -t 0 && test -t 1 && echo typed > /dev/tty && stty size`, want: `"typed\n40 `, pty: true},
	}
}

// errands are to a server that speaks https only, whose certificate is in ca.pem.
func errands(address string) []deed {
	const trust = `export SSL_CERT_FILE=$PWD/ca.pem GIT_SSL_CAINFO=$PWD/ca.pem NODE_EXTRA_CA_CERTS=$PWD/ca.pem; `
	at := "https://" + address
	return []deed{
		{program: "curl", script: trust + `curl -sS --cacert ca.pem ` + at + `/plain`, want: "plain and secure"},
		{program: "git", script: trust + `git clone -q ` + at + `/git/repo.git smart && git -C smart log --format=%s`, want: "came through the proxy"},
		{program: "git", script: trust + `git clone -q ` + at + `/dumb/repo.git dumb && git -C dumb log --format=%s`, want: "came through the proxy"},
		{program: "/usr/bin/python3", script: trust + `/usr/bin/python3 -m pip install -q --no-cache-dir --disable-pip-version-check --root-user-action=ignore --index-url ` + at +
			`/simple --cert ca.pem --target site knit && PYTHONPATH=site /usr/bin/python3 -c 'import knit; print(knit.says)'`, want: "knitted"},
		{program: "npm", script: trust + `mkdir -p n && cd n && npm install --fetch-retries=0 --silent --no-audit --no-fund --registry=` + at +
			`/npm/ --cafile=../ca.pem purl && node -e 'console.log(require("purl"))'`, want: "purled"},
		{program: "go", script: trust + `mkdir -p g && cd g && export GOPROXY=` + at + `/go GOSUMDB=off GOTOOLCHAIN=local GOFLAGS=-modcacherw && go mod init -C . m 2>/dev/null; ` +
			`go get example.test/yarn@v1.0.0 2>&1 && cat "$(go list -m -f '{{.Dir}}' example.test/yarn)/yarn.txt"`, want: "spun"},
	}
}

// try has a profile do all of it.
func (p person) try(t *testing.T, where string, all []deed) {
	t.Helper()
	for i, d := range all {
		if _, err := exec.LookPath(d.program); err != nil {
			t.Logf("%s: not tried: %v", where, err)
			continue
		}
		if d.pty { // which is about where it writes
			if said := p.tool(t, "work", "terminal", map[string]any{"command": d.script, "pty": true}); !strings.Contains(said, d.want) {
				t.Errorf("%s: %s\nsays %s", where, d.script, said)
			}
			continue
		}
		said := p.tool(t, "work", "terminal", map[string]any{"command": "(" + d.script + ") > said 2>&1; echo $? >> said"})
		data, err := os.ReadFile(filepath.Join(p.dir, "workspace", "said"))
		lines := strings.Split(strings.TrimSpace(string(data)), "\n")
		if n := len(lines); err != nil || n < 2 || lines[n-1] != "0" || lines[n-2] != d.want {
			t.Errorf("%s: %d. %s\nsays %s, %v; the model heard %s", where, i, d.script, data, err, said)
		}
	}
}

// What people do goes on behind the walls, at both levels that part profiles, and
// fetches what it needs over https: at FULL through the egress process and in no
// other way, without namespaces by the network of the machine, as the manual says.
func TestWorkGoesOnThroughTheRealGateway(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere there are no walls")
	}
	for level, program := range map[string]string{"FULL": "hermes", "REDUCED": "hermes-contained"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			address, certificate := warehouse(t)
			m := newMachine(t, true)
			alice := m.create("alice")
			var err error
			if m.bin, err = exec.LookPath(program); err != nil {
				t.Fatal(err)
			}
			m.run("-p", "alice", "config", "set", "agent.approvals", "allow")
			host, port, _ := strings.Cut(address, ":")
			m.run("-p", "alice", "config", "set", "terminal.allow_private", host+"/32")
			m.run("-p", "alice", "config", "set", "terminal.ports", "80,443,"+port)
			m.gateway(1, "--all")
			if _, health := alice.get(t, "/health/detailed"); !strings.Contains(health, "commands: "+level) {
				t.Skipf("this machine does not give level %s: %s", level, health)
			}
			if err := os.WriteFile(filepath.Join(alice.dir, "workspace", "ca.pem"), certificate, 0o600); err != nil {
				t.Fatal(err)
			}
			alice.try(t, level, append(deeds(), errands(address)...))
			audit, _ := os.ReadFile(filepath.Join(m.home, "logs", "egress.log"))
			const wanted = `"kind":"tool","method":"CONNECT","host":%q,"port":%q`
			if passed := strings.Contains(string(audit), fmt.Sprintf(wanted, host, port)); passed != (level == "FULL") {
				t.Errorf("the audit at level %s is %s", level, audit)
			}
		})
	}
}

// What is not on the list is refused in a sentence that says how to mend it, to
// programs that speak to the proxy in either way, and is written down.
func TestRefusalsOfTheProxyAreToldAndWrittenDown(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	m.run("-p", "alice", "config", "set", "agent.approvals", "allow")
	m.run("-p", "alice", "config", "set", "terminal.hosts", ".example.org")
	m.gateway(1, "--all")
	if _, health := alice.get(t, "/health/detailed"); !strings.Contains(health, "commands: FULL") {
		t.Skipf("this machine has no walls: %s", health)
	}
	const sentence = "hermes does not connect to pypi.org:%s: pypi.org is not among the hosts that may be reached; terminal.hosts says which are"
	const tunnel = `/usr/bin/python3 - <<'X'
import socket
s = socket.create_connection(("127.0.0.1", 3128))
s.sendall(b"CONNECT pypi.org:443 HTTP/1.1\r\nHost: pypi.org:443\r\nConnection: close\r\n\r\n")
print(s.makefile().read())
X`
	for port, command := range map[string]string{"443": tunnel, "80": "curl -sS http://pypi.org/simple"} {
		got := alice.tool(t, "refused", "terminal", map[string]any{"command": command})
		if want := fmt.Sprintf(sentence, port); !strings.Contains(got, want+`\n`) {
			t.Errorf("a command hears %s, want %q", got, want)
		}
	}
	// Programs that read no body at least say that it was the proxy.
	if got := alice.tool(t, "refused", "terminal", map[string]any{"command": "git clone https://pypi.org/x 2>&1; curl -sS https://pypi.org 2>&1; true"}); !strings.Contains(got, "CONNECT tunnel failed, response 403\\ncurl: (56)") {
		t.Errorf("git and curl say %s", got)
	}
	audit, err := os.ReadFile(filepath.Join(m.home, "logs", "egress.log"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(audit)) {
		if strings.Contains(line, `"kind":"tool","method":"CONNECT","host":"pypi.org","port":"443","status":403`) &&
			strings.Contains(line, `"verdict":"refused","reason":"hermes does not connect to pypi.org:443`) && strings.Contains(line, `"profile":"alice"`) {
			return
		}
	}
	t.Errorf("the audit is %s", audit)
}
