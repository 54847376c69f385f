package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hermes/worker/llm/llmtest"
)

// canaries are secrets, each of which stands in one place.
type canaries map[string]string // by place

// seed puts a secret into a place that is named by it.
func (c canaries) seed(place string) string {
	c[place] = fmt.Sprintf("canary-%02d-%x", len(c), place+"0123456789abcdef")[:40]
	return c[place]
}

// in names the places whose secrets are in the data.
func (c canaries) in(data []byte) []string {
	var found []string
	if !bytes.Contains(data, []byte("canary-")) {
		return nil
	}
	for place, secret := range c {
		if bytes.Contains(data, []byte(secret)) {
			found = append(found, place)
		}
	}
	slices.Sort(found)
	return found
}

// below names the files below a directory that hold one.
func (c canaries) below(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil //nolint:nilerr // a tool may have made what nobody can read
		}
		if strings.HasPrefix(entry.Name(), "core") {
			found = append(found, path+" (a core)")
		}
		data, err := os.ReadFile(path)
		if secrets := c.in(data); err == nil && len(secrets) > 0 {
			found = append(found, fmt.Sprintf("%s: %q", path, secrets))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return found
}

// peek looks into arguments and variables of a process and all that it has started,
// again and again until it is stopped.
func (c canaries) peek(t *testing.T, pid int) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		told := map[string]bool{}
		for {
			for _, pid := range append(descendants(pid), pid) {
				for _, name := range []string{"cmdline", "environ"} {
					data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
					for _, place := range c.in(data) {
						if !told[place+name] {
							told[place+name] = true
							args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
							t.Errorf("the secret of %s is in %s of process %d, %q", place, name, pid, args)
						}
					}
				}
			}
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	return func() { close(done); looking.Wait() }
}

// descendants are all processes below one.
func descendants(pid int) []int {
	var found []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		children, _ := os.ReadFile(task)
		for child := range strings.FieldsSeq(string(children)) {
			if n, err := strconv.Atoi(child); err == nil {
				found = append(append(found, n), descendants(n)...)
			}
		}
	}
	return found
}

// thefts are the scripts of somebody who looks for secrets, two hundred of them.
func thefts(home string, alice, bob person) []string {
	var scripts []string
	ways := []string{
		"cat %s", "head -c 9999 %s", "dd if=%s bs=9999 count=1", "od -An -c %s | head -n 50", "cp %s stolen; cat stolen", "ln -s %s l$$; cat l$$",
		"ln %s h$$; cat h$$", "tar cf - %s | tar xOf -", "grep -ra . %s", "base64 < %s", ". %s; set", "while read -r l; do echo \"$l\"; done < %s", "cat /proc/1/root%s", "mv %s mine$$; cat mine$$",
	}
	for _, place := range []string{
		alice.dir + "/.env", bob.dir + "/.env", home + "/.env", alice.dir + "/data/state.db", bob.dir + "/data/state.db", bob.dir + "/workspace/diary", alice.dir + "/logs/worker.log",
		alice.dir + "/config.yaml",
	} {
		for _, way := range ways {
			scripts = append(scripts, fmt.Sprintf(way, place))
		}
	}
	for _, script := range []string{
		"env", "set", "export -p", "cat /proc/*/environ", "cat /proc/*/cmdline", "ls -la /proc/*/fd /proc/*/cwd", "cat /proc/self/fd/*", "ps auxeww",
		"grep -a canary- /proc/*/maps", "cat /dev/shm/* /tmp/*", "find / -xdev -name .env -exec cat {} +", "grep -rsa canary- /etc /var /run /root /home /tmp /opt",
		"ulimit -c unlimited; sh -c 'kill -SEGV $$'; cat core*", "sh -c 'kill -ABRT $$'", "ls -aR .. ../.. | head -n 500", "cat ../.env ../../.env ../*/.env ../../../.env",
		"kill -QUIT 1; kill -SEGV -1", "mount -t proc x /tmp; cat /proc/*/environ", "yes canary | head -c 300000", "head -c 5000 /dev/urandom",
		"git config --list --show-origin", "cat ~/.* ~root/.*",
	} {
		for _, wrapped := range []string{"%s", "(%s) & wait", "timeout 5 sh -c '%s'", "setsid sh -c '%s' 2>&1"} {
			scripts = append(scripts, fmt.Sprintf(wrapped, strings.ReplaceAll(script, "'", `'\''`)))
		}
	}
	return scripts
}

