package store_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// modernc.org/sqlite is translated against one version of modernc.org/libc and
// may misbehave with any other. `go get -u` does not know that.
func TestLibcIsTheOneThatSQLiteWasMadeFor(t *testing.T) {
	t.Parallel()
	module := func(path string) (m struct{ Version, GoMod string }) {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-json", path).Output()
		must(t, err)
		must(t, json.Unmarshal(out, &m))
		return m
	}
	pins, err := os.ReadFile(module("modernc.org/sqlite").GoMod)
	must(t, err)
	libc := module("modernc.org/libc").Version
	if !strings.Contains(string(pins), "modernc.org/libc "+libc+"\n") {
		t.Errorf("modernc.org/libc is %s, which is not what modernc.org/sqlite's go.mod asks for; go get modernc.org/libc at that version", libc)
	}
}
