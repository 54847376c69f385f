package main_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever the umask is, nobody else can read what a gateway, its workers and the
// commands of agents make; and what others could read of a profile's records before
// they cannot once it is served.
func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	var err error
	if m.bin, err = exec.LookPath("hermes-open"); err != nil {
		t.Fatal(err)
	}
	m.run("-p", "alice", "config", "set", "agent.max_iterations", "20")
	m.run("-p", "alice", "config", "set", "EXTRA_TOKEN", "0123456789")
	serve := func() *gateway {
		g := m.gateway(1, "--all")
		alice.tool(t, "files", "terminal", map[string]any{"command": "mkdir -p deep && echo x > deep/made; echo x > /tmp/made; umask"})
		alice.tool(t, "files", "write_file", map[string]any{"path": "written", "content": "x"})
		alice.tool(t, "files", "memory", map[string]any{"action": "add", "target": "memory", "content": "likes tea"})
		return g
	}
	closed := func() {
		t.Helper()
		seen := 0
		if err := filepath.WalkDir(m.home, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return nil //nolint:nilerr // it was removed
			}
			info, err := entry.Info()
			if err != nil || info.Mode()&fs.ModeSymlink != 0 {
				return nil //nolint:nilerr // it was removed
			}
			seen++
			if info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			return nil
		}); err != nil || seen < 30 {
			t.Errorf("%d files, %v", seen, err)
		}
	}
	g := serve()
	closed()
	g.stop()
	for _, name := range []string{"data/state.db", "logs/worker.log", "memories/MEMORY.md"} {
		if err := os.Chmod(filepath.Join(alice.dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	g = serve()
	closed()
	if said := g.printed(); !strings.Contains(said, "other users of this machine could read these files until now") || !strings.Contains(said, "state.db") {
		t.Errorf("the gateway says\n%s", said)
	}
}