// looksInto has a tool of the profile look into processes that have secrets, none of
// which it may reach.
func (p person) looksInto(t *testing.T, pids ...int) string {
	t.Helper()
	script := "echo looking; for p in " + strings.Trim(fmt.Sprint(pids), "[]") + `; do
for f in environ mem maps auxv fd/0 root/etc/passwd cwd/.env; do head -c 1 /proc/$p/$f > /dev/null 2>&1 && echo "REACHED $f of $p"; done
ls /proc/$p/fd /proc/$p/task/$p/fd 2> /dev/null | grep -q . && echo "REACHED descriptors of $p"
cat /proc/$p/environ /proc/$p/cmdline 2> /dev/null
kill -QUIT $p 2> /dev/null && echo "REACHED $p"
done; echo tried`
	got := p.tool(t, "look", "terminal", map[string]any{"command": script})
	if strings.Contains(got, `\nREACHED `) || !strings.Contains(got, `\ntried\n`) {
		t.Errorf("a tool reaches %v: %s", pids, got)
	}
	return got
}

// crash ends what is found in every way in which a process can end that might leave
// something, and waits for the next.
func (g *gateway) crash(what string, find func() int) {
	g.t.Helper()
	for _, signal := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGTRAP, syscall.SIGKILL} {
		pid := find()
		limits, _ := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
		if !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), "Max core file size 0 0") {
			g.t.Errorf("a %s may leave a core: %s", what, limits)
		}
		if err := syscall.Kill(pid, signal); err != nil {
			g.t.Fatal(err)
		}
		eventually(g.t, patience, "there is another "+what, func() bool { return find() != pid })
	}
}

// rooms are the workers of profiles, and what stands around them.
func (g *gateway) rooms(people ...person) (pids []int) {
	for _, p := range people {
		worker := g.worker(p)
		pids = append(pids, worker)
		if shim := g.behindShim(p); shim != 0 {
			pids = append(pids, shim)
		}
	}
	return pids
}

