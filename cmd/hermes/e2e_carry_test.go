package main_test

import (
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// An archive that is made while turns run is a whole profile, with what was said
// and remembered before.
func TestServedProfileIsCarried(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	m.gateway(1, "--all")
	alice.tool(t, "first", "memory", map[string]any{"action": "add", "target": "user", "content": "likes night trains"})
	alice.tool(t, "first", "terminal", map[string]any{"command": "echo kept > kept.txt"})

	stop := make(chan struct{})
	var turns sync.WaitGroup
	for i := range 3 {
		turns.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					alice.tool(t, "busy"+strconv.Itoa(i), "terminal", map[string]any{"command": "echo " + strconv.Itoa(n) + " >> busy.txt"})
				}
			}
		})
	}
	file := filepath.Join(t.TempDir(), "alice.tar.gz")
	for range 3 {
		m.run("profile", "export", "alice", "-o", file)
	}
	close(stop)
	turns.Wait()

	m.run("profile", "import", file, "--name", "bob", "--port", strconv.Itoa(freePort(t)))
	bob := m.person("bob")
	if bob.key == alice.key || bob.url == alice.url {
		t.Error("bob has the key or the port of alice")
	}
	if got := m.run("-p", "bob", "session", "list", "--limit", "1000", "--json"); !strings.Contains(got, "likes night trains") {
		t.Errorf("the conversation is not there: %s", got)
	}
	eventually(t, patience, "bob is served", func() bool {
		response, _, err := bob.call(t.Context(), http.MethodGet, "/health", "")
		return err == nil && response.StatusCode == http.StatusOK
	})
	if got := bob.tool(t, "first", "memory", map[string]any{"action": "add", "target": "user", "content": "likes boats"}); !strings.Contains(got, "It holds 2 entries now") {
		t.Errorf("the memory is %s", got)
	}
	if got := bob.tool(t, "first", "terminal", map[string]any{"command": "cat kept.txt"}); !strings.Contains(got, "kept") {
		t.Errorf("the workspace has %s", got)
	}
}
