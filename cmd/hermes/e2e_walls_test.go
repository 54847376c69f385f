package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"hermes/worker/llm/llmtest"
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

// A worker has a network in which nothing is, and answers all the same.
func TestWorkerHasNoNetwork(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	g := m.gateway(1, "--all")
	if status, body := alice.answer(t, "say hello"); status != 200 || !strings.Contains(body, upstreamHello) {
		t.Errorf("status %d: %s", status, body)
	}
	if room := m.profile("alice").Room; room == nil || room.Level != "FULL" && room.Level != "NAMESPACES" {
		t.Skipf("workers have no namespaces here: %+v", room)
	}
	devices, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", g.worker(alice)))
	if err != nil {
		t.Skip("workers behind walls are not to be looked at, but by root: ", err)
	}
	if lines := strings.Split(strings.TrimSpace(string(devices)), "\n"); len(lines) != 3 || !strings.Contains(lines[2], "lo:") {
		t.Errorf("the worker has these devices: %s", devices)
	}
}

// leave gives the home to somebody who is not root, and returns who that is.
func (m *machine) leave() (owner int) {
	m.t.Helper()
	if owner = os.Getuid(); owner != 0 {
		return owner
	}
	owner = 1000
	err := filepath.WalkDir(m.home, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, owner, owner))
	})
	above := filepath.Dir(m.home) // also that one can get there
	if err := errors.Join(err, os.Chmod(above, 0o711), os.Chmod(filepath.Dir(above), 0o711)); err != nil {
		m.t.Fatal(err)
	}
	return owner
}

// Root's worker is nobody whom the machine knows, and what it makes belongs to the
// owner of the home all the same. The next gateway finds it.
func TestWorkerOfRootIsNobody(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can have workers that are somebody else")
	}
	m := newMachine(t, true)
	alice, bob := m.create("alice"), m.create("bob")
	owner := m.leave()
	g := m.gateway(2, "--all")
	users := map[string]bool{"0": true, fmt.Sprint(owner): true}
	for _, p := range []person{alice, bob} {
		if got := p.tool(t, "nobody", "terminal", map[string]any{"command": "echo x > made"}); !strings.Contains(got, "no output") {
			t.Errorf("a command says %s", got)
		}
		if room := m.profile(p.name).Room; room == nil || room.Level != "FULL" && room.Level != "NAMESPACES" || room.Why != "" && !strings.Contains(room.Why, "cgo") {
			t.Skipf("workers have no users of their own here: %+v", room)
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.worker(p)))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(status), "\nUid:\t")
		user, _, _ := strings.Cut(rest, "\t")
		if users[user] {
			t.Errorf("the worker of %s is user %s, as somebody else is", p.name, user)
		}
		users[user] = true
		for _, name := range []string{"workspace/made", "data/state.db"} {
			if uid := ownerOf(t, filepath.Join(p.dir, name)); uid != owner {
				t.Errorf("%s of %s belongs to user %d", name, p.name, uid)
			}
		}
	}
	if err := g.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-g.done
	m.start("--all").await(2, "worker taken over from the former gateway")
}