// At the end of two hundred thefts, crashes of every kind and upstreams that repeat
// what they were sent, no secret is anywhere but where it was put.
func TestSecretsStayWhereTheyAre(t *testing.T) {
	t.Parallel()
	const each = 10
	seconds := 4 // for one script: some of them read what has no end
	if thorough() {
		seconds = 10
	}
	var scripts []string
	secrets := canaries{}
	m := newMachineWith(t, func(call llmtest.Call) llmtest.Reply {
		sent := call.Header.Get("Authorization")
		var n, status int
		switch said := call.LastUser(); {
		case call.Steps() > 0:
			return llmtest.Text("done")
		case len(said) > 5 && said[:5] == "fail ":
			fmt.Sscanf(said, "fail %d", &status)
			return llmtest.Reply{Status: status, Message: "Incorrect API key provided: " + sent + ", see https://u:" + sent + "@example.org/?key=" + sent}
		case said == "break":
			return llmtest.Reply{Chunks: []string{"half"}, StreamError: "the key " + sent + " is tired"}
		case said == "rubbish":
			return llmtest.Reply{Raw: "data: {\"error\": \"" + sent + "\"\n\n"}
		default:
			if _, err := fmt.Sscanf(said, "steal %d", &n); err != nil {
				return llmtest.Tiny(call)
			}
			var calls []llmtest.ToolCall
			for i, script := range scripts[n:min(n+each, len(scripts))] {
				arguments, _ := json.Marshal(map[string]any{"command": script, "timeout": seconds})
				calls = append(calls, llmtest.ToolCall{ID: fmt.Sprintf("call_%d", n+i), Name: "terminal", Arguments: string(arguments)})
			}
			return llmtest.Reply{Calls: calls}
		}
	})
	m.upstream.Key = secrets.seed("the provider's key")
	m.run("config", "set", "OPENAI_API_KEY", m.upstream.Key)
	m.run("config", "set", "SUPERVISOR_METRICS_TOKEN", secrets.seed("the token for metrics"))
	m.run("config", "set", "TAVILY_API_KEY", secrets.seed("the key of a search service"))
	alice, bob := m.create("alice"), m.create("bob")
	for _, p := range []*person{&alice, &bob} {
		p.key = secrets.seed("the key of " + p.name)
		m.run("-p", p.name, "config", "set", "API_SERVER_KEY", p.key)
		m.run("-p", p.name, "config", "set", "DEPLOY_TOKEN", secrets.seed("a token of "+p.name))
		m.run("-p", p.name, "config", "set", "agent.approvals", "allow")
	}
	m.run("config", "set", "supervisor.backoff_base", "10ms")
	if err := os.WriteFile(filepath.Join(bob.dir, "workspace", "diary"), []byte(secrets.seed("bob's diary")), 0o600); err != nil {
		t.Fatal(err)
	}
	if found := secrets.below(t, m.home); len(found) < 4 {
		t.Fatalf("who looks finds only %q", found)
	}
	scripts = thefts(m.home, alice, bob)
	if len(scripts) != 200 {
		t.Errorf("there are %d scripts", len(scripts))
	}
	if !thorough() { // one of each kind, on all places in turn
		var some []string
		for i := 0; i < len(scripts); i += 5 {
			some = append(some, scripts[i])
		}
		scripts = some
	}
	g := m.gateway(2, "--all")
	if _, health := alice.get(t, "/health/detailed"); strings.Contains(health, "commands: WEAK") || strings.Contains(health, "commands: NONE") {
		t.Skipf("nothing keeps secrets here: %s", health)
	}
	stop := secrets.peek(t, g.cmd.Process.Pid)
	heard := func(what string, body string) {
		if found := secrets.in([]byte(body)); len(found) > 0 {
			t.Errorf("%s is answered with %q: %s", what, found, body)
		}
	}
	ran := 0
	for n := 0; n < len(scripts); n += each {
		_, body := alice.respond(t, fmt.Sprintf(`{"input":"steal %d"}`, n))
		heard(fmt.Sprintf("scripts from %d", n), body)
		ran += strings.Count(body, `"function_call_output"`)
	}
	if ran != len(scripts) {
		t.Errorf("%d scripts were run", ran)
	}
	for _, said := range []string{"fail 401", "fail 400", "fail 500", "fail 403", "break", "rubbish"} {
		for _, stream := range []bool{false, true} {
			resp, err := alice.ask(t.Context(), said, stream)
			if err != nil {
				t.Fatal(err)
			}
			var body bytes.Buffer
			_, _ = body.ReadFrom(resp.Body)
			resp.Body.Close()
			heard(said, body.String())
		}
	}
	_, body := bob.answer(t, "say hello") // a worker of which nobody wants anything may sleep
	heard("bob", body)
	heard("a look at processes", alice.looksInto(t, g.cmd.Process.Pid, g.egress(), g.worker(alice), g.worker(bob)))
	g.crash("egress process", g.egress)
	g.crash("worker", func() (pid int) {
		eventually(t, patience, "alice has a worker", func() bool { pid = g.worker(alice); return pid != 0 && m.profile("alice").State == "ready" })
		return pid
	})
	for _, p := range []person{alice, bob} {
		_, body := p.answer(t, "say hello")
		heard(p.name, body)
	}
	for _, args := range [][]string{{"gateway", "status", "--json"}, {"gateway", "logs", "alice"}, {"config", "list"}, {"-p", "alice", "config", "list", "--json"}, {"doctor", "--json"}, {"-p", "alice", "session", "list"}} {
		cmd := m.command(t.Context(), args...)
		out, _ := cmd.CombinedOutput() // doctor has found that the model does not list its models
		heard("hermes "+strings.Join(args, " "), string(out))
	}
	var kept []string
	for _, place := range []string{"the provider's key", "the key of a search service", "the token for metrics", "a token of alice", "a token of bob"} {
		kept = append(kept, secrets[place])
	}
	for _, pid := range g.rooms(alice, bob) {
		if found := remembered(t, pid, kept...); len(found) > 0 {
			args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			t.Errorf("process %d, %q, remembers %q", pid, args, found)
		}
	}
	if !remembers(t, g.egress(), m.upstream.Key) {
		t.Error("the key is not found where it must be, so nothing was proved")
	}
	stop()
	g.stop()
	heard("the log of the gateway", g.printed())
	for _, dir := range []string{"logs", "run"} {
		if found := secrets.below(t, filepath.Join(m.home, dir)); len(found) > 0 {
			t.Errorf("below %s of the home: %q", dir, found)
		}
	}
	if audit, err := os.ReadFile(filepath.Join(m.home, "logs", "egress.log")); err != nil || !bytes.Contains(audit, []byte(`"profile":"alice"`)) || !bytes.Contains(audit, []byte("goroutine ")) {
		t.Errorf("the log of egress has not what it must have: %s, %v", audit, err)
	}
	for _, dir := range []string{"logs", "data", "workspace", "home", "memories", "skills"} {
		if found := secrets.below(t, filepath.Join(alice.dir, dir)); len(found) > 0 {
			t.Errorf("below %s of alice: %q", dir, found)
		}
	}
	if found := secrets.below(t, filepath.Join(bob.dir, "data")); len(found) > 0 {
		t.Errorf("in bob's database: %q", found)
	}
}
