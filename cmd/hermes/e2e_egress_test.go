package main_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"hermes/supervisor"
	"hermes/worker/llm/detect"
	"hermes/worker/llm/llmtest"
)

// egress is the pid of the gateway's egress process.
func (g *gateway) egress() int {
	g.t.Helper()
	var found int
	eventually(g.t, patience, "there is an egress process", func() bool {
		children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", g.cmd.Process.Pid))
		for _, path := range children {
			list, _ := os.ReadFile(path)
			for pid := range strings.FieldsSeq(string(list)) {
				line, _ := os.ReadFile("/proc/" + pid + "/cmdline")
				if strings.HasSuffix(string(line), "\x00egress\x00") {
					found, _ = strconv.Atoi(pid)
				}
			}
		}
		return found != 0
	})
	return found
}

// remembers reports whether a text is anywhere in the memory of a process.
func remembers(t *testing.T, pid int, text string) bool {
	t.Helper()
	return len(remembered(t, pid, text)) > 0
}

// remembered are those of some texts that are anywhere in the memory of a process.
func remembered(t *testing.T, pid int, texts ...string) (found []string) {
	t.Helper()
	longest := 0
	for _, text := range texts {
		longest = max(longest, len(text))
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Skip(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Skip(err)
	}
	defer mem.Close()
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var mode string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); n < 3 || mode[0] != 'r' || mode[1] != 'w' {
			continue
		}
		const piece = 4 << 20
		data := make([]byte, min(piece+int64(longest), to-from))
		for at := from; at < to && len(found) < len(texts); at += piece {
			n, _ := mem.ReadAt(data[:min(int64(len(data)), to-at)], at)
			for _, text := range texts {
				if !slices.Contains(found, text) && bytes.Contains(data[:n], []byte(text)) {
					found = append(found, text)
				}
			}
		}
	}
	return found
}