// In most containers the kernel gives no namespaces. Each worker of root is then a user of
// its own all the same, who owns what its agent writes, and nothing else of the home.
func TestWorkersInAContainer(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere there are never walls")
	}
	m := newMachine(t, true)
	var err error
	if m.bin, err = exec.LookPath("hermes-contained"); err != nil {
		t.Fatal(err)
	}
	alice, bob := m.create("alice"), m.create("bob")
	m.run("-p", "default", "config", "set", "isolation.accept", "profiles-can-read-each-other") // for WEAK
	owner := m.leave()
	g := m.gateway(2, "--all")
	taken := map[int]bool{}
	for _, p := range []person{alice, bob} {
		got := p.tool(t, "contained", "terminal", map[string]any{"command": "echo x > made && id -u"})
		user := owner
		if os.Getuid() == 0 {
			if user = ownerOf(t, filepath.Join(p.dir, "data")); user == 0 || user == owner || taken[user] {
				t.Fatalf("the data of %s belong to user %d", p.name, user)
			}
			taken[user] = true
		}
		if !strings.Contains(got, fmt.Sprint(user)) {
			t.Errorf("a command says %s", got)
		}
		for name, want := range map[string]int{"workspace/made": user, "data/state.db": user, "SOUL.md": owner, ".env": owner, "config.yaml": owner} {
			if got := ownerOf(t, filepath.Join(p.dir, name)); got != want {
				t.Errorf("%s of %s belongs to user %d, not %d", name, p.name, got, want)
			}
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.worker(p)))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{fmt.Sprintf("\nUid:\t%d\t%[1]d\t%[1]d\t%[1]d\n", user), "\nCapEff:\t0000000000000000\n", "\nNoNewPrivs:\t1\n", "\nSeccomp:\t2\n"} {
			if !strings.Contains(string(status), want) {
				t.Errorf("of the worker the kernel does not say %q: %s", want, status)
			}
		}
	}
	out := m.run("doctor", "--json")
	for _, bad := range []string{"can be read by others", `"read .env"`, `"read config.yaml"`, `"read another profile`, `"stat a file of another profile"`, `"append to a file of another profile"`} {
		if os.Getuid() == 0 && strings.Contains(out, bad) {
			t.Errorf("doctor says %q in %s", bad, out)
		}
	}
	if _, health := alice.get(t, "/health/detailed"); !strings.Contains(health, "worker: REDUCED") && !strings.Contains(health, "worker: WEAK") {
		t.Errorf("health says %s", health)
	}
	// The next gateway finds both. By the one after that they are not found, and make room.
	kill := func(g *gateway) {
		t.Helper()
		if err := g.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-g.done
	}
	kill(g)
	next := m.start("--all")
	next.await(2, "worker taken over from the former gateway")
	kill(next)
	if os.Getuid() != 0 {
		m.gateway(2, "--all")
		return
	}
	// On a machine with namespaces the same files are at hand.
	if m.bin, err = exec.LookPath("hermes"); err != nil {
		t.Fatal(err)
	}
	m.gateway(2, "--all")
	if got := alice.tool(t, "contained", "terminal", map[string]any{"command": "cat made && echo y > made"}); !strings.Contains(got, `x\n`) {
		t.Errorf("with namespaces a command says %s", got)
	}
}

// ownerOf is whom a file belongs to.
func ownerOf(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Uid)
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

// rename puts another file in the place of SOUL.md, as editors do, with another name of
// the agent.
func (p person) rename(t *testing.T, name string) {
	t.Helper()
	soul := filepath.Join(p.dir, "SOUL.md")
	if err := errors.Join(os.WriteFile(soul+".new", []byte("You are "+name+"."), 0o600), os.Rename(soul+".new", soul)); err != nil {
		t.Fatal(err)
	}
}

// Who the agent is, the model is told at each level. What an editor puts in the place of
// that file counts at once, or, where the worker knows files and no names, from the next
// start on.
func TestWhoTheAgentIsIsKnownBehindItsWall(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"hermes", "hermes-contained"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			m := newMachineWith(t, func(call llmtest.Call) llmtest.Reply {
				for _, name := range []string{"Zorbul", "Quamix"} {
					if strings.Contains(call.System(), "You are "+name) {
						return llmtest.Text("I am " + name)
					}
				}
				return llmtest.Text("I am nobody")
			})
			var err error
			if m.bin, err = exec.LookPath(program); err != nil {
				t.Fatal(err)
			}
			alice := m.create("alice")
			alice.rename(t, "Zorbul")
			m.gateway(1, "--all")
			if _, said := alice.answer(t, "who are you"); !strings.Contains(said, "I am Zorbul") {
				t.Errorf("the model says %s", said)
			}
			alice.rename(t, "Quamix")
			_, health := alice.get(t, "/health/detailed")
			if strings.Contains(health, "worker: REDUCED") {
				if _, said := alice.answer(t, "who are you now"); !strings.Contains(said, "I am Zorbul") {
					t.Errorf("before the start the model says %s", said)
				}
				m.run("gateway", "restart", "alice")
			}
			if _, said := alice.answer(t, "who are you then"); !strings.Contains(said, "I am Quamix") {
				t.Errorf("after the change the model says %s", said)
			}
		})
	}
}
