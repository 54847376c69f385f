package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// worstExposure bounds what systemd-analyze says of the system unit, 10 being
// the worst. It is what is left to be seen and done by a service that must be
// able to run tools in sandboxes of their own.
const worstExposure = 4.0

func TestUnitsPassSystemd(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not on this machine: units are not verified")
	}
	for name, args := range map[string][]string{
		"system":           nil,
		"system elsewhere": {"--home", "/home/agents/hermes"},
		"user":             {"--user"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, false)
			unit := m.run(append([]string{"deploy", "systemd"}, args...)...)
			// It names the test binary, wherever that is.
			file := filepath.Join(t.TempDir(), "hermes.service")
			if err := os.WriteFile(file, []byte(unit), 0o600); err != nil {
				t.Fatal(err)
			}
			manager := "--system"
			if name == "user" {
				manager = "--user"
			}
			verify := exec.Command(analyze, "verify", "--man=no", manager, file)
			verify.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
			out, err := verify.CombinedOutput()
			if err != nil && strings.Contains(string(out), "Failed to") {
				t.Skipf("systemd-analyze cannot work here: %s", out)
			}
			if err != nil || strings.Contains(string(out), "hermes.service") {
				t.Errorf("verify: %v\n%s", err, out)
			}
			if name == "user" {
				return // security knows system units only
			}
			out, err = exec.Command(analyze, "security", "--offline=true", "--no-pager", file).CombinedOutput()
			if err != nil {
				t.Skipf("systemd-analyze is too old for --offline: %s", out)
			}
			found := regexp.MustCompile(`Overall exposure level for hermes.service: ([0-9.]+)`).FindSubmatch(out)
			if found == nil {
				t.Fatalf("no figure in %s", out)
			}
			if exposure, err := strconv.ParseFloat(string(found[1]), 64); err != nil || exposure > worstExposure {
				t.Errorf("the exposure is %s, want at most %v\n%s", found[1], worstExposure, out)
			}
			t.Logf("the exposure is %s", found[1])
		})
	}
}
