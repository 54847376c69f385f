package mcp

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestServersSeeWhatTheyAreAPartOf(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	for _, name := range []string{
		"app/node_modules/a/dist/index.js", "app/node_modules/a/package.json", "tool/src/server.py", "tool/pyproject.toml",
		"venv/bin/python", "venv/pyvenv.cfg", "script.py", ".local/bin/uvx", "docs/letter",
	} {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string][]string{
		"app/node_modules/a/dist/index.js": {"app/node_modules/a/dist", "app/node_modules"},
		"tool/src/server.py":               {"tool/src", "tool"},
		"venv/bin/python":                  {"venv/bin", "venv"},
		"script.py":                        nil, // not all of the home for it
		".local/bin/uvx":                   {".local/bin"},
	} {
		absolute := []string{filepath.Join(home, file)}
		for _, name := range want {
			absolute = append(absolute, filepath.Join(home, name))
		}
		if got := around(absolute[0], home); !slices.Equal(got, absolute) {
			t.Errorf("%s: got %q, want %q", file, got, absolute)
		}
	}
	_, writes := places("/usr/bin/env", []string{"-v", filepath.Join(home, "docs"), "relative", "/no/such/place"}, "/work")
	if want := []string{"/work", filepath.Join(home, "docs")}; !slices.Equal(writes, want) {
		t.Errorf("writes to %q, want %q", writes, want)
	}
}