// The keys of providers are in the egress process, and in the one that reads them
// from the settings; in nothing that a worker is, has or leaves.
func TestKeysOfProvidersReachNoWorker(t *testing.T) {
	t.Parallel()
	const search, header, path = "canary-of-brave-0123456789", "canary-of-a-header-0123456789", "canary-in-a-path-0123456789"
	m := newMachine(t, true)
	alice := m.create("alice")
	m.run("-p", "alice", "config", "set", "BRAVE_API_KEY", search)
	config := filepath.Join(alice.dir, "config.yaml")
	before, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	servers := "\nmcp_servers:\n  far: {url: \"http://127.0.0.1:9/" + path + "\", headers: {X-Key: " + header + "}, connect_timeout: 1}\n"
	if err := os.WriteFile(config, append(before, servers...), 0o600); err != nil {
		t.Fatal(err)
	}
	g := m.gateway(1, "-p", "alice")
	keys := []string{m.upstream.Key, search, header, path}
	for _, message := range []string{"say hello", "run `env; cat /proc/self/environ`"} {
		if status, body := alice.answer(t, message); status != http.StatusOK || slices.ContainsFunc(keys, func(k string) bool { return strings.Contains(body, k) }) {
			t.Fatalf("got %d: %s", status, body)
		}
	}
	worker, egress := g.worker(alice), g.egress()
	for name, pid := range map[string]int{"worker": worker, "egress process": egress} {
		for _, file := range []string{"environ", "cmdline"} {
			data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
			for _, key := range keys {
				if bytes.Contains(data, []byte(key)) {
					t.Errorf("a key is in the %s of the %s", file, name)
				}
			}
		}
	}
	err = filepath.WalkDir(m.home, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.Type().IsRegular() || entry.Name() == ".env" || entry.Name() == "config.yaml" {
			return nil
		}
		data, _ := os.ReadFile(path)
		for _, key := range keys {
			if bytes.Contains(data, []byte(key)) {
				t.Errorf("a key is in %s", path)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for _, out := range []string{g.printed(), m.run("gateway", "status", "--json"), m.run("-p", "alice", "gateway", "logs")} {
		for _, key := range keys {
			if strings.Contains(out, key) {
				t.Errorf("a key is shown: %s", out)
			}
		}
	}
	audit, err := os.ReadFile(filepath.Join(m.home, "logs", "egress.log"))
	if err != nil || !strings.Contains(string(audit), `"upstream":"model/0"`) || !strings.Contains(string(audit), `"verdict":"ok"`) {
		t.Errorf("the audit is %s, %v", audit, err)
	}
	if found := remembered(t, worker, keys...); len(found) > 0 {
		t.Errorf("the worker remembers %q", found)
	}
	if !remembers(t, egress, m.upstream.Key) {
		t.Error("the key is not found where it must be, so nothing was proved")
	}
}

// Another key of the provider counts from the next request on; no worker is started
// for it and no stream cut.
func TestNewProviderKeyCutsNoStreamAndStartsNoWorker(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	var mu sync.Mutex
	used := map[string]int{}
	model := llmtest.NewHandler(holding(llmtest.Tiny))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		used[r.Header.Get("Authorization")]++
		mu.Unlock()
		model.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	m.run("config", "set", "model.base_url", server.URL+"/v1")
	alice := m.create("alice")
	g := m.gateway(1, "-p", "alice")
	wait := alice.streams(t, 3)
	before := g.worker(alice)
	m.run("config", "set", "OPENAI_API_KEY", "sk-another-0123456789")
	m.run("gateway", "reload")
	eventually(t, patience, "the new key is used", func() bool {
		if status, body := alice.answer(t, "say hello"); status != http.StatusOK {
			t.Fatalf("got %d: %s", status, body)
		}
		mu.Lock()
		defer mu.Unlock()
		return used["Bearer sk-another-0123456789"] > 0
	})
	wait()
	if after := g.worker(alice); after != before {
		t.Errorf("the worker changed from %d to %d", before, after)
	}
}

// The death of the egress process loses no answer that nothing was shown of, and
// no worker; the next one is there at once.
func TestKilledEgressIsReplaced(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice, bob := m.create("alice"), m.create("bob")
	g := m.gateway(2, "--all")
	for _, p := range []person{alice, bob} {
		if status, body := p.answer(t, "say hello"); status != http.StatusOK {
			t.Fatalf("got %d: %s", status, body)
		}
	}
	workers := []int{g.worker(alice), g.worker(bob)}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	asked, failed := 0, []string{}
	var mu sync.Mutex
	for _, p := range []person{alice, bob} {
		wg.Go(func() {
			for ctx.Err() == nil {
				resp, err := p.ask(context.WithoutCancel(ctx), "say hello", false)
				mu.Lock()
				asked++
				if err != nil {
					failed = append(failed, err.Error())
				} else {
					if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || !strings.Contains(string(body), upstreamHello) {
						failed = append(failed, fmt.Sprint(resp.StatusCode, string(body)))
					}
					resp.Body.Close()
				}
				mu.Unlock()
			}
		})
	}
	for range 3 {
		old := g.egress()
		if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, patience, "another one is there", func() bool { return g.egress() != old })
		before := func() int { mu.Lock(); defer mu.Unlock(); return asked }()
		eventually(t, patience, "requests go on", func() bool { mu.Lock(); defer mu.Unlock(); return asked > before+4 })
	}
	cancel()
	wg.Wait()
	if len(failed) > 0 {
		t.Errorf("%d of %d requests failed: %s", len(failed), asked, failed[0])
	}
	if now := []int{g.worker(alice), g.worker(bob)}; !slices.Equal(now, workers) {
		t.Errorf("workers were %v and are %v", workers, now)
	}
}

// Where a worker looks for a model server is what egress lets it reach.
func TestLocalServersAreThoseThatAreLookedFor(t *testing.T) {
	t.Parallel()
	if want, got := detect.Addresses(), supervisor.LocalServers(); !slices.Equal(got, want) {
		t.Errorf("egress knows %q, the worker looks at %q", got, want)
	}
}
